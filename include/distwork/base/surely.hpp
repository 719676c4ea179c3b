#pragma once

#include <chrono>
#include <new>
#include <thread>
#include <utility>

#include "asio.hpp"

// What begins something may fail for want of memory, and says so. What completes, gives back or hands over must not: a
// caller would never be called back, or a slot would be lost. It needs some hundred bytes, and waits until there are.

namespace distwork::detail {

inline void wait_for_memory() noexcept {
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
}

/// Does something that is whole or not at all, and throws nothing but bad_alloc: again, until it succeeds.
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

/// Posts a function that must not get lost. It is copied. An executor that throws anything but bad_alloc takes nothing
/// any more.
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

/// The same for a continuation of what the thread does now: it runs after that, on this thread if that is free.
template <class Executor, class Function>
void defer_surely(const Executor& executor, const Function& function) noexcept {
    try {
        asio::defer(executor, Function(function));
    } catch (...) {
        post_surely(executor, function);
    }
}

}  // namespace distwork::detail
