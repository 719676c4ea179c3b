#pragma once

#include <atomic>
#include <mutex>
#include <utility>

namespace distwork::detail {

/// What is left under a lock for whoever looks next, who needs no lock to see that there is nothing.
template <class T>
class Leftover {
public:
    /// Under the lock.
    T& leave() noexcept {
        any_.store(true, std::memory_order_release);
        return value_;
    }

    template <class Mutex>
    T take(Mutex& mutex) {
        if (!any_.load(std::memory_order_acquire)) return {};
        const std::lock_guard lock{mutex};
        any_.store(false, std::memory_order_relaxed);
        return std::exchange(value_, {});
    }

private:
    std::atomic<bool> any_{false};
    T value_{};
};

}  // namespace distwork::detail
