#pragma once

#include <algorithm>
#include <any>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <utility>
#include <vector>

#include "admission.hpp"
#include "backlog.hpp"
#include "detail/leftover.hpp"
#include "error.hpp"
#include "peer.hpp"
#include "selector.hpp"
#include "session_host.hpp"
#include "socket_information.hpp"
#include "socket_table.hpp"
#include "submission.hpp"

namespace distwork {

/// The connected slaves, and the works that wait for one: selecting, credit and the backlog are one state machine.
///
/// Whatever changes who has credit also offers the backlog, under one exclusive lock. Invariant, whenever the lock is
/// free: each work in the backlog was declined by the selector, or no socket has credit for it; and a submission waits
/// for room only while the backlog is full. So no wake-up is ever lost between "no credit" and "credit came back".
///
/// Works are put into their session's outbox under the lock as well: a work never overtakes an older one of the same
/// type, labels and priority, and none is sent on a socket that was removed.
///
/// *Thread-safety*: all functions. Counting and looking take the lock shared.
template <class Selector>
class SocketContainer {
public:
    using Duration = std::chrono::nanoseconds;
    using TimePoint = std::chrono::steady_clock::time_point;

    explicit SocketContainer(Selector selector = {}, ContainerLimits limits = {})
        : selector_{std::move(selector)}, limits_{limits} {}

    /// Enters a slave and offers it the backlog. `information.id` and `place` are set here; returns the id.
    std::uint64_t add_socket(std::shared_ptr<Peer> peer, SocketInformation information, std::vector<bool> knows,
                             std::size_t window, std::size_t max_body_bytes = no_bound) {
        const std::lock_guard lock{mutex_};
        const Socket& socket =
            table_.add(std::move(information), std::move(peer), std::move(knows), window, max_body_bytes);
        const std::uint64_t id = socket.information.id;
        dispatch();
        return id;
    }

    /// Forgets a slave and what was in flight on it: `unanswered`, which its session gave up. Returned are the works
    /// that waited for this slave alone.
    std::vector<SubmissionPtr> remove_socket(std::uint64_t id, std::span<const std::shared_ptr<Call>> unanswered) {
        const std::lock_guard lock{mutex_};
        forget_locked(unanswered);
        Socket* const socket = table_.find(id);
        if (!socket) return {};
        const auto is_pinned = [id](const Submission& work) { return work.pinned == id; };
        auto pinned = backlog_.extract(is_pinned);
        for (auto& work : waiting_.extract(is_pinned)) pinned.push_back(std::move(work));
        for (const auto& work : pinned) work->stage = Submission::Stage::done;
        in_flight_ -= socket->information.in_flight;
        socket->in_flight.abandon();
        table_.remove(*socket);
        dispatch();
        return pinned;
    }

    /// Works that a session gave up before it was removed: they are in flight nowhere.
    void forget(std::span<const std::shared_ptr<Call>> unanswered) {
        const std::lock_guard lock{mutex_};
        forget_locked(unanswered);
    }

    /// Sends a work, or lets it wait: in the backlog, or, where `may_wait`, for room in it.
    Admission submit(const SubmissionPtr& work, bool may_wait) {
        const std::lock_guard lock{mutex_};
        work->sequence = ++last_sequence_;
        if (table_.size() == 0 && work->options.when_unavailable() == WhenUnavailable::refuse)
            return Admission::no_slave;
        if (closed_) return Admission::stopped;
        if (work->pinned) {
            const Socket* const socket = table_.find(work->pinned);
            if (!socket) return Admission::gone;
            if (!table_.knows(*socket, work->type())) return unknown(*socket, work->type());
            if (work->bytes() > socket->max_body_bytes) return Admission::too_large;
        }
        if (table_.is_too_large(work->bytes())) return Admission::too_large;
        if (work->claimed()) return Admission::queued;  // cancelled before it came here
        const Verdict verdict = offer_in_turn(work);
        if (verdict == Verdict::sent) return Admission::sent;
        // Those who wait for room came first.
        if (waiting_.empty() && has_room(*work)) {
            enter_backlog(work, verdict == Verdict::no_socket);
            return Admission::queued;
        }
        if (!may_wait) return Admission::backlog_full;
        if (waiting_.size() >= limits_.max_waiting) return Admission::too_many_waiting;
        work->keep_body();
        work->stage = Submission::Stage::waiting;
        waiting_.push(work, verdict == Verdict::no_socket);
        return Admission::waiting;
    }

    /// Whether a part of a broadcast for each of these sockets would be sent, or find room in the backlog.
    bool has_room_for_all(std::span<const std::uint64_t> sockets, const WorkType& type, std::size_t bytes) const {
        const std::shared_lock lock{mutex_};
        const std::size_t works = table_.count_without_credit(sockets, type, bytes);
        return works == 0 || (waiting_.empty() && backlog_.size() + works <= limits_.max_backlog &&
                              backlog_.bytes() + works * bytes <= limits_.max_backlog_bytes);
    }

