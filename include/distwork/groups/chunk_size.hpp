#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "../base/requirements.hpp"

namespace distwork::detail {

/// How many elements of a map share a work: as many as take two milliseconds, so that what each work costs is little
/// beside them, and no slave holds much that others could execute. No clock.
///
/// *Thread-safety*: all functions.
class ChunkSize {
public:
    using Duration = std::chrono::nanoseconds;

    static constexpr Duration wanted = std::chrono::milliseconds{2};
    static constexpr std::size_t most = 4096;

    /// The number of elements for the next work. One until a time was measured.
    std::size_t next() const noexcept {
        const std::int64_t mean = mean_.load(std::memory_order_relaxed);
        return mean == 0 ? 1 : static_cast<std::size_t>(std::clamp<std::int64_t>(wanted.count() / mean, 1, most));
    }

    /// So many elements were executed in this time. About the latest four works count.
    void measured(std::size_t elements, Duration time) noexcept {
        if (elements == 0 || time.count() <= 0) return;
        const std::int64_t sample = std::max<std::int64_t>(time.count() / static_cast<std::int64_t>(elements), 1);
        const std::int64_t mean = mean_.load(std::memory_order_relaxed);
        // Two at a time may lose one of the samples.
        mean_.store(mean == 0 ? sample : std::max<std::int64_t>(mean + (sample - mean) / 4, 1),
                    std::memory_order_relaxed);
    }

private:
    std::atomic<std::int64_t> mean_{0};  // of one element, in nanoseconds; 0: none was measured
};

}  // namespace distwork::detail
