#pragma once

#include "../base/requirements.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "../engine.hpp"
#include "../factory_options.hpp"
#include "../log_level.hpp"
#include "allocations.hpp"
#include "slot_demand.hpp"
#include "start_limits.hpp"

namespace distwork::detail {

/// What a factory is to do now.
struct FactoryActions {
    struct Line {
        LogLevel level;
        std::string text;
    };

    std::size_t start = 0;               ///< allocations that the engine is to start; 0: none
    bool is_dry_run = false;             ///< it is only to be asked whether it would start them
    std::vector<Ticket> ask{};           ///< the engine's status of these; empty: it is not to be asked
    std::vector<Ticket> cancel{};        ///< the engine is to end these; nobody needs to know whether it did
    std::vector<std::uint64_t> drain{};  ///< ids of the slaves that are to be let go
    std::vector<Line> log{};
};

/// Decides for a factory what to ask of its engine, and which slaves to let go. No I/O, no clock.
///
/// `next` is called about once a second, and after each answer. What it returns is carried out: each `start` is answered
/// by one call of `started`, `would_start`, `refused` or `start_unreachable`, and each `ask` by one of `told` or
/// `status_unreachable`, in any order and however late.
///
/// Invariants: there are at most `max` allocations, and at most `most_queued` queued ones, as far as can be known: one
/// counts from the request until it is over. More come only of an engine that starts more than it was asked for, or that
/// said of others that they were over, and they were not. There is one request to start at a time, and one question. Each ticket
/// that comes after `stop` is cancelled.
///
/// *Thread-safety*: used by one thread at a time.
class FactoryPlan {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// *Errors*: throws Error (bad_option).
    explicit FactoryPlan(FactoryOptions options)
        : options_{checked(std::move(options))}, demand_{options_}, limits_{options_}, allocations_{options_} {}

    FactoryActions next(TimePoint now, const FactoryDemand& demand, const std::vector<FactorySlave>& slaves) {
        FactoryActions actions;
        if (!is_stopped_) {
            look_at(now, slaves);
            cancel_what_stays_alone(now);
            cancel_excess(now, demand);
            let_go(now, demand, actions);
            start(now, demand, actions);
        }
        ask(now, actions);
        actions.cancel = allocations_.to_cancel();
        actions.log.swap(log_);
        return actions;
    }

    // The engine's answers to a request to start.

    void started(TimePoint now, const std::vector<Ticket>& tickets) {
        if (tickets.empty()) return refused(now, "it started nothing, and did not say why");
        starting_ = 0;
        answered();
        limits_.accepted();
        for (const Ticket& ticket : tickets) {
            Allocation* const allocation = allocations_.add(ticket);
            if (!allocation) say(LogLevel::warning, "the engine gave the ticket " + ticket.id() + " twice");
            else if (is_stopped_ && !DISTWORK_PLANTED(forget_what_starts_late)) allocation->cancel();
        }
    }

    /// To a dry run: it would start them.
    void would_start() {
        starting_ = 0;
        answered();
        is_tried_ = true;
    }

    /// Also to a dry run. `text`: the engine's own words.
    void refused(TimePoint now, std::string_view text) {
        starting_ = 0;
        answered();
        std::string said = limits_.refused(now, text);
        say(limits_.is_paused() ? LogLevel::error : LogLevel::warning, std::move(said));
    }

    /// Also to a dry run.
    void start_unreachable(TimePoint now, std::string_view text) {
        if (DISTWORK_PLANTED(blame_the_unreachable)) return refused(now, text);
        starting_ = 0;
        unreachable(now, text);
    }

    // The engine's answers to a question.

    void told(TimePoint now, const std::vector<TicketStatus>& answer) {
        is_asking_ = false;
        answered();
        for (const Allocations::Ended& ended : allocations_.told(now, answer)) note(ended);
    }

    void status_unreachable(TimePoint now, std::string_view text) {
        is_asking_ = false;
        unreachable(now, text);
    }

