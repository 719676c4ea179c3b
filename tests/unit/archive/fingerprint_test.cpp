#include "distwork/archive/fingerprint.hpp"

#include <array>
#include <atomic>
#include <bitset>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>
#include <chrono>
#include <complex>
#include <cstdint>
#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <stack>
#include <stdexcept>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <valarray>
#include <variant>
#include <vector>

#include "support/catch.hpp"

namespace shapes {

struct Empty {};
struct IntString {
    int number = 0;
    std::string text;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number, text);
    }
};
struct Renamed {  // the same, written otherwise
    std::string words = "not empty";
    std::int32_t count = 7;
    template <class Archive>
    void serialize(Archive& archive) {
        archive& cereal::make_nvp("count", count);
        archive& CEREAL_NVP(words);
    }
};
struct Split {
    int number = 0;
    std::string text;
    template <class Archive>
    void save(Archive& archive) const {
        static_assert(Archive::is_saving::value && !Archive::is_loading::value);
        archive << number << text;
    }
    template <class Archive>
    void load(Archive& archive) {
        archive >> number >> text;
    }
};
struct Free {
    int number = 0;
    std::string text;
};
template <class Archive>
void serialize(Archive& archive, Free& free) {
    archive(free.number, free.text);
}
struct FreeSplit {
    int number = 0;
    std::string text;
};
template <class Archive>
void save(Archive& archive, const FreeSplit& split) {
    archive(split.number, split.text);
}
template <class Archive>
void load(Archive& archive, FreeSplit& split) {
    archive(split.number, split.text);
}
struct Swapped : IntString {
    template <class Archive>
    void serialize(Archive& archive) {
        archive(text, number);
    }
};
struct Shorter : IntString {
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number);
    }
};
struct Derived : IntString {
    template <class Archive>
    void serialize(Archive& archive) {
        archive(cereal::base_class<IntString>(this));
    }
};
struct Versioned : IntString {
    template <class Archive>
    void serialize(Archive& archive, std::uint32_t) {
        archive(number, text);
    }
};
struct Version2 : Versioned {};
struct Version3 : Versioned {};
struct Minimal {
    template <class Archive>
    std::string save_minimal(const Archive&) const {
        throw std::logic_error("only the type is of interest");
    }
    template <class Archive>
    void load_minimal(const Archive&, const std::string&) {}
};
struct MinimalInt {
    template <class Archive>
    int save_minimal(const Archive&) const {
        return 0;
    }
    template <class Archive>
    void load_minimal(const Archive&, const int&) {}
};
template <std::size_t Size>
struct Binary {
    char bytes[Size] = {};
    template <class Archive>
    void serialize(Archive& archive) {
        archive(cereal::binary_data(bytes, Size));
    }
};
struct OwnContainer {
    template <class Archive>
    void serialize(Archive& archive) {
        std::uint64_t count = 0;
        archive(cereal::make_size_tag(count));
    }
};
template <class T>
struct OwnVector : OwnContainer {
    using value_type = T;
    std::size_t size() const { return 0; }
};
template <class T>
struct Holder {
    T value{};
    template <class Archive>
    void serialize(Archive& archive) {
        archive(value);
    }
};
struct Deferring {
    int value = 0;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(cereal::defer(value));
        archive.serializeDeferments();
    }
};
struct Throwing {
    template <class Archive>
    void serialize(Archive&) {
        throw std::logic_error("not ready");
    }
};
struct ThrowingInside {
    std::vector<Throwing> inner;
    int number = 0;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(inner, number);
    }
};
struct NoDefault {
    explicit NoDefault(int n) : number{n} {}
    int number;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number);
    }
};
struct HoldsNoDefault {
    NoDefault inner{1};
    template <class Archive>
    void serialize(Archive& archive) {
        archive(inner);
    }
};
struct Node {
    std::vector<std::unique_ptr<Node>> children;
    int value = 0;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(children, value);
    }
};
struct OtherNode {
    std::vector<std::unique_ptr<OtherNode>> branches;
    int weight = 0;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(branches, weight);
    }
};
struct LongNode {
    std::vector<std::unique_ptr<LongNode>> children;
    std::int64_t value = 0;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(children, value);
    }
};
struct Even;
struct Odd {
    std::vector<Even> next;
    template <class Archive>
    void serialize(Archive& archive);
};
struct Even {
    std::vector<Odd> next;
    std::vector<Even> skip;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(next, skip);
    }
};
template <class Archive>
void Odd::serialize(Archive& archive) {
    archive(next);
}
struct Json {
    using value_type = Json;  // an element of itself
    std::vector<Json> array;
    std::size_t size() const { return array.size(); }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(array);
    }
};
struct Polymorphic {
    virtual ~Polymorphic() = default;
};
struct Abstract {
    int number = 0;
    virtual ~Abstract() = default;
    virtual void act() = 0;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number);
    }
};
struct Concrete : Abstract {
    void act() override {}
    template <class Archive>
    void serialize(Archive& archive) {
        archive(cereal::base_class<Abstract>(this));
    }
};
struct Overridden {};
struct OverriddenOtherwise {};
enum class Small : std::uint8_t {};
enum class Wide : std::uint32_t {};

}  // namespace shapes

