#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../archive/travels.hpp"
#include "../base/asio.hpp"
#include "../function_work.hpp"
#include "../fwd.hpp"

// Compile-time checks of calls. A wrong call gives one sentence, before any other error. The compiler also prints the
// instantiation, whose name has the function, the argument and the types.

namespace distwork::detail {

template <class R>
struct Signature {
    using type = void(std::exception_ptr, R);
};
template <>
struct Signature<void> {
    using type = void(std::exception_ptr);
};

/// The completion signature of a call: `void(std::exception_ptr, R)`, or `void(std::exception_ptr)`.
template <class R>
using signature_t = typename Signature<R>::type;

template <class T>
inline constexpr bool is_submit_options = std::same_as<std::remove_cvref_t<T>, SubmitOptions>;

template <class T, class R>
inline constexpr bool is_handler = std::invocable<std::decay_t<T>, std::exception_ptr, R>;
template <class T>
inline constexpr bool is_handler<T, void> = std::invocable<std::decay_t<T>, std::exception_ptr>;

/// Whether a T is a completion token or a handler. Asio treats every unknown object as a handler of its own type. So a
/// T that cannot be called is a token only if its handler has another type.
template <class T, class R>
inline constexpr bool is_token = is_handler<T, R> || !requires {
    requires std::same_as<typename asio::async_result<std::decay_t<T>, signature_t<R>>::completion_handler_type,
                          std::decay_t<T>>;
};

/// Checks the completion token of a call with result R.
template <class Token, class R>
struct TokenOfCall {
    static constexpr bool is_right = is_token<Token, R>;
    static_assert(is_right,
                  "distwork: the last argument of the call is no completion token: give the call as many arguments as "
                  "the function takes, and a handler that takes a std::exception_ptr and, unless it is void, the value "
                  "(see TokenOfCall<what was given, the value>)");
};

/// Reports SubmitOptions that follow the completion token.
template <class Token>
struct OptionsBehindToken {
    static constexpr bool is_right = is_submit_options<Token>;  // always false: SubmitOptions are no token
    static_assert(is_right,
                  "distwork: SubmitOptions stand before the completion token, and here they stand behind it: "
                  "what is sent first, then the options, the token last (see OptionsBehindToken<the token>)");
};

/// Checks what follows the last argument of a call of the function F.
template <auto F, std::size_t Number, class Given, class R, bool IsLast = true>
struct SurplusArgument {
    static constexpr bool is_right = IsLast && is_token<Given, R>;
    static_assert(is_right,
                  "distwork: the call has a surplus argument: the function takes fewer, and what follows them is no "
                  "completion token, nor a handler of a std::exception_ptr and the function's value; leave it out "
                  "(see SurplusArgument<function, number, what was given, the value>)");
};

/// Checks one argument of a call of the function F; `Number` counts from 1.
template <auto F, std::size_t Number, class Given, class Parameter>
struct ArgumentOfCall {
    static constexpr bool is_right = std::is_convertible_v<Given, Parameter>;
    static constexpr bool is_misplaced = !is_right && is_submit_options<Given>;
    static_assert(!is_misplaced,
                  "distwork: SubmitOptions stand behind the function's arguments and before the completion token, and "
                  "here they are among the arguments: async_call<function>(arguments..., options, token) "
                  "(see ArgumentOfCall<function, number, what was given, the parameter>)");
    static_assert(is_right || is_misplaced,
                  "distwork: an argument does not convert implicitly to the function's parameter, as it would not in a "
                  "direct call: convert it where you call "
                  "(see ArgumentOfCall<function, number, what was given, the parameter>)");
};

/// Checks the result of a call, or of a work.
template <class Owner, class R>
struct ValueOf {
    static constexpr bool is_right = std::is_void_v<R> || (std::default_initializable<R> && travels<R>);
    static_assert(std::is_void_v<R> || std::default_initializable<R>,
                  "distwork: the value that comes back is not default-constructible: give its class a default "
                  "constructor, or return a std::optional or a std::unique_ptr of it (see ValueOf<whose, the value>)");
    static_assert(std::is_void_v<R> || travels<R>,
                  "distwork: the value that comes back cannot be serialized: give its class a serialize member, or one "
                  "save and one load, or include cereal's header for it, such as <cereal/types/map.hpp> "
                  "(see ValueOf<whose, the value>)");
};

/// Checks one parameter of a registered function F; `Number` counts from 1, after a Context&.
template <auto F, std::size_t Number, class P>
struct ParameterOf {
    static constexpr bool writes = std::is_lvalue_reference_v<P> && !std::is_const_v<std::remove_reference_t<P>>;
    static_assert(!std::same_as<std::remove_cvref_t<P>, Context>,
                  "distwork: a registered function takes its Context& first: make it the first parameter "
                  "(see ParameterOf<function, number, the parameter>)");
    static_assert(!writes || std::same_as<std::remove_cvref_t<P>, Context>,
                  "distwork: a registered function takes its arguments by value or const reference, for they come from "
                  "afar: return what it writes (see ParameterOf<function, number, the parameter>)");
    using Value = owned_t<P>;
    static constexpr bool is_right = std::default_initializable<Value> && travels<Value>;
    static_assert(writes || std::is_pointer_v<Value> || std::default_initializable<Value>,
                  "distwork: an argument of a registered function is not default-constructible: give its class a "
                  "default constructor, or take a std::optional or a std::unique_ptr of it "
                  "(see ParameterOf<function, number, the parameter>)");
    static_assert(writes || travels<Value>,
                  "distwork: an argument of a registered function cannot be serialized: give its class a serialize "
                  "member, or one save and one load, or include cereal's header for it, such as "
                  "<cereal/types/map.hpp>; pointers do not travel, but const char*, std::string_view and "
                  "std::span<const T> do (see ParameterOf<function, number, the parameter>)");
};

/// Checks a function that is registered or called.
template <auto F>
struct CheckedFunction {
    using Traits = traits_of<F>;
    static_assert(!std::is_member_pointer_v<decltype(F)>,
                  "distwork: a member function cannot be called from afar, for its object is not there: register a "
                  "plain function that takes what it needs (see CheckedFunction<the function>)");
    static_assert(Traits::is_function || std::is_member_pointer_v<decltype(F)>,
                  "distwork: only a plain function can be called from afar, and this is an object, such as a lambda: "
                  "write a function and name it (see CheckedFunction<the object>)");
    template <std::size_t... I>
    static constexpr bool check(std::index_sequence<I...>) {
        return (ParameterOf<F, I + 1, std::tuple_element_t<I, typename Traits::Parameters>>::is_right && ... && true) &&
               ValueOf<FunctionWork<F>, typename Traits::Result>::is_right;
    }
    static constexpr bool is_right() { return Traits::is_function && check(std::make_index_sequence<Traits::arity>{}); }
};

/// Checks a call of F: its arguments; then optional SubmitOptions, if `TakesOptions`; then an optional token.
template <auto F, bool TakesOptions, class... Given>
struct CheckedCall {
    using Traits = traits_of<F>;
    using All = std::tuple<Given...>;
    static constexpr std::size_t arity = Traits::arity;
    static constexpr std::size_t given = sizeof...(Given);
    static_assert(given >= arity,
                  "distwork: the call has too few arguments: give it as many as the function takes, for default "
                  "arguments are not known here (see CheckedCall<function, ...>)");

