#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bitset>
#include <cereal/types/array.hpp>
#include <cereal/types/atomic.hpp>
#include <cereal/types/bitset.hpp>
#include <cereal/types/chrono.hpp>
#include <cereal/types/complex.hpp>
#include <cereal/types/deque.hpp>
#include <cereal/types/forward_list.hpp>
#include <cereal/types/list.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/queue.hpp>
#include <cereal/types/set.hpp>
#include <cereal/types/stack.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/tuple.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/unordered_set.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/valarray.hpp>
#include <cereal/types/variant.hpp>
#include <cereal/types/vector.hpp>
#include <chrono>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "distwork/archive/wire_archive.hpp"
#include "support/catch.hpp"

// The types that the tests of the archives encode and decode.

namespace archived {

using namespace distwork;
using namespace distwork::detail;

using Bytes = std::vector<std::byte>;

template <class T>
Bytes encode(const T& value, const ArchiveLimits& limits = ArchiveLimits{}) {
    ByteBuffer buffer;
    WireOutputArchive archive{buffer, limits};
    archive(value);
    archive.finish();
    return {buffer.view().begin(), buffer.view().end()};
}

template <class T>
void decode(std::span<const std::byte> body, T& value, const ArchiveLimits& limits = ArchiveLimits{}) {
    // In memory of its own, so that the address sanitizer sees a byte too many being read.
    const Bytes exact{body.begin(), body.end()};
    WireInputArchive archive{exact, limits};
    archive(value);
    archive.finish();
}

/// What became of an attempt: 0 is success.
template <class Attempt>
Errc outcome(Attempt attempt) {
    try {
        attempt();
    } catch (const Error& error) {
        return static_cast<Errc>(error.code().value());
    }
    return Errc{};
}

template <class T>
Errc decoding(std::span<const std::byte> body, const ArchiveLimits& limits = ArchiveLimits{}) {
    return outcome([&] {
        T value{};
        decode(body, value, limits);
    });
}

template <class T>
Errc encoding(const T& value, const ArchiveLimits& limits = ArchiveLimits{}) {
    return outcome([&] { encode(value, limits); });
}

inline Bytes bytes(std::initializer_list<int> values) {
    Bytes result;
    for (const int value : values) result.push_back(static_cast<std::byte>(value));
    return result;
}

inline Bytes operator+(Bytes left, const Bytes& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

/// Decoding gives the value back; a prefix of its bytes, and bytes after them, are refused.
template <class T, class Equal = std::equal_to<>>
void check_round_trip(const T& value, Equal equal = {}) {
    const Bytes body = encode(value);
    INFO(cereal::util::demangledName<T>() << ", " << body.size() << " bytes");
    T decoded{};
    decode(body, decoded);
    CHECK(equal(value, decoded));
    for (std::size_t size = 0; size < body.size(); ++size) {
        INFO("the first " << size);
        CHECK(decoding<T>(std::span{body}.first(size)) == Errc::malformed);
    }
    CHECK(decoding<T>(body + bytes({0})) == Errc::malformed);
}

inline constexpr auto same_pointees = [](const auto& a, const auto& b) { return a ? b && *a == *b : !b; };

enum class Colour : std::uint8_t { red, green = 200 };
enum class Offset : std::int64_t { far = std::numeric_limits<std::int64_t>::min() };
enum Plain { none, one };
enum class Truth : bool { no, yes };

struct Empty {
    friend bool operator==(const Empty&, const Empty&) = default;
};

struct Point {
    int x = 0;
    int y = 0;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(x, y);
    }
    friend auto operator<=>(const Point&, const Point&) = default;
};

struct Versioned {
    int old_member = 0;
    int new_member = 0;
    template <class Archive>
    void serialize(Archive& archive, std::uint32_t version) {
        archive(old_member);
        if (version >= 2) archive(new_member);
    }
    friend bool operator==(const Versioned&, const Versioned&) = default;
};

struct Minimal {
    std::string text;
    template <class Archive>
    std::string save_minimal(const Archive&) const {
        return text;
    }
    template <class Archive>
    void load_minimal(const Archive&, const std::string& from) {
        text = from;
    }
    friend bool operator==(const Minimal&, const Minimal&) = default;
};

struct Arrays {
    int numbers[2][2] = {};
    bool flags[3] = {};
    char raw[5] = {};
    template <class Archive>
    void serialize(Archive& archive) {
        archive(numbers, flags, cereal::binary_data(raw, sizeof raw));
    }
    friend bool operator==(const Arrays&, const Arrays&) = default;
};

struct Node {
    std::unique_ptr<Node> next;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(next);
    }
};

struct Tree {
    std::vector<Tree> children;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(children);
    }
    friend bool operator==(const Tree&, const Tree&) = default;
};

