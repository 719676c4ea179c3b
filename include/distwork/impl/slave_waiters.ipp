#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "../base/surely.hpp"
#include "../error.hpp"
#include "../roles/slave_waiters.hpp"

namespace distwork::detail {

inline void fail_waiter(SlaveWaiters::AnyWaiter& waiter, Errc reason) noexcept {
    waiter.complete(exception_of([reason] { throw Error{reason, "waiting for slaves"}; }));
}

DISTWORK_DECL void SlaveWaiters::add(const std::shared_ptr<AnyWaiter>& waiter) noexcept {
    if (ended_) fail_waiter(*waiter, Errc::stopped);
    else surely([&] { waiters_.push_back(waiter); });
}

DISTWORK_DECL void SlaveWaiters::wake(std::size_t connected,
                                      const std::function<bool(std::uint64_t)>& has_left) noexcept {
    std::erase_if(waiters_, [&](const auto& waiter) {
        if (waiter->count > connected || (waiter->socket != 0 && !has_left(waiter->socket))) return false;
        waiter->complete(nullptr);
        return true;
    });
}

DISTWORK_DECL void SlaveWaiters::cancel(const std::shared_ptr<AnyWaiter>& waiter) noexcept {
    if (std::erase(waiters_, waiter) != 0) fail_waiter(*waiter, Errc::cancelled);
}

DISTWORK_DECL void SlaveWaiters::end() noexcept {
    ended_ = true;
    for (const auto& waiter : waiters_) fail_waiter(*waiter, Errc::stopped);
    waiters_.clear();
}

}  // namespace distwork::detail
