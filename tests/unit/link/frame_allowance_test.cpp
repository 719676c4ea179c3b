#include "distwork/link/frame_allowance.hpp"

#include <chrono>

#include "support/catch.hpp"

namespace frame_allowance_test {

using distwork::detail::FrameAllowance;
using namespace std::chrono_literals;

TEST_CASE("who tells too much of its works is not read for a moment, and may go on then", "[unit]") {
    FrameAllowance allowance;
    const FrameAllowance::TimePoint begin{1h};
    auto now = begin;
    for (int i = 0; i < 8192; ++i) allowance.tell(now);
    CHECK_FALSE(allowance.has_told_too_much(now));
    for (int i = 0; i < 3000; ++i) allowance.tell(now);  // as many as one read brings at most
    CHECK(allowance.has_told_too_much(now));
    CHECK(allowance.take(now));  // which is counted apart
    while (allowance.has_told_too_much(now)) now += 1ms;
    CHECK(now - begin > 150ms);
    CHECK(now - begin < 200ms);
}

TEST_CASE("sixteen thousand reports a second are never too many", "[unit]") {
    FrameAllowance allowance;
    FrameAllowance::TimePoint now{1h};
    for (int i = 0; i < 1000; ++i) {
        for (int each = 0; each < 160; ++each) allowance.tell(now);
        CHECK_FALSE(allowance.has_told_too_much(now));
        now += 10ms;
    }
}

}  // namespace frame_allowance_test
