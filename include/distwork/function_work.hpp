#pragma once

#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "types/function_traits.hpp"
#include "work.hpp"

namespace distwork {

/// A call of the plain function `F` as a work: its arguments travel, its value comes back. Made by `async_call<F>`;
/// registered by DISTWORK_REGISTER_FUNCTION.
///
/// The function may take a `Context&` first, the peer that called it, and may be a coroutine, which returns
/// `asio::awaitable<R>`. What its parameters refer to lives until it returns, of a coroutine until that has ended.
template <auto F>
class FunctionWork final : public detail::FunctionBase<F> {
    using Traits = detail::traits_of<F>;
    using Result = typename Traits::Result;

public:
    /// What travels: a tuple of values that own what the parameters refer to.
    using Arguments = typename Traits::Arguments;

    /// The function as its source spells it, with its namespaces.
    static constexpr std::string_view function_name() noexcept { return detail::function_name<F>(); }

    FunctionWork() = default;
    /// A call with these arguments.
    explicit FunctionWork(Arguments arguments) : arguments_{std::move(arguments)} {}

    /// Calls the function, at the other end.
    std::conditional_t<Traits::is_coroutine, asio::awaitable<Result>, Result> execute_work(Context& peer) override {
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            if constexpr (Traits::takes_context) return call(peer, pass<I>()...);
            else return call(pass<I>()...);
        }
        (std::make_index_sequence<Traits::arity>{});
    }

    /// For cereal: the arguments.
    template <class Archive>
    void serialize(Archive& archive) {
        archive(arguments_);
    }

private:
    template <std::size_t I>
    decltype(auto) pass() {
        return detail::pass<std::tuple_element_t<I, typename Traits::Parameters>>(std::get<I>(arguments_));
    }

    template <class... Values>
    static auto call(Values&&... values) {
        if constexpr (Traits::is_coroutine || std::is_void_v<Result>) return F(std::forward<Values>(values)...);
        else return Result(F(std::forward<Values>(values)...));  // owns what the function's value refers to
    }

    Arguments arguments_;
};

}  // namespace distwork
