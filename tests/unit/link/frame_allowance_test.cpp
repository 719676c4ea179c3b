#include "distwork/link/frame_allowance.hpp"

#include <chrono>

#include "support/catch.hpp"

namespace frame_allowance_test {

using distwork::detail::FrameAllowance;
using namespace std::chrono_literals;

TEST_CASE("who sends too fast is not read for a moment, and may go on then", "[unit]") {
    FrameAllowance allowance;
    const FrameAllowance::TimePoint begin{1h};
    auto now = begin;
    for (int i = 0; i < 65'536; ++i) allowance.pace(now);
    CHECK_FALSE(allowance.is_too_fast(now));
    for (int i = 0; i < 10'000; ++i) allowance.pace(now);  // as many as one read brings at most
    CHECK(allowance.is_too_fast(now));
    CHECK(allowance.take(now));  // which is counted apart
    while (allowance.is_too_fast(now)) now += 1ms;
    CHECK(now - begin > 30ms);
    CHECK(now - begin < 50ms);
}

TEST_CASE("what many works on a slave have to tell is never too much", "[unit]") {
    FrameAllowance allowance;
    FrameAllowance::TimePoint now{1h};
    for (int i = 0; i < 1000; ++i) {
        for (int each = 0; each < 2'500; ++each) allowance.pace(now);
        CHECK_FALSE(allowance.is_too_fast(now));
        now += 10ms;
    }
}

}  // namespace frame_allowance_test
