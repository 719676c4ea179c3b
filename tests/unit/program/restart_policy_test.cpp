#include "distwork/program/restart_policy.hpp"

#include "support/catch.hpp"

namespace restart_policy_test {

using namespace distwork::detail;
using namespace std::chrono_literals;

TEST_CASE("a local slave is started again at once, then after growing pauses") {
    CHECK(RestartPolicy::pause(0) == 0ms);
    CHECK(RestartPolicy::pause(1) == 0ms);
    CHECK(RestartPolicy::pause(2) == 100ms);
    CHECK(RestartPolicy::pause(3) == 200ms);
    CHECK(RestartPolicy::pause(8) == 6400ms);
    CHECK(RestartPolicy::pause(9) == 10s);
    CHECK(RestartPolicy::pause(1000) == 10s);
    CHECK(RestartPolicy::is_short(9s));
    CHECK_FALSE(RestartPolicy::is_short(10s));
}

TEST_CASE("five local slaves in a row that end before they are connected are the last") {
    RestartPolicy policy;
    for (int i = 0; i < 4; ++i) CHECK(policy.ended(false));
    policy.connected();
    for (int i = 0; i < 4; ++i) CHECK(policy.ended(false));
    for (int i = 0; i < 100; ++i) CHECK(policy.ended(true));
    CHECK_FALSE(policy.ended(false));
}

}  // namespace restart_policy_test
