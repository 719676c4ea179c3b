#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "../base/separate.hpp"
#include "../roles/any_scheduler.hpp"
#include "group_submission.hpp"
#include "straggler_limit.hpp"

namespace distwork::detail {

/// Sends works of a group that take too long also to slaves that have nothing to do: see SecondCopy. Each work once.
///
/// *Thread-safety*: all functions. *Lifetime*: a part of its group; the timer does not keep the group.
class StragglerWatch {
public:
    using Works = std::vector<std::weak_ptr<GroupSubmission>>;

    StragglerWatch(std::shared_ptr<AnyScheduler> scheduler, double factor)
        : scheduler_{std::move(scheduler)}, limit_{factor} {}

    bool is_on() const noexcept { return limit_.is_on(); }

    /// Before a work is submitted: keeps its encoded body for a second copy. Returns whether it has its body now.
    bool prepare(GroupSubmission& work) const noexcept;

    /// A work was submitted: looks at `works()` until there are none. `owner` keeps this object.
    void begin(const std::weak_ptr<void>& owner, const std::function<Works()>& works) noexcept;

    /// A work took this time.
    void note(std::chrono::nanoseconds time) noexcept { limit_.note(time); }

    /// A work has its outcome: its second copy is cancelled.
    void release(GroupSubmission& work) noexcept;

    /// How many works were sent twice.
    std::size_t doubled() const noexcept { return doubled_.load(std::memory_order_relaxed); }

private:
    void look(const std::weak_ptr<void>& owner, const std::function<Works()>& works) noexcept;
    void set_timer(const std::weak_ptr<void>& owner, const std::function<Works()>& works);
    void send(const std::shared_ptr<GroupSubmission>& work);

    const std::shared_ptr<AnyScheduler> scheduler_;
    StragglerLimit limit_;
    std::atomic<std::size_t> doubled_{0};
    std::atomic<bool> is_looking_{false};

    std::mutex mutex_;
    // guarded by mutex_, with `second` and `is_over` of all works
    std::shared_ptr<void> timer_;
};

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/straggler_watch.ipp"
#endif
