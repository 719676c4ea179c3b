#include "distwork/archive_limits.hpp"

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "support/archived.hpp"
#include "support/catch.hpp"

namespace archived::archive_limits_test {

TEST_CASE("bytes that mean nothing are refused", "[unit]") {
    CHECK(decoding<bool>(bytes({2})) == Errc::malformed);
    CHECK(decoding<Truth>(bytes({255})) == Errc::malformed);
    CHECK(decoding<std::array<bool, 2>>(bytes({1, 2})) == Errc::malformed);
    CHECK(decoding<Arrays>(Bytes(16) + bytes({0, 3, 0}) + Bytes(5)) == Errc::malformed);
    CHECK(decoding<std::vector<bool>>(bytes({1, 0, 0, 0, 0, 0, 0, 0, 2})) == Errc::malformed);
    CHECK(decoding<std::valarray<bool>>(bytes({1, 0, 0, 0, 0, 0, 0, 0, 2})) == Errc::malformed);
    CHECK(decoding<std::optional<int>>(bytes({2, 0, 0, 0, 0})) == Errc::malformed);
    CHECK(decoding<std::unique_ptr<char>>(bytes({2, 0})) == Errc::malformed);
    using Variant = std::variant<std::uint8_t, std::uint8_t>;
    CHECK_THROWS_AS(decoding<Variant>(bytes({2, 0, 0, 0, 0})), std::exception);
    CHECK_THROWS_AS(decoding<Variant>(bytes({255, 255, 255, 255, 0})), std::exception);
    CHECK_THROWS_AS(decoding<std::bitset<8>>(bytes({9, 0})), std::exception);
    CHECK_THROWS_AS(decoding<std::unique_ptr<Shape>>(bytes({1, 0, 0, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 'x', 1})),
                    std::exception);
}

TEST_CASE("a count beyond the bytes that are left is refused before anything is allocated", "[unit]") {
    const auto check = [](auto type) {
        using T = typename decltype(type)::type;
        INFO(cereal::util::demangledName<T>());
        for (const int high : {0, 1, 0x7f, 0x80, 0xff}) {
            const Bytes frame = bytes({5, 0, 0, 0, 0, 0, 0, high, 1, 2, 3, 4});
            CHECK(decoding<T>(frame) == Errc::malformed);
        }
    };
    check(std::type_identity<std::string>{});
    check(std::type_identity<std::vector<std::byte>>{});
    check(std::type_identity<std::vector<double>>{});
    check(std::type_identity<std::vector<bool>>{});
    check(std::type_identity<std::list<std::string>>{});
    check(std::type_identity<std::unordered_set<int>>{});
    check(std::type_identity<std::map<int, int>>{});
    check(std::type_identity<std::valarray<double>>{});
    check(std::type_identity<std::vector<std::unique_ptr<int>>>{});
    // Of a user's class the first byte that is missing tells, or the bound of what takes no bytes.
    CHECK(decoding<std::vector<Counted>>(bytes({5, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4})) == Errc::malformed);
    CHECK(decoding<std::vector<Counted>>(bytes({5, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4})) == Errc::too_large);
    // Of 64-bit numbers half a MiB is announced, and three bytes are there: it costs no more than the announced.
    CHECK(decoding<std::vector<double>>(bytes({3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3})) == Errc::malformed);
}

TEST_CASE("elements that take no bytes are bounded by their number, on both sides", "[unit]") {
    const auto counted = [](std::uint64_t count) {
        Bytes body(8);
        std::memcpy(body.data(), &count, 8);
        return body;
    };
    check_round_trip(std::vector<Empty>{});
    check_round_trip(std::vector<Empty>(3));
    check_round_trip(std::list<std::array<Empty, 2>>(5));
    check_round_trip(std::vector<std::vector<Empty>>{{}, std::vector<Empty>(20), {}});
    check_round_trip(std::pair<std::vector<Empty>, std::uint32_t>{std::vector<Empty>(4), 5});
    check_round_trip(std::vector<Counted>(3), [](const auto& x, const auto& y) { return x.size() == y.size(); });

    ArchiveLimits few;
    few.max_elements = 10;
    CHECK(encoding(std::vector<Empty>(10), few) == Errc{});
    CHECK(decoding<std::vector<Empty>>(counted(10), few) == Errc{});
    CHECK(encoding(std::vector<Empty>(11), few) == Errc::too_large);
    CHECK(decoding<std::vector<Empty>>(counted(11), few) == Errc::too_large);
    CHECK(decoding<std::vector<Empty>>(counted(~std::uint64_t{0}), few) == Errc::too_large);
    CHECK(decoding<std::vector<Empty>>(counted(~std::uint64_t{0})) == Errc::too_large);
    // All of a body together, but for those that as many bytes follow.
    const std::vector<std::vector<Empty>> twelve{std::vector<Empty>(6), std::vector<Empty>(6)};
    CHECK(encoding(twelve, few) == Errc{});
    CHECK(decoding<std::vector<std::vector<Empty>>>(encode(twelve), few) == Errc{});
    const std::vector<std::vector<Empty>> more{std::vector<Empty>(9), std::vector<Empty>(2)};
    CHECK(encoding(more, few) == Errc::too_large);
    CHECK(decoding<std::vector<std::vector<Empty>>>(encode(more), few) == Errc::too_large);
    // Elements that are known to take bytes are bounded by these, as ever.
    few.max_elements = 1000;
    CHECK(decoding<std::vector<int>>(counted(1), few) == Errc::malformed);
    CHECK(decoding<std::list<std::pair<Empty, char>>>(counted(1), few) == Errc::malformed);
}

TEST_CASE("four million nodes of a list travel where the limits let them", "[unit]") {
    const std::list<char> nodes(4'000'000, 'n');
    CHECK(encoding(nodes) == Errc::too_large);
    ArchiveLimits limits;
    limits.budget_base = 256 * 1024 * 1024;
    const Bytes body = encode(nodes, limits);
    std::list<char> decoded;
    decode(body, decoded, limits);
    CHECK(decoded.size() == nodes.size());

    const std::list<Empty> empty(4'000'000);
    CHECK(encoding(empty, limits) == Errc::too_large);
    limits.max_elements = 4'000'000;
    CHECK(decoding<std::list<Empty>>(encode(empty, limits), limits) == Errc{});
}

TEST_CASE("both sides refuse the same bodies, whatever the limits", "[unit]") {
    const auto check = [](const auto& value) {
        using T = std::remove_cvref_t<decltype(value)>;
        INFO(cereal::util::demangledName<T>());
        const Bytes body = encode(value);
        const auto sweep = [&](std::size_t ArchiveLimits::*limit, std::size_t from, std::size_t to,
                               ArchiveLimits limits) {
            int accepted = 0;
            int refused = 0;
            for (std::size_t bound = from; bound < to; ++bound) {
                limits.*limit = bound;
                const Errc sent = encoding(value, limits);
                INFO(bound);
                CHECK((sent == Errc{} || sent == Errc::too_large));
                CHECK(decoding<T>(body, limits) == sent);
                ++(sent == Errc{} ? accepted : refused);
            }
            CHECK(accepted > 0);
            CHECK(refused > 0);
        };
        ArchiveLimits no_budget;
        no_budget.budget_per_byte = 0;
        ArchiveLimits no_base;
        no_base.budget_base = 0;
        sweep(&ArchiveLimits::budget_base, 0, 3000, no_budget);
        sweep(&ArchiveLimits::budget_per_byte, 0, 100, no_base);
        sweep(&ArchiveLimits::max_bytes, body.size() - 5, body.size() + 5, {});
    };
    const auto check_elements = [](const auto& value, std::size_t most) {
        using T = std::remove_cvref_t<decltype(value)>;
        const Bytes body = encode(value);
        for (std::size_t bound = 0; bound <= most; ++bound) {
            ArchiveLimits limits;
            limits.max_elements = bound;
            INFO(bound);
            CHECK(encoding(value, limits) == (bound == most ? Errc{} : Errc::too_large));
            CHECK(decoding<T>(body, limits) == encoding(value, limits));
        }
    };
    using Emptys = std::vector<Empty>;
    check_elements(Emptys(7), 7);
    check_elements(std::vector<Emptys>{Emptys(1), Emptys(9), Emptys(2)}, 11);
    check_elements(std::pair<Emptys, std::vector<Emptys>>{Emptys(50), {Emptys(3), Emptys(30), Emptys(4)}}, 50 + 30 + 4);
    check(everything().map);
    check(std::vector<std::uint64_t>{1, 2, 3});
    check(std::list<std::string>{"a", "b"});
    check(std::set<char>{'a', 'b'});
    check(std::vector{std::make_shared<Point>(), std::make_shared<Point>()});
    check(std::make_unique<Constructed>(1));
    check(square(2));
    check(std::shared_ptr<Shape>{square(2)});
    check(Tree{{Tree{}, Tree{}}});
}

TEST_CASE("what a container and a pointer cost is known", "[unit]") {
    const auto costs = [](const auto& value, std::size_t bytes) {
        ArchiveLimits limits;
        limits.budget_per_byte = 0;
        limits.budget_base = bytes;
        CHECK(encoding(value, limits) == Errc{});
        limits.budget_base = bytes - 1;
        CHECK(encoding(value, limits) == Errc::too_large);
    };
    costs(std::vector<std::uint64_t>(3), 24);
    costs(std::vector<std::string>{"abc", "defg"}, 2 * sizeof(std::string) + 7);
    costs(std::list<char>(3), 3 * (1 + 4 * sizeof(void*)));
    costs(std::make_unique<Point>(), sizeof(Point) + 2 * sizeof(void*));
    costs(std::array<std::vector<char>, 2>{std::vector<char>(3), std::vector<char>(4)}, 7);
}

TEST_CASE("few bytes never become many objects", "[unit]") {
    // 64 KiB that announce as many objects of 32 bytes; then with the default limits and with small ones.
    Bytes frame(65536, std::byte{0});
    const std::uint64_t count = frame.size() - 8;
    std::memcpy(frame.data(), &count, 8);
    Counted::most = Counted::alive;
    const long before = Counted::alive;
    ArchiveLimits limits;
    limits.budget_base = 1024;
    limits.budget_per_byte = 4;
    CHECK(decoding<std::vector<Counted>>(frame, limits) == Errc::too_large);
    CHECK(Counted::most == before);
    CHECK(decoding<std::vector<Counted>>(frame) == Errc{});
    CHECK(Counted::most - before == static_cast<long>(count));
    CHECK(Counted::alive == before);
}

TEST_CASE("users' types nest 256 deep and no deeper, on both sides", "[unit]") {
    check_round_trip(nodes(200), [](const auto& a, const auto& b) {
        const Node* x = a.get();
        const Node* y = b.get();
        while (x && y) x = x->next.get(), y = y->next.get();
        return x == y;
    });
    CHECK(encoding(nodes(256)) == Errc{});
    CHECK(encoding(nodes(257)) == Errc::too_large);
    CHECK(encoding(nodes(300)) == Errc::too_large);
    CHECK(decoding<std::unique_ptr<Node>>(Bytes(256, std::byte{1}) + bytes({0})) == Errc{});
    CHECK(decoding<std::unique_ptr<Node>>(Bytes(257, std::byte{1}) + bytes({0})) == Errc::too_large);
    CHECK(decoding<std::unique_ptr<Node>>(Bytes(40'000, std::byte{1})) == Errc::too_large);
    Bytes trees;
    for (int i = 0; i < 40'000; ++i) trees = std::move(trees) + bytes({1, 0, 0, 0, 0, 0, 0, 0});
    CHECK(decoding<Tree>(trees) == Errc::too_large);
    // The library's own wrappers do not count.
    using Wrapped = std::unique_ptr<std::optional<std::vector<std::unique_ptr<std::optional<std::vector<Point>>>>>>;
    ArchiveLimits shallow;
    shallow.max_depth = 1;
    Wrapped wrapped{new std::optional{std::vector<std::unique_ptr<std::optional<std::vector<Point>>>>(1)}};
    (*wrapped)->front().reset(new std::optional{std::vector<Point>(1)});
    CHECK(encoding(wrapped, shallow) == Errc{});
    shallow.max_depth = 0;
    CHECK(encoding(wrapped, shallow) == Errc::too_large);
}

TEST_CASE("a class that is constructed from bytes nests like others", "[unit]") {
    ArchiveLimits limits;
    limits.max_depth = 0;
    const auto value = std::make_unique<Constructed>(1);
    CHECK(encoding(value, limits) == Errc::too_large);
    CHECK(decoding<std::unique_ptr<Constructed>>(encode(value), limits) == Errc::too_large);
}

TEST_CASE("an object that two shared pointers reach is refused, on both sides", "[unit]") {
    const auto shared = std::make_shared<int>(1);
    CHECK(encoding(std::vector{shared, shared}) == Errc::shared_pointer);
    CHECK(encoding(std::pair{shared, std::weak_ptr{shared}}) == Errc::shared_pointer);
    const std::shared_ptr<Shape> shape = square(1);
    CHECK(encoding(std::vector{shape, shape}) == Errc::shared_pointer);
    CHECK(encoding(std::vector(2, std::shared_ptr<int>{})) == Errc{});
    // The first member of an object has its address, and is another object.
    const auto point = std::make_shared<Point>(Point{1, 2});
    const std::shared_ptr<int> first{point, &point->x};
    using Both = std::pair<std::shared_ptr<Point>, std::shared_ptr<int>>;
    Both decoded;
    decode(encode(Both{point, first}), decoded);
    CHECK((*decoded.first == Point{1, 2} && *decoded.second == 1));
    CHECK(encoding(std::vector{first, first}) == Errc::shared_pointer);
    CHECK(encoding(std::vector{std::shared_ptr<const int>{first}, std::shared_ptr<const int>{first}}) ==
          Errc::shared_pointer);
    CHECK(encoding(std::weak_ptr{shared}) == Errc{});

    const Bytes twice = bytes({2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0x80, 1, 0, 0, 0, 1, 0, 0, 0});
    CHECK(decoding<std::vector<std::shared_ptr<int>>>(twice) == Errc::malformed);
    // One that was never there, of another type.
    CHECK(decoding<std::pair<std::shared_ptr<int>, std::shared_ptr<std::string>>>(
              bytes({1, 0, 0, 0x80, 1, 0, 0, 0, 1, 0, 0, 0})) == Errc::malformed);
}

TEST_CASE("the name of a polymorphic type is at most 256 bytes, on both sides", "[unit]") {
    CHECK(encoding(std::unique_ptr<Shape>{new LongNamed}) == Errc::too_large);
    CHECK(encoding(std::shared_ptr<Shape>{new LongNamed}) == Errc::too_large);
    ArchiveLimits longer;
    longer.max_name_bytes = 300;
    const Bytes body = encode(std::unique_ptr<Shape>{new LongNamed}, longer);
    CHECK(decoding<std::unique_ptr<Shape>>(body, longer) == Errc{});
    CHECK(decoding<std::unique_ptr<Shape>>(body) == Errc::too_large);
    longer.max_name_bytes = 299;
    CHECK(decoding<std::unique_ptr<Shape>>(body, longer) == Errc::too_large);
}

TEST_CASE("a body is at most max_bytes long, on both sides", "[unit]") {
    ArchiveLimits limits;
    limits.max_bytes = 12;
    CHECK(encoding(std::string(4, 'x'), limits) == Errc{});
    CHECK(encoding(std::string(5, 'x'), limits) == Errc::too_large);
    CHECK(decoding<std::string>(encode(std::string(5, 'x')), limits) == Errc::too_large);
    CHECK(encoding(std::vector<std::byte>(5), limits) == Errc::too_large);
    CHECK(encoding(std::vector<int>(2), limits) == Errc::too_large);
}

TEST_CASE("errors name the figures, and the option to change", "[unit]") {
    const auto text = [](const auto& value, const ArchiveLimits& limits) {
        try {
            encode(value, limits);
        } catch (const Error& error) {
            return std::string{error.what()};
        }
        return std::string{"it was accepted"};
    };
    const auto has = [](const std::string& all, const std::vector<const char*>& parts) {
        INFO(all);
        for (const char* part : parts) CHECK(all.find(part) != std::string::npos);
    };
    ArchiveLimits limits;
    limits.max_bytes = 1000;
    limits.max_elements = 12;
    limits.max_depth = 3;
    has(text(std::string(2000, 'x'), limits), {"2000", "1000", "LinkOptions::max_frame_bytes"});
    has(text(std::vector<Empty>(13), limits), {"13", "12", "LinkOptions::archive.max_elements"});
    has(text(nodes(4), limits), {"3", "LinkOptions::archive.max_depth"});
    limits.budget_base = limits.budget_per_byte = 0;
    has(text(std::vector<int>(5), limits), {"20", "LinkOptions::archive.budget_base"});
    has(text(std::unique_ptr<Shape>{new LongNamed}, {}), {"256", "LinkOptions::archive.max_name_bytes"});
}

TEST_CASE("what was decoded until the bytes ended is destroyed", "[unit]") {
    const long before = Counted::alive;
    const auto constructed = [] {
        auto value = std::make_unique<Constructed>(1);
        value->text = "a text that is too long to be kept in the string itself";
        return encode(std::move(value));
    }();
    for (std::size_t size = 0; size < constructed.size(); ++size) {
        CHECK(decoding<std::unique_ptr<Constructed>>(std::span{constructed}.first(size)) == Errc::malformed);
        CHECK(Counted::alive == before);
    }
    // A registered type that is not derived from what the pointer points to.
    const Bytes dog = encode(std::unique_ptr<Animal>{new Dog});
    CHECK(Counted::alive == before);
    CHECK_THROWS_AS(decoding<std::unique_ptr<Shape>>(dog), std::exception);
    CHECK(Counted::alive == before);
    const Bytes shared_dog = encode(std::shared_ptr<Animal>{new Dog});
    CHECK_THROWS_AS(decoding<std::shared_ptr<Shape>>(shared_dog), std::exception);
    CHECK(Counted::alive == before);
}

TEST_CASE("no change to a valid body does worse than an exception", "[unit]") {
    std::minstd_rand random{20240229};
    const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random()) % bound; };
    const Bytes valid = encode(everything());
    const long before = Counted::alive;
    Counted::most = before;
    ArchiveLimits limits;
    limits.budget_base = 16 * 1024;
    int accepted = 0;
    int refused = 0;
    for (int i = 0; i < 100'000; ++i) {
        Bytes body = valid;
        for (std::size_t edits = 1 + below(3); edits != 0; --edits) {
            const auto at = body.begin() + static_cast<std::ptrdiff_t>(below(body.size()));
            const std::size_t length = std::min(1 + below(12), static_cast<std::size_t>(body.end() - at));
            const auto end = at + static_cast<std::ptrdiff_t>(length);
            switch (below(5)) {
                case 0: *at ^= static_cast<std::byte>(1U << below(8)); break;
                case 1: *at = static_cast<std::byte>(below(256)); break;
                case 2: std::fill(at, end, below(2) == 0 ? std::byte{0xff} : std::byte{0}); break;
                case 3: body.erase(at, at + static_cast<std::ptrdiff_t>(std::min(length, body.size() - 1))); break;
                default: {
                    const Bytes part{at, end};
                    const auto to = body.begin() + static_cast<std::ptrdiff_t>(below(body.size()));
                    body.insert(to, part.begin(), part.end());
                }
            }
        }
        try {
            Everything value;
            decode(body, value, limits);
            encode(value);
            ++accepted;
        } catch (const std::exception&) {
            ++refused;
        }
    }
    CHECK(accepted > 1000);
    CHECK(refused > 10'000);
    CHECK(Counted::alive == before);
    const auto budget = static_cast<long>(limits.budget_base + limits.budget_per_byte * (valid.size() + 36));
    CHECK((Counted::most - before) * static_cast<long>(sizeof(Counted)) <= budget);
}

}  // namespace archived::archive_limits_test
