#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "../base/asio.hpp"
#include "../base/surely.hpp"
#include "../base/timer_queue.hpp"
#include "../calls/peer.hpp"
#include "../error.hpp"
#include "../wire/frame.hpp"
#include "../wire/reply.hpp"
#include "execution_list.hpp"

namespace distwork::detail {

/// The execution timeouts of a queue's works. Works without a timeout do not use it. Guarded by the mutex of the queue.
///
/// When the time of an execution is over, the timer takes its `answers_to` and sends the answer. This happens under the
/// lock, so that the second answer, which gives the slot back, comes after it.
template <class Transport>
class ExecutionLimits {
    using TimePoint = std::chrono::steady_clock::time_point;

public:
    explicit ExecutionLimits(Transport transport) : transport_{std::move(transport)} {}

    TimePoint now() const { return transport_.now(); }

    /// Starts the timeout of an execution that begins now. `make_over` makes the function that the timer calls; it is
    /// used once, with the first timeout.
    template <class MakeOver>
    void begin(Execution& execution, std::shared_ptr<Peer> peer, std::chrono::milliseconds timeout,
               MakeOver&& make_over) noexcept {
        execution.limit(std::move(peer), transport_.now(), timeout);
        if (execution.deadline >= wakes_at_) return;
        if (!timers_) {
            timers_ =
                surely([&] { return std::make_shared<TimerQueue<Transport>>(transport_, transport_.make_strand()); });
            over_ = surely([&] { return std::function<void()>{make_over()}; });
        }
        wait_until(execution.deadline);
    }

    /// Cancels the wait and releases the timer, which belongs to the context.
    void stop() noexcept {
        rest();
        next_ = nullptr;
        over_ = nullptr;
        if (timers_) timers_->stop();
        timers_ = nullptr;
    }

    /// Cancels the wait. To be called when no work runs or is suspended that has a timeout.
    void rest() noexcept {
        if (wakes_at_ == TimePoint::max()) return;
        wakes_at_ = TimePoint::max();
        next_ = nullptr;
        timers_->rest();
    }

    /// Called by the timer. Answers every execution that is overdue with Errc::execution_timeout, and marks it to be
    /// asked to stop.
    void answer_overdue(ExecutionList& executing) noexcept {
        const TimePoint now = transport_.now();
        TimePoint next = TimePoint::max();
        wakes_at_ = TimePoint::max();
        executing.mark(
            [&](Execution& at) {
                if (!at.is_timed()) return false;
                if (at.deadline > now) return next = std::min(next, at.deadline), false;
                const auto peer = std::exchange(at.answers_to, nullptr);
                const auto failed = exception_of([&] { answer_late(*peer, at.id, now - at.began, flag_goes_on); });
                if (failed) peer->fail(failed);
                return true;
            },
            now);
        if (next != TimePoint::max()) wait_until(next);
    }

    /// Answers that a work exceeded its timeout. `flags`: flag_goes_on if it still runs; it is answered once more when
    /// it returns.
    static void answer_late(Peer& peer, std::uint64_t id, std::chrono::nanoseconds time, std::uint8_t flags = 0) {
        const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(time);
        peer.reply({.kind = FrameKind::error, .flags = flags, .id = id},
                   error_body(time, Errc::execution_timeout, "", "after " + std::to_string(took.count()) + " ms"));
    }

private:
    void wait_until(TimePoint time) noexcept {
        wakes_at_ = time;
        surely([&] { timers_->set(time - transport_.now(), over_, next_); });
    }

    Transport transport_;
    std::shared_ptr<TimerQueue<Transport>> timers_;  // null before the first work that has a timeout
    std::function<void()> over_;
    std::shared_ptr<void> next_;
    TimePoint wakes_at_ = TimePoint::max();  // max: there is no wait
};

}  // namespace distwork::detail
