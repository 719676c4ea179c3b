#pragma once

#include "../base/requirements.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

namespace distwork::detail {

/// How many frames a peer may send that no work is behind: heartbeats, introductions, answers that nobody waits for,
/// works that are not accepted. A
/// peer that sends more of them wants to keep this end busy. No clock.
class FrameAllowance {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    static constexpr double burst = 4096;
    static constexpr double a_second = 1024;

    /// Takes `cost` frames from what is left. False: there is not so much.
    bool take(TimePoint now, double cost = 1) noexcept {
        if (since_) left_ = std::min(burst, left_ + std::chrono::duration<double>(now - *since_).count() * a_second);
        since_ = now;
        return (left_ -= cost) >= 0;
    }

private:
    double left_ = burst;
    std::optional<TimePoint> since_;
};

}  // namespace distwork::detail
