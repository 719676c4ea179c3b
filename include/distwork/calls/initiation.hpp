#pragma once

#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

#include "../base/asio.hpp"
#include "../base/completion.hpp"
#include "../base/surely.hpp"
#include "../error.hpp"
#include "call_check.hpp"

namespace distwork::detail {

/// Whether the result of a call is passed to the handler by pointer. Under a `co_await`, Asio default-constructs and
/// moves the result where nothing may throw. If R may throw there, the handler gets a std::shared_ptr, and `unbox`
/// moves the value out of it afterwards.
template <class Token, class R>
inline constexpr bool needs_box = false;
template <class Executor, class R>
requires(!std::is_void_v<R>) inline constexpr bool needs_box<asio::use_awaitable_t<Executor>, R> =
    !std::is_nothrow_default_constructible_v<R> || !std::is_nothrow_move_constructible_v<R>;

template <class Token, class R>
struct DeliveredAs {
    using type = R;
};
template <class Token, class R>
requires(needs_box<std::remove_cvref_t<Token>, R>) struct DeliveredAs<Token, R> {
    using type = std::shared_ptr<R>;
};
/// The type that the handler of such a token gets for a result of type R.
template <class Token, class R>
using delivered_t = typename DeliveredAs<Token, R>::type;

template <class R, class Executor>
asio::awaitable<R, Executor> unbox(asio::awaitable<std::shared_ptr<R>, Executor> call) {
    const std::shared_ptr<R> box = co_await std::move(call);
    co_return std::move(*box);
}

/// Begins a call with result R. `initiation` is called with the handler, which takes a delivered_t<Token, R>, and the
/// arguments.
template <class R, class Token, class Initiation, class... Arguments>
auto initiate_call(Initiation initiation, Token& token, Arguments&&... arguments) {
    using Delivered = delivered_t<Token, R>;
    const auto initiate = [&] {
        return asio::async_initiate<Token, signature_t<Delivered>>(std::move(initiation), token,
                                                                   std::forward<Arguments>(arguments)...);
    };
    if constexpr (std::same_as<R, Delivered>) return initiate();
    else return unbox<R>(initiate());
}

/// Begins an operation by `begin(handler)`. If that throws, it has not taken the handler, and the exception is posted
/// to the handler.
template <class Delivered, class Handler, class Begin>
void begin_or_fail(Handler& handler, const asio::any_io_executor& default_executor, Begin begin) {
    auto error = exception_of([&] { begin(handler); });
    if (!error) return;
    if constexpr (std::is_void_v<Delivered>) {
        Completion<Handler>{std::move(handler), default_executor}.post(std::move(error));
    } else {
        auto value = surely([] { return Delivered{}; });
        Completion<Handler>{std::move(handler), default_executor}.post(std::move(error), std::move(value));
    }
}

}  // namespace distwork::detail