    /// Takes a work that its caller claimed out of whatever it waits in. If it is in flight its slave is told, and
    /// keeps its credit taken until the answer.
    void cancel(Submission& work) {
        const std::lock_guard lock{mutex_};
        switch (std::exchange(work.stage, Submission::Stage::done)) {
            case Submission::Stage::waiting:
                waiting_.remove(work);
                dispatch();
                break;
            case Submission::Stage::backlog:
                backlog_.remove(work);
                dispatch();
                break;
            case Submission::Stage::in_flight:
                work.stage = Submission::Stage::in_flight;
                work.socket->peer->cancel(work);
                break;
            default: break;
        }
    }

    /// The answers of one read: counts them, gives credit back, and offers the backlog.
    void answered(std::uint64_t id, std::span<const Answer> answers, const Traffic& traffic, TimePoint now) {
        const std::lock_guard lock{mutex_};
        Socket* const socket = table_.find(id);
        if (!socket) return;
        for (const Answer& answer : answers)
            if (answer.call && answer.call->chosen())
                count(*socket, static_cast<Submission&>(*answer.call), answer.reply);
        socket->in_flight.answered(now);
        heard(*socket, traffic);
        dispatch();
    }

    void round_trip(std::uint64_t id, Duration time, const Traffic& traffic) {
        change(id, [&](Socket& socket) {
            socket.information.round_trip = time;
            socket.in_flight.round_trip(time);
            heard(socket, traffic);
        });
    }

    /// The slave's types changed, by our numbers.
    void know_types(std::uint64_t id, std::vector<bool> knows) {
        change(id, [&](Socket& socket) { table_.know(socket, std::move(knows)); });
    }

    /// Its session refused works for want of room, and has room.
    void has_room_again(std::uint64_t id) {
        change(id, [](Socket& socket) { socket.closing = false; });
    }

    /// The slave gets nothing new.
    void drain(std::uint64_t id) {
        change(id, [](Socket& socket) { socket.information.draining = true; });
    }

    /// Sets the host's own value of a socket; false if it is gone.
    bool update_socket_information(std::uint64_t id, std::any value) {
        return change(id, [&](Socket& socket) { socket.information.value = std::move(value); });
    }

    /// From now on this one is asked; works that the other declined are offered anew.
    void socket_selector(Selector selector) {
        const std::lock_guard lock{mutex_};
        selector_ = std::move(selector);
        dispatch();
    }

    /// Admits nothing from now on.
    void close() {
        const std::lock_guard lock{mutex_};
        closed_ = true;
    }

    bool is_closed() const {
        const std::shared_lock lock{mutex_};
        return closed_;
    }

    /// Whether nothing waits and nothing is in flight.
    bool quiet() const {
        const std::shared_lock lock{mutex_};
        return backlog_.empty() && waiting_.empty() && in_flight_ == 0;
    }

    /// Lets go of all sockets, and so of their sessions, which keep their host alive: nobody is left to end them.
    void clear() {
        const std::lock_guard lock{mutex_};
        table_.clear();
        in_flight_ = 0;
    }

    /// Takes out everything that waits, for the caller to settle.
    std::vector<SubmissionPtr> take_waiting() {
        const std::lock_guard lock{mutex_};
        const auto every = [](const Submission&) { return true; };
        auto works = backlog_.extract(every);
        for (auto& work : waiting_.extract(every)) works.push_back(std::move(work));
        for (const auto& work : works) work->stage = Submission::Stage::done;
        return works;
    }

    /// Works that were admitted since they waited for room, to be told so outside of the lock.
    std::vector<SubmissionPtr> take_admitted() { return admitted_.take(mutex_); }

    /// What a selector threw since it was asked for last; the work it was asked for counts as declined.
    std::exception_ptr take_selector_error() { return selector_error_.take(mutex_); }

    std::size_t size() const {
        const std::shared_lock lock{mutex_};
        return table_.size();
    }

    /// Admitted works that wait for a slave.
    std::size_t backlog_size() const {
        const std::shared_lock lock{mutex_};
        return backlog_.size();
    }

    /// Calls `visit(const SocketInformation&)` for each socket, in the order of the round, under the shared lock.
    template <class Visit>
    void enumerate_sockets(Visit visit) const {
        const std::shared_lock lock{mutex_};
        for (const auto& socket : table_.by_place())
            if (socket) visit(socket->information);
    }

private:
    using Verdict = Backlog::Verdict;

    /// Applies a change to a socket, then offers the backlog: whatever it was, a selector may decide otherwise now.
    template <class Change>
    bool change(std::uint64_t id, Change apply) {
        const std::lock_guard lock{mutex_};
        Socket* const socket = table_.find(id);
        if (!socket) return false;
        apply(*socket);
        table_.update(*socket);
        dispatch();
        return true;
    }

    // Choice

