#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "../types/registry.hpp"

namespace distwork::detail {

/// Mean execution times by type, of one slave or of all.
class ExecutionTimes {
public:
    using Duration = std::chrono::nanoseconds;

    /// The mean execution time of a type. Zero: none was measured yet.
    Duration estimate(const WorkType& type) const noexcept {
        return type.number < means_.size() ? means_[type.number] : Duration{};
    }

    /// The same, and makes room for a measurement, so that `measure` does not throw. *Errors*: std::bad_alloc.
    Duration& reserve(const WorkType& type) {
        if (type.number >= means_.size()) [[unlikely]]
            means_.resize(type.number + std::size_t{1});
        return means_[type.number];
    }

    void measure(const WorkType& type, Duration sample) { measure(reserve(type), sample); }

    /// The same; a sample counts as at most four times the mean, and as at least a quarter of it. So a slave that tells
    /// false times cannot move the mean of all slaves far by one answer.
    void measure_clipped(const WorkType& type, Duration sample) {
        Duration& mean = reserve(type);
        measure(mean, mean.count() == 0 ? sample : std::clamp(sample, mean / 4, mean * 4));
    }

    /// Adds a sample to an exponentially weighted mean: about the latest eight samples count. The mean is never zero
    /// then.
    static void measure(Duration& mean, Duration sample) noexcept {
        mean = std::max(mean.count() == 0 ? sample : mean + (sample - mean) / 8, Duration{1});
    }

    const std::vector<Duration>& means() const noexcept { return means_; }

private:
    std::vector<Duration> means_;  // by this end's number of the type
};

}  // namespace distwork::detail
