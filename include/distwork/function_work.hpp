#pragma once

#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "types/function_traits.hpp"
#include "work.hpp"

namespace distwork {

/// A call of the plain function `F` as a work: its arguments are sent, and its value is sent back. Made by
/// `async_call<F>`; registered by DISTWORK_REGISTER_FUNCTION.
///
/// The function may take a `Context&`, the peer that called it, as its first parameter. It may be a coroutine that
/// returns `asio::awaitable<R>`. The objects that its parameters refer to live until the function returns, or the
/// coroutine ends.
template <auto F>
class FunctionWork final : public detail::FunctionBase<F> {
    using Traits = detail::traits_of<F>;
    using Result = typename Traits::Result;

public:
    /// The arguments as they are sent: a tuple of values. A parameter that is a view or a reference refers to such a
    /// value.
    using Arguments = typename Traits::Arguments;

    /// The function's name as the source spells it, with its namespaces.
    static constexpr std::string_view function_name() noexcept { return detail::function_name<F>(); }

    FunctionWork() = default;
    /// A call with these arguments.
    explicit FunctionWork(Arguments arguments) : arguments_{std::move(arguments)} {}

    /// Calls the function, at the receiver.
    std::conditional_t<Traits::is_coroutine, asio::awaitable<Result>, Result> execute_work(Context& peer) override {
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            if constexpr (Traits::takes_context) return call(peer, pass<I>()...);
            else return call(pass<I>()...);
        }
        (std::make_index_sequence<Traits::arity>{});
    }

    /// Serializes the arguments, for cereal.
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
