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

    explicit Liveness(Duration dead_after) : dead_after_{dead_after} {}

    void heard(TimePoint now) noexcept { last_heard_ = now; }
    TimePoint last_heard() const noexcept { return last_heard_; }

    /// Whether it was silent for too long. Only to be believed after its socket was read: a process that was stopped
    /// for a while finds its timers expired and its socket full.
    bool is_silent(TimePoint now) const noexcept {
        return !DISTWORK_PLANTED(never_silent) && now - last_heard_ > dead_after_;
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
    const Duration dead_after_;
    TimePoint last_heard_{};
    std::uint64_t last_ping_ = 0;
    std::optional<TimePoint> pinged_;  // when the last ping left, until its pong came
};

}  // namespace distwork
