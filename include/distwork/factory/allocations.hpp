#pragma once

#include "../base/requirements.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "../engine.hpp"
#include "../factory_options.hpp"
#include "slot_demand.hpp"

namespace distwork::detail {

/// A connected slave that says which allocation it is of.
struct FactorySlave {
    std::uint64_t id = 0;    ///< SocketInformation::id
    std::string ticket;      ///< as it says: one that the engine never gave means nothing
    std::size_t slots = 1;   ///< positive
    std::size_t busy = 0;    ///< slots that have a work; all, while its on_start functions run
    std::uint64_t done = 0;  ///< works that it has answered
    bool is_draining = false;
};

/// The connected slaves of one allocation: one, or two while it was not noticed that a connection was lost.
struct AllocatedSlaves {
    std::vector<std::uint64_t> ids{};
    std::size_t slots = 0;
    std::size_t busy = 0;
    std::uint64_t done = 0;
    bool are_draining = true;

    void add(const FactorySlave& slave) {
        ids.push_back(slave.id);
        slots += slave.slots;
        busy += slave.busy;
        done += slave.done;
        are_draining = are_draining && slave.is_draining;
    }
};

/// One allocation, from its start until it is over.
struct Allocation {
    using TimePoint = std::chrono::steady_clock::time_point;

    std::uint64_t number = 0;                // in the order of their start
    TicketState told = TicketState::queued;  // the engine's last word but `unknown`; running once a slave was connected
    std::size_t unknown = 0;                 // answers in a row
    AllocatedSlaves slaves{};                // that are connected
    AllocatedSlaves seen{};                  // during a look at the slaves
    bool had_slave = false;                  // at any time
    bool is_leaving = false;                 // its slaves drain, or did when they were connected last
    bool is_let_go = false;                  // its slaves were told to leave
    bool is_unwanted = false;                // it was cancelled: its end is no failure
    bool is_to_cancel = false;               // by the next call of the engine
    bool is_asked_about = false;             // by the question that the engine has not answered yet
    std::optional<TimePoint> alone_since{};  // it runs, and no slave is connected
    std::optional<TimePoint> idle_since{};   // connected, and without a work

    bool is_connected() const noexcept { return !slaves.ids.empty(); }
    bool is_queued() const noexcept { return !is_connected() && told == TicketState::queued; }
    /// Whether it has a slave, or is to bring one.
    bool counts() const noexcept { return !is_leaving && !is_unwanted; }

    void cancel() noexcept { is_unwanted = is_to_cancel = true; }
};

/// The allocations of a factory: what the engine says of each, and what their slaves prove. No I/O, no clock.
///
/// Invariants: each ticket that the engine gave is here until its allocation is over. None is over whose slave is
/// connected, whatever the engine says. One that was taken for over is here again when its slave connects.
class Allocations {
public:
    using TimePoint = Allocation::TimePoint;
    using Table = std::map<std::string, Allocation>;

    /// An allocation that is over, as it was.
    struct Ended {
        std::string ticket;
        Allocation allocation;
        TicketState state;  ///< ended, failed or unknown
        std::string text;   ///< the engine's
    };

    /// How many there are.
    struct Counts {
        std::size_t counting = 0;   ///< Allocation::counts
        std::size_t connected = 0;  ///< of these, with a slave
        std::size_t queued = 0;     ///< in the engine, also those that were cancelled
        SlotSupply slots{};         ///< of those that count
    };

    explicit Allocations(const FactoryOptions& options)
        : forgotten_queued_{options.forgotten_queued}, forgotten_running_{options.forgotten_running} {}

    Table& all() noexcept { return all_; }
    const Table& all() const noexcept { return all_; }
    /// Slots of a new slave: as many as the latest had; one before the first.
    std::size_t slots_of_a_slave() const noexcept { return slots_of_a_slave_; }

    Counts counts() const {
        Counts counts;
        for (const auto& [ticket, allocation] : all_) {
            if (allocation.is_queued()) ++counts.queued;
            if (!allocation.counts()) continue;
            ++counts.counting;
            if (!allocation.is_connected()) {
                counts.slots.coming += slots_of_a_slave_;
                continue;
            }
            const AllocatedSlaves& slaves = allocation.slaves;
            ++counts.connected;
            counts.slots.connected += slaves.slots;
            counts.slots.has_idle = counts.slots.has_idle || slaves.busy == 0;
        }
        return counts;
    }

    /// The engine gave this ticket. Null: it is here already.
    Allocation* add(const Ticket& ticket) {
        const auto [at, is_new] = all_.try_emplace(ticket.id(), Allocation{.number = last_number_ + 1});
        if (!is_new) return nullptr;
        ++last_number_;
        past_.erase(ticket.id());
        return &at->second;
    }

    /// Allocations that have a slave and had none, and those that had one.
    struct Change {
        std::size_t joined = 0;
        std::size_t lost = 0;
    };

    /// These slaves are connected now, and no others.
    Change look_at(TimePoint now, const std::vector<FactorySlave>& slaves) {
        for (auto& [ticket, allocation] : all_) allocation.seen = {};
        for (const FactorySlave& slave : slaves)
            if (Allocation* const allocation = find(slave.ticket)) allocation->seen.add(slave);
        Change change;
        for (auto& [ticket, allocation] : all_) {
            const bool was_connected = allocation.is_connected();
            update(now, allocation);
            if (was_connected == allocation.is_connected()) continue;
            ++(was_connected ? change.lost : change.joined);
            if (!was_connected) slots_of_a_slave_ = std::max<std::size_t>(allocation.slaves.slots, 1);
        }
        return change;
    }

