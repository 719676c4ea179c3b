#pragma once

#include <chrono>

#include "../base/backoff.hpp"

namespace distwork::detail {

/// When local slaves that ended are started again, and when none is any more. No I/O, no clock.
class RestartPolicy {
public:
    using Milliseconds = std::chrono::milliseconds;

    /// A slave was connected.
    void connected() noexcept { early_ends_ = 0; }

    /// A slave ended. Returns whether slaves are still to be started: not after five in a row have ended before they were
    /// connected.
    bool ended(bool was_connected) noexcept {
        constexpr unsigned most_early_ends = 5;
        if (!was_connected) ++early_ends_;
        return early_ends_ < most_early_ends;
    }

    static bool is_short(std::chrono::nanoseconds life) noexcept { return life < std::chrono::seconds{10}; }

    /// The pause before a slave is started again of which `short_lives` in a row were short: none after the first, then
    /// 100 ms, doubled up to 10 s.
    static Milliseconds pause(unsigned short_lives) {
        if (short_lives < 2) return Milliseconds{0};
        return backoff(Milliseconds{100}, short_lives - 2, Milliseconds{10'000});
    }

private:
    unsigned early_ends_ = 0;  // in a row
};

}  // namespace distwork::detail
