#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/probe.hpp"
#include "../calls/call.hpp"
#include "../calls/deliver.hpp"
#include "../dispatch/submission.hpp"
#include "../error.hpp"
#include "../link/completion_queue.hpp"
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

/// Ends the calls of a master: counts each call once, and completes it once.
///
/// *Thread-safety*: all functions.
template <class Transport>
class OutcomeCounts {
public:
    explicit OutcomeCounts(const Transport& transport)
        : executor_{transport.get_executor()}, completions_{std::make_shared<CompletionQueue<Transport>>(transport)} {}

    /// Counts and completes calls that answers settled.
    void deliver(std::vector<std::shared_ptr<Call>> settled) noexcept {
        count(settled);
        completions_->deliver(std::move(settled));
    }

    /// Fails, counts and completes a call that the caller of this function has claimed.
    void fail(const std::shared_ptr<Call>& call, std::exception_ptr error) noexcept {
        call->fail(std::move(error));
        count(*call);
        deliver_one(executor_, call);
    }

    /// Claims, fails, counts and completes those of `calls` that were not claimed before. `text(call)` is the error's
    /// text.
    template <class Text>
    void fail_all(std::vector<std::shared_ptr<Call>> calls, Errc reason, Text text) noexcept {
        fail_unclaimed(calls, reason, text);
        count(calls);
        deliver_all(executor_, std::move(calls));
    }

    /// Counts a settled call, whose caller was told in another way.
    void count(const Call& call) noexcept {
        if (!call.chosen()) return;
        if (DISTWORK_PLANTED(forget_to_count) && call.outcome() == Errc::cancelled) return;
        if (!static_cast<const Submission&>(call).is_admitted) count_refused();
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

    void count(const std::vector<std::shared_ptr<Call>>& settled) noexcept {
        std::uint64_t succeeded = 0;
        for (const auto& call : settled) {
            if (call->chosen() && call->outcome() == Errc{} && static_cast<const Submission&>(*call).is_admitted)
                ++succeeded;
            else count(*call);
        }
        if (succeeded != 0) succeeded_.fetch_add(succeeded, std::memory_order_relaxed);
    }

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

    const asio::any_io_executor executor_;
    const std::shared_ptr<CompletionQueue<Transport>> completions_;
    Counter refused_{0};
    Counter succeeded_{0};
    Counter failed_{0};
    Counter cancelled_{0};
    Counter timed_out_{0};
    Counter lost_{0};
};

}  // namespace distwork::detail
