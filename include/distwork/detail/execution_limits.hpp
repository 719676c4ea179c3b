#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <system_error>
#include <utility>
#include <vector>

#include "../error.hpp"
#include "../frame.hpp"
#include "../peer.hpp"
#include "../reply.hpp"
#include "asio.hpp"
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
    ExecutionTimer(Transport transport, std::function<void()> over)
        : transport_{std::move(transport)},
          strand_{transport_.make_strand()},
          over_{std::move(over)},
          timer_{strand_} {}

    /// Waits until then, and for nothing else. It may still call for the time that it was to wait for before.
    void wait_until(TimePoint time) {
        asio::post(strand_, [self = this->shared_from_this(), time] {
            self->timer_.expires_after(time - self->transport_.now());
            self->timer_.async_wait([self](std::error_code cancelled) {
                if (!cancelled) self->over_();
            });
        });
    }

    /// Waits for nothing: whoever runs the context may leave.
    void rest() {
        asio::post(strand_, [self = this->shared_from_this()] { self->timer_.cancel(); });
    }

private:
    Transport transport_;
    const typename Transport::Strand strand_;
    const std::function<void()> over_;
    typename Transport::Timer timer_;  // strand_
};

/// How long works may be executed: works that have no timeout never come here. Guarded by the mutex of the queue.
///
/// Whoever takes `answers_to` of an execution answers it: the timer, or who executed the work.
template <class Transport>
class ExecutionLimits {
    using TimePoint = std::chrono::steady_clock::time_point;

public:
    explicit ExecutionLimits(Transport transport) : transport_{std::move(transport)} {}

    /// A work whose time is over.
    struct Overdue {
        std::shared_ptr<Peer> peer;
        std::uint64_t id;
        std::chrono::nanoseconds time;

        void answer() const {
            const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(time);
            peer->reply(id, FrameKind::error,
                        error_body(time, Errc::execution_timeout, "", "after " + std::to_string(took.count()) + " ms"));
        }
    };

    /// The execution begins now. `make_over` makes what the timer calls, when there is none yet.
    template <class MakeOver>
    void begin(Execution& execution, std::shared_ptr<Peer> peer, std::chrono::milliseconds timeout,
               MakeOver&& make_over) {
        execution.limit(std::move(peer), transport_.now(), timeout);
        if (execution.deadline >= wakes_at_) return;
        if (!timer_) timer_ = std::make_shared<ExecutionTimer<Transport>>(transport_, make_over());
        wait_until(execution.deadline);
    }

    /// Nothing is executed that has a timeout; or nobody cares any more.
    void rest() {
        if (wakes_at_ == TimePoint::max()) return;
        wakes_at_ = TimePoint::max();
        timer_->rest();
    }

    /// The timer called: what is overdue is to be answered, then asked to stop, when the lock is free.
    std::vector<Overdue> take_overdue(ExecutionList& executing, std::vector<std::stop_source>& asked) {
        std::vector<Overdue> overdue;
        const TimePoint now = transport_.now();
        TimePoint next = TimePoint::max();
        executing.mark(asked, [&](Execution& at) {
            if (!at.is_timed()) return false;
            if (at.deadline > now) return next = std::min(next, at.deadline), false;
            overdue.push_back({std::move(at.answers_to), at.id, now - at.began});
            return true;
        });
        wakes_at_ = TimePoint::max();
        if (next != TimePoint::max()) wait_until(next);
        return overdue;
    }

private:
    void wait_until(TimePoint time) {
        wakes_at_ = time;
        timer_->wait_until(time);
    }

    Transport transport_;
    std::shared_ptr<ExecutionTimer<Transport>> timer_;  // null before the first work that has a timeout
    TimePoint wakes_at_ = TimePoint::max();             // max: it rests
};

}  // namespace distwork::detail
