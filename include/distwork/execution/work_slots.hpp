#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "../slave_state.hpp"
#include "../transport.hpp"
#include "../wire/frame.hpp"
#include "../wire/reply.hpp"
#include "execution_limits.hpp"
#include "execution_list.hpp"
#include "received_works.hpp"
#include "slave_activity.hpp"
#include "work_batch.hpp"

namespace distwork::detail {

/// The state of a work queue: which works wait, which run, and the slots that they hold. It executes nothing.
///
/// A slot is held by a runner, which executes one work after another, or by a work that outlasts its runner. Whenever a
/// slot is taken for works that wait, a runner is posted. So no work waits beside a free slot, unless its peer does not
/// read its answers.
///
/// *Thread-safety*: all functions. *Lifetime*: that of its WorkQueue.
template <class Transport>
class WorkSlots : private Execution::Clock {
public:
    /// A work that has begun, and the batch that owns its memory.
    struct Begun {
        std::shared_ptr<WorkBatch> batch;
        typename WorkBatch::Item item;
    };

    WorkSlots(Transport transport, std::size_t slots, std::size_t max_suspended)
        : slots_{DISTWORK_PLANTED(run_one_more) ? slots + 1 : slots},
          max_suspended_{max_suspended},
          limits_{std::move(transport)} {}

    /// Cancels a work. One that has not begun is dropped and answered as cancelled; one that runs is asked to stop.
    void cancel(Peer& peer, std::uint64_t id) {
        bool dropped = false;
        {
            const std::lock_guard lock{mutex_};
            const auto is_it = [&](const Execution& at) { return at.peer == &peer && at.id == id; };
            if (executing_.mark(is_it, limits_.now())) DISTWORK_MARK(cancel_running);
            dropped = waiting_.drop(peer, id);
        }
        tell_to_stop();
        if (!dropped) return;
        DISTWORK_MARK(cancel_queued_at_slave);
        peer.reply({.kind = FrameKind::error, .id = id}, cancelled_body());
    }

    /// Returns a work that has not begun to its peer. Does nothing for one that has begun: its answer follows.
    void recall(Peer& peer, std::uint64_t id) {
        {
            const std::lock_guard lock{mutex_};
            if (DISTWORK_PLANTED(execute_what_was_returned) ? !waiting_.contains(peer, id) : !waiting_.drop(peer, id))
                return;
        }
        if (DISTWORK_PLANTED(forget_to_return)) return;
        DISTWORK_MARK(returned);
        peer.reply({.kind = FrameKind::returned, .id = id}, ByteBuffer{});
    }

    /// A new session begins. Returns how many slots works of earlier sessions occupy; `peer` is told when each is free.
    std::uint32_t hold(const std::shared_ptr<Peer>& peer) {
        const std::lock_guard lock{mutex_};
        held_for_ = peer;
        held_ = executing_.hold_all();
        return static_cast<std::uint32_t>(std::min(held_, slots_));
    }

    /// A session has ended. Drops its works that have not begun, and asks those that run to stop.
    void forget(const Peer& peer) noexcept {
        std::function<void()> idle;
        {
            const std::lock_guard lock{mutex_};
            waiting_.drop_all(peer);
            executing_.mark([&](const Execution& at) { return at.peer == &peer; }, limits_.now());
            if (nothing_is_here()) idle.swap(idle_);
        }
        tell_to_stop();
        if (idle) idle();
    }

    /// Drops all works that have not begun, begins no others, and asks those that run to stop. Does not wait for them.
    void stop() noexcept {
        std::function<void()> idle;
        {
            const std::lock_guard lock{mutex_};
            stopped_ = true;
            // Suspended works may now end without waiting for a slot: nothing else begins.
            while (const auto slot = wants_slot_.pop()) resume(*slot), slot->post();
            waiting_.clear();
            idle_.swap(idle);
            executing_.mark([](const Execution&) { return true; }, limits_.now());
            limits_.stop();
        }
        tell_to_stop();
        if (idle) idle();
    }

    bool is_idle() const {
        const std::lock_guard lock{mutex_};
        return stopped_ || nothing_is_here();
    }

    /// How many works run, and how many wait for a slot.
    SlaveState state() const {
        const std::lock_guard lock{mutex_};
        SlaveState state;
        state.running = static_cast<std::uint32_t>(executing_.size() - suspended_);
        state.queued = static_cast<std::uint32_t>(waiting_.size());
        return state;
    }

    SlaveActivity activity() const {
        const std::lock_guard lock{mutex_};
        return {begun_, executing_.longest_ignored_stop(limits_.now())};
    }

    /// The types of the works that wait for a slot, each with their number.
    std::vector<std::pair<const WorkType*, std::size_t>> waiting_types() const {
        const std::lock_guard lock{mutex_};
        return waiting_.types();
    }

