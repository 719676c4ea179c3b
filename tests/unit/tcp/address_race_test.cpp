// In which order the addresses of a host are tried, and when.

#include "distwork/tcp/address_race.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "support/catch.hpp"

namespace address_race_test {

using namespace distwork::detail;
using namespace std::chrono_literals;
using Endpoint = asio::ip::tcp::endpoint;

namespace {

Endpoint v4(int number) {
    return {asio::ip::make_address("10.0.0." + std::to_string(number)), 80};
}
Endpoint v6(int number) {
    return {asio::ip::make_address("fd00::" + std::to_string(number)), 80};
}

}  // namespace

TEST_CASE("kinds of addresses take turns, the resolver's first one first", "[unit]") {
    CHECK(order_of({v6(1), v6(2), v6(3), v4(1)}, {}) == Endpoints{v6(1), v4(1), v6(2), v6(3)});
    CHECK(order_of({v4(1), v4(2), v6(1), v6(2), v6(3)}, {}) == Endpoints{v4(1), v6(1), v4(2), v6(2), v6(3)});
    CHECK(order_of({v4(1), v6(1), v4(2), v4(3)}, {}) == Endpoints{v4(1), v6(1), v4(2), v4(3)});
    CHECK(order_of({v4(2), v4(1)}, {}) == Endpoints{v4(2), v4(1)});
    CHECK(order_of({}, {}).empty());
    CHECK(order_of({}, v4(1)).empty());
}

TEST_CASE("the next attempt goes on behind the address that the last one ended with", "[unit]") {
    const Endpoints found{v6(1), v6(2), v4(1), v4(2)};
    CHECK(order_of(found, v6(1)) == Endpoints{v4(1), v6(2), v4(2), v6(1)});
    CHECK(order_of(found, v4(2)) == Endpoints{v6(1), v4(1), v6(2), v4(2)});
    CHECK(order_of(found, v4(9)) == Endpoints{v6(1), v4(1), v6(2), v4(2)});
    CHECK(order_of({v4(1)}, v4(1)) == Endpoints{v4(1)});

    // However few are tried in one attempt, each has its turn.
    std::optional<Endpoint> last;
    std::string tried;
    for (int attempt = 0; attempt < 8; ++attempt) {
        last = order_of(found, last).front();
        tried += last->address().to_string() + ' ';
    }
    CHECK(tried == "fd00::1 10.0.0.1 fd00::2 10.0.0.2 fd00::1 10.0.0.1 fd00::2 10.0.0.2 ");
}

TEST_CASE("the next address begins when one failed, or beside those that are tried", "[unit]") {
    AddressRace race{{v4(1), v4(2), v4(3)}};
    CHECK(*race.begin_next() == v4(1));
    CHECK(race.pause() == 250ms);
    CHECK(*race.begin_next() == v4(2));
    race.failed();
    CHECK_FALSE(race.is_lost());
    CHECK(*race.begin_next() == v4(3));
    CHECK(race.pause() == std::nullopt);
    CHECK(race.begin_next() == nullptr);
    race.failed();
    CHECK_FALSE(race.is_lost());
    race.failed();
    CHECK(race.is_lost());
}

TEST_CASE("a host without addresses is lost at once", "[unit]") {
    AddressRace race{{}};
    CHECK(race.begin_next() == nullptr);
    CHECK(race.is_lost());
}

TEST_CASE("each host has a last address of its own", "[unit]") {
    LastAddresses last;
    CHECK(last.of("a", 1) == std::nullopt);
    last.set("a", 1, v4(1));
    last.set("a", 2, v4(2));
    last.set("a", 1, v4(3));
    CHECK(last.of("a", 1) == v4(3));
    CHECK(last.of("a", 2) == v4(2));
    CHECK(last.of("b", 1) == std::nullopt);
}

}  // namespace address_race_test
