#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/probe.hpp"
#include "../base/surely.hpp"
#include "../calls/peer.hpp"
#include "../context.hpp"
#include "../slave_state.hpp"
#include "../transport.hpp"
#include "../types/registry.hpp"
#include "../wire/byte_buffer.hpp"
#include "../wire/reply.hpp"
#include "chunk_execution.hpp"
#include "execution_list.hpp"
#include "work_batch.hpp"
#include "work_reply.hpp"
#include "work_slots.hpp"

namespace distwork::detail {

/// Executes the works that peers sent, on a work executor. Works begin strictly in the order of arrival, at most
/// `slots` run at a time, and each is answered before its slot begins another one. Works of a peer that does not read
/// its answers wait, and works of other peers pass them.
///
/// All works of one read are pushed together. A runner is a task on the work executor that holds one slot and executes
/// one work after another, without a new task for each.
///
/// A work that exceeds its timeout is answered at once and asked to stop. It keeps its slot until it returns; then it
/// is answered again, and its result is dropped.
///
/// *Thread-safety*: all functions. *Lifetime*: shared by its role and the runners.
template <class Transport>
class WorkQueue final : public std::enable_shared_from_this<WorkQueue<Transport>>, private SlotLender {
public:
    static constexpr std::size_t default_max_suspended = 10'000;

    /// `executor`: the work executor. `immediate`: `push`, which must be called on `executor`, executes the works and
    /// blocks meanwhile. `max_suspended`: the number of coroutine works that may await calls.
    WorkQueue(Transport transport, asio::any_io_executor executor, bool immediate, std::size_t slots,
              std::size_t max_suspended = default_max_suspended)
        : slots_{transport, slots, max_suspended},
          transport_{std::move(transport)},
          executor_{std::move(executor)},
          immediate_{immediate} {}

    /// Adds works. Blocks while they are executed, if the queue is immediate.
    void push(std::shared_ptr<WorkBatch> batch) {
        const bool begins = slots_.add(std::move(batch), [this] {
            if (!immediate_) post_runner();
        });
        if (begins && immediate_) run();
    }

    /// To be called when a peer takes answers again: begins its works.
    void resume() noexcept {
        slots_.take_slot([this] { post_runner(); });
    }

    // See WorkSlots.

    void cancel(Peer& peer, std::uint64_t id) { slots_.cancel(peer, id); }
    void recall(Peer& peer, std::uint64_t id) { slots_.recall(peer, id); }
    std::uint32_t hold(const std::shared_ptr<Peer>& peer) { return slots_.hold(peer); }
    void forget(const Peer& peer) noexcept { slots_.forget(peer); }
    void stop() noexcept { slots_.stop(); }
    bool is_idle() const { return slots_.is_idle(); }
    void when_idle(std::function<void()> then) { slots_.when_idle(std::move(then)); }
    SlaveState state() const { return slots_.state(); }
    SlaveActivity activity() const { return slots_.activity(); }
    std::vector<std::pair<const WorkType*, std::size_t>> waiting_types() const { return slots_.waiting_types(); }

private:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Begun = typename WorkSlots<Transport>::Begun;
    using OwnExecution = typename WorkSlots<Transport>::OwnExecution;
    static constexpr auto longest_turn = std::chrono::milliseconds{10};

    void post_runner() noexcept {
        post_surely(executor_, [self = this->shared_from_this()] { self->run(); });
    }

