#pragma once

#include <cereal/types/memory.hpp>
#include <cereal/types/polymorphic.hpp>
#include <distwork.hpp>
#include <memory>

// Works that hold objects behind pointers to their bases. Who includes this says of what types some members are: two
// programs may differ.
#if !defined(RADIUS) || !defined(EDGE)
#error "RADIUS and EDGE are types"
#endif

class Figure {
public:
    virtual ~Figure() = default;
    virtual double size() const = 0;
    template <class Archive>
    void serialize(Archive&) {}
};

class Circle : public Figure {
public:
    double size() const override { return static_cast<double>(radius); }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(radius);
    }
    RADIUS radius{};
};
CEREAL_REGISTER_TYPE(Circle)
CEREAL_REGISTER_POLYMORPHIC_RELATION(Figure, Circle)

/// Has no default constructor.
class Cube {
public:
    explicit Cube(EDGE length) : edge{length} {}
    template <class Archive>
    void save(Archive& archive) const {
        archive(edge);
    }
    template <class Archive>
    static void load_and_construct(Archive& archive, cereal::construct<Cube>& construct) {
        EDGE edge{};
        archive(edge);
        construct(edge);
    }
    EDGE edge;
};

class Draw : public distwork::RpcWork<double> {
public:
    explicit Draw(std::unique_ptr<Figure> figure = nullptr) : figure_{std::move(figure)} {}
    double execute_work(distwork::Context&) override { return figure_ ? figure_->size() : 0; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(figure_);
    }

private:
    std::unique_ptr<Figure> figure_;
};
DISTWORK_REGISTER_WORK(Draw)

class Weigh : public distwork::RpcWork<double> {
public:
    explicit Weigh(std::unique_ptr<Cube> cube = nullptr) : cube_{std::move(cube)} {}
    double execute_work(distwork::Context&) override { return cube_ ? static_cast<double>(cube_->edge) : 0; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(cube_);
    }

private:
    std::unique_ptr<Cube> cube_;
};
DISTWORK_REGISTER_WORK(Weigh)
