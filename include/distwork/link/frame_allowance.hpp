#pragma once

#include "../base/token_bucket.hpp"

namespace distwork::detail {

/// How many frames of some kinds a peer may send, so that it cannot keep this end busy. No clock.
class FrameAllowance {
public:
    using TimePoint = TokenBucket::TimePoint;

    static constexpr double burst = 4096;
    static constexpr double a_second = 1024;

    /// A frame that no work is behind: a heartbeat, an introduction, an answer that nobody waits for, a work that is not
    /// accepted. It costs `cost` of what is left. False: there is not so much, and the peer is to be dropped.
    bool take(TimePoint now, double cost = 1) noexcept { return useless_.take(now, cost); }

    /// A frame of which an honest peer may send many: how a work goes, a submission that is refused. A peer that sends too
    /// many of them is not dropped, but read no further for a moment: 65,536 may come at a time, and 262,144 a second, or
    /// one in `cost` of that.
    void pace(TimePoint now, double cost = 1) noexcept { paced_.spend(now, cost); }
    bool is_too_fast(TimePoint now) const noexcept { return paced_.is_overdrawn(now); }

private:
    TokenBucket useless_{burst, a_second, {}};
    TokenBucket paced_{16 * burst, 256 * a_second, {}};
};

}  // namespace distwork::detail
