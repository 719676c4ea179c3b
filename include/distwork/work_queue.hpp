#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "byte_buffer.hpp"
#include "context.hpp"
#include "detail/asio.hpp"
#include "detail/execution_limits.hpp"
#include "detail/execution_list.hpp"
#include "detail/probe.hpp"
#include "detail/received_works.hpp"
#include "detail/work_reply.hpp"
#include "error.hpp"
#include "frame.hpp"
#include "registry.hpp"
#include "reply.hpp"
#include "slave_state.hpp"
#include "transport.hpp"
#include "work_batch.hpp"

namespace distwork {

/// Executes the works that peers sent: begins them strictly in the order of arrival, at most `slots` at a time, on a
/// work executor; each is answered before its slot begins another. Works of a peer that does not read its answers wait,
/// and others' pass them.
///
/// One hand-over brings all works of a read; a runner occupies one slot and goes on to the next work without another.
///
/// A work whose execution takes longer than its timeout is answered so at once and asked to stop; it keeps its slot
/// until it returns, which is answered as well. What it returns then is dropped.
///
/// *Thread-safety*: all functions. *Lifetime*: shared by its role and the runners.
template <class Transport>
class WorkQueue : public std::enable_shared_from_this<WorkQueue<Transport>> {
public:
    /// `immediate`: works are executed inside `push`, by the caller, who runs on `executor`.
    WorkQueue(Transport transport, asio::any_io_executor executor, bool immediate, std::size_t slots)
        : transport_{std::move(transport)},
          executor_{std::move(executor)},
          immediate_{immediate},
          slots_{DISTWORK_PLANTED(run_one_more) ? slots + 1 : slots},
          limits_{transport_} {}

    void push(std::shared_ptr<WorkBatch> batch) {
        {
            const std::lock_guard lock{mutex_};
            if (stopped_) return;
            waiting_.push(std::move(batch));
            if (running_ == slots_) return;
            ++running_;
            // Under the lock: nothing comes to the executor any more when `stop` has returned.
            if (!immediate_) return post_runner();
        }
        run();
    }

    /// Drops a work that was not begun, answering that it was cancelled; asks one that runs to stop.
    void cancel(Peer& peer, std::uint64_t id) {
        bool dropped = false;
        std::vector<std::stop_source> asked;
        {
            const std::lock_guard lock{mutex_};
            executing_.mark(asked, [&](const Execution& at) {
                if (at.peer != &peer || at.id != id) return false;
                DISTWORK_MARK(cancel_running);
                return true;
            });
            dropped = waiting_.drop(peer, id);
        }
        for (std::stop_source& source : asked) source.request_stop();
        if (!dropped) return;
        DISTWORK_MARK(cancel_queued_at_slave);
        peer.reply({.kind = FrameKind::error, .id = id}, cancelled_body());
    }

    /// A session ended: its works that were not begun are dropped, those that run are asked to stop.
    void forget(const Peer& peer) {
        std::vector<std::stop_source> asked;
        std::function<void()> idle;
        {
            const std::lock_guard lock{mutex_};
            waiting_.drop_all(peer);
            executing_.mark(asked, [&](const Execution& at) { return at.peer == &peer; });
            if (waiting_.empty() && running_ == 0) idle.swap(idle_);
        }
        for (std::stop_source& source : asked) source.request_stop();
        if (idle) idle();
    }

    /// A peer takes answers again.
    void resume() {
        const std::lock_guard lock{mutex_};
        if (!stopped_ && take_slot()) post_runner();
    }

    /// Begins nothing more; what runs is asked to stop.
    void stop() {
        std::vector<std::stop_source> asked;
        std::function<void()> idle;
        {
            const std::lock_guard lock{mutex_};
            stopped_ = true;
            waiting_.clear();
            idle_.swap(idle);
            executing_.mark(asked, [](const Execution&) { return true; });
            limits_.rest();
        }
        for (std::stop_source& source : asked) source.request_stop();
        if (idle) idle();
    }

    bool is_idle() const {
        const std::lock_guard lock{mutex_};
        return stopped_ || (waiting_.empty() && running_ == 0);
    }

    /// What runs, and what waits for a slot.
    SlaveState state() const {
        const std::lock_guard lock{mutex_};
        SlaveState state;
        state.running = static_cast<std::uint32_t>(executing_.size());
        state.queued = static_cast<std::uint32_t>(waiting_.size());
        return state;
    }

