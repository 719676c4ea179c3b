#pragma once

#include <algorithm>
#include <any>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backlog.hpp"
#include "error.hpp"
#include "in_flight.hpp"
#include "peer.hpp"
#include "ready_set.hpp"
#include "selector.hpp"
#include "session_host.hpp"
#include "socket_information.hpp"
#include "submission.hpp"

namespace distwork {

/// A connected slave's session, as the container keeps it.
struct Socket {
    Socket(SocketInformation what, std::shared_ptr<Peer> who, std::size_t window)
        : information{std::move(what)},
          peer{std::move(who)},
          in_flight{information.slots, window, information.running} {}

    SocketInformation information;
    std::shared_ptr<Peer> peer;
    std::vector<bool> knows;  // by our number of the type
    InFlight in_flight;
    bool closing = false;  // its session refused a call: it gets none until something is heard of it
};

/// How much may wait, and where.
struct ContainerLimits {
    std::size_t max_backlog = 1'000'000;                ///< works
    std::size_t max_backlog_bytes = 256 * 1024 * 1024;  ///< of their bodies
    std::size_t max_waiting = 10'000;                   ///< submissions that wait for room in the backlog
};

/// What became of a submission at once.
enum class Admission {
    sent,
    queued,        ///< in the backlog
    waiting,       ///< for room in the backlog
    backlog_full,  ///< refused, as all that follow
    too_many_waiting,
    no_slave,
    gone,          ///< the one socket that it was for
    unknown_type,  ///< to that one
    stopped,
};

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
                             std::size_t window) {
        const std::lock_guard lock{mutex_};
        const std::size_t place = free_place();
        information.id = ++last_id_;
        information.place = place;
        sockets_[place] = std::make_unique<Socket>(std::move(information), std::move(peer), window);
        places_.emplace(last_id_, place);
        know(*sockets_[place], std::move(knows));
        greatest_worth_ = std::max(greatest_worth_, sockets_[place]->in_flight.worth());
        update_readiness(*sockets_[place]);
        dispatch();
        return last_id_;
    }

    /// Forgets a slave and what was in flight on it: `unanswered`, which its session gave up. Returned are the works
    /// that waited for this slave alone.
    std::vector<SubmissionPtr> remove_socket(std::uint64_t id, std::span<const std::shared_ptr<Call>> unanswered) {
        const std::lock_guard lock{mutex_};
        for (const auto& call : unanswered)
            if (call->chosen()) static_cast<Submission&>(*call).stage = Submission::Stage::done;
        Socket* const socket = find(id);
        if (!socket) return {};
        const std::size_t place = socket->information.place;
        ready_.erase(place);
        free_.erase(place);
        know(*socket, {});
        auto pinned = backlog_.extract([id](const Submission& work) { return work.pinned == id; });
        std::erase_if(waiting_, [&](const SubmissionPtr& work) {
            if (work->pinned != id) return false;
            pinned.push_back(work);
            return true;
        });
        for (const auto& work : pinned) work->stage = Submission::Stage::done;
        in_flight_ -= socket->information.in_flight;
        places_.erase(id);
        sockets_[place].reset();
        dispatch();
        return pinned;
    }

    /// Sends a work, or lets it wait: in the backlog, or, where `may_wait`, for room in it.
    Admission submit(const SubmissionPtr& work, bool may_wait) {
        const std::lock_guard lock{mutex_};
        work->sequence = ++last_sequence_;
        if (places_.empty() && work->options.when_unavailable() == WhenUnavailable::refuse) return Admission::no_slave;
        if (closed_) return Admission::stopped;
        if (work->pinned) {
            const Socket* const socket = find(work->pinned);
            if (!socket) return Admission::gone;
            if (!knows(*socket, work->type())) return Admission::unknown_type;
        }
        if (work->claimed()) return Admission::queued;  // cancelled before it came here
        // Those who wait for room came first.
        if (waiting_.empty()) {
            if (offer(work) == Backlog::Verdict::sent) return Admission::sent;
            if (has_room(*work)) {
                enter_backlog(work);
                return Admission::queued;
            }
        }
        if (!may_wait) return Admission::backlog_full;
        if (waiting_.size() >= limits_.max_waiting) return Admission::too_many_waiting;
        work->stage = Submission::Stage::waiting;
        waiting_.push_back(work);
        work->at = std::prev(waiting_.end());
        return Admission::waiting;
    }

    /// Whether the backlog has room for that many more works.
    bool has_room(std::size_t works, std::size_t bytes) const {
        const std::shared_lock lock{mutex_};
        return waiting_.empty() && backlog_.size() + works <= limits_.max_backlog &&
               backlog_.bytes() + bytes <= limits_.max_backlog_bytes;
    }

    /// Takes a work that its caller claimed out of whatever it waits in. If it is in flight its slave is told, and
    /// keeps its credit taken until the answer.
    void cancel(Submission& work) {
        const std::lock_guard lock{mutex_};
        switch (std::exchange(work.stage, Submission::Stage::done)) {
            case Submission::Stage::waiting: waiting_.erase(work.at); break;
            case Submission::Stage::backlog:
                backlog_.remove(work);
                admit_waiting();
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
        Socket* const socket = find(id);
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
            greatest_worth_ = std::max(greatest_worth_, socket.in_flight.worth());
            heard(socket, traffic);
        });
    }

    /// The slave's types changed, by our numbers.
    void know_types(std::uint64_t id, std::vector<bool> knows) {
        change(id, [&](Socket& socket) { know(socket, std::move(knows)); });
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

    /// Whether nothing waits and nothing is in flight.
    bool quiet() const {
        const std::shared_lock lock{mutex_};
        return backlog_.size() == 0 && waiting_.empty() && in_flight_ == 0;
    }

    /// Takes out everything that waits, for the caller to settle.
    std::vector<SubmissionPtr> take_waiting() {
        const std::lock_guard lock{mutex_};
        auto works = backlog_.extract([](const Submission&) { return true; });
        for (auto& work : waiting_) works.push_back(std::move(work));
        waiting_.clear();
        for (const auto& work : works) work->stage = Submission::Stage::done;
        return works;
    }

    /// Works that were admitted since they waited for room, to be told so outside of the lock.
    std::vector<SubmissionPtr> take_admitted() {
        if (!any_admitted_.load(std::memory_order_acquire)) return {};
        const std::lock_guard lock{mutex_};
        any_admitted_.store(false, std::memory_order_relaxed);
        return std::exchange(admitted_, {});
    }

    /// What a selector threw since it was asked for last; the work it was asked for counts as declined.
    std::exception_ptr take_selector_error() {
        if (!selector_threw_.load(std::memory_order_acquire)) return nullptr;
        const std::lock_guard lock{mutex_};
        selector_threw_.store(false, std::memory_order_relaxed);
        return std::exchange(selector_error_, nullptr);
    }

    std::size_t size() const {
        const std::shared_lock lock{mutex_};
        return places_.size();
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
        for (const auto& socket : sockets_)
            if (socket) visit(socket->information);
    }

private:
    using Verdict = Backlog::Verdict;

    Socket* find(std::uint64_t id) {
        const auto at = places_.find(id);
        return at == places_.end() ? nullptr : sockets_[at->second].get();
    }

    std::size_t free_place() {
        for (std::size_t place = places_.size() == sockets_.size() ? sockets_.size() : 0; place < sockets_.size();
             ++place)
            if (!sockets_[place]) return place;
        sockets_.emplace_back();
        return sockets_.size() - 1;
    }

    /// Applies a change to a socket, then offers the backlog: whatever it was, a selector may decide otherwise now.
    template <class Change>
    bool change(std::uint64_t id, Change apply) {
        const std::lock_guard lock{mutex_};
        Socket* const socket = find(id);
        if (!socket) return false;
        apply(*socket);
        update_readiness(*socket);
        dispatch();
        return true;
    }

    // Choice

    Duration estimate(const WorkType& type) const noexcept {
        return type.number < means_.size() ? means_[type.number] : Duration{};
    }

    /// Offers one work to the selector, and sends it to the socket that it names.
    Verdict offer(const SubmissionPtr& work) {
        for (;;) {
            const Duration time = estimate(work->type());
            const ReadySet* all = nullptr;
            const auto candidates = sockets_for(*work, time, all);
            if (candidates.empty()) return Verdict::no_socket;
            Socket* const socket = work->pinned ? find(work->pinned) : select(*work, candidates, all);
            if (!socket) return Verdict::declined;
            if (!socket->peer->send(work)) {
                work->stage = Submission::Stage::in_flight;
                work->socket = socket;
                ++work->attempts;
                socket->in_flight.push(*work, time);
                ++socket->information.in_flight;
                ++in_flight_;
                update_readiness(*socket);
                return Verdict::sent;
            }
            // Its session is ending, or does not drain: somebody else, then.
            socket->closing = true;
            update_readiness(*socket);
        }
    }

    /// Usually all that have credit, without a copy; else those among them that fit.
    std::span<const SocketInformation* const> sockets_for(const Submission& work, Duration time, const ReadySet*& all) {
        fitting_.clear();
        if (work.pinned) {
            const Socket* const socket = find(work.pinned);
            if (socket && fits(*socket, work, time)) fitting_.push_back(&socket->information);
            return fitting_;
        }
        // A short work streams to whoever has credit. A long one goes to a free slot if there is any: queued behind
        // others it would wait for longer than it takes to be sent.
        const bool plain = InFlight::is_plain(time, work.bytes());
        const bool to_free_slot = !plain && (time.count() == 0 || time > greatest_worth_ || !free_.empty());
        const ReadySet& set = to_free_slot ? free_ : ready_;
        if ((plain || to_free_slot) && work.options.labels().empty() && known_by_all(work.type())) {
            all = &set;
            return set.sockets();
        }
        for (const SocketInformation* information : set.sockets())
            if (fits(*sockets_[information->place], work, time)) fitting_.push_back(information);
        return fitting_;
    }

    bool fits(const Socket& socket, const Submission& work, Duration time) const {
        const auto& has = socket.information.labels;
        const auto& wants = work.options.labels();
        return ready_.contains(socket.information.place) && knows(socket, work.type()) &&
               std::includes(has.begin(), has.end(), wants.begin(), wants.end()) &&
               socket.in_flight.has_credit_for(time, work.bytes());
    }

    Socket* select(const Submission& work, std::span<const SocketInformation* const> candidates, const ReadySet* all) {
        DistributeContext context{work, candidates, all};
        const SocketInformation* chosen = nullptr;
        try {
            chosen = selector_(context);
        } catch (...) {
            selector_error_ = std::current_exception();
            selector_threw_.store(true, std::memory_order_release);
        }
        return chosen ? sockets_[chosen->place].get() : nullptr;
    }

    // Credit

    void update_readiness(Socket& socket) {
        const std::size_t place = socket.information.place;
        const bool takes = !socket.closing && !socket.information.draining;
        const auto enter = [&](ReadySet& set, bool in) {
            if (in)
                set.insert(place, &socket.information);
            else
                set.erase(place);
        };
        enter(ready_, takes && socket.in_flight.has_credit());
        enter(free_, takes && socket.in_flight.has_free_slot());
    }

    void count(Socket& socket, Submission& work, const Reply& reply) {
        if (work.stage != Submission::Stage::in_flight) return;
        work.stage = Submission::Stage::done;
        socket.in_flight.remove(work);
        SocketInformation& information = socket.information;
        --information.in_flight;
        --in_flight_;
        ++(reply.error == Errc{} ? information.completed : information.failed);
        information.last_finished = &work.type();
        measure(information.mean_execution_time, reply.execution_time);
        if (work.type().number >= means_.size()) means_.resize(work.type().number + std::size_t{1});
        measure(means_[work.type().number], reply.execution_time);
    }

    /// Exponentially weighted: the latest eight or so count. Never zero once measured.
    static void measure(Duration& mean, Duration sample) {
        mean = std::max(mean.count() == 0 ? sample : mean + (sample - mean) / 8, Duration{1});
    }

    void heard(Socket& socket, const Traffic& traffic) {
        socket.information.bytes_sent = traffic.bytes_sent;
        socket.information.bytes_received = traffic.bytes_received;
        socket.information.last_heard = traffic.last_heard;
        socket.closing = false;
        update_readiness(socket);
    }

    // Types

    bool knows(const Socket& socket, const WorkType& type) const noexcept {
        return type.number < socket.knows.size() && socket.knows[type.number];
    }
    bool known_by_all(const WorkType& type) const noexcept {
        return type.number < known_by_.size() && known_by_[type.number] == places_.size();
    }
    void know(Socket& socket, std::vector<bool> knows) {
        for (std::size_t i = 0; i < socket.knows.size(); ++i)
            if (socket.knows[i]) --known_by_[i];
        socket.knows = std::move(knows);
        if (known_by_.size() < socket.knows.size()) known_by_.resize(socket.knows.size());
        for (std::size_t i = 0; i < socket.knows.size(); ++i)
            if (socket.knows[i]) ++known_by_[i];
    }

    // Backlog

    bool has_room(const Submission& work) const noexcept {
        return backlog_.size() < limits_.max_backlog &&
               (backlog_.size() == 0 || backlog_.bytes() + work.bytes() <= limits_.max_backlog_bytes);
    }

    void enter_backlog(const SubmissionPtr& work) {
        work->stage = Submission::Stage::backlog;
        backlog_.push(work);
    }

    void dispatch() {
        if (backlog_.size() != 0)
            backlog_.round([this](const SubmissionPtr& work) { return offer(work); },
                           [this] { return !ready_.empty() || !free_.empty(); });
        admit_waiting();
    }

    void admit_waiting() {
        while (!waiting_.empty()) {
            const SubmissionPtr work = waiting_.front();
            if (offer(work) != Verdict::sent) {
                if (!has_room(*work)) return;
                enter_backlog_from_line(work);
            } else {
                waiting_.pop_front();
            }
            admitted_.push_back(work);
            any_admitted_.store(true, std::memory_order_release);
        }
    }

    void enter_backlog_from_line(const SubmissionPtr& work) {
        waiting_.pop_front();
        enter_backlog(work);
    }

    mutable std::shared_mutex mutex_;
    // guarded by mutex_
    Selector selector_;
    const ContainerLimits limits_;
    std::vector<std::unique_ptr<Socket>> sockets_;  // by place; null: free
    std::unordered_map<std::uint64_t, std::size_t> places_;
    std::uint64_t last_id_ = 0;
    std::uint64_t last_sequence_ = 0;
    ReadySet ready_;  // has_credit
    ReadySet free_;   // has_free_slot
    std::vector<const SocketInformation*> fitting_;
    Duration greatest_worth_{};          // of all sockets ever: longer works always need a free slot
    std::vector<std::size_t> known_by_;  // by our number of the type: how many sockets
    std::vector<Duration> means_;        // likewise: mean execution time; zero before the first answer
    Backlog backlog_;
    std::list<SubmissionPtr> waiting_;
    std::size_t in_flight_ = 0;  // on all sockets
    bool closed_ = false;
    std::vector<SubmissionPtr> admitted_;
    std::exception_ptr selector_error_;
    // atomic
    std::atomic<bool> any_admitted_{false};
    std::atomic<bool> selector_threw_{false};
};

}  // namespace distwork
