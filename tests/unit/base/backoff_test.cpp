#include "distwork/base/backoff.hpp"

#include <chrono>

#include "support/catch.hpp"

using distwork::detail::backoff;
using namespace std::chrono_literals;

TEST_CASE("a back-off doubles up to its longest", "[unit]") {
    CHECK(backoff(100ms, 0, 1000ms) == 100ms);
    CHECK(backoff(100ms, 1, 1000ms) == 200ms);
    CHECK(backoff(100ms, 3, 1000ms) == 800ms);
    CHECK(backoff(100ms, 4, 1000ms) == 1000ms);
    CHECK(backoff(100ms, 4'000'000'000u, 1000ms) == 1000ms);
}

TEST_CASE("a back-off does not overflow, and does not grow from nothing", "[unit]") {
    CHECK(backoff(1ms, 100, std::chrono::milliseconds::max()) == std::chrono::milliseconds::max());
    CHECK(backoff(std::chrono::milliseconds::max(), 2, std::chrono::milliseconds::max()) ==
          std::chrono::milliseconds::max());
    CHECK(backoff(0ms, 4'000'000'000u, 1000ms) == 0ms);
    CHECK(backoff(5000ms, 0, 1000ms) == 1000ms);
}
