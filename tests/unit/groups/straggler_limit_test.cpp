#include "distwork/groups/straggler_limit.hpp"

#include <chrono>

#include "support/catch.hpp"

namespace straggler_limit_test {

using distwork::detail::StragglerLimit;
using namespace std::chrono_literals;

TEST_CASE("a straggler takes longer than a multiple of the median", "[unit]") {
    StragglerLimit limit{3};
    CHECK(limit.is_on());
    limit.note(100ms);
    limit.note(200ms);
    CHECK_FALSE(limit.limit());  // too few are known
    limit.note(10s);
    REQUIRE(limit.limit());
    CHECK(*limit.limit() == 600ms);
    CHECK(limit.time_between_looks() == 75ms);
}

TEST_CASE("only the latest execution times count for stragglers", "[unit]") {
    StragglerLimit limit{2};
    for (int i = 0; i != 1000; ++i) limit.note(1s);
    CHECK(*limit.limit() == 2s);
    for (int i = 0; i != 64; ++i) limit.note(2s);
    CHECK(*limit.limit() == 4s);
    CHECK(limit.time_between_looks() == 500ms);
}

TEST_CASE("short works are no stragglers, and nothing overflows", "[unit]") {
    StragglerLimit limit{2};
    for (int i = 0; i != 3; ++i) limit.note(1us);
    CHECK(*limit.limit() == 20ms);
    CHECK(limit.time_between_looks() == 10ms);
    StragglerLimit huge{1e30};
    for (int i = 0; i != 3; ++i) huge.note(std::chrono::hours{100'000});
    CHECK(*huge.limit() > std::chrono::hours{100'000});
    CHECK(huge.time_between_looks() == 1s);
    CHECK_FALSE(StragglerLimit{0}.is_on());
}

}  // namespace straggler_limit_test
