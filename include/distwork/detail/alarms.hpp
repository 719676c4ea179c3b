#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "asio.hpp"

namespace distwork::detail {

/// Actions at later times, each of which can be called off: one timer of the Transport stands behind all of them.
///
/// *Executor*: actions run on the strand. *Thread-safety*: all functions. *Lifetime*: shared by its role and the wait
/// under way, which `stop` ends.
template <class Transport>
class Alarms : public std::enable_shared_from_this<Alarms<Transport>> {
    using TimePoint = std::chrono::steady_clock::time_point;
    using Key = std::pair<TimePoint, std::uint64_t>;

public:
    Alarms(Transport transport, typename Transport::Strand strand)
        : transport_{std::move(transport)}, strand_{std::move(strand)}, timer_{strand_} {}

    /// `kept` calls the action off when it goes, if that did not run before. It is set under the lock: what the action
    /// leads to may set it anew. Nothing happens once stopped.
    void set(std::chrono::nanoseconds after, std::function<void()> action, std::shared_ptr<void>& kept) {
        std::shared_ptr<void> before;  // outlives the lock
        const std::lock_guard lock{mutex_};
        if (stopped_) return;
        const Key key{transport_.now() + after, ++last_};
        before = std::exchange(kept, std::make_shared<Setting>(this->weak_from_this(), key));
        pending_.emplace(key, std::move(action));
        // Only the first needs the timer to be set anew.
        if (pending_.begin()->first == key) asio::post(strand_, [self = this->shared_from_this()] { self->wait(); });
    }

    void stop() {
        std::map<Key, std::function<void()>> dropped;
        {
            const std::lock_guard lock{mutex_};
            dropped.swap(pending_);
            stopped_ = true;
        }
        asio::post(strand_, [self = this->shared_from_this()] { self->timer_.cancel(); });
    }

private:
    struct Setting {
        Setting(std::weak_ptr<Alarms> whose, Key which) : alarms{std::move(whose)}, key{which} {}
        Setting(const Setting&) = delete;
        ~Setting() {
            if (const auto there = alarms.lock()) there->call_off(key);
        }
        const std::weak_ptr<Alarms> alarms;
        const Key key;
    };

    void call_off(Key key) {
        std::function<void()> action;  // outlives the lock
        const std::lock_guard lock{mutex_};
        const auto found = pending_.find(key);
        if (found == pending_.end()) return;
        action = std::move(found->second);
        pending_.erase(found);
    }

    /// Runs what is due, then waits for the next; on the strand. A wait that was under way ends without a word.
    void wait() {
        for (const auto& action : take_due()) {
            try {
                action();
            } catch (...) {  // out of memory: the others have their turn all the same
            }
        }
        const std::lock_guard lock{mutex_};
        if (pending_.empty()) return;
        timer_.expires_after(pending_.begin()->first.first - transport_.now());
        timer_.async_wait([self = this->shared_from_this()](std::error_code cancelled) {
            if (!cancelled) self->wait();
        });
    }

    std::vector<std::function<void()>> take_due() {
        std::vector<std::function<void()>> due;
        const std::lock_guard lock{mutex_};
        const TimePoint now = transport_.now();
        while (!pending_.empty() && pending_.begin()->first.first <= now) {
            due.push_back(std::move(pending_.begin()->second));
            pending_.erase(pending_.begin());
        }
        return due;
    }

    Transport transport_;
    const typename Transport::Strand strand_;
    typename Transport::Timer timer_;  // strand_

    std::mutex mutex_;
    // guarded by mutex_
    std::map<Key, std::function<void()>> pending_;
    std::uint64_t last_ = 0;
    bool stopped_ = false;
};

}  // namespace distwork::detail
