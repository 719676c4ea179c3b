// How shapes are found out: by loading zeros into default-constructed objects.

#include <array>
#include <atomic>
#include <cereal/types/memory.hpp>
#include <cereal/types/polymorphic.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>
#include <cstdint>
#include <distwork.hpp>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace probed {

struct Pair {
    int left = 0;
    std::string right;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(left, right);
    }
};

/// Only a loaded object has what its save needs.
struct Loaded {
    std::unique_ptr<Pair> pair;
    template <class Archive>
    void save(Archive& archive) const {
        archive(pair->left, pair->right);
    }
    template <class Archive>
    void load(Archive& archive) {
        pair = std::make_unique<Pair>();
        archive(pair->left, pair->right);
    }
};

/// Remembers what its load was given.
struct Given {
    int number = 7;
    double fraction = 7;
    bool flag = true;
    std::string text = "text";
    std::vector<int> numbers{7};
    std::array<int, 2> pair{7, 7};
    int raw[2] = {7, 7};
    std::unique_ptr<Pair> pointer = std::make_unique<Pair>();
    std::uint32_t version = 7;
    static inline bool all_zero = false;
    static inline std::uint32_t given_version = 0;

    template <class Archive>
    void serialize(Archive& archive, std::uint32_t class_version) {
        static_assert(Archive::is_loading::value || Archive::is_saving::value);
        archive(number, fraction, flag, text, numbers, pair, raw, pointer);
        archive(cereal::binary_data(&version, sizeof version));
        all_zero = number == 0 && fraction == 0 && !flag && text.empty() && numbers.empty() && pair[0] == 0 &&
                   raw[1] == 0 && !pointer && version == 0;
        given_version = class_version;
    }
};

template <class First>
struct ThrowsAfter {
    First first{};
    int never = 0;
    template <class Archive>
    void save(Archive& archive) const {
        archive(first, never);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(first);
        if (first == First{}) throw std::runtime_error{"zero will not do"};
        archive(never);
    }
};

struct WaitsForAnEnd {
    std::vector<int> numbers;
    template <class Archive>
    void save(Archive& archive) const {
        for (const int number : numbers) archive(number);
        archive(-1);
    }
    template <class Archive>
    void load(Archive& archive) {
        for (int number = 0; archive(number), number != -1;) numbers.push_back(number);
    }
};

template <class Number>
class Constructed {
public:
    explicit Constructed(Number number) : number_{number} { ++alive; }
    Constructed(const Constructed&) = delete;
    ~Constructed() { --alive; }
    template <class Archive>
    void save(Archive& archive) const {
        archive(number_, text_);
    }
    template <class Archive>
    static void load_and_construct(Archive& archive, cereal::construct<Constructed>& construct) {
        Number number;
        archive(number);
        construct(number);
        archive(construct->text_);
    }
    static inline int alive = 0;

private:
    Number number_;
    std::string text_;
};

struct ShowsWhoIsProbed {
    static inline std::string in_constructor;
    static inline std::string in_load;
    ShowsWhoIsProbed() { in_constructor = shown(); }
    template <class Archive>
    void serialize(Archive&) {
        in_load = shown();
    }
    static std::string shown() {
        const char* const name = distwork::detail::probed_class;
        return name ? name : "";
    }
};

struct Base {
    virtual ~Base() = default;
    virtual void act() = 0;
};
struct Concrete {
    virtual ~Concrete() = default;
    int number = 0;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number);
    }
};
struct Holder {
    std::vector<std::unique_ptr<Base>> some;
    std::shared_ptr<Concrete> one;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(some, one);
    }
};

struct NoDefault {
    explicit NoDefault(int) {}
    template <class Archive>
    void serialize(Archive&) {}
};

// A rolling upgrade: see the README.

/// As the build of version 1 has it.
struct JobThen {
    std::string name;
    template <class Archive>
    void serialize(Archive& archive) {
        std::uint32_t version = 1;
        archive(version, name);
    }
};
/// As the build of version 2 has it.
struct Job {
    std::string name;
    int priority = 0;
    static inline std::atomic<std::uint32_t> written = 1;

    template <class Archive>
    void save(Archive& archive) const {
        const std::uint32_t version = written;
        archive(version, name);
        if (version >= 2) archive(priority);
    }
    template <class Archive>
    void load(Archive& archive) {
        std::uint32_t version = 0;
        archive(version, name);
        if (version >= 2) archive(priority);
    }
};

