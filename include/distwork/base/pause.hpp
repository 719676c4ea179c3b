#pragma once

#include <chrono>
#include <system_error>

#include "asio.hpp"

namespace distwork::detail {

/// Until the time is over, or the timer is cancelled. Throws nothing but std::bad_alloc, before it waits.
template <class Timer>
asio::awaitable<void> pause(Timer& timer, std::chrono::nanoseconds time) {
    std::error_code cancelled;
    timer.expires_after(time);
    auto token = asio::redirect_error(asio::use_awaitable, cancelled);
    co_await timer.async_wait(token);
}

}  // namespace distwork::detail
