#pragma once

#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "../base/cereal.hpp"

// Checks whether a type can be serialized, before cereal does: cereal's own error message fills a screen.

namespace distwork::detail {

class WireOutputArchive;
class WireInputArchive;

/// Whether cereal finds exactly one way to save (or load) a T. The members or elements of T are not checked.
template <class T>
inline constexpr bool is_saved =
    cereal::traits::is_output_serializable<T, WireOutputArchive>::value ||
    cereal::traits::has_invalid_output_versioning<T, WireOutputArchive>::value || std::is_empty_v<T>;
template <class T>
inline constexpr bool is_loaded =
    cereal::traits::is_input_serializable<T, WireInputArchive>::value ||
    cereal::traits::has_invalid_input_versioning<T, WireInputArchive>::value || std::is_empty_v<T>;

template <class T>
consteval bool can_travel();

template <template <class> class Size, class T, template <std::size_t, class> class Element>
consteval bool can_all_travel() {
    return []<std::size_t... I>(std::index_sequence<I...>) {
        return (can_travel<std::remove_cv_t<typename Element<I, T>::type>>() && ... && true);
    }
    (std::make_index_sequence<Size<T>::value>{});
}

/// Whether the elements of a type of the standard library can be serialized.
template <class T>
consteval bool can_elements_travel() {
    if constexpr (requires { typename T::element_type; }) {
        using Pointee = std::remove_cv_t<typename T::element_type>;
        if constexpr (std::is_polymorphic_v<Pointee>) return true;  // the dynamic type is not known here
        else if constexpr (cereal::traits::has_load_and_construct<Pointee, WireInputArchive>::value)
            return is_saved<Pointee>;
        else return can_travel<Pointee>();
    } else if constexpr (requires { std::variant_size<T>::value; }) {
        return can_all_travel<std::variant_size, T, std::variant_alternative>();
    } else if constexpr (requires { std::tuple_size<T>::value; }) {
        return can_all_travel<std::tuple_size, T, std::tuple_element>();
    } else if constexpr (requires { typename T::mapped_type; }) {
        return can_travel<typename T::key_type>() && can_travel<typename T::mapped_type>();
    } else if constexpr (requires { typename T::value_type; }) {
        return can_travel<typename T::value_type>();
    } else {
        return true;
    }
}

template <class T>
consteval bool can_travel() {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) return true;
    else if constexpr (std::is_array_v<T>) return can_travel<std::remove_all_extents_t<T>>();
    else if constexpr (!std::is_class_v<T> || !is_saved<T> || !is_loaded<T>) return false;
    else if constexpr (is_library_type<T>) return can_elements_travel<T>();
    else return true;
}

/// Whether our archives accept a T. The members of a user's class are checked later, when they are passed to an
/// archive.
template <class T>
inline constexpr bool travels = can_travel<T>();

template <class T>
consteval bool is_named_cereals() {
    std::string_view name = __PRETTY_FUNCTION__;
    name.remove_prefix(name.find("T = ") + 4);
    return name.starts_with("cereal::");
}

/// Fail to compile if a class that is passed to an archive cannot be saved, or loaded.
template <class T>
struct SavedMember {
    static_assert(
        !std::is_class_v<T> || is_named_cereals<T>() || is_saved<T>,
        "distwork: a class that is to travel cannot be saved: give it a serialize member, or one save and one "
        "load, or include cereal's header for it, such as <cereal/types/map.hpp> (see SavedMember<the class>)");
};
template <class T>
struct LoadedMember {
    static_assert(
        !std::is_class_v<T> || is_named_cereals<T>() || is_loaded<T>,
        "distwork: a class that travels cannot be loaded: give it a serialize member, or one save and one "
        "load, or include cereal's header for it, such as <cereal/types/map.hpp> (see LoadedMember<the class>)");
};

}  // namespace distwork::detail
