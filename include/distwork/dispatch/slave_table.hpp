#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "../base/surely.hpp"
#include "../calls/peer.hpp"
#include "../socket_information.hpp"
#include "../types/registry.hpp"
#include "../wire/chunk.hpp"
#include "../wire/reply.hpp"
#include "amount_pool.hpp"
#include "credit_window.hpp"
#include "measured_times.hpp"
#include "ready_set.hpp"
#include "socket.hpp"
#include "submission.hpp"

namespace distwork::detail {

/// The sockets of all connected slaves, and which of them can take a work now. No lock, no selector.
class SlaveTable {
public:
    using Duration = std::chrono::nanoseconds;

    /// Sockets that can take a work now. `all`, if not null, holds the same sockets, and knows the order of their
    /// places.
    struct Candidates {
        std::span<const SocketInformation* const> sockets;
        const ReadySet* all = nullptr;

        bool contains(const SocketInformation* socket) const noexcept {
            return all ? all->contains(socket->place)
                       : std::find(sockets.begin(), sockets.end(), socket) != sockets.end();
        }
    };

    MeasuredTimes times;

    /// The expected execution time of a work on a slave, of all works of a chunk together. Zero: it is not known.
    Duration estimate(const Socket& socket, const Submission& work) const noexcept {
        return of_all_elements(times.estimate(socket, work.type()), work);
    }

    /// Adds a socket. *Errors*: std::bad_alloc; then nothing was added.
    Socket& add(SocketInformation information, std::shared_ptr<Peer> peer, std::vector<bool> knows, std::size_t window,
                std::size_t max_body_bytes, std::size_t held) {
        const std::size_t place = free_place();
        information.id = ++last_id_;
        information.place = place;
        auto pool = pool_of(information);
        auto added = std::make_unique<Socket>(std::move(information), std::move(peer), window, max_body_bytes, held);
        added->amounts = std::move(pool);
        ready_.reserve(place + 1);
        free_.reserve(place + 1);
        fitting_.reserve(place + 1);
        if (known_by_.size() < knows.size()) known_by_.resize(knows.size());
        places_.emplace(last_id_, place);
        Socket& socket = *(by_place_[place] = std::move(added));
        if (!socket.takes_chunks) ++without_chunks_;
        least_max_body_bytes_ = std::min(least_max_body_bytes_, max_body_bytes);
        know(socket, std::move(knows));
        update(socket);
        return socket;
    }

    /// Removes a socket and returns it. It holds the application's value, whose destructor must not run under the lock.
    std::unique_ptr<Socket> remove(Socket& socket) {
        const std::size_t place = socket.information.place;
        ready_.erase(place);
        free_.erase(place);
        if (socket.information.draining) --draining_;
        started(socket);
        if (!socket.takes_chunks) --without_chunks_;
        know(socket, {});
        times.forget(socket);
        places_.erase(socket.information.id);
        return std::move(by_place_[place]);
    }

    std::vector<std::unique_ptr<Socket>> clear() noexcept {
        std::vector<std::unique_ptr<Socket>> removed;
        surely([&] { removed.reserve(by_place_.size()); });
        for (const auto& socket : by_place_) {
            if (!socket) continue;
            socket->in_flight.abandon();
            removed.push_back(remove(*socket));
        }
        return removed;
    }

    Socket* find(std::uint64_t id) const {
        const auto at = places_.find(id);
        return at == places_.end() ? nullptr : by_place_[at->second].get();
    }
    Socket* at(std::size_t place) const { return by_place_[place].get(); }
    std::size_t size() const noexcept { return places_.size(); }
    /// The bytes of a chunk that every socket takes; 0 if some take none.
    std::size_t max_chunk_bytes() const noexcept {
        return without_chunks_ != 0 ? 0 : std::min(least_max_body_bytes_, detail::max_chunk_bytes);
    }
    /// Whether all chunks may go to all sockets.
    bool are_alike() const noexcept { return max_chunk_bytes() == detail::max_chunk_bytes; }
    const std::vector<std::unique_ptr<Socket>>& by_place() const noexcept { return by_place_; }

