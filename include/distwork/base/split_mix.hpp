#pragma once

#include "requirements.hpp"

#include <cstdint>

namespace distwork::detail {

/// The splitmix64 generator. It is enough for jitter and simulations, and avoids including <random> everywhere.
///
/// *Source*: G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
class SplitMix64 {
public:
    explicit SplitMix64(std::uint64_t seed) noexcept : state_{seed} {}

    std::uint64_t next() noexcept {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }

private:
    std::uint64_t state_;
};

}  // namespace distwork::detail