    /// Nothing is started until `resume`, because too much went wrong.
    bool is_paused() const noexcept { return limits_.is_paused(); }
    /// What went wrong, with the engine's own words. Empty: it is not paused.
    const std::string& why_paused() const noexcept { return limits_.why_paused(); }
    void resume() noexcept { limits_.resume(); }

    /// Nothing is started any more. Returns all tickets, which are to be cancelled. `next` goes on to cancel until the
    /// engine has said that they are over.
    std::vector<Ticket> stop() {
        is_stopped_ = true;
        allocations_.give_up();
        return allocations_.to_cancel();
    }

    /// It was stopped, and no allocation is left.
    bool is_over() const noexcept { return is_stopped_ && starting_ == 0 && allocations_.all().empty(); }
    /// The allocations that are not over.
    const Allocations::Table& allocations() const noexcept { return allocations_.all(); }

private:
    void look_at(TimePoint now, const std::vector<FactorySlave>& slaves) {
        const Allocations::Change change = allocations_.look_at(now, slaves);
        if (change.joined != 0) limits_.connected();
        if (change.lost != 0) ask_after_ = std::min(ask_after_, asked_ + options_.ask_every / 10);
    }

    void cancel_what_stays_alone(TimePoint now) {
        if (DISTWORK_PLANTED(wait_for_the_silent)) return;
        for (auto& [ticket, allocation] : allocations_.all()) {
            if (allocation.is_unwanted || !allocation.alone_since) continue;
            if (now - *allocation.alone_since < options_.connect_within) continue;
            allocation.cancel();
            std::string said = "allocation " + ticket + " ran for " + in_words(options_.connect_within) +
                               " without a connected slave, and is cancelled";
            if (allocation.had_slave) say(LogLevel::warning, std::move(said));
            else ended_early(std::move(said));
        }
    }

    /// Cancels queued allocations, the latest first, if there was no work for them for idle_after.
    void cancel_excess(TimePoint now, const FactoryDemand& demand) {
        const Allocations::Counts counts = allocations_.counts();
        const std::size_t useful = std::max(SlotDemand::most_useful(demand, 0, allocations_.slots_of_a_slave()),
                                            minus_at_most(options_.min, counts.connected));
        std::size_t excess = minus_at_most(counts.counting - counts.connected, useful);
        if (excess == 0) excess_since_.reset();
        else if (!excess_since_) excess_since_ = now;
        if (excess == 0 || now - *excess_since_ < options_.idle_after) return;
        while (excess-- != 0) {
            Allocations::Table::value_type* latest = nullptr;
            for (auto& entry : allocations_.all())
                if (entry.second.is_queued() && entry.second.counts() &&
                    (!latest || entry.second.number > latest->second.number))
                    latest = &entry;
            if (!latest) return;
            latest->second.cancel();
            say(LogLevel::info, "allocation " + latest->first + " is still queued, and not needed: it is cancelled");
        }
    }

