#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "../base/separate.hpp"
#include "../wire/shared_body.hpp"
#include "../work.hpp"
#include "any_scheduler.hpp"

namespace distwork::detail {

/// The works that each slave of a master executes before all others, one after the other: also slaves that connect
/// later, and those that connect again. A slave on which one of them fails is told to leave.
///
/// *Thread-safety*: all functions. *Lifetime*: shared by the master's sessions and by these works.
class StartWorks : public std::enable_shared_from_this<StartWorks> {
public:
    /// One work for all slaves.
    struct Item {
        std::shared_ptr<const IWork> work;
        SharedBody body;
    };
    /// What is done with the slave of a socket. `hold` and `release` are called with a lock, so that the last one counts.
    struct Actions {
        std::function<void(std::uint64_t)> hold;                             ///< it gets start works only
        std::function<void(std::uint64_t)> release;                          ///< all were executed
        std::function<void()> notice;                                        ///< called after them, without a lock
        std::function<void(std::uint64_t, const std::exception_ptr&)> fail;  ///< one of them failed
    };

    StartWorks(std::shared_ptr<AnyScheduler> scheduler, Actions actions)
        : scheduler_{std::move(scheduler)}, actions_{std::move(actions)} {}

    /// Adds a work, also for slaves that are connected. *Errors*: Error (too_large, shared_pointer, foreign_type),
    /// std::bad_alloc, and what its serialization throws.
    void add(std::shared_ptr<const IWork> work);

    /// A slave has connected, and is held. `ready` is called when all works were executed for the first time. *Errors*:
    /// std::bad_alloc.
    void begin(std::uint64_t socket, std::function<void()> ready);
    /// It has left.
    void forget(std::uint64_t socket) noexcept;

private:
    friend class StartSubmission;

    struct Slave {
        std::size_t done = 0;  // of items_
        bool is_busy = true;
        std::function<void()> ready;
    };

    /// Submits the next work for a slave that is busy, or releases it.
    void go_on(std::uint64_t socket) noexcept;
    void ended(std::uint64_t socket, const std::exception_ptr& error) noexcept;

    const std::shared_ptr<AnyScheduler> scheduler_;
    const Actions actions_;

    std::mutex mutex_;
    // guarded by mutex_
    std::vector<std::shared_ptr<const Item>> items_;
    std::map<std::uint64_t, Slave> slaves_;  // by socket
};

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/start_works.ipp"
#endif
