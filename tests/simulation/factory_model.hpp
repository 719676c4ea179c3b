#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "simulation/lying_engine.hpp"

namespace factory_storm {

/// The rules of a factory once more, written down as simply as possible: it sees all that the plan sees, and says what is
/// wrong about what the plan does.
class FactoryModel {
public:
    FactoryModel(const FactoryOptions& options, std::size_t slots) : options_{options}, slots_{slots} {}

    struct Known {
        bool is_queued = true;
        std::size_t unknown = 0;
        bool had_slave = false;
        bool is_unwanted = false;
        bool is_connected = false;
        bool is_leaving = false;
        std::uint64_t slave = 0;
        bool is_let_go = false;
        std::optional<TimePoint> alone_since{};
    };

    std::map<std::string, Known> known;
    bool is_paused = false;
    std::map<std::string, std::size_t> reached;  // how often what happened
    std::string wrong;                           // the first thing

    void would_start() { is_tried_ = true; }
    void started(const std::vector<Ticket>& tickets) {
        refusals_ = 0;
        for (const Ticket& ticket : tickets) known[ticket.id()].is_unwanted = is_stopped_;
        if (is_stopped_ && !tickets.empty()) ++reached["started after the stop"];
    }
    void refused(TimePoint now) {
        const auto& pauses = options_.refusal_pauses;
        not_before_ = now + pauses[std::min(refusals_, pauses.size() - 1)];
        if (++refusals_ >= options_.most_refusals) pause("paused by refusals");
    }
    void unreachable(TimePoint now) {
        ++reached["unreachable"];
        reach_after_ = now + options_.ask_every;
    }
    void resume() {
        is_paused = false;
        refusals_ = early_ends_ = 0;
        not_before_ = TimePoint::min();
    }
    void stop() {
        is_stopped_ = true;
        for (auto& [ticket, it] : known) {
            it.is_connected = false;
            it.is_unwanted = true;
        }
    }

    void told(TimePoint now, const std::vector<Ticket>& asked, const std::vector<TicketStatus>& answer) {
        for (const Ticket& ticket : asked) {
            const auto found = known.find(ticket.id());
            if (found == known.end()) continue;
            Known& it = found->second;
            if (it.is_connected) {
                ++reached["told of a connected one"];
                continue;
            }
            TicketState state = TicketState::unknown;
            for (const TicketStatus& status : answer)
                if (status.ticket == ticket) state = status.state;
            bool is_over = state == TicketState::ended || state == TicketState::failed;
            if (state == TicketState::unknown) {
                is_over = ++it.unknown >= (it.is_queued ? options_.forgotten_queued : options_.forgotten_running);
                if (is_over) ++reached[it.is_queued ? "forgotten, queued" : "forgotten, running"];
            } else {
                it.unknown = 0;
                it.is_queued = state == TicketState::queued;
                if (it.is_queued) it.alone_since.reset();
                else if (!it.alone_since) it.alone_since = now;
            }
            if (!is_over) continue;
            if (!it.had_slave && !it.is_unwanted) ended_early();
            if (it.is_unwanted) ++reached["a cancelled one is over"];
            gone_[ticket.id()] = state == TicketState::unknown;
            known.erase(found);
        }
    }

    /// What the plan does, now that these slaves are connected and these works wait.
    void judge(TimePoint now, const FactoryDemand& demand, const std::vector<FactorySlave>& slaves,
               const LyingEngine& engine, const FactoryActions& actions) {
        if (!is_stopped_) look_at(now, slaves);
        const std::size_t coming = count([](const Known& it) { return !it.is_connected && counts(it); });
        const std::size_t staying = count([](const Known& it) { return it.is_connected && counts(it); });
        for (const Ticket& ticket : actions.cancel) judge_cancel(now, ticket, demand, coming);
        for (const auto& [ticket, it] : known)
            if (it.alone_since && now - *it.alone_since >= options_.connect_within && !it.is_unwanted && !is_stopped_)
                complain("allocation " + ticket + " stays alone");
        judge_drain(now, slaves, engine, actions, staying);
        if (actions.start != 0) judge_start(now, demand, actions);
        if (!actions.ask.empty()) {
            if (now < reach_after_) complain("it asks an engine that was unreachable");
            if (now < ask_after_) complain("it asks too often");
            ask_after_ = now + options_.ask_every / 10;
        }
        for (const Ticket& ticket : actions.ask)
            if (known.count(ticket.id()) == 0 || known[ticket.id()].is_connected)
                complain("it asks about " + ticket.id());
    }

    void compare(const FactoryPlan& plan) {
        if (plan.is_paused() != is_paused) complain(is_paused ? "it does not pause" : "it pauses");
        bool are_same = plan.allocations().size() == known.size();
        for (const auto& [ticket, it] : known) are_same = are_same && plan.allocations().count(ticket) != 0;
        if (!are_same) complain("it knows other allocations");
    }

    void complain(const std::string& text) {
        if (wrong.empty()) wrong = text;
    }

private:
    static bool counts(const Known& it) { return !it.is_leaving && !it.is_unwanted; }

    template <class Which>
    std::size_t count(Which which) const {
        return static_cast<std::size_t>(
            std::count_if(known.begin(), known.end(), [&](const auto& entry) { return which(entry.second); }));
    }