    /// Calls `then` as soon as no work waits or runs, or the queue was stopped: inside this function, or in the
    /// thread in which that happens. `then` must not throw.
    void when_idle(std::function<void()> then) {
        {
            const std::lock_guard lock{mutex_};
            if (!stopped_ && !nothing_is_here()) {
                idle_ = std::move(then);
                return;
            }
        }
        then();
    }

    // `post_runner` must not throw.

    /// Adds works. Returns true if a slot was taken; `post_runner` was then called, under the lock, so that nothing is
    /// posted to the executor after `stop` has returned.
    template <class Post>
    bool add(std::shared_ptr<WorkBatch> batch, Post post_runner) {
        const std::lock_guard lock{mutex_};
        if (stopped_) return false;
        waiting_.push(std::move(batch));
        return take_free_slot(post_runner);
    }

    /// Likewise, for works that wait already.
    template <class Post>
    bool take_slot(Post post_runner) noexcept {
        const std::lock_guard lock{mutex_};
        return !stopped_ && take_free_slot(post_runner);
    }

    /// Ends the runner's work and begins the next one in its slot. Returns false if there is none; the slot was then
    /// freed or handed to a suspended work. Calls `post_runner` if `takes_more`, another work waits and another slot is
    /// free. If the work has a timeout, `overdue()` returns the function that calls `answer_overdue` when it is over.
    template <class Post, class Overdue>
    bool begin(Begun& begun, Execution& execution, bool takes_more, Post post_runner, Overdue overdue) noexcept {
        bool found = false;
        bool more = false;
        std::function<void()> idle;
        std::shared_ptr<Peer> counts_it;  // the master that counts its slot as occupied
        const auto previous =
            std::move(begun.batch);  // it may be the last to keep a session, and what users left there
        {
            const std::lock_guard lock{mutex_};
            counts_it = unlink(execution);
            if (!wants_slot_.empty()) {
                hand_on_slot();
            } else if (!waiting_.take(begun.batch, begun.item)) {
                if (!DISTWORK_PLANTED(leak_a_slot)) --running_;
                if (running_ == 0 && suspended_ == 0) limits_.rest();
                if (nothing_is_here()) idle.swap(idle_);
            } else {
                execution.reset(begun.batch->peer.get(), begun.item.id, begun.item.given_units);
                if (begun.item.timeout_ms != 0) {
                    const std::chrono::milliseconds timeout{begun.item.timeout_ms};
                    limits_.begin(execution, begun.batch->peer, timeout, overdue);
                }
                executing_.link(execution);
                ++begun_;
                found = true;
                more = takes_more && take_free_slot([] {});
            }
        }
        if (more) post_runner();
        if (idle) idle();
        if (counts_it) counts_it->free_slot();
        return found;
    }

    /// Whether the work returned within its timeout, so that its result is sent. If not, this answers that it was late:
    /// for the second time, if the timer has already answered it.
    bool is_in_time(const Begun& begun, Execution& execution, std::chrono::nanoseconds time) {
        {
            const std::lock_guard lock{mutex_};
            const auto in_time = std::exchange(execution.answers_to, nullptr);
            if (in_time && time < std::chrono::milliseconds{begun.item.timeout_ms}) return true;
        }
        Limits::answer_late(*begun.batch->peer, begun.item.id, time);
        return false;
    }

    /// A timeout is over: answers the works that are late, and asks them to stop.
    void answer_overdue() noexcept {
        {
            const std::lock_guard lock{mutex_};
            if (!stopped_) limits_.answer_overdue(executing_);
        }
        tell_to_stop();
    }

    /// Ends an execution and deletes it.
    struct End {
        WorkSlots* slots;
        void operator()(Execution* execution) const noexcept {
            slots->end(*execution);
            delete execution;
        }
    };
    using OwnExecution = std::unique_ptr<Execution, End>;

    /// Takes over the work and the slot of a runner, for a work that outlasts it. The queue must outlive the result.
    OwnExecution take_over(Execution& runners) {
        OwnExecution execution{new Execution{mutex_, *this}, End{this}};
        const std::lock_guard lock{mutex_};
        executing_.unlink(runners);
        execution->continues(runners);
        executing_.link(*execution);
        return execution;
    }

    void end(Execution& execution) noexcept {
        std::shared_ptr<Peer> counts_it;  // the master that counts its slot as occupied
        {
            const std::lock_guard lock{mutex_};
            counts_it = unlink(execution);
            if (execution.coroutine) execution.coroutine->has_ended = true;
        }
        if (counts_it) counts_it->free_slot();
    }

    // The functions of SlotLender

