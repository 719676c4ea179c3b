#pragma once

#include <chrono>
#include <cstdint>

#include "../base/split_mix.hpp"

namespace distwork::sim {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::steady_clock::time_point;

/// What a simulation draws. The distributions are our own: those of the standard differ from
/// one library to the next, and a seed must mean the same run everywhere.
class Random : public detail::SplitMix64 {
public:
    using SplitMix64::SplitMix64;

    /// From 0 to `bound` - 1; 0 for a bound of 0.
    std::uint64_t below(std::uint64_t bound) noexcept { return bound < 2 ? 0 : next() % bound; }

    /// Draws nothing where there is nothing to decide.
    bool chance(double probability) noexcept {
        return probability > 0 && static_cast<double>(next() >> 11) * 0x1p-53 < probability;
    }

    /// Both included.
    Duration between(Duration least, Duration most) noexcept {
        if (most <= least) return least;
        return least + Duration{below(static_cast<std::uint64_t>((most - least).count()) + 1)};
    }

    /// Around a mean: from nothing to twice as much.
    Duration around(Duration mean) noexcept { return between(Duration{1}, 2 * mean); }
};

}  // namespace distwork::sim
