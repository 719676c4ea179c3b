#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "../wire/endian.hpp"

namespace distwork::detail {

/// How many bytes a scalar takes on the wire. That is its size in memory, so `long` and `wchar_t` have the width of the
/// machine. `long double` is the exception: machines have different formats for it, so it is sent as IEC 559 binary128,
/// which holds the values of all of them.
template <class T>
inline constexpr std::size_t wire_bytes = std::is_same_v<T, long double> ? 16 : sizeof(T);

/// Whether an array of T has the same bytes in memory and on the wire.
template <class T>
inline constexpr bool is_wire_image =
    !std::is_same_v<T, long double> && (sizeof(T) == 1 || std::endian::native == std::endian::little);

/// Writes a long double as binary128, little-endian: 112 bits of fraction, 15 bits of exponent, the sign. The 80-bit
/// format of x87 has the same exponent, and an explicit leading 1 before 63 bits of fraction.
inline void store_long_double(std::byte* to, long double value) noexcept {
    static_assert(std::numeric_limits<long double>::digits == 64 || std::numeric_limits<long double>::digits == 113,
                  "long double of this machine has no portable form yet");
    std::byte image[16] = {};
    std::memcpy(image, &value, std::min(sizeof value, sizeof image));
    if constexpr (std::numeric_limits<long double>::digits == 113) {
        copy_little_endian(to, image, sizeof image);
    } else {
        std::uint64_t mantissa;
        std::uint16_t exponent;
        std::memcpy(&mantissa, image, 8);
        std::memcpy(&exponent, image + 8, 2);
        const std::uint64_t low = mantissa << 49;
        const std::uint64_t high = std::uint64_t{exponent} << 48 | (mantissa & ~(std::uint64_t{1} << 63)) >> 15;
        std::memcpy(to, &low, 8);
        std::memcpy(to + 8, &high, 8);
    }
}

/// Reads a long double from binary128. A fraction that is longer than the machine's is rounded toward zero.
inline long double load_long_double(const std::byte* from) noexcept {
    std::byte image[16] = {};
    if constexpr (std::numeric_limits<long double>::digits == 113) {
        copy_little_endian(image, from, sizeof image);
    } else {
        std::uint64_t low;
        std::uint64_t high;
        std::memcpy(&low, from, 8);
        std::memcpy(&high, from + 8, 8);
        const auto exponent = static_cast<std::uint16_t>(high >> 48);
        const bool has_fraction = (high << 16 | low) != 0;
        std::uint64_t mantissa = (high << 16 >> 1) | low >> 49;
        if ((exponent & 0x7fff) != 0) mantissa |= std::uint64_t{1} << 63;
        // A NaN stays a NaN: if its fraction is cut off to 0, the value would become an infinity.
        if ((exponent & 0x7fff) == 0x7fff && has_fraction) mantissa |= std::uint64_t{1} << 62;
        std::memcpy(image, &mantissa, 8);
        std::memcpy(image + 8, &exponent, 2);
    }
    long double value;
    std::memcpy(&value, image, std::min(sizeof value, sizeof image));
    return value;
}

/// Writes `wire_bytes<T>` bytes.
template <class T>
void store_scalar(std::byte* to, const T& value) noexcept {
    static_assert(!std::is_floating_point_v<T> || std::numeric_limits<T>::is_iec559);
    if constexpr (std::is_same_v<T, long double>) {
        store_long_double(to, value);
    } else {
        copy_little_endian(to, reinterpret_cast<const std::byte*>(&value), sizeof value);
    }
}

/// Reads `wire_bytes<T>` bytes. Not for bool: most bytes are not valid values of it.
template <class T>
T load_scalar(const std::byte* from) noexcept {
    static_assert(!std::is_same_v<T, bool>);
    if constexpr (std::is_same_v<T, long double>) {
        return load_long_double(from);
    } else {
        T value;
        copy_little_endian(reinterpret_cast<std::byte*>(&value), from, sizeof value);
        return value;
    }
}

}  // namespace distwork::detail