CEREAL_CLASS_VERSION(shapes::Version2, 2)
CEREAL_CLASS_VERSION(shapes::Version3, 3)

template <>
inline constexpr std::uint64_t distwork::fingerprint_override<shapes::Overridden> = 42;
template <>
inline constexpr std::uint64_t distwork::fingerprint_override<shapes::OverriddenOtherwise> = 43;

namespace fingerprint_test {

using distwork::fingerprint;
using namespace shapes;

TEST_CASE("types of different shapes have different fingerprints", "[unit]") {
    const std::vector<std::pair<const char*, std::uint64_t>> table = {
        {"void", fingerprint<void>()},
        {"bool", fingerprint<bool>()},
        {"char", fingerprint<char>()},
        {"char16_t", fingerprint<char16_t>()},
        {"int8", fingerprint<std::int8_t>()},
        {"uint8", fingerprint<std::uint8_t>()},
        {"int32", fingerprint<std::int32_t>()},
        {"uint32", fingerprint<std::uint32_t>()},
        {"int64", fingerprint<std::int64_t>()},
        {"float", fingerprint<float>()},
        {"double", fingerprint<double>()},
        {"long double", fingerprint<long double>()},
        {"Small", fingerprint<Small>()},
        {"Wide", fingerprint<Wide>()},
        {"string", fingerprint<std::string>()},
        {"vector<int>", fingerprint<std::vector<int>>()},
        {"vector<bool>", fingerprint<std::vector<bool>>()},
        {"vector<vector<int>>", fingerprint<std::vector<std::vector<int>>>()},
        {"vector<string>", fingerprint<std::vector<std::string>>()},
        {"array<int, 2>", fingerprint<std::array<int, 2>>()},
        {"array<int, 3>", fingerprint<std::array<int, 3>>()},
        {"array<array<int, 3>, 2>", fingerprint<std::array<std::array<int, 3>, 2>>()},
        {"array<array<int, 2>, 3>", fingerprint<std::array<std::array<int, 2>, 3>>()},
        {"map<int, string>", fingerprint<std::map<int, std::string>>()},
        {"map<string, int>", fingerprint<std::map<std::string, int>>()},
        {"pair<int, string>", fingerprint<std::pair<int, std::string>>()},
        {"tuple<>", fingerprint<std::tuple<>>()},
        {"tuple<int>", fingerprint<std::tuple<int>>()},
        {"tuple<int, int, int>", fingerprint<std::tuple<int, int, int>>()},
        {"tuple<tuple<int, int>, int>", fingerprint<std::tuple<std::tuple<int, int>, int>>()},
        {"optional<int>", fingerprint<std::optional<int>>()},
        {"optional<float>", fingerprint<std::optional<float>>()},
        {"variant<int, string>", fingerprint<std::variant<int, std::string>>()},
        {"variant<string, int>", fingerprint<std::variant<std::string, int>>()},
        {"variant<monostate, int>", fingerprint<std::variant<std::monostate, int>>()},
        {"unique_ptr<int>", fingerprint<std::unique_ptr<int>>()},
        {"unique_ptr<float>", fingerprint<std::unique_ptr<float>>()},
        {"shared_ptr<int>", fingerprint<std::shared_ptr<int>>()},
        {"unique_ptr<Polymorphic>", fingerprint<std::unique_ptr<Polymorphic>>()},
        {"shared_ptr<Polymorphic>", fingerprint<std::shared_ptr<Polymorphic>>()},
        {"milliseconds", fingerprint<std::chrono::milliseconds>()},
        {"microseconds", fingerprint<std::chrono::microseconds>()},
        {"duration<double>", fingerprint<std::chrono::duration<double>>()},
        {"duration<float>", fingerprint<std::chrono::duration<float>>()},
        {"time_point", fingerprint<std::chrono::time_point<std::chrono::system_clock, std::chrono::seconds>>()},
        {"bitset<8>", fingerprint<std::bitset<8>>()},
        {"bitset<9>", fingerprint<std::bitset<9>>()},
        {"complex<float>", fingerprint<std::complex<float>>()},
        {"complex<double>", fingerprint<std::complex<double>>()},
        {"queue<int>", fingerprint<std::queue<int>>()},
        {"queue<float>", fingerprint<std::queue<float>>()},
        {"Empty", fingerprint<Empty>()},
        {"IntString", fingerprint<IntString>()},
        {"Swapped", fingerprint<Swapped>()},
        {"Shorter", fingerprint<Shorter>()},
        {"Derived", fingerprint<Derived>()},
        {"Versioned", fingerprint<Versioned>()},
        {"Version2", fingerprint<Version2>()},
        {"Version3", fingerprint<Version3>()},
        {"Minimal", fingerprint<Minimal>()},
        {"Binary<8>", fingerprint<Binary<8>>()},
        {"Binary<9>", fingerprint<Binary<9>>()},
        {"OwnContainer", fingerprint<OwnContainer>()},
        {"OwnVector<int>", fingerprint<OwnVector<int>>()},
        {"OwnVector<float>", fingerprint<OwnVector<float>>()},
        {"Holder<IntString>", fingerprint<Holder<IntString>>()},
        {"Holder<vector<IntString>>", fingerprint<Holder<std::vector<IntString>>>()},
        {"Holder<vector<Swapped>>", fingerprint<Holder<std::vector<Swapped>>>()},
        {"Holder<optional<IntString>>", fingerprint<Holder<std::optional<IntString>>>()},
        {"Holder<unique_ptr<IntString>>", fingerprint<Holder<std::unique_ptr<IntString>>>()},
        {"Holder<unique_ptr<Swapped>>", fingerprint<Holder<std::unique_ptr<Swapped>>>()},
        {"Holder<int[2]>", fingerprint<Holder<int[2]>>()},
        {"Holder<int[3]>", fingerprint<Holder<int[3]>>()},
        {"Holder<char[3]>", fingerprint<Holder<char[3]>>()},
        {"Deferring", fingerprint<Deferring>()},
        {"Throwing", fingerprint<Throwing>()},
        {"ThrowingInside", fingerprint<ThrowingInside>()},
        {"NoDefault", fingerprint<NoDefault>()},
        {"HoldsNoDefault", fingerprint<HoldsNoDefault>()},
        {"Node", fingerprint<Node>()},
        {"LongNode", fingerprint<LongNode>()},
        {"Holder<Node>", fingerprint<Holder<Node>>()},
        {"Odd", fingerprint<Odd>()},
        {"Even", fingerprint<Even>()},
        {"Json", fingerprint<Json>()},
        {"Concrete", fingerprint<Concrete>()},
        {"Overridden", fingerprint<Overridden>()},
        {"Holder<Overridden>", fingerprint<Holder<Overridden>>()},
        {"Holder<OverriddenOtherwise>", fingerprint<Holder<OverriddenOtherwise>>()},
        {"Holder<vector<Overridden>>", fingerprint<Holder<std::vector<Overridden>>>()},
    };
    for (std::size_t i = 0; i < table.size(); ++i) {
        for (std::size_t j = i + 1; j < table.size(); ++j) {
            // A class that throws, and one that cannot be constructed, are both opaque.
            if (table[i].first == std::string{"Throwing"} && table[j].first == std::string{"NoDefault"}) continue;
            INFO(table[i].first << " and " << table[j].first);
            CHECK(table[i].second != table[j].second);
        }
    }
}

TEST_CASE("types of equal shapes have equal fingerprints", "[unit]") {
    SECTION("a class's name, its members' names and values do not count") {
        CHECK(fingerprint<Node>() == fingerprint<OtherNode>());
        CHECK(fingerprint<IntString>() == fingerprint<Renamed>());
    }
    SECTION("nor how a class is serialized") {
        CHECK(fingerprint<IntString>() == fingerprint<Split>());
        CHECK(fingerprint<IntString>() == fingerprint<Free>());
        CHECK(fingerprint<IntString>() == fingerprint<FreeSplit>());
        CHECK(fingerprint<Shorter>() == fingerprint<MinimalInt>());
    }
    SECTION("nor which integer type has a width, or which container a sequence") {
        CHECK(fingerprint<long long>() == fingerprint<std::int64_t>());
        CHECK(fingerprint<std::vector<int>>() == fingerprint<std::list<int>>());
        CHECK(fingerprint<std::vector<int>>() == fingerprint<std::forward_list<int>>());
        CHECK(fingerprint<std::vector<int>>() == fingerprint<std::deque<int>>());
        CHECK(fingerprint<std::vector<int>>() == fingerprint<std::set<int>>());
        CHECK(fingerprint<std::vector<int>>() == fingerprint<std::valarray<int>>());
        CHECK(fingerprint<std::map<int, long>>() == fingerprint<std::unordered_multimap<int, long>>());
        CHECK(fingerprint<std::queue<int>>() == fingerprint<std::stack<int>>());
        CHECK(fingerprint<std::atomic<int>>() == fingerprint<int>());
        CHECK(fingerprint<std::shared_ptr<int>>() == fingerprint<std::weak_ptr<int>>());
        CHECK(fingerprint<int[3]>() == fingerprint<std::array<int, 3>>());
    }
    SECTION("nor const and references") {
        CHECK(fingerprint<const IntString&>() == fingerprint<IntString>());
        CHECK(fingerprint<std::unique_ptr<const int>>() == fingerprint<std::unique_ptr<int>>());
    }
}

TEST_CASE("a fingerprint does not see what only data decides, nor what is behind a polymorphic pointer", "[unit]") {
    CHECK(fingerprint<std::unique_ptr<Polymorphic>>() == fingerprint<std::unique_ptr<Abstract>>());
    CHECK(fingerprint<Throwing>() == fingerprint<NoDefault>());
}

TEST_CASE("an overridden fingerprint is the number given", "[unit]") {
    CHECK(fingerprint<Overridden>() == 42);
}

TEST_CASE("fingerprints are the same in every build: they travel", "[unit]") {
    CHECK(fingerprint<void>() == 0x4a3a3a4ba6523826U);
    CHECK(fingerprint<int>() == 0x7e9fb75136b2d7f3U);
    CHECK(fingerprint<std::string>() == 0x008e46dad95dcf92U);
    CHECK(fingerprint<std::map<std::string, std::vector<double>>>() == 0xd3e843b26ae3ed3dU);
    CHECK(fingerprint<IntString>() == 0x75ceb3e70c26e58aU);
    CHECK(fingerprint<Version2>() == 0x41c2d94094031f39U);
    CHECK(fingerprint<Node>() == 0xb6c2da955f7e75afU);
}

}  // namespace fingerprint_test