/// Counts how many objects there are.
struct Counted {
    static inline long alive = 0;
    static inline long most = 0;
    std::uint64_t content[4] = {};
    Counted() { most = std::max(most, ++alive); }
    Counted(const Counted& other) : content{other.content[0]} { most = std::max(most, ++alive); }
    Counted& operator=(const Counted&) = default;
    ~Counted() { --alive; }
    template <class Archive>
    void serialize(Archive& archive) {
        auto byte = static_cast<std::uint8_t>(content[0]);
        archive(byte);
        content[0] = byte;
    }
};

/// Constructed from bytes; holds something that is lost unless its destructor runs.
struct Constructed {
    Counted counted;
    int number;
    std::string text;
    explicit Constructed(int n) : number{n} {}
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number, text);
    }
    template <class Archive>
    static void load_and_construct(Archive& archive, cereal::construct<Constructed>& construct) {
        int number;
        archive(number);
        construct(number);
        archive(construct->text);
    }
    friend bool operator==(const Constructed& a, const Constructed& b) {
        return a.number == b.number && a.text == b.text;
    }
};

struct Shape {
    int sides = 0;
    virtual ~Shape() = default;
    virtual double area() const = 0;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(sides);
    }
};
struct Square : Shape {
    double side = 0;
    double area() const override { return side * side; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(cereal::base_class<Shape>(this), side);
    }
};
struct Chain : Shape {
    std::unique_ptr<Shape> next;
    double area() const override { return next ? next->area() : 0; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(next);
    }
};
struct LongNamed : Shape {
    double area() const override { return 0; }
    template <class Archive>
    void serialize(Archive&) {}
};
struct Animal {
    virtual ~Animal() = default;
    template <class Archive>
    void serialize(Archive&) {}
};
struct Dog : Animal {
    Counted counted;
    template <class Archive>
    void serialize(Archive&) {}
};

struct Everything {
    std::map<std::string, std::vector<std::uint16_t>> map;
    std::vector<bool> flags;
    std::optional<std::variant<std::monostate, int, std::string>> choice;
    std::list<Counted> list;
    std::vector<Counted> vector;
    std::unordered_map<int, std::deque<std::string>> table;
    std::vector<std::unique_ptr<Shape>> shapes;
    std::shared_ptr<Shape> shared;
    std::unique_ptr<Constructed> constructed;
    std::unique_ptr<Node> node;
    Tree tree;
    Versioned versioned;
    std::bitset<20> bits;
    std::array<bool, 4> array{};
    std::priority_queue<int> queue;
    std::vector<std::byte> raw;
    std::wstring wide;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(map, flags, choice, list, vector, table, shapes, shared, constructed);
        archive(node, tree, versioned, bits, array, queue, raw, wide);
    }
};

inline std::unique_ptr<Node> nodes(int count) {
    std::unique_ptr<Node> list;
    while (count-- > 0) {
        auto node = std::make_unique<Node>();
        node->next = std::move(list);
        list = std::move(node);
    }
    return list;
}

inline std::unique_ptr<Shape> square(double side) {
    auto square = std::make_unique<Square>();
    square->sides = 4;
    square->side = side;
    return square;
}

inline Everything everything() {
    Everything all;
    all.map = {{"a", {1, 2, 3}}, {"", {}}};
    all.flags = {true, false, true};
    all.choice = std::string{"chosen"};
    all.list.resize(3);
    all.vector.resize(4);
    all.table = {{-1, {"x", "yy"}}};
    all.shapes.push_back(square(1.5));
    all.shapes.push_back(nullptr);
    auto chain = std::make_unique<Chain>();
    chain->next = square(2);
    all.shapes.push_back(std::move(chain));
    all.shared = square(3);
    all.constructed = std::make_unique<Constructed>(7);
    all.constructed->text = "constructed from bytes, and too long to be kept in the string itself";
    all.node = nodes(5);
    all.tree.children.resize(2);
    all.tree.children[1].children.resize(3);
    all.versioned = {1, 2};
    all.bits = 0xabcde;
    all.array = {true, false, false, true};
    for (const int i : {3, 1, 2}) all.queue.push(i);
    all.raw.resize(9, std::byte{7});
    all.wide = L"wide";
    return all;
}

}  // namespace archived

CEREAL_CLASS_VERSION(archived::Versioned, 2)
CEREAL_REGISTER_TYPE(archived::Square)
CEREAL_REGISTER_TYPE(archived::Chain)
CEREAL_REGISTER_POLYMORPHIC_RELATION(archived::Shape, archived::Chain)
CEREAL_REGISTER_TYPE_WITH_NAME(
    archived::LongNamed,
    "a name of 300 bytes, of which most are points "
    ".................................................................................."
    ".................................................................................."
    "..........................................................................................")
CEREAL_REGISTER_POLYMORPHIC_RELATION(archived::Shape, archived::LongNamed)
CEREAL_REGISTER_TYPE(archived::Dog)
CEREAL_REGISTER_POLYMORPHIC_RELATION(archived::Animal, archived::Dog)
