#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "../base/backoff.hpp"
#include "../dispatch/submission.hpp"

namespace distwork::detail {

DISTWORK_DECL bool Submission::may_go_again(const std::string& slave) {
    History& history = this->history();
    ++history.losses;
    if (!history.slaves.empty()) history.slaves += ", ";
    history.slaves += slave;
    const bool once = options.max_attempts() == 1 && !DISTWORK_PLANTED(ignore_at_most_once);
    if (claimed() || (pinned && !DISTWORK_PLANTED(resend_a_part_of_a_broadcast))) return false;
    if (was_begun_ || once || DISTWORK_PLANTED(blame_a_waiting_work)) {
        const bool again = attempts - history.retries < options.max_attempts();
        if (!again) DISTWORK_MARK(lost_for_good);
        return again;
    }
    if (history.freed == most_freed) return false;
    DISTWORK_MARK(freed_requeue);
    ++history.freed;
    --attempts;
    return true;
}

DISTWORK_DECL Submission::Past Submission::past() const {
    if (!history_) return {.attempts = attempts};
    return {attempts, history_->losses, history_->retries, history_->slaves};
}

DISTWORK_DECL void Submission::continues(const Past& past) {
    attempts = past.attempts;
    if (past.losses == 0 && past.retries == 0) return;
    history().losses = past.losses;
    history().retries = past.retries;
    history().slaves = past.slaves;
}

DISTWORK_DECL std::chrono::nanoseconds Submission::pause_after_loss(std::uint64_t random) const noexcept {
    const unsigned losses = history_ ? history_->losses : 0;
    if (losses == 0) return {};
    constexpr std::chrono::nanoseconds first = std::chrono::milliseconds{100};
    const auto most = static_cast<std::uint64_t>(backoff(first, losses - 1, first * 64).count());
    return std::chrono::nanoseconds{static_cast<std::int64_t>(most - random % (most / 2))};
}

DISTWORK_DECL std::string attempts_of(const Call& call, std::string_view slave) {
    const Submission* const work = submission_of(call);
    const std::string_view lost_on = work ? work->lost_on() : "";
    std::string text{call.name()};
    text += call.attempt() == 1 ? ", 1 attempt" : ", " + std::to_string(call.attempt()) + " attempts";
    return text.append(" on ").append(lost_on.empty() ? slave : lost_on);
}

}  // namespace distwork::detail
