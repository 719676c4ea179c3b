#pragma once

#include <exception>
#include <memory>
#include <mutex>
#include <utility>

#include "../base/probe.hpp"
#include "../base/surely.hpp"
#include "../error.hpp"
#include "../groups/second_copy.hpp"
#include "../groups/straggler_watch.hpp"
#include "../wire/byte_buffer.hpp"

namespace distwork::detail {

DISTWORK_DECL bool StragglerWatch::prepare(GroupSubmission& work) const noexcept {
    if (work.options.max_attempts() == 1 || work.options.slave() != 0 || work.elements() != 1) return false;
    // What does not encode, or for want of memory, is submitted as if nobody watched, and fails there.
    const auto failed = exception_of([&] {
        auto straggling = std::make_unique<Straggling>();
        if (work.body().empty()) {
            work.enter(scheduler_->registry());
            auto body = std::make_shared<ByteBuffer>();
            work.encode(*body, scheduler_->limits());
            // A large body was moved into the work.
            if (!body->empty()) work.set_body({body->view(), body});
        }
        work.keep_body();
        straggling->body = work.shared_body();
        work.straggling = std::move(straggling);
    });
    return !failed;
}

DISTWORK_DECL void StragglerWatch::begin(const std::weak_ptr<void>& owner,
                                         const std::function<Works()>& works) noexcept {
    if (!is_looking_.exchange(true)) surely([&] { set_timer(owner, works); });
}

DISTWORK_DECL void StragglerWatch::set_timer(const std::weak_ptr<void>& owner, const std::function<Works()>& works) {
    const auto act = [this, owner, works] {
        if (const auto there = owner.lock()) look(owner, works);
    };
    const std::lock_guard lock{mutex_};
    scheduler_->set_timer(limit_.time_between_looks(), act, timer_);
}

DISTWORK_DECL void StragglerWatch::look(const std::weak_ptr<void>& owner,
                                        const std::function<Works()>& works) noexcept {
    is_looking_ = false;
    bool is_any_under_way = false;
    // For want of memory it is done at the next look.
    static_cast<void>(exception_of([&] {
        const auto limit = limit_.limit();
        const auto now = scheduler_->now();
        for (const auto& weak : works()) {
            const auto work = weak.lock();
            if (!work) continue;
            is_any_under_way = true;
            if (!limit || !work->straggling || work->claimed()) continue;
            const auto sent = work->sent_at();
            if (sent != std::chrono::steady_clock::time_point{} && now - sent > *limit) send(work);
        }
    }));
    if (is_any_under_way) begin(owner, works);
}

DISTWORK_DECL void StragglerWatch::send(const std::shared_ptr<GroupSubmission>& work) {
    const std::uint64_t slave = scheduler_->idle_slave_for(*work);
    if (slave == 0) return;
    std::shared_ptr<SecondCopy> copy;
    {
        const std::lock_guard lock{mutex_};
        Straggling& straggling = *work->straggling;
        if (straggling.is_over || straggling.was_doubled) return;
        copy = std::make_shared<SecondCopy>(work, straggling.body, slave, scheduler_);
        copy->enter(scheduler_->registry());
        straggling.was_doubled = true;
        straggling.second = copy;
    }
    DISTWORK_MARK(second_copy);
    ++doubled_;
    scheduler_->submit_encoded(copy);
}

DISTWORK_DECL void StragglerWatch::release(GroupSubmission& work) noexcept {
    if (!work.straggling) return;
    std::shared_ptr<Submission> second;
    {
        const std::lock_guard lock{mutex_};
        work.straggling->is_over = true;
        second = work.straggling->second.lock();
    }
    if (second) scheduler_->cancel(second);
}

}  // namespace distwork::detail
