#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "../base/visibility.hpp"

namespace distwork::detail {

/// Told, from any thread, that types were registered. Must neither block nor register.
class RegistryObserver {
public:
    virtual void types_grew() = 0;

protected:
    ~RegistryObserver() = default;
};

/// Counts what is registered in this process, and tells those who want to hear of it at once.
///
/// *Thread-safety*: all functions.
class DISTWORK_EXPORT TypeGrowth {
public:
    static TypeGrowth& instance() {
        static TypeGrowth growth;
        return growth;
    }

    /// Grows behind each registration: tables that were made after it was read have what it counts.
    std::uint64_t count() const noexcept { return count_.load(std::memory_order_acquire); }

    /// Tells it from now on.
    void observe(RegistryObserver& observer) {
        const std::lock_guard lock{mutex_};
        observers_.push_back(&observer);
    }

    /// When this returns it is not being told, and never will be.
    void forget(RegistryObserver& observer) noexcept {
        const std::lock_guard lock{mutex_};
        std::erase(observers_, &observer);
    }

    /// What throws for want of memory is made good by the next heartbeat: here, before main or in dlopen, nobody could
    /// catch it.
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
