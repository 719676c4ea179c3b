#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>

#include "../base/separate.hpp"
#include "../wire/byte_buffer.hpp"
#include "archive_bounds.hpp"
#include "scalars.hpp"
#include "wire_archive.hpp"

namespace distwork::detail {

/// Whether a T is encoded by copying its bytes. That holds for numbers: constructing an archive with its tables of
/// pointers would cost twenty times as much.
template <class T>
inline constexpr bool needs_no_archive = std::is_arithmetic_v<T> && !std::is_same_v<T, bool> && is_wire_image<T>;

/// Rethrows the current exception as an Error: an Error as it is, anything else as Errc::malformed with the exception
/// nested in it. To be called in a catch block.
[[noreturn]] DISTWORK_DECL void rethrow_malformed();

/// Decodes one value from a complete body. Throws Error (malformed, too_large), and nothing else: this is the only
/// place that converts exceptions of decoding.
template <class T>  // with `inline` the optimizer expands the function template in place more readily
inline void decode(std::span<const std::byte> body, T& value, const ArchiveLimits& limits) {
    if constexpr (needs_no_archive<T>)
        if (body.size() == sizeof value) return static_cast<void>(std::memcpy(&value, body.data(), sizeof value));
    try {
        WireInputArchive archive{body, limits};
        archive(value);
        archive.finish();
    } catch (...) {
        rethrow_malformed();
    }
}

/// Appends the bytes of one value. Returns whether equal values have equal bytes. Throws Error (too_large;
/// shared_pointer; malformed, with the exception of cereal nested in it), and what the class itself throws.
template <class T>
bool encode_value(const T& value, ByteBuffer& body, const ArchiveLimits& limits) {
    if constexpr (needs_no_archive<T>) {
        std::memcpy(body.extend(sizeof value), &value, sizeof value);
        return true;
    } else {
        try {
            WireOutputArchive archive{body, limits};
            archive(value);
            archive.finish();
            return archive.bounds().is_canonical();
        } catch (const cereal::Exception&) {
            rethrow_malformed();
        }
    }
}

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/codec.ipp"
#endif
