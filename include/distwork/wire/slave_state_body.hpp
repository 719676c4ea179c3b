#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <system_error>

#include "../error.hpp"
#include "../slave_state.hpp"
#include "frame.hpp"

namespace distwork::detail {

inline constexpr std::size_t slave_state_bytes = 24;

inline std::array<std::byte, slave_state_bytes> encode(const SlaveState& state) noexcept {
    constexpr double most = std::numeric_limits<std::uint32_t>::max();
    const double load = state.load_average * 1000 + 0.5;  // rounded, so that what was decoded is encoded to the same
    std::array<std::byte, slave_state_bytes> body{};
    store(body.data(), state.running);
    store(body.data() + 4, state.queued);
    store(body.data() + 8, static_cast<std::uint32_t>(load > 0 ? std::min(load, most) : 0));
    store(body.data() + 16, state.free_memory);
    return body;
}

inline std::error_code decode(std::span<const std::byte> body, SlaveState& state) noexcept {
    if (body.size() != slave_state_bytes) return Errc::protocol_violation;
    state.running = load<std::uint32_t>(body.data());
    state.queued = load<std::uint32_t>(body.data() + 4);
    state.load_average = load<std::uint32_t>(body.data() + 8) / 1000.0;
    state.free_memory = load<std::uint64_t>(body.data() + 16);
    return {};
}

}  // namespace distwork::detail
