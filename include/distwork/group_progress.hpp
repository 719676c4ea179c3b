#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/requirements.hpp"

namespace distwork {

/// How far the works of a group, or the elements of a map, are.
struct GroupProgress {
    std::size_t total = 0;     ///< those that are known of, at least `done`
    bool has_unsized = false;  ///< a range whose size is not known has more elements
    bool may_grow = false;     ///< more may come: the group is not closed, or the size of a range is not known
    std::size_t done = 0;      ///< those that have an outcome, with those that failed
    std::size_t failed = 0;    ///< those whose outcome is an error
    std::size_t running = 0;   ///< those at slaves
    std::size_t waiting = 0;   ///< works that wait for a slave; elements that are no works yet do not count
    std::size_t doubled = 0;   ///< works that took too long, and were sent to a second slave
    double reported = 0;       ///< of those that run, the sum of what Context::progress has reported
    std::string text{};        ///< the latest text that was reported
    std::chrono::nanoseconds elapsed{};   ///< since the first work was submitted
    std::size_t kept = 0;                 ///< of those that are done, those whose values were in the journal
    std::chrono::nanoseconds executed{};  ///< the execution time of the others that are done, together

    /// Elements, of those that are known of, that are no works yet.
    std::size_t rest() const noexcept { return total - std::min(total, done + running + waiting); }

    /// The mean execution time. Empty: nothing was executed yet.
    std::optional<std::chrono::nanoseconds> mean_execution_time() const {
        if (done <= kept || executed.count() <= 0) return std::nullopt;
        return executed / static_cast<std::int64_t>(done - kept);
    }

    /// Outcomes a second. Zero at first.
    double rate() const noexcept {
        const double seconds = std::chrono::duration<double>(elapsed).count();
        return seconds > 0 ? static_cast<double>(done) / seconds : 0;
    }

    /// What is done, from 0 to 1, with what running works have reported.
    double fraction() const noexcept {
        return total == 0 ? 0 : std::min((static_cast<double>(done) + reported) / static_cast<double>(total), 1.0);
    }

    /// The time that the rest will take, if it goes on like this. Empty: unknown.
    std::optional<std::chrono::nanoseconds> remaining() const {
        const double share = fraction();
        if (may_grow || share <= 0) return std::nullopt;
        const double left = static_cast<double>(elapsed.count()) * (1 - share) / share;
        return std::chrono::nanoseconds{static_cast<std::int64_t>(std::min(left, 9e18))};
    }
};

}  // namespace distwork
