#pragma once

#include <algorithm>
#include <chrono>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "../base/type_name.hpp"
#include "../error.hpp"
#include "../factory/factory_core.hpp"
#include "../group_progress.hpp"
#include "../statistics.hpp"

namespace distwork::detail {

DISTWORK_DECL FactoryCore::FactoryCore(const std::shared_ptr<AnyMaster>& master, std::shared_ptr<Engine> engine,
                                       FactoryOptions options)
    : labels_{[&] {
          auto sorted = options.labels;
          std::sort(sorted.begin(), sorted.end());
          return sorted;
      }()},
      amounts_{amount_units(options.amounts, "FactoryOptions::amounts")},
      log_{guarded(options.log, "Factory: ")},
      engine_{std::move(engine)},
      master_{master},
      scheduler_{master->scheduler()},
      plan_{std::move(options)} {
    if (!engine_) throw Error::with_text(Errc::bad_option, "a factory needs an engine");
}

DISTWORK_DECL bool FactoryCore::step() {
    const auto master = master_.lock();
    if (!master) return false;  // nothing is started for a master that is gone
    {
        const std::lock_guard lock{mutex_};
        if (std::exchange(is_resumed_, false)) plan_.resume();
    }
    FactoryDemand demand;
    const auto slaves = look_at_slaves(*master, demand);
    look_at_works(*master, demand);
    const FactoryActions actions = plan_.next(scheduler_->now(), demand, slaves);
    const bool has_answers = carry_out(actions, *master);
    note_state();
    return has_answers;
}

DISTWORK_DECL void FactoryCore::end() {
    std::vector<Ticket> left = plan_.stop();
    for (int tries = 0; !left.empty() && tries != 30; ++tries) {
        if (tries != 0) pause();
        std::erase_if(left, [this](const Ticket& ticket) { return cancel(ticket); });
    }
    if (!left.empty() && log_)
        log_(LogLevel::error, "the engine did not take note that " + left.front().id() + " and " +
                                  std::to_string(left.size() - 1) + " more are to be cancelled");
}

DISTWORK_DECL void FactoryCore::run() {
    do {
        bool is_busy = true;
        while (is_busy) {
            const auto failed = exception_of([&] { is_busy = step(); });
            if (!failed) continue;
            is_busy = false;  // no memory: it looks again
            static_cast<void>(exception_of([&] {
                if (log_) log_(LogLevel::error, what_of(failed));
            }));
        }
    } while (pause());
    static_cast<void>(exception_of([&] { end(); }));
}

DISTWORK_DECL void FactoryCore::stop() noexcept {
    const std::lock_guard lock{mutex_};
    is_stopped_ = true;
    woken_.notify_all();
}

DISTWORK_DECL FactoryState FactoryCore::state() const {
    const std::lock_guard lock{mutex_};
    return state_;
}

DISTWORK_DECL void FactoryCore::resume() noexcept {
    const std::lock_guard lock{mutex_};
    is_resumed_ = true;
    woken_.notify_all();
}

DISTWORK_DECL std::vector<FactorySlave> FactoryCore::look_at_slaves(AnyMaster& master, FactoryDemand& demand) const {
    std::vector<FactorySlave> slaves;
    master.scheduler()->enumerate_sockets([&](const SocketInformation& socket) {
        FactorySlave& slave = slaves.emplace_back();
        slave.id = socket.id;
        slave.ticket = socket.name;
        slave.slots = std::max<std::size_t>(socket.slots, 1);
        slave.busy = socket.starting ? slave.slots : slave.slots - std::min(slave.slots, socket.free_slots);
        slave.done = socket.completed + socket.failed;
        slave.is_draining = socket.draining;
    });
    for (FactorySlave& slave : slaves) {  // outside of the container's lock: the engine is the user's
        slave.ticket = engine_->ticket_of(slave.ticket);
        if (!slave.is_draining && !plan_.allocations().contains(slave.ticket)) demand.foreign_slots += slave.slots;
    }
    return slaves;
}

DISTWORK_DECL void FactoryCore::look_at_works(AnyMaster& master, FactoryDemand& demand) const {
    for (const Waiting& works : master.waiting()) {
        if (!could_take(works)) continue;
        demand.works += works.elements;
        if (works.mean_execution_time.count() == 0) demand.unknown += works.elements;
        else demand.worth += works.mean_execution_time * static_cast<std::int64_t>(works.elements);
    }
    for (const GroupProgress& group : master.scheduler()->groups().progress()) {
        const std::size_t rest = group.rest();
        demand.works += rest;
        if (const auto time = group.mean_execution_time()) demand.worth += *time * static_cast<std::int64_t>(rest);
        else demand.unknown += rest;
        if (group.has_unsized) demand.more_to_come = true;
    }
}

DISTWORK_DECL bool FactoryCore::could_take(const Waiting& works) const {
    const bool waits_for_slaves = works.reason == WaitReason::no_slave || works.reason == WaitReason::no_capable ||
                                  works.reason == WaitReason::no_credit;
    std::vector<std::string> wanted = works.labels;
    std::sort(wanted.begin(), wanted.end());
    const auto has = [&](const auto& amount) {
        const auto own = std::find_if(amounts_.begin(), amounts_.end(),
                                      [&](const auto& offered) { return offered.first == amount.first; });
        return own != amounts_.end() &&
               amount.second * static_cast<double>(amount_unit) <= static_cast<double>(own->second) + 0.5;
    };
    return waits_for_slaves && std::includes(labels_.begin(), labels_.end(), wanted.begin(), wanted.end()) &&
           std::all_of(works.amounts.begin(), works.amounts.end(), has);
}

DISTWORK_DECL bool FactoryCore::carry_out(const FactoryActions& actions, AnyMaster& master) {
    for (const auto& line : actions.log)
        if (log_) log_(line.level, line.text);
    for (const std::uint64_t id : actions.drain) master.drain(id);
    for (const Ticket& ticket : actions.cancel) cancel(ticket);
    if (actions.start != 0) start(actions);
    if (!actions.ask.empty()) ask(actions.ask);
    return actions.start != 0 || !actions.ask.empty();
}

DISTWORK_DECL void FactoryCore::start(const FactoryActions& actions) {
    try {
        if (actions.is_dry_run) engine_->dry_run(actions.start), plan_.would_start();
        else plan_.started(scheduler_->now(), engine_->start(actions.start));
    } catch (const EngineUnreachable& error) {
        plan_.start_unreachable(scheduler_->now(), error.what());
    } catch (const std::exception& error) {
        plan_.refused(scheduler_->now(), error.what());
    } catch (...) {
        plan_.refused(scheduler_->now(), "the engine threw something that is no std::exception");
    }
}

DISTWORK_DECL void FactoryCore::ask(const std::vector<Ticket>& tickets) {
    std::vector<TicketStatus> answer;
    const auto failed = exception_of([&] { answer = engine_->status(tickets); });
    if (failed) plan_.status_unreachable(scheduler_->now(), what_of(failed));
    else plan_.told(scheduler_->now(), answer);
}

DISTWORK_DECL bool FactoryCore::cancel(const Ticket& ticket) noexcept {
    return !exception_of([&] { engine_->cancel(ticket); });
}

DISTWORK_DECL bool FactoryCore::pause() {
    std::unique_lock lock{mutex_};
    const bool was_stopped = is_stopped_;
    woken_.wait_for(lock, std::chrono::seconds{1}, [&] { return is_stopped_ != was_stopped || is_resumed_; });
    return !is_stopped_;
}

DISTWORK_DECL void FactoryCore::note_state() {
    FactoryState now;
    for (const auto& [ticket, allocation] : plan_.allocations())
        ++(allocation.is_connected() ? now.connected : allocation.is_queued() ? now.queued : now.running);
    if (plan_.is_paused()) now.why_paused = plan_.why_paused();
    const std::lock_guard lock{mutex_};
    state_ = std::move(now);
}

}  // namespace distwork::detail
