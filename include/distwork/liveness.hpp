#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "detail/probe.hpp"

namespace distwork {

/// Judges a peer by what was heard of it, and when. No I/O, no clock.
class Liveness {
public:
    using Duration = std::chrono::nanoseconds;
    using TimePoint = std::chrono::steady_clock::time_point;

    Liveness(Duration heartbeat, Duration dead_after) : heartbeat_{heartbeat}, dead_after_{dead_after} {}

    /// Whether it was suspected.
    bool heard(TimePoint now) noexcept {
        last_heard_ = now;
        return std::exchange(suspected_, false);
    }
    TimePoint last_heard() const noexcept { return last_heard_; }

    // Silence is only to be believed after the peer's socket was read: a process that was stopped for a while finds its
    // timers expired and its socket full.

    /// Whether it was silent for too long.
    bool is_silent(TimePoint now) const noexcept {
        return !DISTWORK_PLANTED(never_silent) && now - last_heard_ > dead_after_;
    }

    /// Whether it is suspected from now on: of a peer that lives, a pong was heard since the last heartbeat but one.
    bool suspect(TimePoint now) noexcept {
        if (suspected_ || now - last_heard_ < heartbeat_ * 3 / 2) return false;
        DISTWORK_MARK(suspected);
        return suspected_ = true;
    }

    /// The id of a ping that is sent now.
    std::uint64_t ping(TimePoint now) noexcept {
        pinged_ = now;
        return ++last_ping_;
    }

    /// The round trip, if the pong is for the last ping: a peer cannot make one up.
    std::optional<Duration> pong(std::uint64_t id, TimePoint now) noexcept {
        if (id != last_ping_ || !pinged_) return std::nullopt;
        return now - *std::exchange(pinged_, std::nullopt);
    }

private:
    const Duration heartbeat_;
    const Duration dead_after_;
    TimePoint last_heard_{};
    bool suspected_ = false;
    std::uint64_t last_ping_ = 0;
    std::optional<TimePoint> pinged_;  // when the last ping left, until its pong came
};

}  // namespace distwork
