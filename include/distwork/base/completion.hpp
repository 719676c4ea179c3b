#pragma once

#include <memory>
#include <tuple>
#include <utility>

#include "asio.hpp"
#include "surely.hpp"

namespace distwork::detail {

/// A handler that is to be called later, on its own executor. Until then it keeps the executor's context busy.
template <class Handler>
class Completion {
public:
    Completion(Handler handler, const asio::any_io_executor& fallback)
        : handler_{std::move(handler)}, busy_{asio::get_associated_executor(handler_, fallback)} {}

    /// Posts the call of the handler. Call it only once.
    template <class... Values>
    void post(Values... values) noexcept {
        const auto executor = busy_.get_executor();
        using Posted = Call<Values...>;
        std::tuple<Values...> given{std::move(values)...};
        const auto call =
            surely([&] { return std::make_shared<Posted>(std::move(handler_), std::move(busy_), std::move(given)); });
        post_surely(executor, [call] {
            Posted here{std::move(*call)};  // frees the memory of `call` before the handler runs
            auto& [handler, busy, with] = here;
            if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) slot.clear();
            std::apply(std::move(handler), std::move(with));
        });
    }

    auto slot() const { return asio::get_associated_cancellation_slot(handler_); }

private:
    using Busy = asio::executor_work_guard<asio::associated_executor_t<Handler, asio::any_io_executor>>;
    template <class... Values>
    struct Call {
        Call(Handler&& h, Busy&& b, std::tuple<Values...>&& v) noexcept
            : handler{std::move(h)}, busy{std::move(b)}, values{std::move(v)} {}
        Handler handler;
        Busy busy;
        std::tuple<Values...> values;
    };

    Handler handler_;
    Busy busy_;
};

/// Calls `cancel` when the caller emits a cancellation signal of any type. `cancel` must only post.
template <class Slot, class Cancel>
void cancel_through(Slot slot, Cancel cancel) noexcept {
    if (!slot.is_connected()) return;
    surely([&] {
        slot.assign([cancel](asio::cancellation_type type) {
            if (type != asio::cancellation_type::none) cancel();
        });
    });
}

}  // namespace distwork::detail
