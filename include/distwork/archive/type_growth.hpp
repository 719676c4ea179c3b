#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "../base/visibility.hpp"

namespace distwork::detail {

/// Is called, from any thread, when types were registered. The function must neither block nor register a type.
class RegistryObserver {
public:
    virtual void types_grew() = 0;

protected:
    ~RegistryObserver() = default;
};

/// Counts the registrations in this process, and notifies observers of each at once.
///
/// *Thread-safety*: all functions.
class DISTWORK_EXPORT TypeGrowth {
public:
    static TypeGrowth& instance() {
        static TypeGrowth growth;
        return growth;
    }

    /// The number of registrations. It grows after each registration: a table that is made after reading `count`
    /// contains everything counted.
    std::uint64_t count() const noexcept { return count_.load(std::memory_order_acquire); }

    /// Notifies `observer` from now on.
    void observe(RegistryObserver& observer) {
        const std::lock_guard lock{mutex_};
        observers_.push_back(&observer);
    }

    /// Ends the notifications. When this returns, `observer` is not being called, and will not be called again. Blocks
    /// while a notification is under way.
    void forget(RegistryObserver& observer) noexcept {
        const std::lock_guard lock{mutex_};
        std::erase(observers_, &observer);
    }

    /// Counts a registration and notifies the observers. Exceptions are ignored: this runs before main or in dlopen,
    /// where nobody could catch them. An observer that failed for lack of memory catches up at the next heartbeat.
    void note() noexcept {
        count_.fetch_add(1, std::memory_order_release);
        const std::lock_guard lock{mutex_};
        for (RegistryObserver* const observer : observers_) {
            try {
                observer->types_grew();
            } catch (...) {
            }
        }
    }

private:
    TypeGrowth() = default;

    std::atomic<std::uint64_t> count_{0};
    std::mutex mutex_;
    // guarded by mutex_
    std::vector<RegistryObserver*> observers_;
};

}  // namespace distwork::detail
