#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <system_error>

#include "error.hpp"
#include "frame.hpp"

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

    friend bool operator==(const SlaveState&, const SlaveState&) = default;
};

inline constexpr std::size_t slave_state_bytes = 24;

inline std::array<std::byte, slave_state_bytes> encode(const SlaveState& state) noexcept {
    constexpr double most = std::numeric_limits<std::uint32_t>::max();
    const double load = state.load_average * 1000;
    std::array<std::byte, slave_state_bytes> body{};
    detail::store(body.data(), state.running);
    detail::store(body.data() + 4, state.queued);
    detail::store(body.data() + 8, static_cast<std::uint32_t>(load > 0 ? std::min(load, most) : 0));
    detail::store(body.data() + 16, state.free_memory);
    return body;
}

inline std::error_code decode(std::span<const std::byte> body, SlaveState& state) noexcept {
    if (body.size() != slave_state_bytes) return Errc::protocol_violation;
    state.running = detail::load<std::uint32_t>(body.data());
    state.queued = detail::load<std::uint32_t>(body.data() + 4);
    state.load_average = detail::load<std::uint32_t>(body.data() + 8) / 1000.0;
    state.free_memory = detail::load<std::uint64_t>(body.data() + 16);
    return {};
}

}  // namespace distwork
