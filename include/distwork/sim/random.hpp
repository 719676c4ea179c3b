#pragma once

#include <chrono>
#include <cstdint>

#include "../base/split_mix.hpp"

namespace distwork::sim {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::steady_clock::time_point;

/// The random number generator of a simulation. A seed must give the same run everywhere, so the distributions are our
/// own: those of the standard library differ between implementations.
class Random : public detail::SplitMix64 {
public:
    using SplitMix64::SplitMix64;

    /// From 0 to `bound` - 1; 0 for a bound of 0.
    std::uint64_t below(std::uint64_t bound) noexcept { return bound < 2 ? 0 : next() % bound; }

    /// True with this probability, from 0 to 1. Draws no number if the probability is 0.
    bool chance(double probability) noexcept {
        return probability > 0 && static_cast<double>(next() >> 11) * 0x1p-53 < probability;
    }

    /// From `least` to `most`, both included.
    Duration between(Duration least, Duration most) noexcept {
        if (most <= least) return least;
        return least + Duration{below(static_cast<std::uint64_t>((most - least).count()) + 1)};
    }

    /// From 1 ns to twice the mean.
    Duration around(Duration mean) noexcept { return between(Duration{1}, 2 * mean); }
};

}  // namespace distwork::sim
