#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/surely.hpp"
#include "../calls/call.hpp"
#include "../calls/deliver.hpp"
#include "deferred_flushes.hpp"
#include "session_sender.hpp"

namespace distwork::detail {

/// Runs the completions of the calls that each read settled, then wakes the writers of the sessions through which the
/// handlers sent something: one write for each session, however many handlers used it.
///
/// With many sessions, each read brings few answers, and the works that their handlers submit go to as many sessions.
/// Then the writers wait until everything that can be read has been read, so that works and answers leave in batches
/// again. The wait is bounded: slow handlers do not delay what others sent.
///
/// *Thread-safety*: all functions. *Lifetime*: shared by its role and the tasks under way.
template <class Transport>
class CompletionQueue : public std::enable_shared_from_this<CompletionQueue<Transport>> {
    using TimePoint = std::chrono::steady_clock::time_point;

public:
    explicit CompletionQueue(Transport transport)
        : transport_{std::move(transport)}, executor_{transport_.get_executor()} {}

    /// Completes all these settled calls. Never calls a handler before it returns.
    void deliver(std::vector<std::shared_ptr<Call>> calls) noexcept {
        post_own(calls);
        if (calls.empty()) return;
        ++queued_;
        auto each = surely([&] { return std::make_shared<DeliverEach>(executor_, std::move(calls)); });
        defer_surely(executor_, Task{this->shared_from_this(), std::move(each)});
    }

private:
    using Sessions = std::vector<std::shared_ptr<SessionSender>>;

    static constexpr std::size_t many = 32;                 // sessions; writers wait only if there are as many
    static constexpr std::size_t dense = 8;                 // completions for each session that are worth a write
    static constexpr int longest_wait = 16;                 // turns of the event loop
    static constexpr std::size_t calls_between_looks = 32;  // completions between two readings of the clock
    static constexpr auto longest_hold = std::chrono::milliseconds{100};  // of a task, and of what waits to be written

    struct Task {
        std::shared_ptr<CompletionQueue> self;
        std::shared_ptr<DeliverEach> each;

        void operator()() const {
            self->begin();
            struct Done {
                CompletionQueue& all;
                std::size_t calls = 0;
                std::optional<DeferredFlushes> woken{std::in_place};
                ~Done() {
                    auto sessions = woken->take();
                    woken.reset();  // from here on, what this thread sends wakes its writer at once
                    all.delivered(calls, std::move(sessions));
                }
            } done{*self};
            done.calls = each->run(calls_between_looks);
            if (each->size() == 0) return;
            const TimePoint until = self->transport_.now() + longest_hold;
            do done.calls += each->run(calls_between_looks);
            while (each->size() != 0 && self->transport_.now() < until);
            if (each->size() == 0) return;
            // Other tasks, and the writers of what these handlers sent, run before the rest.
            ++self->queued_;
            post_surely(self->executor_, *this);
        }
    };

    /// A task begins. Sessions that wait to be written do not wait for this task: another thread, or this one after the
    /// task, looks at them again.
    void begin() noexcept {
        --queued_;
        const std::lock_guard lock{mutex_};
        if (!woken_.empty() && !waits_) look_later();
    }

    void look_later() noexcept {
        waits_ = true;
        post_surely(executor_, [self = this->shared_from_this()] { self->look_again(); });
    }

    void delivered(std::size_t calls, Sessions woken) noexcept {
        Sessions ready;
        {
            const std::lock_guard lock{mutex_};
            calls_ += calls;
            if (woken_.empty()) woken_.swap(woken);
            else surely([&] { woken_.insert(woken_.end(), woken.begin(), woken.end()); });
            if (waits_) return;
            // Each queued task will call this function as well.
            if (queued_ != 0 && !is_held_for_long()) return;
            ready = take_ready();
        }
        write(ready);
    }

    /// Whether sessions have waited for too long, counted from the first call of this function since the last write.
    bool is_held_for_long() {
        if (woken_.empty()) return false;
        const TimePoint now = transport_.now();
        if (!held_since_) held_since_ = now;
        return now - *held_since_ > longest_hold;
    }

    /// Takes the sessions to be written now. Empty while it is worth waiting for more completions: `look_again` then
    /// calls this function again.
    Sessions take_ready() {
        const bool few = calls_ < woken_.size() * dense;
        if (woken_.size() >= many && few && calls_ != calls_seen_ && ++turns_ <= longest_wait && !is_held_for_long()) {
            calls_seen_ = calls_;
            look_later();
            return {};
        }
        calls_ = calls_seen_ = 0;
        turns_ = 0;
        held_since_.reset();
        return std::exchange(woken_, {});
    }

    void look_again() {
        Sessions ready;
        {
            const std::lock_guard lock{mutex_};
            waits_ = false;
            if (queued_ != 0 && woken_.size() >= many && !is_held_for_long()) return;
            ready = take_ready();
        }
        write(ready);
    }

    static void write(const Sessions& sessions) {
        for (const auto& session : sessions) session->write();
    }

    Transport transport_;
    const asio::any_io_executor executor_;
    std::atomic<std::size_t> queued_{0};  // tasks that have not begun

    std::mutex mutex_;
    // guarded by mutex_
    Sessions woken_;
    std::size_t calls_ = 0;       // completions since the last write
    std::size_t calls_seen_ = 0;  // calls_ when the wait was last prolonged
    int turns_ = 0;               // how often the wait was prolonged
    bool waits_ = false;          // look_again is posted
    std::optional<TimePoint> held_since_;
};

}  // namespace distwork::detail