    /// Must be called after each change of a socket: brings the sets of ready and free sockets up to date.
    void update(Socket& socket) {
        SocketInformation& information = socket.information;
        const bool has_credit = takes(socket) && socket.in_flight.has_credit();
        const bool has_free_slot = takes(socket) && socket.in_flight.has_free_slot();
        greatest_worth_ = std::max(greatest_worth_, socket.in_flight.worth());
        information.free_slots = socket.in_flight.free_slots();
        const auto enter = [&information](ReadySet& set, bool in) {
            if (in == set.contains(information.place)) return;
            if (in) set.insert(information.place, &information);
            else set.erase(information.place);
        };
        enter(ready_, has_credit);
        enter(free_, has_free_slot);
    }

    void know(Socket& socket, std::vector<bool> knows) {
        if (known_by_.size() < knows.size()) known_by_.resize(knows.size());
        for (std::size_t i = 0; i < socket.knows.size(); ++i)
            if (socket.knows[i]) --known_by_[i];
        socket.knows = std::move(knows);
        for (std::size_t i = 0; i < socket.knows.size(); ++i)
            if (socket.knows[i]) ++known_by_[i];
    }

    bool knows(const Socket& socket, const WorkType& type) const noexcept {
        return type.number < socket.knows.size() && socket.knows[type.number];
    }

    bool has_labels(const Socket& socket, const Submission& work) const {
        const auto& has = socket.information.labels;
        const auto& wants = work.options.labels();
        return std::includes(has.begin(), has.end(), wants.begin(), wants.end());
    }

    bool has_amounts(const Socket& socket, const Submission& work) const noexcept {
        return !work.options.has_amounts() || (socket.amounts && socket.amounts->has(work.options.amounts()));
    }

    /// Amounts are taken only together with a free slot. What a work of an earlier session holds is not known.
    static bool has_amounts_free(const Socket& socket, const Submission& work) noexcept {
        return !work.options.has_amounts() ||
               (socket.in_flight.has_free_slot() && !socket.in_flight.has_held() && socket.amounts->has_free(work));
    }

    /// No slave takes the work now. If it asks for amounts and has waited for a second, a pool that lacks them is kept for
    /// it; after two more seconds the next one, and so on: works there may take longer than those elsewhere.
    /// Returns false if it asks for more than any slave has: works that ask for less need not wait for it.
    bool note_shortage(Submission& work, std::chrono::steady_clock::time_point now) noexcept {
        if (!work.options.has_amounts()) return true;
        if (!anybody_can_take(work)) return false;
        keep_pool_for(work, now);
        return true;
    }
    void keep_pool_for(Submission& work, std::chrono::steady_clock::time_point now) noexcept {
        constexpr Duration patience = std::chrono::seconds{1};
        constexpr std::size_t most_doublings = 6;
        Submission::Shortage& shortage = work.shortage;
        if (shortage.until == std::chrono::steady_clock::time_point{}) shortage.until = now + patience;
        if (now < shortage.until) return;
        forget_shortage(work);
        const std::size_t first = shortage.tries++;
        shortage.until = now + patience * (std::int64_t{1} << std::min(shortage.tries, most_doublings));
        for (std::size_t i = 0; i != by_place_.size(); ++i) {
            const auto& socket = by_place_[(first + i) % by_place_.size()];
            if (!socket || (work.pinned && work.pinned != socket->information.id) || !takes(*socket) ||
                !is_capable(*socket, work) || socket->amounts->is_kept() ||
                !socket->amounts->lacks(work.options.amounts()))
                continue;
            shortage.keeps_pool = true;
            return socket->amounts->keep_for(work);
        }
    }

    /// It was sent, or does not wait any more: no pool is kept for it.
    void forget_shortage(Submission& work) noexcept {
        if (!std::exchange(work.shortage.keeps_pool, false)) return;
        for (const auto& socket : by_place_)
            if (socket && socket->amounts && socket->amounts->is_kept_for(work)) socket->amounts->keep_for_nobody();
    }
    void forget_shortage(const std::list<SubmissionPtr>& works) noexcept {
        for (const SubmissionPtr& work : works) forget_shortage(*work);
    }

    std::size_t count_without_credit(std::span<const std::uint64_t> ids, const WorkType& type,
                                     std::size_t bytes) const {
        return static_cast<std::size_t>(std::count_if(ids.begin(), ids.end(), [&](std::uint64_t id) {
            const Socket* const socket = find(id);
            return socket && !(ready_.contains(socket->information.place) &&
                               socket->in_flight.has_credit_for(times.estimate(*socket, type), bytes));
        }));
    }

