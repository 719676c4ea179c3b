#pragma once

#include <optional>
#include <tuple>
#include <utility>

#include "asio.hpp"

namespace distwork::detail {

/// A handler that will be called later on its own executor, whose context is kept busy until then.
template <class Handler>
class Completion {
public:
    Completion(Handler handler, const asio::any_io_executor& fallback)
        : handler_{std::move(handler)}, busy_{asio::get_associated_executor(handler_, fallback)} {}

    /// Posts the call. Once only.
    template <class... Values>
    void post(Values... values) {
        const auto executor = busy_.get_executor();
        asio::post(executor, [handler = std::move(handler_), busy = std::move(busy_),
                              values = std::make_tuple(std::move(values)...)]() mutable {
            if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) slot.clear();
            std::apply(std::move(handler), std::move(values));
        });
    }

    auto slot() const { return asio::get_associated_cancellation_slot(handler_); }

private:
    Handler handler_;
    asio::executor_work_guard<asio::associated_executor_t<Handler, asio::any_io_executor>> busy_;
};

}  // namespace distwork::detail