    template <std::size_t... I>
    static constexpr bool check_arguments(std::index_sequence<I...>) {
        return (ArgumentOfCall<F, I + 1, std::tuple_element_t<I, All>,
                               std::tuple_element_t<I, typename Traits::Parameters>>::is_right &&
                ... && true);
    }
    template <class Value>
    static constexpr bool check_rest() {
        constexpr std::size_t rest = given - arity;
        if constexpr (rest == 0) {
            return true;
        } else {
            using First = std::tuple_element_t<arity, All>;
            using Last = std::tuple_element_t<given - 1, All>;
            constexpr bool has_options = TakesOptions && is_submit_options<First>;
            constexpr bool is_misplaced = rest > 1 && is_submit_options<Last>;
            if constexpr (is_misplaced) return OptionsBehindToken<First>::is_right;
            else if constexpr (rest > (has_options ? 2 : 1))
                return SurplusArgument<F, arity + 1, First, Value, false>::is_right;
            else if constexpr (rest == 1 && has_options) return true;
            else return SurplusArgument<F, given, Last, Value>::is_right;
        }
    }
    /// `Value`: what the operation completes with.
    template <class Value = typename Traits::Result>
    static constexpr bool is_right() {
        if constexpr (!CheckedFunction<F>::is_right() || given < arity) return false;
        else return check_arguments(std::make_index_sequence<arity>{}) && check_rest<Value>();
    }
};

}  // namespace distwork::detail
