#pragma once

#include <chrono>
#include <system_error>

#include "asio.hpp"

namespace distwork::detail {

/// Waits until the time is over or the timer is cancelled. Throws only std::bad_alloc, and only before it waits.
template <class Timer>
asio::awaitable<void> pause(Timer& timer, std::chrono::nanoseconds time) {
    std::error_code cancelled;
    timer.expires_after(time);
    auto token = asio::redirect_error(asio::use_awaitable, cancelled);
    co_await timer.async_wait(token);
}

}  // namespace distwork::detail
