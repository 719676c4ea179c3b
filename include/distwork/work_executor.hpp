#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <utility>

#include "base/asio.hpp"

namespace distwork {

/// Where a role executes works: threads of its own, the host's executor, or, on a slave, in its I/O loop.
class WorkExecutor {
public:
    /// A pool of the role's own: a thread for each slot, at most 64, or as many as said.
    static WorkExecutor own_pool(std::size_t threads = 0) { return WorkExecutor{{}, Kind::own_pool, threads}; }

    /// In the thread that reads the work, one after the other: the least latency for works of microseconds. While one is
    /// executed nothing is read: no heartbeat is answered, and works that wait behind it cannot be recalled. Slaves only.
    static WorkExecutor in_place() { return WorkExecutor{{}, Kind::in_place, 0}; }

    /// The host's own executor, of any type that asio::any_io_executor holds: of a pool, a context, a strand of them. Its
    /// context must outlive the role and is not stopped by it.
    template <std::convertible_to<asio::any_io_executor> Executor>
    WorkExecutor(Executor executor) : WorkExecutor{asio::any_io_executor{std::move(executor)}, Kind::host, 0} {}

    bool is_own_pool() const noexcept { return kind_ == Kind::own_pool; }  ///< made by own_pool
    bool is_in_place() const noexcept { return kind_ == Kind::in_place; }  ///< made by in_place
    /// Threads of an own pool for that many slots.
    std::size_t threads_for(std::size_t slots) const noexcept {
        return threads_ ? threads_ : std::min<std::size_t>(slots, 64);
    }
    /// Works that are of use at a time, where `processors` is how many the process has.
    std::size_t slots_for(std::size_t processors) const noexcept {
        if (is_in_place()) return 1;
        return threads_ ? threads_ : processors;
    }
    /// The host's; else empty.
    const asio::any_io_executor& executor() const noexcept { return executor_; }

private:
    enum class Kind { own_pool, in_place, host };

    WorkExecutor(asio::any_io_executor executor, Kind kind, std::size_t threads)
        : executor_{std::move(executor)}, kind_{kind}, threads_{threads} {}

    asio::any_io_executor executor_;
    Kind kind_;
    std::size_t threads_;
};

}  // namespace distwork
