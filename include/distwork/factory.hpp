#pragma once

#include <memory>
#include <thread>
#include <utility>

#include "engine.hpp"
#include "factory/factory_core.hpp"
#include "factory_options.hpp"
#include "master.hpp"
#include "roles/parts_of.hpp"

namespace distwork {

/// Keeps as many slaves as what waits at a master is worth: an Engine starts them on the machines that it has, they connect
/// to the master, and leave when nothing waits for them.
///
///     Factory factory{master, std::make_shared<SlurmEngine>(…), {.max = 16}};
///
/// How many, and when, are FactoryOptions. What goes wrong is told in the log; when too much went wrong, the factory
/// pauses, and says so, until `resume`.
///
/// *Thread-safety*: all functions. The engine is asked on a thread of the factory's own. *Lifetime*: the destructor
/// cancels all allocations, and blocks until the engine has taken note, for half a minute at most where it is
/// unreachable. To let works finish, stop the master first. It may outlive the master; the context of the master's
/// executor must outlive it.
class Factory {
public:
    /// *Errors*: throws Error (bad_option), std::system_error (no thread).
    template <class Selector, class Transport>
    Factory(Master<Selector, Transport>& master, std::shared_ptr<Engine> engine,
            FactoryOptions options = FactoryOptions{})
        : core_{std::make_shared<detail::FactoryCore>(detail::PartsOf::core(master), std::move(engine),
                                                      std::move(options))},
          thread_{[core = core_] { core->run(); }} {}

    /// What was moved from may only be destroyed.
    Factory(Factory&&) noexcept = default;
    Factory& operator=(Factory&&) = delete;

    ~Factory() {
        if (!core_) return;
        core_->stop();
        thread_.join();
    }

    /// What it has under way, as it was at its last look at the master, about once a second.
    FactoryState state() const { return core_->state(); }

    /// Goes on after a pause.
    void resume() noexcept { core_->resume(); }

private:
    std::shared_ptr<detail::FactoryCore> core_;
    std::thread thread_;
};

}  // namespace distwork
