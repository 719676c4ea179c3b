#pragma once

#include <cstdint>

#include "base/requirements.hpp"

namespace distwork {

/// The state of a slave and its machine, as the slave reports it. It is the body of the slave's ping and pong frames,
/// 24 bytes:
///
/// | offset | bytes | field |
/// | --- | --- | --- |
/// | 0 | 4 | running |
/// | 4 | 4 | queued |
/// | 8 | 4 | load_average × 1000 |
/// | 12 | 4 | reserved: 0, ignored |
/// | 16 | 8 | free_memory |
struct SlaveState {
    std::uint32_t running = 0;      ///< works that the slave executes
    std::uint32_t queued = 0;       ///< works that wait at the slave for a slot
    double load_average = 0;        ///< of the machine over the last minute; 0 if unknown
    std::uint64_t free_memory = 0;  ///< bytes that the machine can allocate without swapping; 0 if unknown

    /// Whether all fields are equal.
    friend bool operator==(const SlaveState&, const SlaveState&) = default;
};

}  // namespace distwork
