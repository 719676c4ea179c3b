#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "../calls/peer.hpp"
#include "../context.hpp"
#include "../wire/progress_body.hpp"
#include "coroutine_slot.hpp"

namespace distwork::detail {

/// The state of a work while it is executed. Its Context reads it, and cancellations and timeouts ask it to stop.
/// Guarded by the mutex of the queue.
class Execution final : public Context::Execution {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// The clock of the queue.
    class Clock {
    public:
        virtual TimePoint now() const = 0;

    protected:
        ~Clock() = default;
    };

    Execution(std::mutex& mutex, const Clock& clock) : mutex_{mutex}, clock_{clock} {}

    void report(double done, std::string_view text, Peer& to) override {
        constexpr auto between = std::chrono::milliseconds{100};
        std::uint64_t work = 0;
        {
            const std::lock_guard lock{mutex_};
            const TimePoint now = clock_.now();
            if (now - reported_ < between) return;
            reported_ = now;
            work = id;
        }
        const double share = done > 0 ? std::min(done, 1.0) : 0;  // not a number is zero
        to.tell_progress(work, {static_cast<std::uint32_t>(share * ProgressBody::whole), text});
    }

    std::stop_token stop_token() override {
        const std::lock_guard lock{mutex_};
        if (!source_) source_.emplace();
        if (stop_requested) source_->request_stop();
        return source_->get_token();
    }

    std::shared_ptr<Context::Calls> calls() const override { return calls_; }
    std::uint64_t given_units() const noexcept override { return given_units_; }

    /// Prepares the object for the next work of its runner.
    void reset(const Peer* from, std::uint64_t number, std::uint64_t units) {
        peer = from;
        id = number;
        given_units_ = units;
        is_to_be_told = false;
        stop_requested.store(false, std::memory_order_relaxed);
        is_held = false;
        reported_ = {};
        source_.reset();
        if (is_timed()) answers_to.reset();
    }

    /// Sets the timeout of a work that begins now.
    void limit(std::shared_ptr<Peer> to, TimePoint now, std::chrono::milliseconds timeout) {
        answers_to = std::move(to);
        began = now;
        deadline = now + timeout;
    }
    /// Whether it has a timeout and was not answered yet.
    bool is_timed() const noexcept { return answers_to != nullptr; }

    /// Takes over the work of `begun`, which must not be in a list.
    void continues(Execution& begun) {
        reset(begun.peer, begun.id, begun.given_units_);
        stop_requested = begun.stop_requested.load();
        asked_to_stop = begun.asked_to_stop;
        is_held = begun.is_held;
        answers_to = std::move(begun.answers_to);
        began = begun.began;
        deadline = begun.deadline;
    }

    /// Marks the work as a coroutine, which may call its peer.
    void is_coroutine(std::shared_ptr<CoroutineSlot> slot) {
        calls_ = std::make_shared<CoroutineCalls>(slot);
        coroutine = std::move(slot);
    }

    const Peer* peer = nullptr;
    std::uint64_t id = 0;
    std::shared_ptr<CoroutineSlot> coroutine;  // null for other works
    std::atomic<bool> stop_requested{false};   ///< a chunk reads it without the mutex
    TimePoint asked_to_stop{};                 ///< when stop_requested was set
    bool is_to_be_told = false;                ///< its stop_source must still be asked to stop, outside of the lock
    bool is_held = false;  ///< it is of an earlier session, and the master counts its slot as occupied

    // Only for works that have a timeout. Null after the work was answered because its time was over.
    std::shared_ptr<Peer> answers_to;
    TimePoint began{};
    TimePoint deadline{};

private:
    friend class ExecutionList;

    std::mutex& mutex_;
    const Clock& clock_;
    TimePoint reported_{};
    std::uint64_t given_units_ = 0;  // set before the work begins
    std::shared_ptr<Context::Calls> calls_;
    std::optional<std::stop_source> source_;  // made when the work asks for a token; most never do
    Execution* next_ = nullptr;
    Execution** link_ = nullptr;
};

/// The works that are executed now. Guarded by the mutex of the queue.
class ExecutionList {
public:
    void link(Execution& execution) {
        execution.next_ = first_;
        execution.link_ = &first_;
        if (first_) first_->link_ = &execution.next_;
        first_ = &execution;
    }

    /// Does nothing if it is not linked.
    void unlink(Execution& execution) {
        if (!execution.link_) return;
        *execution.link_ = execution.next_;
        if (execution.next_) execution.next_->link_ = execution.link_;
        execution.link_ = nullptr;
    }

    /// Takes time linear in the number of executions.
    std::size_t size() const {
        std::size_t count = 0;
        for (const Execution* at = first_; at; at = at->next_) ++count;
        return count;
    }

    /// Marks all executions as works of earlier sessions; returns how many there are.
    std::size_t hold_all() {
        std::size_t count = 0;
        for (Execution* at = first_; at; at = at->next_) at->is_held = true, ++count;
        return count;
    }

    /// Marks the executions for which `which` returns true as to be stopped. The caller then asks those that have a
    /// stop token to stop, one by one, by `next_to_tell`. Returns whether there is one.
    template <class Which>
    bool mark(Which which, Execution::TimePoint now) noexcept {
        bool is_any = false;
        for (Execution* at = first_; at; at = at->next_) {
            if (!which(*at) || DISTWORK_PLANTED(never_ask_to_stop)) continue;
            is_any = true;
            if (!at->stop_requested.exchange(true)) at->asked_to_stop = now;
            at->is_to_be_told = at->source_.has_value();
        }
        return is_any;
    }

    /// How long an execution has gone on since it was asked to stop, the longest one; zero: none was.
    Execution::TimePoint::duration longest_ignored_stop(Execution::TimePoint now) const noexcept {
        Execution::TimePoint::duration longest{};
        for (const Execution* at = first_; at; at = at->next_)
            if (at->stop_requested) longest = std::max(longest, now - at->asked_to_stop);
        return longest;
    }

    /// The stop_source of the next execution to be asked to stop, or std::nullopt. `request_stop` must be called
    /// outside of the lock: it runs users' callbacks.
    std::optional<std::stop_source> next_to_tell() noexcept {
        for (Execution* at = first_; at; at = at->next_)
            if (std::exchange(at->is_to_be_told, false)) return at->source_;
        return std::nullopt;
    }

private:
    Execution* first_ = nullptr;
};

}  // namespace distwork::detail
