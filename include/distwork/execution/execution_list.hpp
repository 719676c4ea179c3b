#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "../context.hpp"
#include "coroutine_slot.hpp"

namespace distwork::detail {

/// A work while it is executed, for its context and for those who want it to stop. Guarded by the mutex of the queue.
class Execution final : public Context::Execution {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    explicit Execution(std::mutex& mutex) : mutex_{mutex} {}

    std::stop_token stop_token() override {
        const std::lock_guard lock{mutex_};
        if (!source_) source_.emplace();
        if (stop_requested) source_->request_stop();
        return source_->get_token();
    }

    std::shared_ptr<Context::Calls> calls() const override { return calls_; }

    void reset(const Peer* from, std::uint64_t number) {
        peer = from;
        id = number;
        stop_requested = is_to_be_told = false;
        is_held = false;
        source_.reset();
        if (is_timed()) answers_to.reset();
    }

    /// It begins now, and may take so long.
    void limit(std::shared_ptr<Peer> to, TimePoint now, std::chrono::milliseconds timeout) {
        answers_to = std::move(to);
        began = now;
        deadline = now + timeout;
    }
    /// Whether it has a timeout and was not answered yet.
    bool is_timed() const noexcept { return answers_to != nullptr; }

    /// Goes on with what another one, which is in no list, began.
    void continues(Execution& begun) {
        reset(begun.peer, begun.id);
        stop_requested = begun.stop_requested;
        is_held = begun.is_held;
        answers_to = std::move(begun.answers_to);
        began = begun.began;
        deadline = begun.deadline;
    }

    /// It is a coroutine, which may call its peer.
    void is_coroutine(std::shared_ptr<CoroutineSlot> slot) {
        calls_ = std::make_shared<CoroutineCalls>(slot);
        coroutine = std::move(slot);
    }

    const Peer* peer = nullptr;
    std::uint64_t id = 0;
    std::shared_ptr<CoroutineSlot> coroutine;  // null: it is none
    bool stop_requested = false;
    bool is_to_be_told = false;  ///< that it is to stop
    bool is_held = false;        ///< of an earlier session: a master was told that its slot is occupied

    // Works that have a timeout only. Null once that is over, and answered.
    std::shared_ptr<Peer> answers_to;
    TimePoint began{};
    TimePoint deadline{};

private:
    friend class ExecutionList;

    std::mutex& mutex_;
    std::shared_ptr<Context::Calls> calls_;
    std::optional<std::stop_source> source_;  // most works never ask for a token: made for those that do
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

    /// Does nothing where it is not linked.
    void unlink(Execution& execution) {
        if (!execution.link_) return;
        *execution.link_ = execution.next_;
        if (execution.next_) execution.next_->link_ = execution.link_;
        execution.link_ = nullptr;
    }

    std::size_t size() const {
        std::size_t count = 0;
        for (const Execution* at = first_; at; at = at->next_) ++count;
        return count;
    }

    /// All that are executed now belong to earlier sessions; returns how many.
    std::size_t hold_all() {
        std::size_t count = 0;
        for (Execution* at = first_; at; at = at->next_) at->is_held = true, ++count;
        return count;
    }

    /// Marks those to be stopped. Those that have asked for a token are then to be told, one by one, by `next_to_tell`.
    template <class Which>
    void mark(Which which) noexcept {
        for (Execution* at = first_; at; at = at->next_) {
            if (!which(*at) || DISTWORK_PLANTED(never_ask_to_stop)) continue;
            at->stop_requested = true;
            at->is_to_be_told = at->source_.has_value();
        }
    }

    /// The next to be told, when the lock is free: users' callbacks run then. None: all were.
    std::optional<std::stop_source> next_to_tell() noexcept {
        for (Execution* at = first_; at; at = at->next_)
            if (std::exchange(at->is_to_be_told, false)) return at->source_;
        return std::nullopt;
    }

private:
    Execution* first_ = nullptr;
};

}  // namespace distwork::detail