    /// Offers one work to the selector, and sends it to the socket that it names.
    Verdict offer(const SubmissionPtr& work) {
        for (;;) {
            const auto candidates = table_.candidates(*work);
            if (candidates.sockets.empty()) return Verdict::no_socket;
            Socket* const socket = work->pinned ? table_.find(work->pinned) : select_socket(*work, candidates);
            if (!socket) return Verdict::declined;
            const std::error_code refused = socket->peer->send(work);
            if (!refused) {
                work->stage = Submission::Stage::in_flight;
                work->socket = socket;
                ++work->attempts;
                socket->in_flight.push(*work, table_.times.estimate(work->type()));
                ++socket->information.in_flight;
                ++in_flight_;
                table_.update(*socket);
                return Verdict::sent;
            }
            // Its types have changed, and we were not told yet.
            if (refused == Errc::unknown_type || refused == Errc::shape_differs) return Verdict::declined;
            // Its session is ending, or does not drain: somebody else, then.
            socket->closing = true;
            table_.update(*socket);
        }
    }

    /// A work does not overtake those of its lane that wait for credit, or that wait for room and came before it.
    Verdict offer_in_turn(const SubmissionPtr& work) {
        const bool behind = work->stage == Submission::Stage::fresh && waiting_.has_lane_of(*work);
        return behind || backlog_.holds_up(*work) ? Verdict::no_socket : offer(work);
    }

    /// Null: the selector declined. It may have named a socket that is not among the candidates; that counts the same.
    Socket* select_socket(const Submission& work, const SocketTable::Candidates& candidates) {
        DistributeContext context{work, candidates.sockets, candidates.all};
        const SocketInformation* chosen = nullptr;
        try {
            chosen = selector_(context);
        } catch (...) {
            selector_error_.leave() = std::current_exception();
        }
        return chosen && candidates.contains(chosen) ? table_.at(chosen->place) : nullptr;
    }

    // Credit

    void count(Socket& socket, Submission& work, const Reply& reply) {
        if (work.stage != Submission::Stage::in_flight) return;
        work.stage = Submission::Stage::done;
        socket.in_flight.remove(work);
        SocketInformation& information = socket.information;
        --information.in_flight;
        --in_flight_;
        ++(reply.error == Errc{} ? information.completed : information.failed);
        information.last_finished = &work.type();
        if (reply.error != Errc{} && reply.error != Errc::work_failed) return;  // it was not executed
        ExecutionTimes::measure(information.mean_execution_time, reply.execution_time);
        table_.times.measure(work.type(), reply.execution_time);
    }

    void heard(Socket& socket, const Traffic& traffic) {
        socket.information.bytes_sent = traffic.bytes_sent;
        socket.information.bytes_received = traffic.bytes_received;
        socket.information.last_heard = traffic.last_heard;
        socket.closing = false;
        table_.update(socket);
    }

    void forget_locked(std::span<const std::shared_ptr<Call>> unanswered) {
        for (const auto& call : unanswered) {
            if (!call->chosen()) continue;
            auto& work = static_cast<Submission&>(*call);
            if (std::exchange(work.stage, Submission::Stage::done) != Submission::Stage::in_flight) continue;
            work.socket->in_flight.remove(work);
            --work.socket->information.in_flight;
            --in_flight_;
        }
    }

    static Admission unknown(const Socket& socket, const WorkType& type) {
        const bool differs = socket.peer->why_unknown(type) == Errc::shape_differs;
        return differs ? Admission::shape_differs : Admission::unknown_type;
    }

    // Backlog

    bool has_room(const Submission& work) const noexcept {
        return backlog_.size() < limits_.max_backlog &&
               (backlog_.empty() || backlog_.bytes() + work.bytes() <= limits_.max_backlog_bytes);
    }

    void enter_backlog(const SubmissionPtr& work, bool no_socket) {
        work->keep_body();
        work->stage = Submission::Stage::backlog;
        backlog_.push(work, no_socket);
    }

    void dispatch() {
        const auto any_credit = [this] { return table_.anybody_has_credit(); };
        if (!backlog_.empty()) backlog_.round([this](const SubmissionPtr& work) { return offer(work); }, any_credit);
        if (waiting_.empty()) return;
        // What waits for room behind a full backlog of works that nobody can take may well find a slave itself.
        waiting_.round(
            [this](const SubmissionPtr& work) {
                const Verdict verdict = offer_in_turn(work);
                if (verdict == Verdict::sent) admitted_.leave().push_back(work);
                return verdict;
            },
            any_credit);
        for (SubmissionPtr work; (work = waiting_.front()) && has_room(*work);) {
            const bool no_socket = waiting_.holds_up(*work);
            waiting_.remove(*work);
            enter_backlog(work, no_socket);
            admitted_.leave().push_back(work);
        }
    }

    static constexpr std::size_t no_bound = static_cast<std::size_t>(-1);

    mutable std::shared_mutex mutex_;
    // guarded by mutex_
    Selector selector_;
    const ContainerLimits limits_;
    SocketTable table_;
    std::uint64_t last_sequence_ = 0;
    Backlog backlog_;
    Backlog waiting_;            // submissions that wait for room in the backlog
    std::size_t in_flight_ = 0;  // on all sockets
    bool closed_ = false;
    detail::Leftover<std::vector<SubmissionPtr>> admitted_;
    detail::Leftover<std::exception_ptr> selector_error_;
};

}  // namespace distwork
