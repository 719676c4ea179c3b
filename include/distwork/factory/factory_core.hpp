#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "../base/amounts.hpp"
#include "../base/separate.hpp"
#include "../engine.hpp"
#include "../factory_options.hpp"
#include "../log.hpp"
#include "../roles/any_master.hpp"
#include "plan.hpp"

namespace distwork {

/// What a Factory has under way.
struct FactoryState {
    std::size_t queued = 0;     ///< allocations that wait for a place
    std::size_t running = 0;    ///< allocations that have one, and whose slave is not connected
    std::size_t connected = 0;  ///< allocations whose slave is connected
    std::string why_paused{};   ///< what went wrong, with the engine's own words; empty: it is not paused
};

namespace detail {

/// The implementation of a Factory: looks at its master, has a FactoryPlan decide, and asks the engine.
///
/// *Thread-safety*: all functions, but `step` and `end` are called by one thread. *Lifetime*: it does not keep the master
/// alive. The context of the master's executor must outlive it.
class FactoryCore {
public:
    /// *Errors*: throws Error (bad_option).
    FactoryCore(const std::shared_ptr<AnyMaster>& master, std::shared_ptr<Engine> engine, FactoryOptions options);

    /// One look at the master, and what follows from it. Blocks while the engine answers. Returns whether there is more to
    /// do at once.
    bool step();
    /// Cancels all allocations. Those that could not be cancelled, because the engine was unreachable, are tried again for
    /// half a minute.
    void end();

    /// Steps about once a second, until `stop`. Then ends.
    void run();
    void stop() noexcept;

    FactoryState state() const;
    void resume() noexcept;

private:
    std::vector<FactorySlave> look_at_slaves(AnyMaster& master, FactoryDemand& demand) const;
    void look_at_works(AnyMaster& master, FactoryDemand& demand) const;
    bool could_take(const Waiting& works) const;
    bool carry_out(const FactoryActions& actions, AnyMaster& master);
    void start(const FactoryActions& actions);
    void ask(const std::vector<Ticket>& tickets);
    /// Returns whether the engine has taken note.
    bool cancel(const Ticket& ticket) noexcept;
    /// Waits for a second, or until `stop`.
    bool pause();
    void note_state();

    const std::vector<std::string> labels_;  // sorted
    const Amounts amounts_;
    const Log log_;
    const std::shared_ptr<Engine> engine_;
    const std::weak_ptr<AnyMaster> master_;
    const std::shared_ptr<AnyScheduler> scheduler_;
    FactoryPlan plan_;

    mutable std::mutex mutex_;
    std::condition_variable woken_;
    // guarded by mutex_
    FactoryState state_;
    bool is_stopped_ = false;
    bool is_resumed_ = false;
};

}  // namespace detail
}  // namespace distwork

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/factory_core.ipp"
#endif
