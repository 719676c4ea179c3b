#pragma once

#include <cstddef>
#include <tuple>
#include <utility>

#include "../function_work.hpp"
#include "call_check.hpp"

namespace distwork::detail {

/// Makes the FunctionWork of a call: `rest` is the function's arguments, then options and a token, if there are any.
/// Passes the work, the options and the token to `initiate`, and returns its result. `Value`: what it completes with.
template <auto F, bool TakesOptions, class Value = typename traits_of<F>::Result, class Initiate, class... Rest>
auto call_function(Initiate&& initiate, Rest&&... rest) {
    if constexpr (CheckedCall<F, TakesOptions, Rest...>::template is_right<Value>()) {
        constexpr std::size_t arity = traits_of<F>::arity;
        using Parameters = typename traits_of<F>::Parameters;
        auto all = std::forward_as_tuple(std::forward<Rest>(rest)...);
        return [&]<std::size_t... A, std::size_t... T>(std::index_sequence<A...>, std::index_sequence<T...>) {
            using Arguments = typename FunctionWork<F>::Arguments;
            FunctionWork<F> work{Arguments(own<std::tuple_element_t<A, Parameters>>(std::get<A>(std::move(all)))...)};
            return initiate(std::move(work), std::get<arity + T>(std::move(all))...);
        }
        (std::make_index_sequence<arity>{}, std::make_index_sequence<sizeof...(Rest) - arity>{});
    }
}

}  // namespace distwork::detail