template <class To, class From>
To carried(const From& from) {
    distwork::detail::ByteBuffer body;
    distwork::detail::encode_value(from, body, {});
    To to;
    distwork::detail::decode(body.view(), to, {});
    return to;
}

}  // namespace probed

CEREAL_CLASS_VERSION(probed::Given, 12)

template <>
inline constexpr std::uint64_t distwork::fingerprint_override<probed::JobThen> = 77;
template <>
inline constexpr std::uint64_t distwork::fingerprint_override<probed::Job> = 77;

// Shapes of classes that only cereal can make objects of, and of those that take a zero for a count plus one.

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

namespace shape_test {

using distwork::fingerprint;
using distwork::detail::shape_of;
using namespace probed;

TEST_CASE("a class is asked to load, never to save", "[unit]") {
    CHECK(fingerprint<Loaded>() == fingerprint<Pair>());
    CHECK(shape_of<Loaded>().opaque.empty());
}

TEST_CASE("a load finds zeros, empty containers, null pointers and the current class version", "[unit]") {
    fingerprint<Given>();
    CHECK(Given::all_zero);
    CHECK(Given::given_version == 12);
}

TEST_CASE("what was read before an exception counts, and the class is named", "[unit]") {
    CHECK(fingerprint<ThrowsAfter<int>>() != fingerprint<ThrowsAfter<double>>());
    const auto& opaque = shape_of<std::vector<ThrowsAfter<int>>>().opaque;
    REQUIRE(opaque.size() == 1);
    CHECK(opaque[0] == "probed::ThrowsAfter<int> (it threw std::runtime_error: zero will not do)");
}

TEST_CASE("a load that zeros do not end is ended", "[unit]") {
    const auto& opaque = shape_of<WaitsForAnEnd>().opaque;
    REQUIRE(opaque.size() == 1);
    CHECK(opaque[0].find("probed::WaitsForAnEnd (it threw std::length_error") == 0);
}

TEST_CASE("a class is described by its load_and_construct, if it has no default constructor", "[unit]") {
    CHECK(fingerprint<Constructed<int>>() != fingerprint<Constructed<double>>());
    CHECK(fingerprint<std::unique_ptr<Constructed<int>>>() != fingerprint<std::unique_ptr<Constructed<double>>>());
    CHECK(fingerprint<std::unique_ptr<Constructed<int>>>() == fingerprint<std::unique_ptr<Pair>>());
    CHECK(shape_of<Constructed<int>>().opaque.empty());
    CHECK(Constructed<int>::alive == 0);
    const auto& opaque = shape_of<NoDefault>().opaque;
    REQUIRE(opaque.size() == 1);
    CHECK(opaque[0] == "probed::NoDefault (it has no default constructor)");
}

TEST_CASE("the class being probed stands where a debugger shows it", "[unit]") {
    fingerprint<std::vector<ShowsWhoIsProbed>>();
    CHECK(ShowsWhoIsProbed::in_constructor.find("probed::ShowsWhoIsProbed") != std::string::npos);
    CHECK(ShowsWhoIsProbed::in_load.find("probed::ShowsWhoIsProbed") != std::string::npos);
    CHECK(ShowsWhoIsProbed::shown().empty());
}

TEST_CASE("pointers to polymorphic classes are met, and what may be behind them is found by its name", "[unit]") {
    const auto& bases = shape_of<Holder>().bases;
    REQUIRE(bases.size() == 2);
    CHECK(*bases[0].type == typeid(Base));
    CHECK(bases[0].shape == nullptr);
    CHECK(*bases[1].type == typeid(Concrete));
    REQUIRE(bases[1].shape);
    CHECK(bases[1].shape().fingerprint == fingerprint<Concrete>());
}

TEST_CASE("a build of a new version of a type exchanges it with builds of the old one, and writes the old until told",
          "[unit]") {
    CHECK(fingerprint<Job>() == fingerprint<JobThen>());
    CHECK(carried<Job>(JobThen{"old"}).name == "old");
    CHECK(carried<JobThen>(Job{"new", 3}).name == "new");
    CHECK(carried<Job>(Job{"new", 3}).priority == 0);
    Job::written = 2;  // when no build of version 1 is left
    const Job back = carried<Job>(Job{"new", 3});
    CHECK(back.name == "new");
    CHECK(back.priority == 3);
    CHECK(carried<Job>(JobThen{"old"}).name == "old");
    Job::written = 1;
}

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

}  // namespace shape_test