    /// A runner: executes works in its slot until none waits. After `longest_turn` it posts itself again, so that other
    /// tasks of the executor get their turn.
    void run() {
        Begun begun;
        Execution execution = slots_.make_execution();
        struct Unlink {
            WorkQueue& queue;
            Execution& execution;
            ~Unlink() { queue.slots_.end(execution); }
        } const unlink{*this, execution};
        ByteBuffer answer;
        TimePoint now = transport_.now();
        const TimePoint until = now + longest_turn;
        const auto more = [this] { post_runner(); };
        const auto overdue = [this] {
            return [queue = this->weak_from_this()] {
                if (const auto there = queue.lock()) there->slots_.answer_overdue();
            };
        };
        while (slots_.begin(begun, execution, !immediate_, more, overdue)) {
            if constexpr (DelaysWorks<Transport>) {
                if (delay(begun, execution)) {
                    if (!go_on()) return;
                    continue;
                }
            }
            if (begun.item.type->execute_async) {
                spawn(std::move(begun), transport_.now(), [&] { return slots_.take_over(execution); });
                if (!go_on()) return;
                continue;
            }
            if (begun.item.is_chunk) execute_chunk(begun, execution, now);
            else execute(begun, execution, answer, now);
            if (immediate_ || now <= until) continue;
            slots_.end(execution);
            return post_runner();
        }
    }

    /// Whether an immediate runner whose work took over its slot goes on with another slot.
    bool go_on() noexcept {
        return immediate_ && slots_.take_slot([] {});
    }

    /// Executes a work and answers it. If there is no memory for the answer, the session ends, and the slot goes on.
    void execute(const Begun& begun, Execution& execution, ByteBuffer& answer, TimePoint& now) {
        try {
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
        } catch (...) {
            begun.batch->peer->fail(std::current_exception());
        }
    }

    /// Likewise for a chunk.
    void execute_chunk(const Begun& begun, Execution& execution, TimePoint& now) {
        try {
            Context context{begun.batch->peer, &execution};
            ChunkExecution chunk{begun.batch->peer, begun.item, now};
            try {
                do {
                    chunk.execute_some(context);
                    now = transport_.now();
                } while (chunk.goes_on(now, execution.stop_requested.load(std::memory_order_relaxed)));
                chunk.finish();
            } catch (const Error&) {
                chunk.fail(std::current_exception());
            }
        } catch (...) {
            begun.batch->peer->fail(std::current_exception());
        }
    }

    void reply(const Begun& begun, Execution& execution, std::chrono::nanoseconds time,
               const std::exception_ptr& thrown, const std::exception_ptr& broken, ByteBuffer& answer) {
        if (DISTWORK_PLANTED(forget_an_answer) && begun.item.id % 13 == 0) return;
        if (begun.item.timeout_ms != 0 && !slots_.is_in_time(begun, execution, time)) return;
        detail::reply(*begun.batch->peer, begun.item, time, DISTWORK_PLANTED(swallow_the_exception) ? nullptr : thrown,
                      broken, answer);
    }

    // Works that outlast their runner. They take over its slot, and hold none while they are suspended. When they end,
    // a new runner takes the slot.

    /// Starts a coroutine work. `take()` returns its execution, taken over from its runner. `since`: when it began.
    template <class Take>
    void spawn(Begun begun, TimePoint since, Take take) noexcept {
        auto self = this->shared_from_this();
        const auto& peer = begun.batch->peer;
        Ended ended{self, peer};  // is destroyed, and ends the session, if the following throws
        static_cast<void>(exception_of([&] {
            OwnExecution execution = take();
            execution->is_coroutine(std::make_shared<CoroutineSlot>(std::shared_ptr<SlotLender>{self, this}, executor_,
                                                                    peer, begun.item.id));
            const asio::any_io_executor strand = execution->calls()->get_executor();
            asio::co_spawn(strand, execute_async(self, std::move(begun), std::move(execution), since),
                           std::move(ended));
        }));
    }

    /// The completion handler of a coroutine work: its slot goes on to the next work. If it is destroyed without being
    /// called, the coroutine could not begin, or was destroyed with what it awaited. Then the work cannot be answered,
    /// and its session ends, so that the peer sends the work elsewhere.
    struct Ended {
        Ended(std::shared_ptr<WorkQueue> at, std::shared_ptr<Peer> of) noexcept
            : queue{std::move(at)}, peer{std::move(of)} {}
        Ended(Ended&&) noexcept = default;
        ~Ended() {
            if (!queue || !queue->slots_.is_missed()) return;
            peer->fail(exception_of([] { throw Error{Errc::session_failed, "a work was destroyed before it ended"}; }));
            queue->post_runner();
        }
        void operator()(const std::exception_ptr& error) {
            if (error) peer->fail(error);
            std::exchange(queue, nullptr)->post_runner();
        }

