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

    /// A frame that tells how a work goes: its progress, or its slot. An honest peer may have many to tell. So one that
    /// has too many is not dropped, but read no further for a moment.
    void tell(TimePoint now) noexcept { told_.spend(now); }
    bool has_told_too_much(TimePoint now) const noexcept { return told_.is_overdrawn(now); }

private:
    TokenBucket useless_{burst, a_second, {}};
    TokenBucket told_{2 * burst, 16 * a_second, {}};
};

}  // namespace distwork::detail
