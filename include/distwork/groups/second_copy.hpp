#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <span>
#include <utility>

#include "../base/probe.hpp"
#include "../dispatch/submission.hpp"
#include "../roles/any_scheduler.hpp"
#include "group_submission.hpp"

namespace distwork::detail {

/// A copy of a work of a group that takes too long, for another slave. If its answer comes first, that is the outcome of
/// the work, also if it does not decode. Its errors do not count: the work goes on.
///
/// *Lifetime*: keeps the work.
class SecondCopy final : public Submission {
public:
    /// `body`: of the work, encoded. `slave`: the socket that gets it.
    SecondCopy(std::shared_ptr<GroupSubmission> first, SharedBody body, std::uint64_t slave,
               std::weak_ptr<AnyScheduler> scheduler)
        : Submission{first->own_type()}, first_{std::move(first)}, scheduler_{std::move(scheduler)} {
        options = first_->options;
        depth = first_->depth;
        pinned = slave;
        is_part = is_observed = true;
        set_body(std::move(body));
    }

    const IWork& work() const noexcept override { return first_->work(); }

    void note_execution(std::chrono::nanoseconds time) noexcept override { executed_ = time; }

    void succeed(std::span<const std::byte> value, const std::shared_ptr<Peer>& peer) noexcept override {
        const auto scheduler = scheduler_.lock();
        if (!scheduler || !first_->claim()) return;
        DISTWORK_MARK(second_copy_won);
        scheduler->withdraw(*first_);  // from here on nothing else notes where it was executed
        first_->was_executed_at(peer, pinned, executed_);
        first_->succeed(value, peer);
        if (!DISTWORK_PLANTED(lose_a_second_copy)) scheduler->deliver_settled(first_);
    }
    void fail(std::exception_ptr) noexcept override {}
    void deliver(std::shared_ptr<Call>) override {}

private:
    const std::shared_ptr<GroupSubmission> first_;
    const std::weak_ptr<AnyScheduler> scheduler_;
    std::chrono::nanoseconds executed_{};  // guarded by the container until it is claimed
};

}  // namespace distwork::detail
