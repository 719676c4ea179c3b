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

/// Works may well come before slaves do: that none comes is told after a while.
///
/// *Thread-safety*: all functions.
template <class Transport>
class NoSlaveAlarm {
public:
    explicit NoSlaveAlarm(std::shared_ptr<TimerQueue<Transport>> timers) : timers_{std::move(timers)} {}

    /// Works wait, and no slave is connected. `look()` follows, which calls `text`.
    void set(std::function<void()> look) {
        if (is_set_.exchange(true)) return;
        try {
            timers_->set(patience, std::move(look), kept_);
        } catch (...) {
            is_set_ = false;
            throw;
        }
    }

    /// What is to be told; nothing, if works do not wait for that any more.
    std::string text(const std::vector<Waiting>& waiting, bool master_runs) {
        is_set_ = false;
        std::size_t works = 0;
        for (const Waiting& kind : waiting)
            if (kind.reason == WaitReason::no_slave) works += kind.works;
        if (works == 0) return {};
        return std::to_string(works) + (works == 1 ? " work waits" : " works wait") + ": no slave is connected" +
               (master_runs ? "" : ", for this master does not run: it needs start(), or async_run()");
    }

private:
    static constexpr std::chrono::seconds patience{5};

    const std::shared_ptr<TimerQueue<Transport>> timers_;
    std::shared_ptr<void> kept_;  // of who set it
    std::atomic<bool> is_set_{false};
};

}  // namespace distwork::detail