        std::shared_ptr<WorkQueue> queue;
        std::shared_ptr<Peer> peer;
    };

    bool enter(CoroutineSlot& slot) noexcept override { return slots_.enter(slot); }
    void leave(CoroutineSlot& slot) noexcept override {
        slots_.leave(slot, [this] { post_runner(); });
    }
    std::error_code begin_call(CoroutineSlot& slot) noexcept override {
        return slots_.begin_call(slot, [this] { post_runner(); });
    }
    void end_call(CoroutineSlot& slot) noexcept override { slots_.end_call(slot); }

    static asio::awaitable<void> execute_async(std::shared_ptr<WorkQueue> self, Begun begun, OwnExecution owned,
                                               TimePoint since) {
        const OwnExecution execution = std::move(owned);  // ends with the coroutine's body, not with its frame
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
        // The time in which it was suspended does not count.
        self->reply(begun, *execution, self->transport_.now() - since - execution->coroutine->waited, thrown, broken,
                    answer);
    }

    /// In a simulation: a work that is executed after its drawn time.
    struct Delayed {
        std::shared_ptr<WorkQueue> queue;
        Begun begun;
        OwnExecution execution;  // is destroyed before its queue
        TimePoint since;
        std::optional<ChunkExecution> chunk;
    };

    /// In a simulation: delays the work by its drawn time. Returns false if it has none; then it runs now. The work
    /// counts as running meanwhile.
    bool delay(Begun& begun, Execution& runners) {
        const auto delayed = surely([] { return std::make_shared<Delayed>(); });
        delayed->queue = this->shared_from_this();
        const auto work = [delayed] {
            auto& [queue, begun_work, execution, since, chunk] = *delayed;
            if (begun_work.item.is_chunk) return queue->delayed_chunk(delayed);
            if (begun_work.item.type->execute_async)
                return queue->spawn(std::move(begun_work), since, [&taken = execution] { return std::move(taken); });
            ByteBuffer answer;
            queue->execute(begun_work, *execution, answer, since);
            execution.reset();
            queue->run();
        };
        const auto go = [executor = executor_, work] { asio::dispatch(executor, work); };
        if (!surely([&] { return transport_.delay_work(begun.item.type->name, go); })) return false;
        delayed->begun = std::move(begun);
        delayed->execution = surely([&] { return slots_.take_over(runners); });
        delayed->since = transport_.now();
        return true;
    }

    /// Executes works of a chunk until another one is delayed.
    void delayed_chunk(const std::shared_ptr<Delayed>& delayed) {
        const WorkBatch::Item& item = delayed->begun.item;
        const auto& peer = delayed->begun.batch->peer;
        const auto next = [delayed] { delayed->queue->delayed_chunk(delayed); };
        const auto go = [executor = executor_, next] { asio::dispatch(executor, next); };
        try {
            Context context{peer, delayed->execution.get()};
            if (!delayed->chunk) delayed->chunk.emplace(peer, item, delayed->since);
            do {
                delayed->chunk->execute_next(context);
                if (!delayed->chunk->goes_on(transport_.now(), delayed->execution->stop_requested)) {
                    delayed->chunk->finish();
                    break;
                }
                if constexpr (DelaysWorks<Transport>)
                    if (transport_.delay_work(item.type->name, go)) return;
            } while (true);
        } catch (const Error&) {
            delayed->chunk->fail(std::current_exception());
        } catch (...) {
            peer->fail(std::current_exception());
        }
        delayed->execution.reset();
        run();
    }

    WorkSlots<Transport> slots_;
    Transport transport_;
    const asio::any_io_executor executor_;
    const bool immediate_;
};

}  // namespace distwork::detail
