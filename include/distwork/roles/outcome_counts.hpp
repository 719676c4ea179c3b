#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "../base/probe.hpp"
#include "../calls/call.hpp"
#include "../dispatch/submission.hpp"
#include "../error.hpp"
#include "../statistics.hpp"

namespace distwork::detail {

/// The beginning of an error's text: which time limit of a call is over.
inline std::string over(const char* time, std::chrono::milliseconds limit) {
    return std::string{"its "} + time + " of " + std::to_string(limit.count()) + " ms is over: ";
}

/// The error of a call that the master ends. `why()` returns the text after its name; if that is empty, the text is the
/// meaning of the code. std::bad_alloc on allocation failure.
template <class Why>
std::exception_ptr error_of(const Call& call, Errc reason, Why why) noexcept {
    return exception_of([&] {
        const std::string text = why();
        const std::string name{call.name()};
        throw text.empty() ? Error{reason, name} : Error::with_text(reason, name + ": " + text);
    });
}

/// What the container counted, with the outcomes.
inline Statistics joined(Statistics all, const Statistics& outcomes) noexcept {
    all.refused += outcomes.refused;
    all.succeeded = outcomes.succeeded;
    all.failed = outcomes.failed;
    all.cancelled = outcomes.cancelled;
    all.timed_out = outcomes.timed_out;
    all.lost = outcomes.lost;
    return all;
}

/// Counts the outcomes of a master's calls, each call once.
///
/// *Thread-safety*: all functions.
class OutcomeCounts {
public:
    /// Counts calls that answers settled.
    void count(const std::vector<std::shared_ptr<Call>>& settled) noexcept {
        std::uint64_t succeeded = 0;
        for (const auto& call : settled) {
            const Submission* const work = submission_of(*call);
            if (work && work->outcome() == Errc{} && work->is_admitted) ++succeeded;
            else count(*call);
        }
        if (succeeded != 0) succeeded_.fetch_add(succeeded, std::memory_order_relaxed);
    }

    /// Counts a settled call.
    void count(const Call& call) noexcept {
        const Submission* const work = submission_of(call);
        if (!work) return;
        if (DISTWORK_PLANTED(forget_to_count) && call.outcome() == Errc::cancelled) return;
        if (!work->is_admitted) count_refused();
        else counter_of(call.outcome()).fetch_add(1, std::memory_order_relaxed);
    }

    void count_refused() noexcept { refused_.fetch_add(1, std::memory_order_relaxed); }

    void add_to(Statistics& all) const noexcept {
        all.refused += refused_.load(std::memory_order_relaxed);
        all.succeeded += succeeded_.load(std::memory_order_relaxed);
        all.failed += failed_.load(std::memory_order_relaxed);
        all.cancelled += cancelled_.load(std::memory_order_relaxed);
        all.timed_out += timed_out_.load(std::memory_order_relaxed);
        all.lost += lost_.load(std::memory_order_relaxed);
    }

private:
    using Counter = std::atomic<std::uint64_t>;

    Counter& counter_of(Errc outcome) noexcept {
        if (outcome == Errc{}) return succeeded_;
        switch (outcome) {
            case Errc::cancelled: return cancelled_;
            case Errc::queue_timeout:
            case Errc::execution_timeout:
            case Errc::deadline: return timed_out_;
            case Errc::lost:
            case Errc::stopped: return DISTWORK_PLANTED(count_the_lost_as_failed) ? failed_ : lost_;
            default: return failed_;
        }
    }

    Counter refused_{0};
    Counter succeeded_{0};
    Counter failed_{0};
    Counter cancelled_{0};
    Counter timed_out_{0};
    Counter lost_{0};
};

}  // namespace distwork::detail
