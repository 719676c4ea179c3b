#pragma once

#include "requirements.hpp"

#include <algorithm>
#include <chrono>

namespace distwork::detail {

/// So much at once, and so much a second: what is not taken is kept, up to `burst`. No clock.
class TokenBucket {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// Full.
    TokenBucket(double burst, double a_second, TimePoint now) noexcept
        : burst_{burst}, a_second_{a_second}, left_{burst}, since_{now} {}

    /// Takes so many. False, and nothing is taken: there are not so many.
    bool take(TimePoint now, double count = 1) noexcept {
        left_ = left(now);
        since_ = now;
        if (left_ < count) return false;
        left_ -= count;
        return true;
    }
    /// Takes so many, even if there are not so many: then it is empty until the rest has come.
    void spend(TimePoint now, double count = 1) noexcept {
        left_ = left(now) - count;
        since_ = now;
    }
    bool is_full(TimePoint now) const noexcept { return left(now) >= burst_; }
    bool is_overdrawn(TimePoint now) const noexcept { return left_ < 0 && left(now) < 0; }

private:
    double left(TimePoint now) const noexcept {
        const std::chrono::duration<double> time = now - since_;
        return std::min(burst_, left_ + std::max(time.count(), 0.0) * a_second_);
    }

    double burst_;
    double a_second_;
    double left_;
    TimePoint since_;
};

}  // namespace distwork::detail
