#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "../base/asio.hpp"
#include "../base/surely.hpp"
#include "../calls/peer.hpp"
#include "../error.hpp"
#include "../wire/frame.hpp"
#include "../wire/reply.hpp"
#include "execution_list.hpp"

namespace distwork::detail {

/// Calls a function at a time: one timer for all executions of a queue.
///
/// *Executor*: a strand of its own. *Thread-safety*: all functions; they take effect in the order in which they were
/// called. *Lifetime*: shared by its queue and the wait under way, which does not keep the queue.
template <class Transport>
class ExecutionTimer : public std::enable_shared_from_this<ExecutionTimer<Transport>> {
    using TimePoint = std::chrono::steady_clock::time_point;

public:
    /// `over` must not throw.
    ExecutionTimer(Transport transport, std::function<void()> over)
        : transport_{std::move(transport)},
          strand_{transport_.make_strand()},
          over_{std::move(over)},
          timer_{strand_} {}

    /// Waits until then, and for nothing else. It may still call for the time that it was to wait for before.
    void wait_until(TimePoint time) noexcept {
        post_surely(strand_, [self = this->shared_from_this(), time] {
            surely([&] {
                self->timer_.expires_after(time - self->transport_.now());
                self->timer_.async_wait([self](std::error_code cancelled) {
                    if (!cancelled) self->over_();
                });
            });
        });
    }

    /// Waits for nothing: whoever runs the context may leave.
    void rest() noexcept {
        post_surely(strand_, [self = this->shared_from_this()] { self->timer_.cancel(); });
    }

private:
    Transport transport_;
    const typename Transport::Strand strand_;
    const std::function<void()> over_;
    typename Transport::Timer timer_;  // strand_
};

/// How long works may be executed: works that have no timeout never come here. Guarded by the mutex of the queue.
///
/// The timer takes `answers_to` of an execution whose time is over, and answers it: in the lock, so that the answer that
/// gives its slot back comes behind it.
template <class Transport>
class ExecutionLimits {
    using TimePoint = std::chrono::steady_clock::time_point;

public:
    explicit ExecutionLimits(Transport transport) : transport_{std::move(transport)} {}

    TimePoint now() const { return transport_.now(); }

    /// The execution begins now. `make_over` makes what the timer calls, when there is none yet.
    template <class MakeOver>
    void begin(Execution& execution, std::shared_ptr<Peer> peer, std::chrono::milliseconds timeout,
               MakeOver&& make_over) noexcept {
        execution.limit(std::move(peer), transport_.now(), timeout);
        if (execution.deadline >= wakes_at_) return;
        if (!timer_)
            timer_ = surely([&] { return std::make_shared<ExecutionTimer<Transport>>(transport_, make_over()); });
        wait_until(execution.deadline);
    }

    /// Nobody cares any more: what belongs to the context goes.
    void stop() noexcept {
        rest();
        timer_ = nullptr;
    }

    /// Nothing is executed that has a timeout.
    void rest() noexcept {
        if (wakes_at_ == TimePoint::max()) return;
        wakes_at_ = TimePoint::max();
        timer_->rest();
    }

    /// The timer called: answers what is overdue, which is marked as to be stopped.
    void answer_overdue(ExecutionList& executing) noexcept {
        const TimePoint now = transport_.now();
        TimePoint next = TimePoint::max();
        wakes_at_ = TimePoint::max();
        executing.mark([&](Execution& at) {
            if (!at.is_timed()) return false;
            if (at.deadline > now) return next = std::min(next, at.deadline), false;
            const auto peer = std::exchange(at.answers_to, nullptr);
            const auto failed = exception_of([&] { answer_late(*peer, at.id, now - at.began, flag_goes_on); });
            if (failed) peer->fail(failed);
            return true;
        });
        if (next != TimePoint::max()) wait_until(next);
    }

    /// `flag_goes_on`: it is answered once more when it returns.
    static void answer_late(Peer& peer, std::uint64_t id, std::chrono::nanoseconds time, std::uint8_t flags = 0) {
        const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(time);
        peer.reply({.kind = FrameKind::error, .flags = flags, .id = id},
                   error_body(time, Errc::execution_timeout, "", "after " + std::to_string(took.count()) + " ms"));
    }

private:
    void wait_until(TimePoint time) noexcept {
        wakes_at_ = time;
        timer_->wait_until(time);
    }

    Transport transport_;
    std::shared_ptr<ExecutionTimer<Transport>> timer_;  // null before the first work that has a timeout
    TimePoint wakes_at_ = TimePoint::max();             // max: it rests
};

}  // namespace distwork::detail
