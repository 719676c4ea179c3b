#pragma once

#include <cereal/types/string.hpp>
#include <cereal/types/tuple.hpp>
#include <cereal/types/vector.hpp>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "../archive/shape_hash.hpp"
#include "../base/asio.hpp"
#include "../base/cereal.hpp"
#include "../error.hpp"
#include "../work.hpp"

namespace distwork::detail {

// A function's arguments are sent as values. For a parameter that only refers to a value, such as a std::string_view,
// an owning type is sent.

template <class T>
struct Owned {
    using type = T;
};
template <class Character, class Traits>
struct Owned<std::basic_string_view<Character, Traits>> {
    using type = std::basic_string<Character, Traits>;
};
template <class Character>
requires is_character<Character>
struct Owned<const Character*> {
    using type = std::basic_string<Character>;
};
template <class T>
requires(!std::same_as<T, bool>)  // a std::vector<bool> has no array of bool for a span
    struct Owned<std::span<const T>> {
    using type = std::vector<T>;
};
template <class T>
using owned_t = typename Owned<std::remove_cvref_t<T>>::type;

/// Converts an argument to the value that is sent for a parameter of type P. *Errors*: Error (bad_option) for a null
/// pointer to characters.
template <class P, class A>
owned_t<P> own(A&& argument) {
    using Parameter = std::remove_cvref_t<P>;
    using Value = owned_t<P>;
    if constexpr (std::is_arithmetic_v<Value>) {
        return static_cast<Value>(std::forward<A>(argument));  // may narrow: the compiler has warned at the call
    } else if constexpr (std::same_as<Parameter, Value> || std::same_as<std::remove_cvref_t<A>, Value>) {
        return std::forward<A>(argument);
    } else if constexpr (std::is_pointer_v<Parameter>) {
        const Parameter text = std::forward<A>(argument);
        if (!text) throw Error::with_text(Errc::bad_option, "a null pointer to characters cannot be sent");
        return Value(text);
    } else {
        const Parameter view = std::forward<A>(argument);
        return Value(view.begin(), view.end());
    }
}

/// Converts a received value to the parameter of type P that it was sent for. The value must outlive the call.
template <class P>
decltype(auto) pass(owned_t<P>& value) {
    using Parameter = std::remove_cvref_t<P>;
    if constexpr (std::is_pointer_v<Parameter> && !std::same_as<Parameter, owned_t<P>>) return value.c_str();
    else if constexpr (!std::same_as<Parameter, owned_t<P>>) return Parameter{value};
    else if constexpr (std::is_lvalue_reference_v<P>) return static_cast<const Parameter&>(value);
    else return std::move(value);
}

template <class R>
struct Awaited {
    using type = owned_t<R>;
    static constexpr bool is_coroutine = false;
};
template <class R>
struct Awaited<asio::awaitable<R>> {
    using type = R;
    static constexpr bool is_coroutine = true;
};

template <bool TakesContext, class R, class... P>
struct FunctionShape {
    static constexpr bool is_function = true;
    static constexpr bool takes_context = TakesContext;
    static constexpr bool is_coroutine = Awaited<R>::is_coroutine;
    static constexpr std::size_t arity = sizeof...(P);
    using Result = typename Awaited<R>::type;
    using Parameters = std::tuple<P...>;  // only for std::tuple_element; no object of it is made
    using Arguments = std::tuple<owned_t<P>...>;
};

/// The parameters and the result of a plain function. CheckedFunction reports a type that is no plain function, and
/// parameters and results that cannot be sent.
template <class F>
struct FunctionTraits : FunctionShape<false, void> {
    static constexpr bool is_function = false;
};
template <class R, class... P>
struct FunctionTraits<R (*)(P...)> : FunctionShape<false, R, P...> {};
template <class R, class... P>
struct FunctionTraits<R (*)(P...) noexcept> : FunctionShape<false, R, P...> {};
template <class R, class... P>
struct FunctionTraits<R (*)(Context&, P...)> : FunctionShape<true, R, P...> {};
template <class R, class... P>
struct FunctionTraits<R (*)(Context&, P...) noexcept> : FunctionShape<true, R, P...> {};

template <auto F>
using traits_of = FunctionTraits<std::remove_cv_t<decltype(F)>>;

/// The function's name with its namespaces, as the compiler spells it.
template <auto F>
constexpr std::string_view function_name() {
    std::string_view name = __PRETTY_FUNCTION__;  // "… [with auto F = app::area; …]", "… [F = &app::area]"
    name.remove_prefix(name.find("F = ") + 4);
    name = name.substr(0, name.find_first_of(";]"));
    if (name.starts_with('&')) name.remove_prefix(1);
    return name;
}

/// The base class of FunctionWork<F>.
template <auto F>
using FunctionBase = std::conditional_t<traits_of<F>::is_coroutine, CoroutineWork<typename traits_of<F>::Result>,
                                        RpcWork<typename traits_of<F>::Result>>;

}  // namespace distwork::detail