    /// Calls `then` once nothing waits and nothing runs: from here, or from a thread that executed a work.
    void when_idle(std::function<void()> then) {
        {
            const std::lock_guard lock{mutex_};
            if (!stopped_ && (!waiting_.empty() || running_ != 0)) {
                idle_ = std::move(then);
                return;
            }
        }
        then();
    }

private:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Execution = detail::Execution;
    using ExecutionList = detail::ExecutionList;
    using Limits = detail::ExecutionLimits<Transport>;
    static constexpr auto longest_turn = std::chrono::milliseconds{10};

    /// What a runner holds of the work that it executes.
    struct Begun {
        std::shared_ptr<WorkBatch> batch;
        typename WorkBatch::Item item;
    };

    void post_runner() {
        asio::post(executor_, [self = this->shared_from_this()] { self->run(); });
    }

    /// One slot's turn: works until none waits, or for so long that others on the executor should have theirs.
    void run() {
        Begun begun;
        Execution execution{mutex_};
        ByteBuffer answer;
        TimePoint now = transport_.now();
        const TimePoint until = now + longest_turn;
        while (begin(begun, execution)) {
            if constexpr (DelaysWorks<Transport>) {
                if (delay(begun, execution)) {
                    if (!go_on()) return;
                    continue;
                }
            }
            if (begun.item.type->execute_async) {
                spawn(std::move(begun), take_over(execution), transport_.now());
                if (!go_on()) return;
                continue;
            }
            try {
                execute(begun, execution, answer, now);
            } catch (...) {  // its answer finds no memory
                end(execution);
                throw;
            }
            if (immediate_ || now <= until) continue;
            end(execution);
            return post_runner();
        }
    }

    /// Under the lock.
    void limit(const Begun& begun, Execution& execution) {
        limits_.begin(execution, begun.batch->peer, std::chrono::milliseconds{begun.item.timeout_ms}, [this] {
            return [queue = this->weak_from_this()] {
                if (const auto there = queue.lock()) there->answer_overdue();
            };
        });
    }

    /// Takes the next work and puts it into the list of those that are executed, in place of the one that was executed
    /// before. False: none waits, the slot is free.
    bool begin(Begun& begun, Execution& execution) {
        bool found = false;
        bool more = false;
        std::function<void()> idle;
        {
            const std::lock_guard lock{mutex_};
            executing_.unlink(execution);
            if (!waiting_.take(begun.batch, begun.item)) {
                if (!DISTWORK_PLANTED(leak_a_slot)) --running_;
                if (running_ == 0) {
                    limits_.rest();
                    if (waiting_.empty()) idle.swap(idle_);
                }
            } else {
                execution.reset(begun.batch->peer.get(), begun.item.id);
                if (begun.item.timeout_ms != 0) limit(begun, execution);
                executing_.link(execution);
                found = true;
                more = !immediate_ && take_slot();
            }
        }
        if (more) post_runner();
        if (idle) idle();
        return found;
    }

    /// Whether another work waits and another slot is free for it, which is then taken. Under the lock.
    bool take_slot() {
        if (waiting_.empty() || running_ == slots_) return false;
        ++running_;
        return true;
    }

    void execute(const Begun& begun, Execution& execution, ByteBuffer& answer, TimePoint& now) {
        Context context{begun.batch->peer, &execution};
        answer.clear();
        answer.extend(reply_head_bytes);
        std::exception_ptr thrown;
        std::exception_ptr broken;
        try {
            thrown = begun.item.type->execute(begun.item.body, context, answer, begun.batch->peer->limits());
        } catch (...) {
            broken = std::current_exception();
        }
        const TimePoint before = std::exchange(now, transport_.now());
        reply(begun, execution, now - before, thrown, broken, answer);
    }

    void reply(const Begun& begun, Execution& execution, std::chrono::nanoseconds time,
               const std::exception_ptr& thrown, const std::exception_ptr& broken, ByteBuffer& answer) {
        if (DISTWORK_PLANTED(forget_an_answer) && begun.item.id % 13 == 0) return;
        if (begun.item.timeout_ms != 0 && !is_in_time(begun, execution, time)) return;
        detail::reply(*begun.batch->peer, begun.item, time, DISTWORK_PLANTED(swallow_the_exception) ? nullptr : thrown,
                      broken, answer);
    }

