#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "../base/probe.hpp"

namespace distwork::detail {

/// Judges a peer by what was heard of it, and when. No I/O, no clock.
class Liveness {
public:
    using Duration = std::chrono::nanoseconds;
    using TimePoint = std::chrono::steady_clock::time_point;

    Liveness(Duration heartbeat, Duration dead_after)
        : heartbeat_{heartbeat},
          dead_after_{dead_after},
          most_late_{std::max(heartbeat / 2, std::min(2 * heartbeat, dead_after - heartbeat))} {}

    /// Whether it was suspected.
    bool heard(TimePoint now) noexcept {
        last_heard_ = silent_since_ = now;
        return std::exchange(suspected_, false);
    }
    TimePoint last_heard() const noexcept { return last_heard_; }

    // Silence is only to be believed after the peer's socket was read, and if this end was awake to hear: a process that
    // was stopped for a while finds its timers expired and its socket full; or empty, if its peer was stopped with it.

    /// How much of the time until now does not count, for this end slept: the timer of its heartbeat was due then, and
    /// came now. By two heartbeats late, or by what makes a peer silent that was heard at the last one, nothing before
    /// counts: the peer is to be asked first.
    Duration slept(TimePoint due, TimePoint now) noexcept {
        Duration late = std::max(now - due, Duration{});
        if (DISTWORK_PLANTED(judge_at_once)) return {};
        if (late >= most_late_) {
            DISTWORK_MARK(woke_late);
            late = now.time_since_epoch();
            pinged_.reset();  // what it measures would be how long this end slept
        }
        silent_since_ = std::min(silent_since_ + late, now);
        return late;
    }

    /// Whether it was silent for too long.
    bool is_silent(TimePoint now) const noexcept {
        return !DISTWORK_PLANTED(never_silent) && now - silent_since_ > dead_after_;
    }

    /// Whether it is suspected from now on: of a peer that lives, a pong was heard since the last heartbeat but one.
    bool suspect(TimePoint now) noexcept {
        if (suspected_ || now - silent_since_ < heartbeat_ * 3 / 2) return false;
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
    const Duration most_late_;  // a timer of who was awake
    TimePoint last_heard_{};
    TimePoint silent_since_{};  // later than that by what this end slept
    bool suspected_ = false;
    std::uint64_t last_ping_ = 0;
    std::optional<TimePoint> pinged_;  // when the last ping left, until its pong came
};

}  // namespace distwork::detail
