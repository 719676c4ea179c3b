#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>

#include "../error.hpp"
#include "asio.hpp"
#include "surely.hpp"

namespace distwork::detail {

/// Runs actions at later times. Each action can be cancelled. All of them share one timer of the Transport.
///
/// *Executor*: actions run on the strand. *Thread-safety*: all functions. *Lifetime*: shared by the role and the wait
/// in progress, which `stop` ends.
template <class Transport>
class TimerQueue : public std::enable_shared_from_this<TimerQueue<Transport>> {
    using TimePoint = std::chrono::steady_clock::time_point;
    using Key = std::pair<TimePoint, std::uint64_t>;
    using Actions = std::map<Key, std::function<void()>>;

public:
    TimerQueue(Transport transport, typename Transport::Strand strand)
        : transport_{std::move(transport)}, strand_{std::move(strand)}, timer_{strand_} {}

    /// Runs `action`, which must not throw, after a time. Destroying or replacing `kept` cancels it if it has not run.
    /// `kept` is set under the lock, since the action may cause another `set` of it. After `stop` this does nothing.
    void set(std::chrono::nanoseconds after, std::function<void()> action, std::shared_ptr<void>& kept) {
        std::shared_ptr<void> before;  // both are destroyed after the lock is released
        std::shared_ptr<void> setting;
        const std::lock_guard lock{mutex_};
        if (stopped_) return;
        const Key key{transport_.now() + after, ++last_};
        setting = std::make_shared<Setting>(this->weak_from_this(), key);
        pending_.emplace(key, std::move(action));
        before = std::exchange(kept, std::move(setting));
        // Only a new first action changes when the timer expires.
        if (pending_.begin()->first == key) wait_later();
    }

    /// The same with `action(Owner&)`, which does not keep the owner, and does not run without it.
    template <class Owner, class Action>
    void set(std::chrono::nanoseconds after, std::weak_ptr<Owner> owner, Action action, std::shared_ptr<void>& kept) {
        const auto act = [owner = std::move(owner), action = std::move(action)] {
            if (const auto there = owner.lock()) action(*there);
        };
        set(after, act, kept);
    }

    /// Ends the wait if no action is left, so that the context may run out of work.
    void rest() noexcept {
        post_surely(strand_, [self = this->shared_from_this()] {
            const std::lock_guard lock{self->mutex_};
            if (self->pending_.empty()) self->timer_.cancel();
        });
    }

    void stop() noexcept {
        Actions dropped;
        {
            const std::lock_guard lock{mutex_};
            dropped.swap(pending_);
            stopped_ = true;
        }
        post_surely(strand_, [self = this->shared_from_this()] { self->timer_.cancel(); });
    }

private:
    struct Setting {
        Setting(std::weak_ptr<TimerQueue> whose, Key which) : timers{std::move(whose)}, key{which} {}
        Setting(const Setting&) = delete;
        ~Setting() {
            if (const auto there = timers.lock()) there->call_off(key);
        }
        const std::weak_ptr<TimerQueue> timers;
        const Key key;
    };

    void call_off(Key key) {
        std::function<void()> action;  // destroyed after the lock is released
        const std::lock_guard lock{mutex_};
        const auto found = pending_.find(key);
        if (found == pending_.end()) return;
        action = std::move(found->second);
        pending_.erase(found);
    }

    void wait_later() noexcept {
        post_surely(strand_, [self = this->shared_from_this()] { self->wait(); });
    }

    /// Runs the actions that are due, then waits for the next one. On the strand. Setting the timer cancels the
    /// previous wait.
    void wait() noexcept {
        const TimePoint now = transport_.now();
        while (const auto due = take_due(now)) due.mapped()();
        const std::lock_guard lock{mutex_};
        if (pending_.empty()) return;
        const auto failed = exception_of([this] {
            timer_.expires_after(pending_.begin()->first.first - transport_.now());
            timer_.async_wait([self = this->shared_from_this()](std::error_code cancelled) {
                if (!cancelled) self->wait();
            });
        });
        if (failed) wait_later();  // out of memory
    }

    /// Empty when no action is due.
    typename Actions::node_type take_due(TimePoint now) noexcept {
        const std::lock_guard lock{mutex_};
        if (pending_.empty() || pending_.begin()->first.first > now) return {};
        return pending_.extract(pending_.begin());
    }

    Transport transport_;
    const typename Transport::Strand strand_;
    typename Transport::Timer timer_;  // strand_

    std::mutex mutex_;
    // guarded by mutex_
    Actions pending_;
    std::uint64_t last_ = 0;
    bool stopped_ = false;
};

}  // namespace distwork::detail