    /// If not, it is answered as late: the timer has told the caller, or that is left to this answer.
    bool is_in_time(const Begun& begun, Execution& execution, std::chrono::nanoseconds time) {
        {
            const std::lock_guard lock{mutex_};
            const auto in_time = std::exchange(execution.answers_to, nullptr);
            if (in_time && time < std::chrono::milliseconds{begun.item.timeout_ms}) return true;
        }
        Limits::answer_late(*begun.batch->peer, begun.item.id, time);
        return false;
    }

    void answer_overdue() {
        std::vector<std::stop_source> asked;
        {
            const std::lock_guard lock{mutex_};
            if (!stopped_) limits_.answer_overdue(executing_, asked);
        }
        for (std::stop_source& source : asked) source.request_stop();
    }

    void end(Execution& execution) {
        const std::lock_guard lock{mutex_};
        executing_.unlink(execution);
    }

    // Works that outlast their runner: the slot goes with them; when they end, a runner takes it on.

    /// Whether a runner without its slot may go on, on another.
    bool go_on() {
        const std::lock_guard lock{mutex_};
        return immediate_ && take_slot();
    }

    std::unique_ptr<Execution> take_over(Execution& runners) {
        auto execution = std::make_unique<Execution>(mutex_);
        const std::lock_guard lock{mutex_};
        executing_.unlink(runners);
        execution->continues(runners);
        executing_.link(*execution);
        return execution;
    }

    /// False: the work runs now. It counts as running from here.
    bool delay(Begun& begun, Execution& runners) {
        struct Delayed {
            std::shared_ptr<WorkQueue> queue;
            Begun begun;
            std::unique_ptr<Execution> execution;
            TimePoint since;
            ~Delayed() {
                if (execution) queue->end(*execution);
            }
        };
        const auto delayed = std::make_shared<Delayed>();
        delayed->queue = this->shared_from_this();
        const auto work = [delayed] {
            auto& [queue, begun_work, execution, since] = *delayed;
            if (begun_work.item.type->execute_async)
                return queue->spawn(std::move(begun_work), std::move(execution), since);
            ByteBuffer answer;
            queue->execute(begun_work, *execution, answer, since);
            queue->end(*execution);
            queue->run();
        };
        const auto go = [executor = executor_, work] { asio::dispatch(executor, work); };
        if (!transport_.delay_work(begun.item.type->name, go)) return false;
        delayed->begun = std::move(begun);
        delayed->execution = take_over(runners);
        delayed->since = transport_.now();
        return true;
    }

    void spawn(Begun begun, std::unique_ptr<Execution> execution, TimePoint since) {
        auto self = this->shared_from_this();
        asio::co_spawn(executor_, execute_async(self, std::move(begun), std::move(execution), since),
                       [self](const std::exception_ptr&) { self->run(); });
    }

    static asio::awaitable<void> execute_async(std::shared_ptr<WorkQueue> self, Begun begun,
                                               std::unique_ptr<Execution> execution, TimePoint since) {
        struct Unlink {
            WorkQueue& queue;
            Execution& execution;
            ~Unlink() { queue.end(execution); }
        } unlink{*self, *execution};
        Context context{begun.batch->peer, execution.get()};
        ByteBuffer answer;
        answer.extend(reply_head_bytes);
        std::exception_ptr thrown;
        std::exception_ptr broken;
        try {
            thrown =
                co_await begun.item.type->execute_async(begun.item.body, context, answer, begun.batch->peer->limits());
        } catch (...) {
            broken = std::current_exception();
        }
        self->reply(begun, *execution, self->transport_.now() - since, thrown, broken, answer);
    }

    Transport transport_;
    const asio::any_io_executor executor_;
    const bool immediate_;
    const std::size_t slots_;

    mutable std::mutex mutex_;
    // guarded by mutex_
    detail::ReceivedWorks waiting_;
    std::size_t running_ = 0;  // slots taken: by a runner, or by a coroutine that waits
    ExecutionList executing_;
    Limits limits_;
    bool stopped_ = false;
    std::function<void()> idle_;
};

}  // namespace distwork
