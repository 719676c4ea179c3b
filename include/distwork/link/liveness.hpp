#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "../base/probe.hpp"

namespace distwork::detail {

/// Decides whether a peer is alive, suspected or dead, from the times at which it was heard. No I/O, no clock.
class Liveness {
public:
    using Duration = std::chrono::nanoseconds;
    using TimePoint = std::chrono::steady_clock::time_point;

    Liveness(Duration heartbeat, Duration dead_after)
        : heartbeat_{heartbeat},
          dead_after_{dead_after},
          most_late_{std::max(heartbeat / 2, std::min(2 * heartbeat, dead_after - heartbeat))} {}

    /// The peer was heard. Returns whether it was suspected.
    bool heard(TimePoint now) noexcept {
        last_heard_ = silent_since_ = now;
        return std::exchange(suspected_, false);
    }
    TimePoint last_heard() const noexcept { return last_heard_; }

    // Silence counts only after the peer's socket was read, and only while this process ran. A process that was stopped
    // for a while finds its timers expired and its socket full; or empty, if its peer was stopped as well.

    /// Discounts the time for which this process was stopped, and returns it: the heartbeat's timer was due at `due`,
    /// and expired at `now`. If it is late by two heartbeats, or by so much that a peer heard at the last heartbeat
    /// would count as silent, no time before `now` counts: the peer must be asked first.
    Duration slept(TimePoint due, TimePoint now) noexcept {
        Duration late = std::max(now - due, Duration{});
        if (DISTWORK_PLANTED(judge_at_once)) return {};
        if (late >= most_late_) {
            DISTWORK_MARK(woke_late);
            late = now.time_since_epoch();
            pinged_.reset();  // it would measure how long this process was stopped
        }
        silent_since_ = std::min(silent_since_ + late, now);
        return late;
    }

    /// Whether the peer was silent for longer than dead_after.
    bool is_silent(TimePoint now) const noexcept {
        return !DISTWORK_PLANTED(never_silent) && now - silent_since_ > dead_after_;
    }

    /// Whether the peer becomes suspected now, at a heartbeat: it was silent for at least 1.5 heartbeats. A live peer
    /// would have answered the last ping.
    bool suspect(TimePoint now) noexcept {
        if (suspected_ || now - silent_since_ < heartbeat_ * 3 / 2) return false;
        DISTWORK_MARK(suspected);
        return suspected_ = true;
    }

    /// Returns the id of a ping that is sent now.
    std::uint64_t ping(TimePoint now) noexcept {
        pinged_ = now;
        return ++last_ping_;
    }

    /// Returns the round trip, if the pong answers the last ping. Other ids are ignored: a peer cannot invent a round
    /// trip.
    std::optional<Duration> pong(std::uint64_t id, TimePoint now) noexcept {
        if (id != last_ping_ || !pinged_) return std::nullopt;
        return now - *std::exchange(pinged_, std::nullopt);
    }

private:
    const Duration heartbeat_;
    const Duration dead_after_;
    const Duration most_late_;  // a timer that is later shows that this process was stopped
    TimePoint last_heard_{};
    TimePoint silent_since_{};  // last_heard_, plus the time for which this process was stopped
    bool suspected_ = false;
    std::uint64_t last_ping_ = 0;
    std::optional<TimePoint> pinged_;  // when the last ping was sent; empty once its pong came
};

}  // namespace distwork::detail
