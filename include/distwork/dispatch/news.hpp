#pragma once

#include <exception>
#include <list>
#include <memory>
#include <vector>

#include "slave_table.hpp"
#include "submission.hpp"
#include "waiting_report.hpp"

// What a Dispatcher leaves to be done by others: outside of its lock.

namespace distwork::detail {

/// What a lost slave had.
struct LostWorks {
    std::list<SubmissionPtr> again;   ///< to be sent again, the newest first
    std::list<SubmissionPtr> waited;  ///< for this slave alone
    std::unique_ptr<Socket> socket;   ///< to be destroyed outside of the lock
};

/// Works that the answers of one read took out, to be sent again.
struct AgainWorks {
    std::list<SubmissionPtr> retries;   ///< they threw: after a pause
    std::list<SubmissionPtr> recalled;  ///< they came back from a slave that had not begun them: at once
};

/// What was done under the lock, and must be told outside of it.
struct News {
    std::vector<SubmissionPtr> admitted;  ///< since they waited for room
    std::exception_ptr selector_error;    ///< what a selector threw last; the work it was asked for counts as declined
    std::vector<Stranded> stranded;       ///< kinds of works that no connected slave can take; each is told once
    bool look = false;                    ///< works wait at their slaves: `look` is to be called

    bool empty() const noexcept { return admitted.empty() && stranded.empty() && !selector_error && !look; }
};

}  // namespace distwork::detail
