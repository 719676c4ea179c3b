#pragma once

#include <any>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "../calls/answer.hpp"
#include "../calls/peer.hpp"
#include "../calls/traffic.hpp"
#include "../slave_state.hpp"
#include "../socket_information.hpp"
#include "../statistics.hpp"
#include "admission.hpp"
#include "dispatcher.hpp"
#include "slave_table.hpp"
#include "submission.hpp"
#include "waiting_report.hpp"

namespace distwork::detail {

/// The connected slaves, and the works that wait for one of them: selection, credit and the backlog as one state
/// machine, behind a lock.
///
/// Each function that changes credit also offers the backlog, under the same exclusive lock. Invariant, whenever the
/// lock is free: each work in the backlog was declined by the selector, or no socket has credit for it; and a
/// submission waits for room only while the backlog is full. So no wake-up is lost between "no credit" and "credit came
/// back".
///
/// Works enter the outbox of their session under the same lock. So a work never overtakes an older one of the same
/// type, labels and priority, and none is sent on a socket that was removed.
///
/// *Thread-safety*: all functions. Functions that only count or read take the lock shared. All functions block while
/// another thread holds the lock.
template <class Selector>
class SocketContainer {
public:
    using Duration = std::chrono::nanoseconds;
    using TimePoint = std::chrono::steady_clock::time_point;

    /// `clock` is called under the lock. Without a clock, only the arguments of `answered` and `look` give the time.
    explicit SocketContainer(Selector selector = {}, ContainerLimits limits = {}, std::function<TimePoint()> clock = {})
        : clock_{std::move(clock)}, dispatcher_{std::move(selector), limits} {}

    /// Adds a slave and offers the backlog. Sets `information.id` and `information.place`, and returns the id.
    /// `window`: how many unanswered works the slave accepts. `held_slots`: slots that works of an earlier session
    /// still occupy. With `information.starting` it gets start works only, until `started`. *Errors*: std::bad_alloc; then
    /// nothing was added.
    std::uint64_t add_socket(std::shared_ptr<Peer> peer, SocketInformation information, std::vector<bool> knows,
                             std::size_t window, std::size_t max_body_bytes = no_bound, std::size_t held_slots = 0) {
        const Lock lock{*this};
        const bool is_starting = std::exchange(information.starting, false);
        Socket& socket = dispatcher_.table.add(std::move(information), std::move(peer), std::move(knows), window,
                                               max_body_bytes, held_slots);
        if (is_starting && !DISTWORK_PLANTED(begin_before_the_start))
            dispatcher_.table.start(socket), dispatcher_.table.update(socket);
        const std::uint64_t id = socket.information.id;
        dispatcher_.more_can_be_taken();
        return id;
    }

    /// Removes a slave. `unanswered` are the works in flight there, which its session gave up. Works that are to be
    /// sent again are removed from `unanswered` and returned. `slave`: the name of the slave in errors.
    LostWorks remove_socket(std::uint64_t id, std::vector<std::shared_ptr<Call>>& unanswered, const std::string& slave,
                            const Traffic& traffic = {}) noexcept {
        const Lock lock{*this};
        Socket* const socket = dispatcher_.table.find(id);
        if (!socket) return dispatcher_.forget(unanswered), LostWorks{};
        note(*socket, traffic);
        auto lost = dispatcher_.remove(*socket, unanswered, slave);
        dispatcher_.look_for_stranded();
        return lost;
    }

    /// Notes that works which a session gave up before its removal are no longer in flight.
    void forget(std::span<const std::shared_ptr<Call>> unanswered) noexcept {
        const Lock lock{*this};
        dispatcher_.forget(unanswered);
    }

    /// Sends a work, or enters it into the backlog, or, if `may_wait`, into the line that waits for room in the
    /// backlog. *Errors*: std::bad_alloc; then the work was not admitted.
    Admission submit(const SubmissionPtr& work, bool may_wait) {
        const Lock lock{*this};
        return dispatcher_.submit(work, may_wait);
    }

    /// Whether each of these sockets could be sent a part of a broadcast now, or the backlog has room for the other
    /// parts.
    bool has_room_for_all(std::span<const std::uint64_t> sockets, const WorkType& type, std::size_t bytes) const {
        const std::shared_lock lock{mutex_};
        const std::size_t works = dispatcher_.table.count_without_credit(sockets, type, bytes);
        return works == 0 || dispatcher_.waits().has_room(works, bytes);
    }

    /// Removes a work, which the caller has claimed, from the place in which it waits. If it is in flight, its slave is
    /// told to cancel it, and the credit stays taken until the answer.
    void cancel(Submission& work) noexcept {
        const Lock lock{*this};
        dispatcher_.cancel(work);
    }

    /// Claims a work that was never sent, with Errc::queue_timeout, and removes it. False: it was sent, or another
    /// caller has claimed it.
    bool expire(Submission& work) noexcept {
        const Lock lock{*this};
        return dispatcher_.expire(work);
    }

