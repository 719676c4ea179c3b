#pragma once

#include "../base/token_bucket.hpp"

namespace distwork::detail {

/// How many frames a peer may send that no work is behind: heartbeats, introductions, answers that nobody waits for,
/// works that are not accepted. A peer that sends more of them wants to keep this end busy. No clock.
class FrameAllowance {
public:
    using TimePoint = TokenBucket::TimePoint;

    static constexpr double burst = 4096;
    static constexpr double a_second = 1024;

    /// Takes `cost` frames from what is left. False: there is not so much.
    bool take(TimePoint now, double cost = 1) noexcept { return left_.take(now, cost); }

private:
    TokenBucket left_{burst, a_second, {}};
};

}  // namespace distwork::detail