    /// Lets slaves go that have been idle for idle_after, the longest idle first. `min` of them stay; and one stays while
    /// something waits that it is not sent, else another would be started for it.
    void let_go(TimePoint now, const FactoryDemand& demand, FactoryActions& actions) {
        std::vector<std::pair<TimePoint, Allocations::Table::value_type*>> idle;
        for (auto& entry : allocations_.all()) {
            const Allocation& allocation = entry.second;
            if (!allocation.is_connected() || allocation.is_leaving) continue;
            if (allocation.is_unwanted) drain(entry, actions);
            else if (allocation.slaves.busy == 0 && now - *allocation.idle_since >= options_.idle_after)
                idle.emplace_back(*allocation.idle_since, &entry);
        }
        const std::size_t stay = std::max<std::size_t>(options_.min, demand.works == 0 ? 0 : 1);
        const std::size_t leave = std::min(
            idle.size(),
            minus_at_most(allocations_.counts().connected, DISTWORK_PLANTED(drain_below_the_least) ? 0 : stay));
        std::sort(idle.begin(), idle.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
        idle.resize(leave);
        for (const auto& [since, entry] : idle) {
            drain(*entry, actions);
            say(LogLevel::info, "the slave of allocation " + entry->first + " had no work for " +
                                    in_words(options_.idle_after) + ", and leaves");
        }
    }

    static void drain(Allocations::Table::value_type& entry, FactoryActions& actions) {
        Allocation& allocation = entry.second;
        actions.drain.insert(actions.drain.end(), allocation.slaves.ids.begin(), allocation.slaves.ids.end());
        allocation.is_let_go = allocation.is_leaving = true;
    }

    void start(TimePoint now, const FactoryDemand& demand, FactoryActions& actions) {
        const Allocations::Counts counts = allocations_.counts();
        const std::size_t missing = demand_.missing(now, demand, counts.slots, allocations_.slots_of_a_slave());
        if (starting_ != 0 || now < reach_after_) return;
        std::size_t most = limits_.room(now);
        if (!DISTWORK_PLANTED(exceed_the_most))
            most = std::min(most, minus_at_most(limits_.most_allocations(), allocations_.all().size()));
        if (!DISTWORK_PLANTED(flood_the_queue))
            most = std::min(most, minus_at_most(options_.most_queued, counts.queued));
        starting_ = std::min(most, std::max(missing, minus_at_most(options_.min, counts.counting)));
        if (starting_ == 0) return;
        actions.start = starting_;
        actions.is_dry_run = !is_tried_ && !DISTWORK_PLANTED(skip_the_dry_run);
        if (actions.is_dry_run) return;
        limits_.asked(now, starting_);
        say(LogLevel::info, "asks the engine for " + std::to_string(starting_) +
                                (starting_ == 1 ? " slave: " : " slaves: ") + std::to_string(demand.works) +
                                " works wait");
    }

    void ask(TimePoint now, FactoryActions& actions) {
        if (is_asking_ || now < ask_after_ || now < reach_after_) return;
        actions.ask = allocations_.question();
        if (actions.ask.empty()) return;
        is_asking_ = true;
        asked_ = now;
        ask_after_ = now + options_.ask_every;
    }

    void note(const Allocations::Ended& ended) {
        const Allocation& allocation = ended.allocation;
        if (allocation.is_unwanted && !DISTWORK_PLANTED(blame_the_cancelled)) return;
        std::string said = "allocation " + ended.ticket;
        switch (ended.state) {
            case TicketState::failed: said += " failed"; break;
            case TicketState::unknown: said += " is over, since the engine no longer knows it"; break;
            default: said += " ended"; break;
        }
        if (!allocation.had_slave) said += " before its slave was connected";
        if (ended.state == TicketState::failed) said += ": " + in_quotes(ended.text);
        if (!allocation.had_slave) return ended_early(std::move(said));
        say(ended.state == TicketState::failed ? LogLevel::warning : LogLevel::info, std::move(said));
    }

    void ended_early(std::string said) {
        said = limits_.ended_early(std::move(said));
        say(limits_.is_paused() ? LogLevel::error : LogLevel::warning, std::move(said));
    }

    void unreachable(TimePoint now, std::string_view text) {
        reach_after_ = now + options_.ask_every;
        if (std::exchange(is_unreachable_, true)) return;
        say(LogLevel::warning, "the engine cannot be reached: " + in_quotes(text) + "; it is tried again every " +
                                   in_words(options_.ask_every));
    }

    void answered() {
        if (std::exchange(is_unreachable_, false)) say(LogLevel::info, "the engine answers again");
    }

    void say(LogLevel level, std::string text) { log_.push_back({level, std::move(text)}); }

    const FactoryOptions options_;
    SlotDemand demand_;
    StartLimits limits_;
    Allocations allocations_;
    std::size_t starting_ = 0;  // asked for, also by a dry run, and not answered
    bool is_tried_ = false;     // a dry run succeeded
    bool is_asking_ = false;
    bool is_unreachable_ = false;
    bool is_stopped_ = false;
    TimePoint asked_ = TimePoint::min();  // the last question
    TimePoint ask_after_ = TimePoint::min();
    TimePoint reach_after_ = TimePoint::min();  // the engine was unreachable
    std::optional<TimePoint> excess_since_;     // there has been no work for some of the queued allocations
    std::vector<FactoryActions::Line> log_;
};

}  // namespace distwork::detail
