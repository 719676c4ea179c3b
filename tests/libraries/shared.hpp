#pragma once

#include <cereal/types/memory.hpp>
#include <cereal/types/polymorphic.hpp>
#include <cereal/types/vector.hpp>
#include <distwork.hpp>
#include <memory>
#include <string>
#include <vector>

// What the program and its libraries share: registered in each of them, by the header that all include.

class Shape {
public:
    virtual ~Shape() = default;
    virtual int area() const = 0;
    template <class Archive>
    void serialize(Archive&) {}
};

/// What is derived from it first has its Shape at another address: casts are no-ops no more.
class Named {
public:
    virtual ~Named() = default;
    std::string name = "named";
};

class Square : public Named, public Shape {
public:
    explicit Square(int side = 0) : side_{side} {}
    int area() const override { return side_ * side_; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(side_);
    }

private:
    int side_;
};
CEREAL_REGISTER_TYPE(Square)
CEREAL_REGISTER_POLYMORPHIC_RELATION(Shape, Square)

using Shapes = std::vector<std::unique_ptr<Shape>>;

inline int total_area(const Shapes& shapes) {
    int total = 0;
    for (const auto& shape : shapes) total += shape->area();
    return total;
}
DISTWORK_REGISTER_FUNCTION(total_area)

/// What a library is asked to do with the program's master: each says what came of it, the error if it was one.
struct Library {
    std::string (*call_thumbnail)(distwork::Master<>& master);  ///< a function that it has for itself
    std::string (*call_total_area)(
        distwork::Master<>& master);  ///< one that is shared, of a class that it has for itself
};
