#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../base/timer_queue.hpp"
#include "../statistics.hpp"

namespace distwork::detail {

/// The delayed warning that works wait and no slave is connected. It is delayed because works are often submitted
/// before the first slave connects.
///
/// *Thread-safety*: all functions.
template <class Transport>
class NoSlaveAlarm {
public:
    explicit NoSlaveAlarm(std::shared_ptr<TimerQueue<Transport>> timers) : timers_{std::move(timers)} {}

    /// Works wait, and no slave is connected: has `look()` called in 5 s, unless that is pending already. `look` must
    /// call `text`. *Errors*: std::bad_alloc.
    void set(std::function<void()> look) {
        if (is_set_.exchange(true)) return;
        try {
            timers_->set(patience, std::move(look), kept_);
        } catch (...) {
            is_set_ = false;
            throw;
        }
    }

    /// The master was asked to run.
    void master_runs() noexcept { master_runs_ = true; }

    /// The text of the warning; empty if no work waits for a first slave any more.
    std::string text(const std::vector<Waiting>& waiting) {
        is_set_ = false;
        std::size_t works = 0;
        for (const Waiting& kind : waiting)
            if (kind.reason == WaitReason::no_slave) works += kind.works;
        if (works == 0) return {};
        return std::to_string(works) + (works == 1 ? " work waits" : " works wait") + ": no slave is connected" +
               (master_runs_ ? "" : ", because this master does not run: it needs start() or async_run()");
    }

private:
    static constexpr std::chrono::seconds patience{5};

    const std::shared_ptr<TimerQueue<Transport>> timers_;
    std::shared_ptr<void> kept_;  // the timer; written by the caller that set is_set_
    std::atomic<bool> is_set_{false};
    std::atomic<bool> master_runs_{false};
};

}  // namespace distwork::detail