    /// The tickets that the engine is to be asked about: those without a slave.
    std::vector<Ticket> question() {
        std::vector<Ticket> tickets;
        for (auto& [ticket, allocation] : all_) {
            allocation.is_asked_about = !allocation.is_connected();
            if (allocation.is_asked_about) tickets.emplace_back(ticket);
        }
        return tickets;
    }

    /// What the engine says about the tickets of the last question. Returns those that are over.
    std::vector<Ended> told(TimePoint now, const std::vector<TicketStatus>& answer) {
        constexpr auto remembered = std::chrono::hours{24};
        std::erase_if(past_, [&](const auto& entry) { return now - entry.second.since > remembered; });
        std::map<std::string_view, const TicketStatus*> said;
        for (const TicketStatus& status : answer) said.emplace(status.ticket.id(), &status);
        std::vector<Ended> ended;
        for (auto next = all_.begin(); next != all_.end();) {
            const auto at = next++;
            Allocation& allocation = at->second;
            if (!std::exchange(allocation.is_asked_about, false)) continue;
            if (allocation.is_connected() && !DISTWORK_PLANTED(believe_the_engine)) continue;
            const auto found = said.find(at->first);
            const TicketState state = found == said.end() ? TicketState::unknown : found->second->state;
            if (!is_over(now, allocation, state)) continue;
            ended.push_back({at->first, allocation, state, found == said.end() ? std::string{} : found->second->text});
            remember(now, at->first, state);
            all_.erase(at);
        }
        return ended;
    }

    /// Those that are to be cancelled now. Each is returned once, and again when the engine says that it is still there.
    std::vector<Ticket> to_cancel() {
        std::vector<Ticket> tickets;
        for (auto& [ticket, allocation] : all_)
            if (std::exchange(allocation.is_to_cancel, false)) tickets.emplace_back(ticket);
        for (auto& [ticket, past] : past_)
            if (std::exchange(past.is_to_cancel, false)) tickets.emplace_back(ticket);
        return tickets;
    }

    /// All are to be cancelled, and no slave counts any more.
    void give_up() {
        for (auto& [ticket, allocation] : all_) {
            allocation.slaves = {};
            allocation.cancel();
        }
        for (auto& [ticket, past] : past_) past.is_to_cancel = past.is_forgotten;
    }

private:
    /// An allocation that is over. The engine may have lied, or have forgotten one that runs.
    struct Past {
        TimePoint since;
        bool is_forgotten;
        bool is_to_cancel;  // to be sure
    };

    static void update(TimePoint now, Allocation& allocation) {
        const AllocatedSlaves before = std::exchange(allocation.slaves, std::move(allocation.seen));
        const AllocatedSlaves& slaves = allocation.slaves;
        const bool was_connected = !before.ids.empty();
        const bool are_the_same = slaves.ids == before.ids;
        const bool did_nothing = are_the_same && slaves.busy == 0 && slaves.done == before.done;
        if (!allocation.is_connected()) {
            if (was_connected) allocation.alone_since = now;
            allocation.idle_since.reset();
            return;
        }
        allocation.had_slave = true;
        allocation.told = TicketState::running;
        allocation.unknown = 0;
        allocation.alone_since.reset();
        allocation.is_let_go = allocation.is_let_go && are_the_same;
        allocation.is_leaving = allocation.slaves.are_draining || allocation.is_let_go;
        if (!did_nothing || !allocation.idle_since) allocation.idle_since = now;
    }

    bool is_over(TimePoint now, Allocation& allocation, TicketState state) {
        switch (state) {
            case TicketState::queued: allocation.alone_since.reset(); break;
            case TicketState::running:
                if (!allocation.alone_since) allocation.alone_since = now;
                break;
            case TicketState::unknown: {
                if (DISTWORK_PLANTED(wait_for_the_forgotten)) return false;
                const bool was_queued = allocation.told == TicketState::queued;
                return ++allocation.unknown >= (was_queued ? forgotten_queued_ : forgotten_running_) ||
                       DISTWORK_PLANTED(forget_at_once);
            }
            case TicketState::ended:
            case TicketState::failed: return true;
        }
        allocation.told = state;
        allocation.unknown = 0;
        allocation.is_to_cancel = allocation.is_unwanted;
        return false;
    }

    void remember(TimePoint now, const std::string& ticket, TicketState state) {
        const bool is_forgotten = state == TicketState::unknown;
        past_.insert_or_assign(ticket, Past{now, is_forgotten, is_forgotten});
    }

    /// The allocation of a slave that is connected. If it was taken for over, it is not. Null: the engine never gave this
    /// ticket, or long ago.
    Allocation* find(const std::string& ticket) {
        if (const auto found = all_.find(ticket); found != all_.end()) return &found->second;
        const auto past = past_.find(ticket);
        if (past == past_.end()) return nullptr;
        Allocation& allocation = all_.try_emplace(ticket, Allocation{.number = last_number_ + 1}).first->second;
        ++last_number_;
        past_.erase(past);
        return &allocation;
    }

    const std::size_t forgotten_queued_;
    const std::size_t forgotten_running_;
    Table all_;
    std::map<std::string, Past> past_;  // of the last day
    std::uint64_t last_number_ = 0;
    std::size_t slots_of_a_slave_ = 1;
};

}  // namespace distwork::detail
