#pragma once

#include <cstddef>
#include <cstring>
#include <exception>
#include <span>
#include <type_traits>

#include "../base/type_name.hpp"
#include "../error.hpp"
#include "../wire/byte_buffer.hpp"
#include "archive_bounds.hpp"
#include "scalars.hpp"
#include "wire_archive.hpp"

namespace distwork::detail {

/// A number is its bytes: an archive's tables of pointers would cost twenty times as much.
template <class T>
inline constexpr bool needs_no_archive = std::is_arithmetic_v<T> && !std::is_same_v<T, bool> && is_wire_image<T>;

/// To be called within a handler: whatever was thrown becomes an Error, behind which it is nested.
[[noreturn]] inline void rethrow_malformed() {
    try {
        throw;
    } catch (const Error&) {
        throw;
    } catch (...) {
        std::throw_with_nested(Error{Errc::malformed, what_of(std::current_exception())});
    }
}

/// Decodes one value from a whole body. Throws Error (malformed, too_large): nothing else passes the decoding edge.
template <class T>  // `inline` for the optimizer, which expands a function template in place more readily then
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

/// Appends one value's bytes. Throws Error (too_large, shared_pointer; malformed, behind which what cereal throws is
/// nested), and what the class itself throws.
template <class T>
void encode_value(const T& value, ByteBuffer& body, const ArchiveLimits& limits) {
    if constexpr (needs_no_archive<T>) {
        std::memcpy(body.extend(sizeof value), &value, sizeof value);
    } else {
        try {
            WireOutputArchive archive{body, limits};
            archive(value);
            archive.finish();
        } catch (const cereal::Exception&) {
            rethrow_malformed();
        }
    }
}

}  // namespace distwork::detail
