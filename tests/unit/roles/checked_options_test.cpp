#ifdef __linux__
#include <sched.h>
#endif

#include "distwork/roles/checked_options.hpp"

#include <chrono>
#include <cstddef>
#include <utility>

#include "distwork/base/processors.hpp"
#include "support/catch.hpp"

namespace checked_options_test {

using distwork::NoLog;
using distwork::SlaveOptions;
using distwork::WorkExecutor;

namespace {

std::size_t slots_of(WorkExecutor executor) {
    SlaveOptions options;
    options.work_executor = std::move(executor);
    return distwork::detail::checked({{"127.0.0.1", 1}}, std::move(options), "a slave", NoLog{}).slots.value();
}

}  // namespace

TEST_CASE("A slave that is not told how many slots it has, has as many as works can be executed at a time") {
    CHECK(slots_of(WorkExecutor::own_pool(1)) == 1);
    CHECK(slots_of(WorkExecutor::own_pool(70)) == 70);
    CHECK(slots_of(WorkExecutor::in_place()) == 1);
    CHECK(slots_of(WorkExecutor::own_pool()) == distwork::detail::usable_processors());
}

TEST_CASE("A slave that is told how many slots it has, has those") {
    SlaveOptions options;
    options.work_executor = WorkExecutor::own_pool(1);
    options.slots = 100;  // of coroutine works
    CHECK(distwork::detail::checked({{"127.0.0.1", 1}}, options, "a slave", NoLog{}).slots == std::size_t{100});
}

TEST_CASE("Times without an end are long, and can be added up") {
    SlaveOptions options;
    constexpr auto endless = std::chrono::milliseconds::max();
    options.link.handshake_timeout = options.link.dead_after = options.link.stalled_after = endless;
    options.link.heartbeat = endless - std::chrono::milliseconds{1};
    options.reconnect_after = options.reconnect_at_most = endless;
    options = distwork::detail::checked({{"127.0.0.1", 1}}, options, "a slave", NoLog{});
    for (const std::chrono::nanoseconds time :
         {options.link.handshake_timeout, options.link.dead_after, options.link.stalled_after, options.link.heartbeat,
          options.reconnect_after, options.reconnect_at_most}) {
        CHECK(time > std::chrono::hours{24 * 365 * 50});
        CHECK(std::chrono::steady_clock::now() + time > std::chrono::steady_clock::now());
    }
}

#ifdef __linux__
TEST_CASE("a slave that may run on one processor has one slot", "[unit]") {
    cpu_set_t all;
    REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    const auto slots_of = [](distwork::SlaveOptions options) {
        return *distwork::detail::checked({{"127.0.0.1", 1}}, std::move(options), "slave", {}).slots;
    };
    const std::size_t slots = slots_of({});
    sched_setaffinity(0, sizeof all, &all);
    CHECK(slots == 1);
    CHECK(slots_of({}) <= static_cast<std::size_t>(CPU_COUNT(&all)));
    CHECK(slots_of({.work_executor = distwork::WorkExecutor::in_place()}) == 1);
}
#endif

}  // namespace checked_options_test
