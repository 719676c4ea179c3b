#pragma once

#include <chrono>
#include <new>
#include <system_error>

#include "asio.hpp"
#include "surely.hpp"

namespace distwork::detail {

template <class Timer>
asio::awaitable<void> wait_once_there_is_memory(Timer& timer) {
    for (;;) {
        std::error_code cancelled;
        auto token = asio::redirect_error(asio::use_awaitable, cancelled);
        try {
            co_return co_await timer.async_wait(token);
        } catch (const std::bad_alloc&) {  // thrown before it waits
            wait_for_memory();
        }
    }
}

/// Waits until the timer expires or is cancelled. Blocks while there is no memory to begin with.
template <class Timer>
asio::awaitable<void> wait(Timer& timer) noexcept {
    return surely([&timer] { return wait_once_there_is_memory(timer); });
}

/// Waits until the time is over or the timer is cancelled. Blocks while there is no memory to begin with.
template <class Timer>
asio::awaitable<void> pause(Timer& timer, std::chrono::nanoseconds time) {
    timer.expires_after(time);
    return wait(timer);
}

}  // namespace distwork::detail
