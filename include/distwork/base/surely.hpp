#pragma once

#include <chrono>
#include <new>
#include <thread>
#include <utility>

#include "asio.hpp"

// An operation that begins something may fail with std::bad_alloc. An operation that completes a call, gives a slot
// back or hands a work over must not fail: a caller would never be called back, or a slot would be lost. Such an
// operation needs some hundred bytes, and blocks until they are available.

namespace distwork::detail {

inline void wait_for_memory() noexcept {
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
}

/// Repeats an action until it does not throw std::bad_alloc. Blocks between attempts. The action must have no effect
/// when it throws, and must throw nothing else.
template <class Action>
decltype(auto) surely(Action&& action) noexcept {
    for (;;) {
        try {
            return action();
        } catch (const std::bad_alloc&) {
            wait_for_memory();
        }
    }
}

/// Posts a copy of a function that must not get lost. An executor that throws anything but std::bad_alloc accepts
/// nothing any more; the function is dropped then.
template <class Executor, class Function>
void post_surely(const Executor& executor, const Function& function) noexcept {
    surely([&] {
        try {
            asio::post(executor, Function(function));
        } catch (const std::bad_alloc&) {
            throw;
        } catch (...) {
        }
    });
}

/// The same with asio::defer: the function runs after the current one, on this thread if possible.
template <class Executor, class Function>
void defer_surely(const Executor& executor, const Function& function) noexcept {
    try {
        asio::defer(executor, Function(function));
    } catch (...) {
        post_surely(executor, function);
    }
}

}  // namespace distwork::detail
