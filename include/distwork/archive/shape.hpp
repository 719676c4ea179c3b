#pragma once

#include "../base/requirements.hpp"

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <typeinfo>
#include <variant>
#include <vector>

#include "../base/visibility.hpp"
#include "../fingerprint_override.hpp"

// The description of a type's shape, and the concepts that classify the types of the standard library.

namespace distwork::detail {

/// How a type is serialized, as far as the type alone tells.
struct TypeShape {
    /// A polymorphic class to which the type has pointers. The classes of the objects behind them are compared by name.
    struct Base {
        const std::type_info* type = nullptr;
        const TypeShape& (*shape)() = nullptr;  ///< of the class itself; null if it is abstract
    };

    std::uint64_t fingerprint = 0;
    std::vector<Base> bases;
    std::vector<std::string> opaque;  ///< classes in it that could not be described completely, with the reason
};

/// The shape of T, computed once in each library. *Thread-safety*: safe from any thread.
template <class T>
DISTWORK_HIDDEN const TypeShape& shape_of();

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

// These concepts recognize templates of the standard library by their members, so that their headers need not be
// included.
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

}  // namespace distwork::detail
