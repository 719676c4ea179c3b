#pragma once

#include "requirements.hpp"

#include <concepts>
#include <cstdint>
#include <memory>
#include <tuple>
#include <variant>

// The words that shapes are described in, and how the standard's types are told apart.

namespace distwork {

/// To be specialised for a type whose shape its own functions do not show: its fingerprint is then this number.
/// `template <> inline constexpr std::uint64_t distwork::fingerprint_override<Picture> = 2;`
template <class T>
inline constexpr std::uint64_t fingerprint_override = 0;

namespace detail {

/// What the hash is fed with: one word for each thing met, some followed by a number.
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
inline constexpr bool is_unique_pointer = false;
template <class T, class Deleter>
inline constexpr bool is_unique_pointer<std::unique_ptr<T, Deleter>> = true;

template <class T>
inline constexpr bool is_shared_pointer = false;
template <class T>
inline constexpr bool is_shared_pointer<std::shared_ptr<T>> = true;
template <class T>
inline constexpr bool is_shared_pointer<std::weak_ptr<T>> = true;

template <class T>
inline constexpr bool is_character = std::same_as<T, char> || std::same_as<T, wchar_t> || std::same_as<T, char8_t> ||
                                     std::same_as<T, char16_t> || std::same_as<T, char32_t>;

// The standard's templates, told by what they offer: so that their headers need not be included.
template <class T>
concept TupleLike = requires {
    std::tuple_size<T>::value;
};
template <class T>
concept ArrayLike = TupleLike<T> && requires {
    typename T::value_type;
};
template <class T>
concept VariantLike = requires {
    std::variant_size<T>::value;
};
template <class T>
concept OptionalLike = requires(const T& t) {
    typename T::value_type;
    t.has_value();
};
template <class T>
concept DurationLike = requires {
    typename T::rep;
    T::period::num;
};
template <class T>
concept TimePointLike = requires {
    typename T::clock;
    typename T::duration;
};
template <class T>
concept BitsLike = requires(const T& t) {
    t.to_ullong();
};
template <class T>
concept ComplexLike = requires(const T& t) {
    typename T::value_type;
    t.real();
    t.imag();
};
template <class T>
concept AtomicLike = requires(const T& t) {
    typename T::value_type;
    t.is_lock_free();
};
template <class T>
concept AdaptorLike = requires {
    typename T::container_type;
};
template <class T>
concept RangeLike = requires(const T& t) {
    typename T::value_type;
    requires(
        requires { t.size(); } || requires { t.begin(); });
};

}  // namespace detail
}  // namespace distwork
