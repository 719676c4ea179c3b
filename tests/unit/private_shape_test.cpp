#include <cereal/types/memory.hpp>
#include <cereal/types/vector.hpp>
#include <cstdint>
#include <distwork.hpp>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

// Shapes of classes that only cereal can make objects of, and of those that take a zero for a count plus one.

using distwork::fingerprint;
using distwork::detail::shape_of;

namespace privately {

template <class Member>
struct Open {
    Member member{};
    template <class Archive>
    void serialize(Archive& archive) {
        archive(member);
    }
};

/// As cereal's documentation has them.
template <class Member>
class Closed {
public:
    explicit Closed(Member value) : member_{value} {}

private:
    friend class cereal::access;
    Closed() = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(member_);
    }

    Member member_{};
};

template <class Member>
class ClosedWork : public distwork::IWork {
public:
    explicit ClosedWork(Member value) : member_{value} {}
    void execute(distwork::Context&) override {}

private:
    friend class cereal::access;
    ClosedWork() = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(member_);
    }

    Member member_{};
};

template <class Member, bool thrown_by_new = false>
struct LessOne {
    Member member{};
    std::int32_t count = 1;
    std::unique_ptr<int[]> behind_the_first;

    template <class Archive>
    void save(Archive& archive) const {
        archive(member, count);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(member, count);
        // What g++ makes of such an array, and what clang: it asks operator new for all the memory that there is not.
        if (count < 1 && thrown_by_new) throw std::bad_alloc{};
        if (count < 1) throw std::bad_array_new_length{};
        behind_the_first.reset(new int[static_cast<std::size_t>(count - 1)]);
    }
};

struct Unlucky {
    std::int32_t number = 0;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(number);
        static bool is_first = true;
        if (std::exchange(is_first, false)) throw std::bad_alloc{};
    }
};

}  // namespace privately

DISTWORK_REGISTER_WORK_AS("closed work of an int", privately::ClosedWork<int>)
DISTWORK_REGISTER_WORK_AS("closed work of a double", privately::ClosedWork<double>)

TEST_CASE("a class whose default constructor is cereal's alone is compared behind a pointer") {
    using privately::Closed;
    CHECK(fingerprint<std::unique_ptr<Closed<int>>>() == fingerprint<std::unique_ptr<privately::Open<int>>>());
    CHECK(fingerprint<std::unique_ptr<Closed<int>>>() != fingerprint<std::unique_ptr<Closed<double>>>());
    CHECK(fingerprint<std::vector<std::shared_ptr<Closed<int>>>>() !=
          fingerprint<std::vector<std::shared_ptr<Closed<double>>>>());
    CHECK(shape_of<std::unique_ptr<Closed<int>>>().opaque.empty());
}

TEST_CASE("a work whose default constructor is cereal's alone is compared") {
    using privately::ClosedWork;
    CHECK(fingerprint<ClosedWork<int>>() != fingerprint<ClosedWork<double>>());
    CHECK(fingerprint<ClosedWork<int>>() == fingerprint<privately::Open<int>>());
    CHECK(shape_of<ClosedWork<int>>().opaque.empty());
}

TEST_CASE("an array of fewer than no elements, for a count of zero, is no want of memory") {
    using privately::LessOne;
    CHECK(fingerprint<LessOne<int>>() != fingerprint<LessOne<double>>());
    const auto& opaque = shape_of<LessOne<int>>().opaque;
    REQUIRE(opaque.size() == 1);
    CHECK(opaque[0].find("privately::LessOne<int, false> (it threw std::bad_array_new_length") == 0);
    CHECK(fingerprint<LessOne<int, true>>() == fingerprint<LessOne<int>>());
    CHECK(fingerprint<LessOne<int, true>>() != fingerprint<LessOne<double, true>>());
    REQUIRE(shape_of<LessOne<int, true>>().opaque.size() == 1);
    CHECK(shape_of<LessOne<int, true>>().opaque[0].find("privately::LessOne<int, true> (it threw std::bad_alloc") == 0);
}

TEST_CASE("a class that finds no memory once is seen to its end at the second try") {
    CHECK(shape_of<privately::Unlucky>().opaque.empty());
    CHECK(fingerprint<privately::Unlucky>() == fingerprint<privately::Open<int>>());
}
