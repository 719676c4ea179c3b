#include "distwork/archive/wire_archive.hpp"

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "support/archived.hpp"
#include "support/catch.hpp"

namespace archived::wire_archive_test {

TEMPLATE_TEST_CASE("an arithmetic type's extremes come back", "[unit]", bool, char, signed char, unsigned char, wchar_t,
                   char8_t, char16_t, char32_t, short, unsigned short, int, unsigned, long, unsigned long, long long,
                   unsigned long long, float, double, long double) {
    using Limits = std::numeric_limits<TestType>;
    for (const TestType value : {TestType{}, TestType{1}, Limits::lowest(), Limits::min(), Limits::max()})
        check_round_trip(value);
    check_round_trip(std::vector<TestType>{TestType{}, Limits::max(), Limits::min(), Limits::lowest()});
    check_round_trip(std::array<TestType, 2>{Limits::max(), Limits::min()});
}

TEMPLATE_TEST_CASE("floating-point numbers come back bit by bit", "[unit]", float, double, long double) {
    using Limits = std::numeric_limits<TestType>;
    for (const TestType value : {Limits::infinity(), -Limits::infinity(), Limits::denorm_min(), -Limits::denorm_min(),
                                 Limits::epsilon(), 1 + Limits::epsilon(), TestType{1} / 3, -Limits::max()})
        check_round_trip(value);
    TestType decoded{};
    decode(encode(TestType{-0.0}), decoded);
    CHECK((decoded == 0 && std::signbit(decoded)));
    for (const TestType nan : {Limits::quiet_NaN(), -Limits::quiet_NaN()}) {
        decode(encode(nan), decoded);
        CHECK((std::isnan(decoded) && std::signbit(decoded) == std::signbit(nan)));
    }
}

TEST_CASE("a long double's NaN does not become an infinity where its fraction is cut short", "[unit]") {
    long double decoded{};
    decode(bytes({1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x7f}), decoded);
    CHECK(std::isnan(decoded));
    decode(bytes({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}), decoded);
    CHECK(decoded == -std::numeric_limits<long double>::infinity());
}

TEST_CASE("enumerations come back", "[unit]") {
    check_round_trip(Colour::green);
    check_round_trip(Offset::far);
    check_round_trip(one);
    check_round_trip(Truth::yes);
    check_round_trip(std::byte{255});
    check_round_trip(std::vector{Colour::green, Colour::red});
}

TEST_CASE("strings come back", "[unit]") {
    check_round_trip(std::string{});
    check_round_trip(std::string{"a\0b", 3});
    check_round_trip(std::string(1000, 'x'));
    check_round_trip(std::wstring{L"wide \u20ac"});
    check_round_trip(std::u8string{u8"\u20ac"});
    check_round_trip(std::u16string{u"\u20ac"});
    check_round_trip(std::u32string{U"\U0001f600"});
}

TEST_CASE("sequences come back", "[unit]") {
    check_round_trip(std::vector<int>{});
    check_round_trip(std::vector<std::string>{"", "a", "bc"});
    check_round_trip(std::vector<bool>{true, false, true, true});
    check_round_trip(std::vector<std::vector<double>>{{}, {1, 2}, {3}});
    check_round_trip(std::vector<std::byte>(100, std::byte{3}));
    check_round_trip(std::array<std::byte, 5>{std::byte{1}, std::byte{2}});
    check_round_trip(std::array<std::string, 2>{"x", "yy"});
    check_round_trip(std::array<int, 0>{});
    check_round_trip(std::deque<int>{1, 2, 3});
    check_round_trip(std::list<Point>{{1, 2}, {3, 4}});
    check_round_trip(std::forward_list<std::string>{"a", "b"});
    check_round_trip(std::valarray<double>{1, 2, 3},
                     [](const auto& a, const auto& b) { return a.size() == b.size() && (a == b).min(); });
    check_round_trip(Arrays{{{1, 2}, {3, 4}}, {true, false, true}, "four"});
}

TEST_CASE("associative containers come back", "[unit]") {
    check_round_trip(std::map<std::string, int>{{"a", 1}, {"b", 2}});
    // cereal does not keep the order of equal keys.
    check_round_trip(std::multimap<int, std::string>{{1, "a"}, {1, "b"}}, [](const auto& a, const auto& b) {
        return std::is_permutation(a.begin(), a.end(), b.begin(), b.end());
    });
    check_round_trip(std::set<Point>{{1, 2}, {0, 5}});
    check_round_trip(std::multiset<int>{1, 1, 2});
    check_round_trip(std::unordered_map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}});
    check_round_trip(std::unordered_multimap<int, int>{{1, 1}, {1, 2}});
    check_round_trip(std::unordered_set<std::string>{"a", "b"});
    check_round_trip(std::unordered_multiset<int>{1, 1});
}