    /// Sends a work again that `answered` or `remove_socket` returned, or enters it into the backlog. It must be
    /// encoded anew before. False: it was cancelled or settled meanwhile. *Errors*: std::bad_alloc; then it waits as
    /// before.
    bool send_again(const SubmissionPtr& work) {
        const Lock lock{*this};
        return dispatcher_.send_again(work);
    }

    /// Takes the answers of one read: counts them, gives credit back, and offers the backlog. Works that threw and are
    /// to be retried, and recalled works, are removed from `answers` and returned: the caller must call `send_again`
    /// for them.
    AgainWorks answered(std::uint64_t id, std::span<Answer> answers, const Traffic& traffic, TimePoint now) noexcept {
        const Lock lock{*this, now};
        Socket* const socket = dispatcher_.table.find(id);
        auto again = dispatcher_.answered(socket, answers);
        if (!socket) return again;
        heard(*socket, traffic);
        if (!DISTWORK_PLANTED(no_second_look)) dispatcher_.dispatch();
        return again;
    }

    /// Recalls works that wait at their slave for longer than necessary. True: works still wait at slaves, and `look`
    /// must be called again after `time_between_looks`.
    bool look(TimePoint now) noexcept {
        const Lock lock{*this, now};
        return dispatcher_.recaller.look(dispatcher_.table, now);
    }

    /// The timer for `look` could not be set: the next work that is sent ahead asks for it again.
    void forget_look() noexcept {
        const Lock lock{*this};
        dispatcher_.recaller.forget();
    }

    Duration time_between_looks() const {
        const std::shared_lock lock{mutex_};
        return Recaller::time_between_looks(dispatcher_.table.size());
    }

    /// A slot became free that a work of an earlier session had occupied.
    void slot_freed(std::uint64_t id) noexcept {
        DISTWORK_MARK(held_slot);
        change(id, [this](Socket& socket) { socket.in_flight.release_held(dispatcher_.now); });
    }

    void round_trip(std::uint64_t id, Duration time, const Traffic& traffic, const SlaveState& state) {
        change(id, [&](Socket& socket) {
            socket.information.round_trip = time;
            socket.information.state = state;
            socket.in_flight.round_trip(time);
            heard(socket, traffic);
        });
    }

    /// The types of the slave changed. `knows` is indexed by this end's numbers of the types.
    void know_types(std::uint64_t id, std::vector<bool> knows) {
        const Lock lock{*this};
        Socket* const socket = dispatcher_.table.find(id);
        if (!socket) return;
        dispatcher_.table.know(*socket, std::move(knows));
        dispatcher_.table.update(*socket);
        dispatcher_.more_can_be_taken();
    }

    /// The session of the slave has room again after refusing works.
    void has_room_again(std::uint64_t id) {
        change(id, [](Socket& socket) { socket.closing = false; });
    }

    /// `is`: the slave may be gone, and gets no new works until it is heard from. Works in flight stay there until the
    /// session ends.
    void suspect(std::uint64_t id, bool is) {
        change(id, [is](Socket& socket) { socket.information.suspected = is; });
    }

    /// The slave drains: it gets no new works, except children that no other slave could take.
    void drain(std::uint64_t id) {
        change(id, [this](Socket& socket) { dispatcher_.drain(socket); });
    }

    /// Likewise, and it is told to leave when it holds no work any more.
    void let_leave(std::uint64_t id) {
        change(id, [this](Socket& socket) { dispatcher_.let_leave(socket); });
    }

    /// The slave gets nothing but start works until `started` is called.
    void start(std::uint64_t id) {
        change(id, [this](Socket& socket) { dispatcher_.table.start(socket); });
    }
    void started(std::uint64_t id) {
        change(id, [this](Socket& socket) { dispatcher_.table.started(socket); });
    }

    /// The session of a slave; null if it is not connected.
    std::shared_ptr<Peer> peer(std::uint64_t id) const {
        const std::shared_lock lock{mutex_};
        const Socket* const socket = dispatcher_.table.find(id);
        return socket ? socket->peer : nullptr;
    }

    /// Sets the application's value of a socket. False: there is no such socket.
    bool update_socket_information(std::uint64_t id, std::any value) {
        // The previous value is destroyed after the lock is released.
        return change(id, [&](Socket& socket) { socket.information.value.swap(value); });
    }

    /// Replaces the selector, and offers it the works that the previous one declined.
    void socket_selector(Selector selector) {
        const Lock lock{*this};
        dispatcher_.selector = std::move(selector);
        dispatcher_.dispatch();
    }

    /// From now on, admits only works that other works submit.
    void close() noexcept {
        const Lock lock{*this};
        dispatcher_.closed = true;
    }

    bool is_closed() const {
        const std::shared_lock lock{mutex_};
        return dispatcher_.closed;
    }

    /// Whether nothing waits and nothing is in flight.
    bool quiet() const {
        const std::shared_lock lock{mutex_};
        return dispatcher_.quiet();
    }

