#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <utility>

#include "base/asio.hpp"

namespace distwork {

/// Where a role executes works: on threads of its own, on an executor of the application, or in a slave's I/O loop.
class WorkExecutor {
public:
    /// A pool of the role's own with `threads` threads; 0: one for each slot, at most 64.
    static WorkExecutor own_pool(std::size_t threads = 0) { return WorkExecutor{{}, Kind::own_pool, threads}; }

    /// Executes works one after the other in the thread that reads them: the lowest latency for works of microseconds.
    /// While a work runs nothing is read: no heartbeat is answered, and works behind it cannot be recalled. Slaves
    /// only; a master throws Errc::bad_option.
    static WorkExecutor in_place() { return WorkExecutor{{}, Kind::in_place, 0}; }

    /// An executor of the application, of any type that asio::any_io_executor holds. Its context must outlive the role,
    /// and is not stopped by it.
    template <std::convertible_to<asio::any_io_executor> Executor>
    WorkExecutor(Executor executor)
        : WorkExecutor{asio::any_io_executor{std::move(executor)}, Kind::of_application, 0} {}

    bool is_own_pool() const noexcept { return kind_ == Kind::own_pool; }  ///< whether own_pool made it
    bool is_in_place() const noexcept { return kind_ == Kind::in_place; }  ///< whether in_place made it
    /// The number of threads of an own pool for so many slots.
    std::size_t threads_for(std::size_t slots) const noexcept {
        return threads_ ? threads_ : std::min<std::size_t>(slots, 64);
    }
    /// The default number of slots, if the process may use so many processors.
    std::size_t slots_for(std::size_t processors) const noexcept {
        if (is_in_place()) return 1;
        return threads_ ? threads_ : processors;
    }
    /// The application's executor; empty if there is none.
    const asio::any_io_executor& executor() const noexcept { return executor_; }

private:
    enum class Kind { own_pool, in_place, of_application };

    WorkExecutor(asio::any_io_executor executor, Kind kind, std::size_t threads)
        : executor_{std::move(executor)}, kind_{kind}, threads_{threads} {}

    asio::any_io_executor executor_;
    Kind kind_;
    std::size_t threads_;
};

}  // namespace distwork
