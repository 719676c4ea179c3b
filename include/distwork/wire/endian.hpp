#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "../base/requirements.hpp"

namespace distwork::detail {

/// Copies a scalar of `size` bytes, and converts between the byte order of the machine and that of the wire.
inline void copy_little_endian(std::byte* to, const std::byte* from, std::size_t size) noexcept {
    if constexpr (std::endian::native == std::endian::little) {
        std::memcpy(to, from, size);
    } else {
        std::reverse_copy(from, from + size, to);
    }
}

template <class Unsigned>
constexpr Unsigned little_endian(Unsigned value) noexcept {
    if constexpr (std::endian::native == std::endian::little) return value;
    Unsigned swapped{};
    for (std::size_t i = 0; i < sizeof value; ++i)
        swapped = static_cast<Unsigned>(swapped << 8 | ((value >> (8 * i)) & 0xff));
    return swapped;
}

template <class Unsigned>
void store(std::byte* to, Unsigned value) noexcept {
    value = little_endian(value);
    std::memcpy(to, &value, sizeof value);
}

template <class Unsigned>
Unsigned load(const std::byte* from) noexcept {
    Unsigned value;
    std::memcpy(&value, from, sizeof value);
    return little_endian(value);
}

}  // namespace distwork::detail