    /// Whether slaves are connected, and none of them accepts works of that size.
    bool is_too_large(std::size_t bytes) const {
        if (bytes <= CreditWindow::small_bytes || places_.empty()) return false;
        return std::none_of(by_place_.begin(), by_place_.end(),
                            [bytes](const auto& socket) { return socket && bytes <= socket->max_body_bytes; });
    }

    /// Whether a slave other than `but` could execute the work, busy or not.
    bool anybody_can_take(const Submission& work, const Socket* but = nullptr) const {
        return std::any_of(by_place_.begin(), by_place_.end(), [&](const auto& socket) {
            return socket && socket.get() != but && (!work.pinned || work.pinned == socket->information.id) &&
                   !socket->information.draining && is_capable(*socket, work);
        });
    }

    /// The slave gets no new works, except children that no other slave could take.
    void drain(Socket& socket) noexcept {
        if (!std::exchange(socket.information.draining, true)) ++draining_;
    }

    bool anybody_has_credit() const noexcept { return !ready_.empty() || draining_ != 0 || starting_ != 0; }

    /// Until `started`, the slave gets nothing but its start works.
    void start(Socket& socket) noexcept {
        if (!std::exchange(socket.information.starting, true)) ++starting_;
    }
    void started(Socket& socket) noexcept {
        if (std::exchange(socket.information.starting, false)) --starting_;
    }

    /// The number of free slots of all slaves.
    std::size_t free_slots() const noexcept {
        std::size_t count = 0;
        for (const SocketInformation* socket : free_.sockets()) count += socket->free_slots;
        return count;
    }

    /// Whether a slave with a free slot could execute the work.
    bool has_free_slot_for(const Submission& work) const {
        return std::any_of(free_.sockets().begin(), free_.sockets().end(), [&](const auto* socket) {
            const Socket& free = *by_place_[socket->place];
            return is_capable(free, work) && has_amounts_free(free, work);
        });
    }

    /// Whether this slave has credit for the work.
    bool takes_now(std::uint64_t id, const Submission& work) const {
        const Socket* const socket = id == 0 ? nullptr : find(id);
        return socket && fits(*socket, work) && (socket->in_flight.has_free_slot() || !has_free_slot_for(work));
    }

    /// Of the slaves with a free slot that could execute the work, the fastest one, apart from the one that has it; 0: there
    /// is none.
    std::uint64_t idle_slave_for(const Submission& work) const {
        if (work.stage != Submission::Stage::in_flight) return 0;
        const SocketInformation* best = nullptr;
        for (const SocketInformation* socket : free_.sockets()) {
            const Socket& free = *by_place_[socket->place];
            if (&free == work.socket || !is_capable(free, work) || !has_amounts_free(free, work)) continue;
            if (!best || socket->mean_execution_time < best->mean_execution_time) best = socket;
        }
        return best ? best->id : 0;
    }

    /// The sockets with a free slot that can take the work; if there is none, those with credit for it. Usually without
    /// a copy. Valid until the next change of the table.
    Candidates candidates(const Submission& work) {
        const Duration time = of_all_elements(times.estimate(work.type()), work);  // on any slave
        fitting_.clear();
        if (work.pinned) {
            const Socket* const socket = find(work.pinned);
            if (socket && (work.is_start ? can_start(*socket, work) : fits(*socket, work)))
                fitting_.push_back(&socket->information);
            return {fitting_};
        }
        // A free slot always comes first: else the work would wait behind others while a slave has nothing to do.
        const bool anybody_takes_it = work.bytes() <= CreditWindow::small_bytes && work.options.labels().empty() &&
                                      !work.options.has_amounts() && known_by_all(work.type()) &&
                                      (work.elements() == 1 || without_chunks_ == 0);
        if (!free_.empty() && !(DISTWORK_PLANTED(wait_beside_a_free_slot) && time.count() != 0)) {
            if (anybody_takes_it) return {free_.sockets(), &free_};
            collect(free_, work);
            if (!fitting_.empty()) return {fitting_};
        }
        if (work.depth != 0 && draining_ != 0 && !anybody_can_take(work)) {
            // A work on a draining slave may wait for this child, and the drain of the slave waits for that work.
            for (const auto& socket : by_place_)
                if (socket && socket->information.draining && !socket->information.starting && !socket->closing &&
                    socket->in_flight.size() != 0 && socket->in_flight.has_free_slot() && is_capable(*socket, work) &&
                    has_amounts_free(*socket, work))
                    fitting_.push_back(&socket->information);
            return {fitting_};
        }
        // No free slot: a short work may go to a slave that has credit beyond its slots.
        if (time.count() == 0 || time > greatest_worth_) return {};
        if (anybody_takes_it && work.depth == 0 && CreditWindow::is_plain(time, work.bytes()) &&
            times.is_short_everywhere(work.type()))
            return {ready_.sockets(), &ready_};
        collect(ready_, work);
        return {fitting_};
    }

private:
    /// Whether it gets works at all.
    static bool takes(const Socket& socket) noexcept {
        const SocketInformation& information = socket.information;
        return !socket.closing && !information.draining && !information.suspected && !information.starting;
    }

