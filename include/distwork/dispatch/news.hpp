#pragma once

#include <exception>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include "../calls/answer.hpp"
#include "slave_table.hpp"
#include "submission.hpp"
#include "submission_source.hpp"
#include "waiting_report.hpp"

// What a Dispatcher decided under the container's lock, and its caller does after releasing the lock.

namespace distwork::detail {

/// The works of a slave that was lost.
struct LostWorks {
    std::list<SubmissionPtr> again;   ///< were in flight, and are to be sent again; the newest first
    std::list<SubmissionPtr> waited;  ///< waited, and are pinned to this slave: they are to fail
    std::unique_ptr<Socket> socket;   ///< to be destroyed after the lock is released
};

/// Works to be sent again because of the answers of one read.
struct AgainWorks {
    std::list<SubmissionPtr> retries;   ///< threw an exception; to be sent again after a pause
    std::list<SubmissionPtr> recalled;  ///< came back from a slave that had not begun them; to be sent again at once
};

/// A chunk that goes again is not answered any more: drops its earlier answers of the same read.
inline void drop_partial_answers(std::span<Answer> answers) noexcept {
    for (Answer& answer : answers) {
        const Submission* const work = answer.is_partial() && answer.call ? submission_of(*answer.call) : nullptr;
        if (work && work->stage == Submission::Stage::returning) answer.call = nullptr;
    }
}

/// Events under the container's lock that must be reported after it is released.
struct News {
    std::vector<SubmissionPtr> admitted;  ///< submissions that waited for room and were admitted
    std::list<SubmissionPtr> to_split;    ///< chunks that no connected slave takes any more; they do not wait any more
    std::exception_ptr selector_error;    ///< the latest exception of a selector; its work counts as declined
    std::vector<Stranded> stranded;       ///< kinds of works that no connected slave can take; each is reported once
    HungrySources hungry;                 ///< sources that may submit more
    std::vector<std::shared_ptr<Peer>> leaving;  ///< slaves that were to leave, and hold no work any more
    bool look = false;                           ///< works wait at their slaves: `look` must be called

    bool empty() const noexcept {
        return admitted.empty() && stranded.empty() && hungry.empty() && leaving.empty() && to_split.empty() &&
               !selector_error && !look;
    }
};

}  // namespace distwork::detail