    /// Removes all sockets, and so releases their sessions. These would keep their role alive, and might never end if
    /// their strands do not run any more.
    void clear() noexcept {
        std::vector<std::unique_ptr<Socket>> removed;  // outlives the lock
        const Lock lock{*this};
        removed = dispatcher_.clear();
    }

    /// Removes and returns all works that wait, for the caller to settle. From now on no work is sent again.
    /// `is_over`: also start works.
    std::list<SubmissionPtr> take_waiting(bool is_over = true) noexcept {
        const Lock lock{*this};
        return dispatcher_.end(is_over);
    }

    /// Whether the functions above left events that must be reported after the lock is released.
    bool has_news() const noexcept { return has_news_.load(std::memory_order_acquire); }

    News take_news() noexcept {
        const std::lock_guard lock{mutex_};
        has_news_.store(false, std::memory_order_relaxed);
        return std::exchange(dispatcher_.news, {});
    }

    std::size_t size() const {
        const std::shared_lock lock{mutex_};
        return dispatcher_.table.size();
    }

    /// Admitted works that wait for a slave.
    std::size_t backlog_size() const {
        const std::shared_lock lock{mutex_};
        return dispatcher_.backlog_size();
    }

    /// The bytes of a chunk that every slave takes; 0 if some take none.
    std::size_t max_chunk_bytes() const {
        const std::shared_lock lock{mutex_};
        return dispatcher_.table.max_chunk_bytes();
    }

    /// A slave with a free slot that could execute the work, apart from the one that has it; 0: there is none.
    std::uint64_t idle_slave_for(const Submission& work) const {
        const std::shared_lock lock{mutex_};
        return dispatcher_.table.idle_slave_for(work);
    }

    std::vector<Waiting> waiting() const {
        const std::shared_lock lock{mutex_};
        return WaitingReport::list(dispatcher_.waits(), dispatcher_.table);
    }

    std::vector<Explanation> explain(std::string_view name) const {
        const std::shared_lock lock{mutex_};
        return WaitingReport::explain(name, dispatcher_.waits(), dispatcher_.table);
    }

    /// The text that says why a work waits, or where it is.
    std::string why(const Submission& work) const {
        const std::shared_lock lock{mutex_};
        return WaitingReport::why(work, dispatcher_.table);
    }

    /// Statistics without the outcomes, which the Scheduler counts.
    Statistics statistics() const {
        const std::shared_lock lock{mutex_};
        Statistics all = dispatcher_.counted;
        for (const auto& socket : dispatcher_.table.by_place()) {
            if (!socket) continue;
            all.bytes_sent += socket->information.bytes_sent;
            all.bytes_received += socket->information.bytes_received;
        }
        return all;
    }

    /// Calls `visit(const SocketInformation&)` for each socket, in the order of places, under the shared lock.
    template <class Visit>
    void enumerate_sockets(Visit visit) const {
        const std::shared_lock lock{mutex_};
        for (const auto& socket : dispatcher_.table.by_place())
            if (socket) visit(socket->information);
    }

private:
    /// The exclusive lock, for functions that may leave news.
    class Lock {
    public:
        explicit Lock(SocketContainer& all) : all_{all}, lock_{all.mutex_} {
            // While works wait at slaves, `look` sets the time often enough. Reading the clock for each of a million
            // works a second would cost too much.
            if (!all.dispatcher_.recaller.is_looking() && all.clock_) all.dispatcher_.now = all.clock_();
        }
        Lock(SocketContainer& all, TimePoint now) : all_{all}, lock_{all.mutex_} { all.dispatcher_.now = now; }
        Lock(const Lock&) = delete;
        ~Lock() {
            if (!all_.dispatcher_.news.empty()) all_.has_news_.store(true, std::memory_order_release);
        }

    private:
        SocketContainer& all_;
        const std::lock_guard<std::shared_mutex> lock_;
    };

    /// Applies a change to a socket, then offers the backlog: after any change a selector may decide differently.
    /// False: there is no such socket.
    template <class Change>
    bool change(std::uint64_t id, Change apply) {
        const Lock lock{*this};
        Socket* const socket = dispatcher_.table.find(id);
        if (!socket) return false;
        apply(*socket);
        dispatcher_.table.update(*socket);
        dispatcher_.dispatch();
        return true;
    }

    void heard(Socket& socket, const Traffic& traffic) {
        note(socket, traffic);
        socket.closing = false;
        dispatcher_.table.update(socket);
    }

    static void note(Socket& socket, const Traffic& traffic) {
        socket.information.bytes_sent = traffic.bytes_sent;
        socket.information.bytes_received = traffic.bytes_received;
        socket.information.last_heard = traffic.last_heard;
    }

    static constexpr std::size_t no_bound = static_cast<std::size_t>(-1);

    const std::function<TimePoint()> clock_;
    mutable std::shared_mutex mutex_;
    // guarded by mutex_
    Dispatcher<Selector> dispatcher_;
    std::atomic<bool> has_news_{false};  // also read without the lock
};

}  // namespace distwork::detail
