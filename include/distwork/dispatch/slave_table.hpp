#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
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
#include "credit_window.hpp"
#include "ready_set.hpp"
#include "submission.hpp"

namespace distwork::detail {

/// The container's entry for the session of a connected slave.
struct Socket {
    /// `held`: slots that works of an earlier session still occupy.
    Socket(SocketInformation what, std::shared_ptr<Peer> who, std::size_t window, std::size_t most_bytes,
           std::size_t held)
        : peer{std::move(who)},
          in_flight{what.slots, window, information.running, held},
          information{std::move(what)},
          max_body_bytes{most_bytes},
          takes_chunks{peer->takes_chunks()} {}

    std::shared_ptr<Peer> peer;
    bool is_leaving = false;  // it is told to leave when it holds no work any more
    bool closing = false;     // its session refused a work: it gets no more until it has room, or is heard from
    CreditWindow in_flight;
    SocketInformation information;
    std::vector<bool> knows;           // whether the slave has the type; by this end's number of the type
    const std::size_t max_body_bytes;  // the largest body of a work that the slave accepts
    const bool takes_chunks;
};

/// Mean execution times by type, over all slaves.
class ExecutionTimes {
public:
    using Duration = std::chrono::nanoseconds;

    /// The mean execution time of a type. Zero: none was measured yet.
    Duration estimate(const WorkType& type) const noexcept {
        return type.number < means_.size() ? means_[type.number] : Duration{};
    }

    /// The same, and makes room for a measurement, so that `measure` does not throw. *Errors*: std::bad_alloc.
    Duration& reserve(const WorkType& type) {
        if (type.number >= means_.size()) [[unlikely]]
            means_.resize(type.number + std::size_t{1});
        return means_[type.number];
    }

    void measure(const WorkType& type, Duration sample) { measure(reserve(type), sample); }

    /// Adds a sample to an exponentially weighted mean: about the latest eight samples count. The mean is never zero
    /// then.
    static void measure(Duration& mean, Duration sample) noexcept {
        mean = std::max(mean.count() == 0 ? sample : mean + (sample - mean) / 8, Duration{1});
    }

private:
    std::vector<Duration> means_;  // by this end's number of the type
};

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

    ExecutionTimes times;

    /// The expected execution time of a work, of all works of a chunk together. Zero: its type was never measured.
    Duration estimate(const Submission& work) const noexcept {
        const Duration time = times.estimate(work.type());
        return time < std::chrono::hours{1} ? time * static_cast<std::int64_t>(work.elements()) : time;
    }

    /// Measures the execution of a work, or of some works of a chunk.
    void measure(Socket& socket, const Submission& work, const Reply& reply) {
        const std::uint32_t answered = work.elements() == 1 ? 1 : std::max(answered_elements(reply.value), 1u);
        const Duration time = reply.execution_time / answered;
        ExecutionTimes::measure(socket.information.mean_execution_time, time);
        times.measure(work.type(), time);
    }

    /// Adds a socket. *Errors*: std::bad_alloc; then nothing was added.
    Socket& add(SocketInformation information, std::shared_ptr<Peer> peer, std::vector<bool> knows, std::size_t window,
                std::size_t max_body_bytes, std::size_t held) {
        const std::size_t place = free_place();
        information.id = ++last_id_;
        information.place = place;
        auto added = std::make_unique<Socket>(std::move(information), std::move(peer), window, max_body_bytes, held);
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
        const bool takes = !socket.closing && !information.draining && !information.suspected && !information.starting;
        const bool has_credit = takes && socket.in_flight.has_credit();
        const bool has_free_slot = takes && socket.in_flight.has_free_slot();
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

    std::size_t count_without_credit(std::span<const std::uint64_t> ids, const WorkType& type,
                                     std::size_t bytes) const {
        return static_cast<std::size_t>(std::count_if(ids.begin(), ids.end(), [&](std::uint64_t id) {
            const Socket* const socket = find(id);
            return socket && !(ready_.contains(socket->information.place) &&
                               socket->in_flight.has_credit_for(times.estimate(type), bytes));
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
        return std::any_of(free_.sockets().begin(), free_.sockets().end(),
                           [&](const auto* socket) { return is_capable(*by_place_[socket->place], work); });
    }

    /// The sockets with a free slot that can take the work; if there is none, those with credit for it. Usually without
    /// a copy. Valid until the next change of the table.
    Candidates candidates(const Submission& work) {
        const Duration time = estimate(work);
        fitting_.clear();
        if (work.pinned) {
            const Socket* const socket = find(work.pinned);
            if (socket && (work.is_start ? can_start(*socket, work) : fits(*socket, work, time)))
                fitting_.push_back(&socket->information);
            return {fitting_};
        }
        // A free slot always comes first: else the work would wait behind others while a slave has nothing to do.
        const bool anybody_takes_it = work.bytes() <= CreditWindow::small_bytes && work.options.labels().empty() &&
                                      known_by_all(work.type()) && (work.elements() == 1 || without_chunks_ == 0);
        if (!free_.empty() && !(DISTWORK_PLANTED(wait_beside_a_free_slot) && time.count() != 0)) {
            if (anybody_takes_it) return {free_.sockets(), &free_};
            collect(free_, work, time);
            if (!fitting_.empty()) return {fitting_};
        }
        if (work.depth != 0 && draining_ != 0 && !anybody_can_take(work)) {
            // A work on a draining slave may wait for this child, and the drain of the slave waits for that work.
            for (const auto& socket : by_place_)
                if (socket && socket->information.draining && !socket->information.starting && !socket->closing &&
                    socket->in_flight.size() != 0 && socket->in_flight.has_free_slot() && is_capable(*socket, work))
                    fitting_.push_back(&socket->information);
            return {fitting_};
        }
        // No free slot: a short work may go to a slave that has credit beyond its slots.
        if (time.count() == 0 || time > greatest_worth_) return {};
        if (anybody_takes_it && work.depth == 0 && CreditWindow::is_plain(time, work.bytes()))
            return {ready_.sockets(), &ready_};
        collect(ready_, work, time);
        return {fitting_};
    }

private:
    /// Collects the sockets of a set that can take the work now.
    void collect(const ReadySet& set, const Submission& work, Duration time) {
        for (const SocketInformation* information : set.sockets())
            if (fits(*by_place_[information->place], work, time)) fitting_.push_back(information);
    }

    bool fits(const Socket& socket, const Submission& work, Duration time) const {
        return ready_.contains(socket.information.place) && is_capable(socket, work) &&
               socket.in_flight.has_credit_for(time, work.bytes()) &&
               (work.depth == 0 || socket.in_flight.has_credit_for_child());
    }

    bool can_start(const Socket& socket, const Submission& work) const {
        return socket.information.starting && !socket.closing && socket.in_flight.has_free_slot() &&
               is_capable(socket, work);
    }

    bool is_capable(const Socket& socket, const Submission& work) const {
        return knows(socket, work.type()) && has_labels(socket, work) && work.bytes() <= socket.max_body_bytes &&
               (work.elements() == 1 || socket.takes_chunks);
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