TEST_CASE("adaptors come back", "[unit]") {
    check_round_trip(std::queue<int>{{1, 2, 3}});
    check_round_trip(std::stack<int>{{1, 2, 3}});
    std::priority_queue<int> queue;
    for (const int i : {2, 3, 1}) queue.push(i);
    check_round_trip(queue, [](auto a, auto b) {
        for (; !a.empty() && !b.empty() && a.top() == b.top(); a.pop()) b.pop();
        return a.empty() && b.empty();
    });
}

TEST_CASE("compounds come back", "[unit]") {
    check_round_trip(std::pair<int, std::string>{1, "one"});
    check_round_trip(std::tuple<int, std::string, double>{1, "one", 1.0});
    check_round_trip(std::tuple<>{});
    check_round_trip(std::optional<int>{});
    check_round_trip(std::optional<std::string>{"x"});
    check_round_trip(std::optional<std::optional<int>>{std::optional<int>{}});
    using Variant = std::variant<std::monostate, int, std::string>;
    for (const Variant& variant : {Variant{}, Variant{5}, Variant{"five"}}) check_round_trip(variant);
    check_round_trip(std::bitset<20>{0xabcde});
    check_round_trip(std::bitset<8>{0xff});
    check_round_trip(std::complex<double>{1, -2});
    check_round_trip(std::complex<long double>{1, -2});
    check_round_trip(std::chrono::milliseconds{-5});
    check_round_trip(std::chrono::duration<double>{0.5});
    check_round_trip(std::chrono::system_clock::time_point{std::chrono::seconds{1'700'000'000}});
    std::atomic<int> atomic{7};
    std::atomic<int> decoded{};
    decode(encode(atomic), decoded);
    CHECK(decoded == 7);
}

TEST_CASE("classes come back", "[unit]") {
    check_round_trip(Point{1, -1});
    check_round_trip(Empty{});
    check_round_trip(Minimal{"minimal"});
    check_round_trip(Versioned{1, 2});
    check_round_trip(std::vector<Versioned>{{1, 2}, {3, 4}});
    check_round_trip(Tree{{Tree{}, Tree{{Tree{}}}}});
}

TEST_CASE("what pointers point to comes back", "[unit]") {
    check_round_trip(std::make_unique<std::string>("x"), same_pointees);
    check_round_trip(std::unique_ptr<int>{}, same_pointees);
    check_round_trip(std::unique_ptr<const Point>{new Point{1, 2}}, same_pointees);
    check_round_trip(std::make_shared<Point>(Point{1, 2}), same_pointees);
    check_round_trip(std::make_shared<const int>(5), same_pointees);
    check_round_trip(std::shared_ptr<Point>{}, same_pointees);
    check_round_trip(
        std::vector{std::make_shared<int>(1), std::make_shared<int>(2), std::shared_ptr<int>{}},
        [](const auto& a, const auto& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_pointees); });
    auto constructed = std::make_unique<Constructed>(3);
    constructed->text = "a text that is too long to be kept in the string itself";
    check_round_trip(constructed, same_pointees);
    check_round_trip(std::shared_ptr<Constructed>{std::move(constructed)}, same_pointees);
}

TEST_CASE("objects behind pointers to their base come back as what they were", "[unit]") {
    const auto same = [](const auto& a, const auto& b) {
        return a ? typeid(*a) == typeid(*b) && a->area() == b->area() && a->sides == b->sides : !b;
    };
    check_round_trip(square(1.5), same);
    check_round_trip(std::unique_ptr<Shape>{}, same);
    check_round_trip(std::shared_ptr<Shape>{square(2)}, same);
    check_round_trip(std::make_unique<Square>(), same);
    auto chain = std::make_unique<Chain>();
    chain->next = square(3);
    check_round_trip(std::unique_ptr<Shape>{std::move(chain)}, same);
}

TEST_CASE("the bytes of a body are these", "[unit]") {
    CHECK(encode(std::uint32_t{0x01020304}) == bytes({4, 3, 2, 1}));
    CHECK(encode(std::int16_t{-2}) == bytes({0xfe, 0xff}));
    CHECK(encode(true) == bytes({1}));
    CHECK(encode(1.5F) == bytes({0, 0, 0xc0, 0x3f}));
    CHECK(encode(-2.0) == bytes({0, 0, 0, 0, 0, 0, 0, 0xc0}));
    CHECK(encode(1.5L) == bytes({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f}));
    CHECK(encode(Colour::green) == bytes({200}));
    CHECK(encode(std::string{"ab"}) == bytes({2, 0, 0, 0, 0, 0, 0, 0, 'a', 'b'}));
    CHECK(encode(std::vector<std::uint16_t>{1, 2}) == bytes({2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0}));
    CHECK(encode(std::vector<std::byte>{std::byte{9}}) == bytes({1, 0, 0, 0, 0, 0, 0, 0, 9}));
    CHECK(encode(std::array<std::byte, 2>{std::byte{9}, std::byte{8}}) == bytes({9, 8}));
    CHECK(encode(std::map<std::uint8_t, bool>{{5, true}}) == bytes({1, 0, 0, 0, 0, 0, 0, 0, 5, 1}));
    CHECK(encode(std::optional<std::uint8_t>{}) == bytes({1}));
    CHECK(encode(std::optional<std::uint8_t>{5}) == bytes({0, 5}));
    CHECK(encode(std::variant<std::string, std::uint8_t>{std::uint8_t{5}}) == bytes({1, 0, 0, 0, 5}));
    CHECK(encode(std::make_unique<std::uint8_t>(std::uint8_t{5})) == bytes({1, 5}));
    CHECK(encode(std::unique_ptr<int>{}) == bytes({0}));
    CHECK(encode(std::make_shared<std::uint8_t>(std::uint8_t{5})) == bytes({1, 0, 0, 0x80, 5}));
    CHECK(encode(std::shared_ptr<int>{}) == bytes({0, 0, 0, 0}));
    CHECK(encode(Point{1, 2}) == bytes({1, 0, 0, 0, 2, 0, 0, 0}));
    CHECK(encode(std::vector<Versioned>{{3, 4}, {5, 6}}) ==
          bytes({2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0}));
    CHECK(encode(square(-2)) == bytes({1, 0, 0, 0x80, 16, 0, 0, 0, 0, 0, 0, 0}) +
                                    bytes({'a', 'r', 'c', 'h', 'i', 'v', 'e', 'd', ':', ':', 'S', 'q', 'u', 'a', 'r',
                                           'e', 1,   4,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0xc0}));
}

TEST_CASE("an archive appends to what the buffer holds already", "[unit]") {
    ByteBuffer buffer;
    buffer.append("xyz", 3);
    WireOutputArchive archive{buffer};
    archive(std::uint8_t{7}, std::uint8_t{8});
    archive.finish();
    CHECK(archive.size() == 2);
    CHECK(Bytes{buffer.view().begin(), buffer.view().end()} == bytes({'x', 'y', 'z', 7, 8}));
}

}  // namespace archived::wire_archive_test
