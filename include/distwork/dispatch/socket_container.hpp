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

namespace distwork::detail {

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

    /// `clock` is read under the lock; without one only `answered` and `look` tell the time.
    explicit SocketContainer(Selector selector = {}, ContainerLimits limits = {}, std::function<TimePoint()> clock = {})
        : clock_{std::move(clock)}, dispatcher_{std::move(selector), limits} {}

    /// Enters a slave and offers it the backlog. `information.id` and `place` are set here; returns the id. `held_slots`:
    /// those that works of an earlier session still occupy.
    std::uint64_t add_socket(std::shared_ptr<Peer> peer, SocketInformation information, std::vector<bool> knows,
                             std::size_t window, std::size_t max_body_bytes = no_bound, std::size_t held_slots = 0) {
        const Lock lock{*this};
        const Socket& socket = dispatcher_.table.add(std::move(information), std::move(peer), std::move(knows), window,
                                                     max_body_bytes, held_slots);
        const std::uint64_t id = socket.information.id;
        dispatcher_.more_can_be_taken();
        return id;
    }

    /// Forgets a slave and what was in flight on it: `unanswered`, which its session gave up. Those that go again are
    /// taken out of it; `slave` is what the others' errors will call it.
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

    /// Works that a session gave up before it was removed: they are in flight nowhere.
    void forget(std::span<const std::shared_ptr<Call>> unanswered) noexcept {
        const Lock lock{*this};
        dispatcher_.forget(unanswered);
    }

    /// Sends a work, or lets it wait: in the backlog, or, where `may_wait`, for room in it. Where it throws std::bad_alloc
    /// the work was not admitted.
    Admission submit(const SubmissionPtr& work, bool may_wait) {
        const Lock lock{*this};
        return dispatcher_.submit(work, may_wait);
    }

    /// Whether a part of a broadcast for each of these sockets would be sent, or find room in the backlog.
    bool has_room_for_all(std::span<const std::uint64_t> sockets, const WorkType& type, std::size_t bytes) const {
        const std::shared_lock lock{mutex_};
        return dispatcher_.has_room_for_all(sockets, type, bytes);
    }

    /// Takes a work that its caller claimed out of whatever it waits in. If it is in flight its slave is told, and
    /// keeps its credit taken until the answer.
    void cancel(Submission& work) noexcept {
        const Lock lock{*this};
        dispatcher_.cancel(work);
    }

    /// Claims a work that was never sent, for its queue_timeout, and takes it out; false if it was, or is settled.
    bool expire(Submission& work) noexcept {
        const Lock lock{*this};
        return dispatcher_.expire(work);
    }

    /// A work that `answered` or `remove_socket` gave out goes again, encoded anew; false if it shall not any more.
    /// Where it throws std::bad_alloc it waits as before.
    bool send_again(const SubmissionPtr& work) {
        const Lock lock{*this};
        return dispatcher_.send_again(work);
    }

    /// The answers of one read: counts them, gives credit back, and offers the backlog. Works that threw and want to be
    /// tried again, and works that were recalled, are taken out of them and returned: `send_again` is for them.
    AgainWorks answered(std::uint64_t id, std::span<Answer> answers, const Traffic& traffic, TimePoint now) noexcept {
        const Lock lock{*this, now};
        Socket* const socket = dispatcher_.table.find(id);
        auto again = dispatcher_.answered(socket, answers);
        if (!socket) return again;
        heard(*socket, traffic);
        if (!DISTWORK_PLANTED(no_second_look)) dispatcher_.dispatch();
        return again;
    }

    /// Recalls works that wait at their slave for longer than they need to. True: some wait at theirs, and this is to be
    /// called again after `time_between_looks`.
    bool look(TimePoint now) noexcept {
        const Lock lock{*this, now};
        return dispatcher_.look();
    }

    /// Nobody will call `look`: the next work that waits at its slave asks for it again.
    void forget_look() noexcept {
        const Lock lock{*this};
        dispatcher_.forget_look();
    }

    Duration time_between_looks() const {
        const std::shared_lock lock{mutex_};
        return Recaller::time_between_looks(dispatcher_.table.size());
    }

    /// A slot is free that a work of an earlier session occupied.
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

    /// The slave's types changed, by our numbers.
    void know_types(std::uint64_t id, std::vector<bool> knows) {
        const Lock lock{*this};
        Socket* const socket = dispatcher_.table.find(id);
        if (!socket) return;
        dispatcher_.table.know(*socket, std::move(knows));
        dispatcher_.table.update(*socket);
        dispatcher_.more_can_be_taken();
    }

    /// Its session refused works for want of room, and has room.
    void has_room_again(std::uint64_t id) {
        change(id, [](Socket& socket) { socket.closing = false; });
    }

    /// The slave may be gone: it gets nothing new until it is heard of, and what it has goes again if it is lost.
    void suspect(std::uint64_t id, bool is) {
        change(id, [is](Socket& socket) { socket.information.suspected = is; });
    }

    /// The slave gets nothing new.
    void drain(std::uint64_t id) {
        change(id, [this](Socket& socket) { dispatcher_.table.drain(socket); });
    }

    /// Sets the host's own value of a socket; false if it is gone.
    bool update_socket_information(std::uint64_t id, std::any value) {
        // The one before is destroyed outside of the lock.
        return change(id, [&](Socket& socket) { socket.information.value.swap(value); });
    }

    /// From now on this one is asked; works that the other declined are offered anew.
    void socket_selector(Selector selector) {
        const Lock lock{*this};
        dispatcher_.selector = std::move(selector);
        dispatcher_.dispatch();
    }

    /// Admits nothing from now on.
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

    /// Lets go of all sockets, and so of their sessions, which keep their host alive: nobody is left to end them.
    void clear() noexcept {
        std::vector<std::unique_ptr<Socket>> removed;  // outlives the lock
        const Lock lock{*this};
        removed = dispatcher_.clear();
    }

    /// Takes out everything that waits, for the caller to settle; nothing goes again from now on.
    std::list<SubmissionPtr> take_waiting() noexcept {
        const Lock lock{*this};
        return dispatcher_.end();
    }

    /// Whether the functions above left something to be told outside of the lock.
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

    std::vector<Waiting> waiting() const {
        const std::shared_lock lock{mutex_};
        return dispatcher_.waiting();
    }

    /// For people: why a work waits, or where it is.
    std::string why(const Submission& work) const {
        const std::shared_lock lock{mutex_};
        return dispatcher_.why(work);
    }

    /// Without the outcomes, which are not decided here.
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

    /// Calls `visit(const SocketInformation&)` for each socket, in the order of the round, under the shared lock.
    template <class Visit>
    void enumerate_sockets(Visit visit) const {
        const std::shared_lock lock{mutex_};
        for (const auto& socket : dispatcher_.table.by_place())
            if (socket) visit(socket->information);
    }

private:
    /// The exclusive lock, for whatever may leave news.
    class Lock {
    public:
        explicit Lock(SocketContainer& all) : all_{all}, lock_{all.mutex_} {
            // While works wait at their slaves it is looked after them so often that the time is known well enough:
            // reading the clock for each of a million works a second is not free.
            if (!all.dispatcher_.is_looking() && all.clock_) all.dispatcher_.now = all.clock_();
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

    /// Applies a change to a socket, then offers the backlog: whatever it was, a selector may decide otherwise now.
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
    std::atomic<bool> has_news_{false};  // also read without it
};

}  // namespace distwork::detail
