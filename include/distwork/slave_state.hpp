#pragma once

#include <cstdint>

#include "base/requirements.hpp"

namespace distwork {

/// How a slave is doing, by its own word: in the body of its ping and pong frames.
///
/// | bytes | |
/// | --- | --- |
/// | 4 | running |
/// | 4 | queued |
/// | 4 | load average × 1000 |
/// | 4 | reserved: 0, not looked at |
/// | 8 | free memory |
struct SlaveState {
    std::uint32_t running = 0;      ///< works that it executes
    std::uint32_t queued = 0;       ///< works that wait at the slave for a slot
    double load_average = 0;        ///< of its machine, over the last minute; 0 where nobody knows
    std::uint64_t free_memory = 0;  ///< of its machine, in bytes, to be had without swapping; 0 where nobody knows

    /// Whether all of them are equal.
    friend bool operator==(const SlaveState&, const SlaveState&) = default;
};

}  // namespace distwork
