#pragma once

#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

#include "../base/asio.hpp"
#include "../base/completion.hpp"
#include "../base/surely.hpp"
#include "../error.hpp"

namespace distwork::detail {

/// Whether a value of this class may throw when it is made or moved, which Asio does under a `co_await` where nothing may
/// throw: its caller is given a pointer to it, and unpacks that behind.
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
/// What a call that completes with `R` gives the handler of such a token.
template <class Token, class R>
using delivered_t = typename DeliveredAs<Token, R>::type;

template <class R, class Executor>
asio::awaitable<R, Executor> unbox(asio::awaitable<std::shared_ptr<R>, Executor> call) {
    const std::shared_ptr<R> box = co_await std::move(call);
    co_return std::move(*box);
}

/// Begins a call that completes with `R`; `initiation` is given the handler, of delivered_t<Token, R>, and the arguments.
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

/// Has an operation begin that has a handler: what `begin(handler)` throws before it took that is what the handler is
/// called with.
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