    bool enter(CoroutineSlot& slot) noexcept {
        const std::lock_guard lock{mutex_};
        ++slot.scheduled;
        if (!slot.is_suspended) return true;
        if (stopped_ || running_ < slots_) return resume(slot), true;
        wants_slot_.push(slot.shared_from_this());
        return false;
    }

    template <class Post>
    void leave(CoroutineSlot& slot, Post post_runner) noexcept {
        const std::lock_guard lock{mutex_};
        --slot.scheduled;
        suspend(slot, post_runner);
    }

    template <class Post>
    std::error_code begin_call(CoroutineSlot& slot, Post post_runner) noexcept {
        const std::lock_guard lock{mutex_};
        if (slot.calls == 0) {
            if (awaiting_ == max_suspended_) return Errc::too_many_suspended;
            ++awaiting_;
        }
        ++slot.calls;
        suspend(slot, post_runner);  // for a call that was begun outside of the work's own handlers
        return {};
    }

    void end_call(CoroutineSlot& slot) noexcept {
        const std::lock_guard lock{mutex_};
        if (--slot.calls == 0) --awaiting_;
    }

    Execution make_execution() { return Execution{mutex_, *this}; }

    /// Whether the loss of a coroutine that was not answered must end its session. False after `stop`.
    bool is_missed() const noexcept {
        const std::lock_guard lock{mutex_};
        return !stopped_;
    }

private:
    using Limits = ExecutionLimits<Transport>;
    std::chrono::steady_clock::time_point now() const override { return limits_.now(); }

    /// Gives the slot of a work free if the work only waits for calls. Under the lock.
    template <class Post>
    void suspend(CoroutineSlot& slot, Post post_runner) noexcept {
        if (slot.scheduled != 0 || slot.calls == 0 || slot.is_suspended || slot.has_ended || stopped_) return;
        if (DISTWORK_PLANTED(keep_the_slot)) return;
        DISTWORK_MARK(suspended_work);
        slot.is_suspended = true;
        slot.suspended_since = limits_.now();
        ++suspended_;
        tell_slot(slot, false);
        if (!wants_slot_.empty()) return hand_on_slot();
        --running_;
        take_free_slot(post_runner);
    }

    /// Whether nothing waits, runs, or is suspended. Under the lock.
    bool nothing_is_here() const noexcept { return waiting_.empty() && running_ == 0 && suspended_ == 0; }

    /// Hands a slot on to the first suspended work that wants one. Under the lock.
    void hand_on_slot() noexcept {
        const auto next = wants_slot_.pop();
        --running_;
        resume(*next);
        next->post();
    }

    /// Marks a suspended work as holding a slot again. Under the lock.
    void resume(CoroutineSlot& slot) noexcept {
        slot.is_suspended = false;
        slot.waited += limits_.now() - slot.suspended_since;
        --suspended_;
        ++running_;
        tell_slot(slot, true);
    }

    /// Tells the master. On an allocation failure the session ends, as both ends would count slots differently.
    static void tell_slot(CoroutineSlot& slot, bool is_taken) noexcept {
        const auto failed = exception_of([&] { slot.peer->tell_slot(slot.id, is_taken); });
        if (failed) slot.peer->fail(failed);
    }

    /// Asks the marked executions to stop. To be called outside of the lock.
    void tell_to_stop() noexcept {
        const auto next = [this] {
            const std::lock_guard lock{mutex_};
            return executing_.next_to_tell();
        };
        while (auto source = next()) source->request_stop();
    }

    /// Under the lock. Returns the session whose master counts its slot as occupied by an earlier session; null: none does.
    std::shared_ptr<Peer> unlink(Execution& execution) noexcept {
        executing_.unlink(execution);
        if (!std::exchange(execution.is_held, false) || --held_ >= slots_) return nullptr;
        return held_for_.lock();
    }

    /// Takes a slot and calls `post_runner`, if a work waits and a slot is free. Under the lock.
    template <class Post>
    bool take_free_slot(Post post_runner) noexcept {
        if (waiting_.empty() || running_ >= slots_) return false;
        ++running_;
        post_runner();
        return true;
    }

    const std::size_t slots_;
    const std::size_t max_suspended_;
    mutable std::mutex mutex_;
    // guarded by mutex_
    ReceivedWorks waiting_;
    std::uint64_t begun_ = 0;         // works, so far
    std::size_t running_ = 0;         // slots that are held
    std::size_t suspended_ = 0;       // coroutines that hold no slot
    std::size_t awaiting_ = 0;        // coroutines that await calls, suspended or not
    CoroutineSlot::Line wants_slot_;  // suspended works that are ready; empty while a slot is free
    ExecutionList executing_;
    std::size_t held_ = 0;          // executions of earlier sessions
    std::weak_ptr<Peer> held_for_;  // the current session
    Limits limits_;
    bool stopped_ = false;
    std::function<void()> idle_;
};

}  // namespace distwork::detail
