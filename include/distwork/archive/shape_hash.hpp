#pragma once

#include "../base/requirements.hpp"

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace distwork::detail {

/// The words that describe a shape: one word for each part of a type, some followed by a number. The values are part of
/// the hash, so they must not change.
enum class ShapeWord : std::uint64_t {
    nothing = 1,
    boolean,
    character,
    signed_integer,
    unsigned_integer,
    floating,
    enumeration,
    array,
    tuple,
    range,
    optional,
    variant,
    unique_pointer,
    shared_pointer,
    polymorphic,
    duration,
    time_point,
    bits,
    complex,
    adaptor,
    count,
    binary,
    object,
    versioned,
    object_end,
    back_reference,
    base,
    deferred,
    opaque,
    override,
};

template <class T>
inline constexpr bool is_character = std::same_as<T, char> || std::same_as<T, wchar_t> || std::same_as<T, char8_t> ||
                                     std::same_as<T, char16_t> || std::same_as<T, char32_t>;

/// Hashes the words and numbers that describe a shape. Its results are sent to peers, so the algorithm must not change.
class ShapeHash {
public:
    void add(ShapeWord word) noexcept { add(static_cast<std::uint64_t>(word)); }
    void add(ShapeWord word, std::uint64_t number) noexcept {
        add(word);
        add(number);
    }

    /// Adds the 8 bytes of a number (FNV-1a).
    void add(std::uint64_t number) noexcept {
        for (int shift = 0; shift < 64; shift += 8) hash_ = (hash_ ^ (number >> shift & 0xff)) * 0x100000001b3U;
    }

    template <class T>
    void add_scalar() noexcept {
        if constexpr (std::is_enum_v<T>) {
            add(ShapeWord::enumeration);
            add_scalar<std::underlying_type_t<T>>();
        } else if constexpr (std::same_as<T, bool>) {
            add(ShapeWord::boolean);
        } else if constexpr (std::same_as<T, long double>) {
            add(ShapeWord::floating, 16);  // its size on the wire
        } else if constexpr (std::is_floating_point_v<T>) {
            add(ShapeWord::floating, sizeof(T));
        } else if constexpr (is_character<T>) {
            add(ShapeWord::character, sizeof(T));  // whether char is signed depends on the machine
        } else {
            add(std::is_signed_v<T> ? ShapeWord::signed_integer : ShapeWord::unsigned_integer, sizeof(T));
        }
    }

    /// The hash. A final mix (the last step of MurmurHash3) lets every input bit affect every bit of the result.
    std::uint64_t result() const noexcept {
        std::uint64_t hash = hash_;
        hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdU;
        hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53U;
        return hash ^ hash >> 33;
    }

private:
    std::uint64_t hash_ = 0xcbf29ce484222325U;
};

}  // namespace distwork::detail