    /// Collects the sockets of a set that can take the work now.
    void collect(const ReadySet& set, const Submission& work) {
        for (const SocketInformation* information : set.sockets())
            if (fits(*by_place_[information->place], work)) fitting_.push_back(information);
    }

    static Duration of_all_elements(Duration time, const Submission& work) noexcept {
        return time < std::chrono::hours{1} ? time * static_cast<std::int64_t>(work.elements()) : time;
    }

    bool fits(const Socket& socket, const Submission& work) const {
        return ready_.contains(socket.information.place) && is_capable(socket, work) &&
               socket.in_flight.has_credit_for(estimate(socket, work), work.bytes()) &&
               has_amounts_free(socket, work) && (work.depth == 0 || socket.in_flight.has_credit_for_child());
    }

    bool can_start(const Socket& socket, const Submission& work) const {
        return socket.information.starting && !socket.closing && socket.in_flight.has_free_slot() &&
               is_capable(socket, work);
    }

    bool is_capable(const Socket& socket, const Submission& work) const {
        return knows(socket, work.type()) && has_labels(socket, work) && work.bytes() <= socket.max_body_bytes &&
               (work.elements() == 1 || socket.takes_chunks) && has_amounts(socket, work);
    }

    /// Sockets that name the same pool share it.
    std::shared_ptr<AmountPool> pool_of(const SocketInformation& information) const {
        if (information.amounts.empty()) return nullptr;
        if (!information.pool.empty())
            for (const auto& socket : by_place_)
                if (socket && socket->information.pool == information.pool && socket->amounts) return socket->amounts;
        IndexedAmounts indexed;  // a peer may say what no option allows: then its units are not told apart
        static_cast<void>(
            exception_of([&] { indexed = indexed_amounts(information.amounts, information.indexed, ""); }));
        return std::make_shared<AmountPool>(amount_units(information.amounts, "amounts"), indexed);
    }

    bool known_by_all(const WorkType& type) const noexcept {
        return type.number < known_by_.size() && known_by_[type.number] == places_.size();
    }

    std::size_t free_place() {
        if (places_.size() == by_place_.size()) {
            by_place_.emplace_back();
            return by_place_.size() - 1;
        }
        return static_cast<std::size_t>(std::find(by_place_.begin(), by_place_.end(), nullptr) - by_place_.begin());
    }

    std::vector<std::unique_ptr<Socket>> by_place_;  // null: the place is unused
    std::unordered_map<std::uint64_t, std::size_t> places_;
    std::uint64_t last_id_ = 0;
    ReadySet ready_;  // sockets with credit
    ReadySet free_;   // sockets with a free slot: a subset of ready_
    std::size_t draining_ = 0;
    std::size_t starting_ = 0;
    std::size_t without_chunks_ = 0;                                   // sockets that take no chunks
    std::size_t least_max_body_bytes_ = static_cast<std::size_t>(-1);  // of all sockets ever
    std::vector<const SocketInformation*> fitting_;
    std::vector<std::size_t> known_by_;  // how many sockets have the type; by this end's number of the type
    Duration greatest_worth_{};          // the maximum of all sockets ever: longer works always need a free slot
};

}  // namespace distwork::detail
