#pragma once

#include "../base/requirements.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace distwork::detail {

/// How long a work of a group may take before it is a straggler: a multiple of the median of the latest execution times.
///
/// *Thread-safety*: all functions. No clock.
class StragglerLimit {
public:
    using Duration = std::chrono::nanoseconds;

    /// Works that take less are never stragglers: moving them costs more.
    static constexpr Duration least = std::chrono::milliseconds{20};

    /// `factor`: of the median; 0: there are no stragglers.
    explicit StragglerLimit(double factor) noexcept : factor_{factor} {}

    bool is_on() const noexcept { return factor_ > 0; }

    /// A work took this time.
    void note(Duration time) noexcept {
        times_[count_.fetch_add(1, std::memory_order_relaxed) % times_.size()].store(time.count(),
                                                                                     std::memory_order_relaxed);
    }

    /// Empty before a few works have ended.
    std::optional<Duration> limit() const noexcept {
        constexpr std::size_t least_known = 3;
        const std::size_t known = std::min(count_.load(std::memory_order_relaxed), times_.size());
        if (known < least_known) return std::nullopt;
        std::array<std::int64_t, latest> sorted{};
        std::transform(times_.begin(), times_.begin() + static_cast<std::ptrdiff_t>(known), sorted.begin(),
                       [](const auto& time) { return time.load(std::memory_order_relaxed); });
        const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(known / 2);
        std::nth_element(sorted.begin(), middle, sorted.begin() + static_cast<std::ptrdiff_t>(known));
        const double wanted = std::min(static_cast<double>(*middle) * factor_, 9e18);
        return std::max(Duration{static_cast<std::int64_t>(wanted)}, least);
    }

    /// The time from one look at the works to the next.
    Duration time_between_looks() const noexcept {
        return std::clamp<Duration>(limit().value_or(least) / 8, least / 2, std::chrono::seconds{1});
    }

private:
    static constexpr std::size_t latest = 64;

    const double factor_;
    std::array<std::atomic<std::int64_t>, latest> times_{};
    std::atomic<std::size_t> count_{0};
};

}  // namespace distwork::detail