    void pause(const char* why) {
        is_paused = true;
        ++reached[why];
    }

    void ended_early() {
        ++reached["ended early"];
        if (++early_ends_ >= options_.most_early_ends) pause("paused by early ends");
    }

    void look_at(TimePoint now, const std::vector<FactorySlave>& slaves) {
        for (const FactorySlave& slave : slaves)
            if (gone_.erase(slave.ticket) != 0) {
                known[slave.ticket] = {};
                ++reached["taken for over, and connected"];
            }
        for (auto& entry : known) {
            Known& it = entry.second;
            const auto found = std::find_if(slaves.begin(), slaves.end(),
                                            [&](const FactorySlave& slave) { return slave.ticket == entry.first; });
            const bool was_connected = it.is_connected;
            it.is_connected = found != slaves.end();
            if (!it.is_connected) {
                if (was_connected) it.alone_since = now;
                continue;
            }
            if (!was_connected) early_ends_ = 0;
            was_connected_ = true;
            it.is_queued = false;
            it.had_slave = true;
            it.unknown = 0;
            it.alone_since.reset();
            it.is_let_go = it.is_let_go && it.slave == found->id;
            it.slave = found->id;
            it.is_leaving = found->is_draining || it.is_let_go;
        }
    }

    void judge_cancel(TimePoint now, const Ticket& ticket, const FactoryDemand& demand, std::size_t coming) {
        const auto found = known.find(ticket.id());
        if (found == known.end()) {
            if (!gone_[ticket.id()]) complain("it cancels " + ticket.id() + ", which is over");
            return;
        }
        Known& it = found->second;
        if (it.is_unwanted) return;  // once more
        it.is_unwanted = true;
        if (it.is_connected) return complain("it cancels " + ticket.id() + ", whose slave is connected");
        if (it.alone_since) {
            if (now - *it.alone_since < options_.connect_within) complain("it is impatient with " + ticket.id());
            ++reached["alone for too long"];
            if (!it.had_slave) ended_early();
            return;
        }
        ++reached["excess"];
        if ((demand.more_to_come && demand.works != 0) || coming <= (demand.works + slots_ - 1) / slots_)
            complain("it cancels " + ticket.id() + ", which is needed");
    }

    void judge_drain(TimePoint now, const std::vector<FactorySlave>& slaves, const LyingEngine& engine,
                     const FactoryActions& actions, std::size_t staying) {
        std::size_t idle = 0;
        for (const std::uint64_t id : actions.drain) {
            const auto found =
                std::find_if(slaves.begin(), slaves.end(), [id](const FactorySlave& slave) { return slave.id == id; });
            if (found == slaves.end()) return complain("it lets a slave go that is not there");
            Known& it = known[found->ticket];
            it.is_let_go = it.is_leaving = true;
            if (it.is_unwanted) {
                ++reached["a cancelled one is connected"];
                continue;
            }
            ++idle;
            ++reached["let go"];
            if (found->busy != 0 || now - engine.jobs.at(found->ticket).last_busy < options_.idle_after)
                complain("it lets a slave go that is not idle");
        }
        if (idle != 0 && staying - idle < options_.min) complain("it lets too many slaves go");
    }

    void judge_start(TimePoint now, const FactoryDemand& demand, const FactoryActions& actions) {
        const std::size_t queued = count([](const Known& it) { return !it.is_connected && it.is_queued; });
        const std::size_t wanted = count(counts);
        if (is_stopped_) complain("it starts slaves after the stop");
        if (is_paused) complain("it starts slaves though it pauses");
        if (known.size() + actions.start > options_.max) complain("more than max");
        if (!was_connected_ && known.size() + actions.start > options_.most_early_ends)
            complain("more than are proved");
        if (queued + actions.start > options_.most_queued) complain("more than most_queued");
        if (now < not_before_) complain("it starts slaves too early after a refusal");
        if (now < reach_after_) complain("it starts slaves at an engine that was unreachable");
        if (actions.is_dry_run == is_tried_) complain(is_tried_ ? "a second dry run" : "no dry run");
        const bool is_bounded = !demand.more_to_come || demand.works == 0;
        if (is_bounded && wanted + actions.start > std::max(options_.min, wanted + demand.works))
            complain("more than works wait");
        if (actions.is_dry_run) return;
        while (!starts_.empty() && now - starts_.front() >= options_.start_window) starts_.pop_front();
        starts_.insert(starts_.end(), actions.start, now);
        if (starts_.size() > options_.most_starts) complain("too many starts at once");
        ++reached["start"];
    }

    const FactoryOptions options_;
    const std::size_t slots_;
    std::map<std::string, bool> gone_;  // over, as far as was known; whether they were forgotten
    std::deque<TimePoint> starts_;
    std::size_t refusals_ = 0;
    std::size_t early_ends_ = 0;
    TimePoint not_before_ = TimePoint::min();
    TimePoint reach_after_ = TimePoint::min();
    TimePoint ask_after_ = TimePoint::min();
    bool is_tried_ = false;
    bool was_connected_ = false;
    bool is_stopped_ = false;
};

}  // namespace factory_storm
