#pragma once

#include <chrono>
#include <memory>

#include "../dispatch/slave_table.hpp"
#include "../groups/group_submission.hpp"

namespace distwork::detail {

DISTWORK_DECL GroupSubmission::GroupSubmission(const WorkType& type) : Submission{type} {
    is_observed = true;
}

DISTWORK_DECL void GroupSubmission::note_submission(std::chrono::steady_clock::time_point now) noexcept {
    submitted_ = now;
}

DISTWORK_DECL void GroupSubmission::note_sending(const Socket& to, std::chrono::steady_clock::time_point now,
                                                 HungrySources& hungry) noexcept {
    if (!peer_) {
        waited_ = now - submitted_;
        source->was_sent(*this, hungry);
    }
    reported_.store(0, std::memory_order_relaxed);
    if (straggling) sent_at_.store(std::chrono::nanoseconds{now.time_since_epoch()}.count(), std::memory_order_relaxed);
    peer_ = to.peer;
    socket_ = to.information.id;
}

DISTWORK_DECL void GroupSubmission::note_execution(std::chrono::nanoseconds time) noexcept {
    executed_ = time;
    source->note_execution(time);
}

DISTWORK_DECL void GroupSubmission::note_progress(const ProgressBody& progress) noexcept {
    if (elements() != 1) return;  // of which of them?
    reported_.store(progress.millionths, std::memory_order_relaxed);
    if (!progress.text.empty()) source->note_text(progress.text);
}

DISTWORK_DECL void GroupSubmission::describe(AnyOutcome& outcome) const {
    outcome.index = index;
    outcome.socket = socket_;
    outcome.attempt = attempts + (had_second_copy_ ? 1 : 0);
    outcome.waited = waited_;
    outcome.executed = executed_;
    if (peer_) outcome.slave = peer_->name();
}

}  // namespace distwork::detail
