#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/completion.hpp"
#include "../base/surely.hpp"
#include "../calls/kept_work.hpp"
#include "../context.hpp"
#include "../outcome.hpp"
#include "../roles/any_scheduler.hpp"
#include "../roles/make_submission.hpp"
#include "../submit_options.hpp"
#include "group_flow.hpp"
#include "outcome_queue.hpp"

namespace distwork::detail {

/// What became of one element of a map.
template <class R>
struct MapResult {
    std::size_t index = 0;
    std::exception_ptr error;
    [[no_unique_address]] Value<R> value;
};

/// The implementation of a WorkGroup: the flow of its works to the master, and the queue of their outcomes.
///
/// *Thread-safety*: all functions. *Lifetime*: shared by the WorkGroup, by its works under way, and by its readers.
template <class R>
class GroupCore : public std::enable_shared_from_this<GroupCore<R>> {
public:
    using Queue = OutcomeQueue<R>;

    static std::shared_ptr<GroupCore> make(std::shared_ptr<AnyScheduler> scheduler, asio::any_io_executor executor,
                                           std::size_t max_unread) {
        auto core = std::make_shared<GroupCore>(std::move(scheduler), std::move(executor), max_unread);
        core->flow_.owned_by(core);
        return core;
    }
    GroupCore(std::shared_ptr<AnyScheduler> scheduler, asio::any_io_executor executor, std::size_t max_unread)
        : flow_{std::move(scheduler), std::move(executor), max_unread, [this] { flow_changed(); }} {}

    GroupFlow& flow() noexcept { return flow_; }
    Queue& outcomes() noexcept { return outcomes_; }
    const asio::any_io_executor& executor() const noexcept { return flow_.executor(); }

    /// Submits a work. Returns its number. *Errors*: std::bad_alloc, and what moving the work throws.
    template <class Work>
    std::size_t submit(Work&& work, SubmitOptions options) {
        Handler handler{this->shared_from_this(), typename Queue::Outcomes(1)};
        const auto call =
            make_submission<GroupSubmission, R>(flow_.scheduler(), std::move(work), handler, std::move(options));
        flow_.submit(call);
        return call->index;
    }

    /// *Errors*: std::bad_alloc; then the reader was not taken.
    void read(const typename Queue::ReaderPtr& reader) { flow_.were_read(outcomes_.read(reader)); }

    /// For maps: elements that have an outcome. `work`: where they were executed; null: nowhere. `executed`: the mean time
    /// of their execution.
    void take(const GroupSubmission* work, std::vector<MapResult<R>>& results,
              std::chrono::nanoseconds executed) noexcept {
        typename Queue::Outcomes outcomes;
        for (MapResult<R>& result : results) {
            Outcome<R>& outcome = surely([&]() -> Outcome<R>& { return outcomes.emplace_back(); });
            if (work) surely([&] { work->describe(outcome); });
            outcome.index = result.index;
            outcome.executed = executed;
            outcome.error = std::move(result.error);
            if constexpr (!std::is_void_v<R>) outcome.result = std::move(result.value.value);
            drop_elements_if_stopped(outcome);
        }
        std::size_t errors = 0;
        for (const auto& outcome : outcomes) errors += outcome.error ? 1 : 0;
        const std::size_t given = outcomes_.push(std::move(outcomes));
        flow_.came(results.size(), errors);
        if (given != 0) flow_.were_read(given);
    }

    void abandon() noexcept {
        outcomes_.abandon();
        flow_.cancel();
    }

private:
    /// The handler of a work.
    struct Handler {
        std::shared_ptr<GroupCore> core;
        typename Queue::Outcomes node;  // one outcome, which moves to its reader without an allocation

        void take_note(GroupSubmission& work) noexcept {
            surely([&] { work.describe(node.front()); });
            core->flow_.release(work);
        }
        template <class... Value>
        void operator()(std::exception_ptr error, Value&&... value) noexcept {
            Outcome<R>& outcome = node.front();
            outcome.error = std::move(error);
            core->drop_elements_if_stopped(outcome);
            if constexpr (sizeof...(Value) != 0)
                if (!outcome.error)
                    outcome.error = exception_of([&] { outcome.result = (std::forward<Value>(value), ...); });
            const std::size_t errors = outcome.error ? 1 : 0;
            const std::size_t given = core->outcomes_.push(std::move(node));
            core->flow_.came(1, errors);
            core->flow_.settled();
            if (given != 0) core->flow_.were_read(given);
        }
    };

    /// The master admits nothing more.
    void drop_elements_if_stopped(const AnyOutcome& outcome) noexcept {
        if (outcome.error && outcome.attempt == 0 && error_code_of(outcome.error) == Errc::stopped)
            flow_.drop_elements();
    }

    void flow_changed() noexcept {
        if (auto failure = flow_.take_failure()) outcomes_.fail(std::move(failure));
        if (flow_.has_ended()) outcomes_.end();
    }

    Queue outcomes_;
    GroupFlow flow_;
};

/// Adds one work to a group.
template <class R, class Work, class Handler>
class GroupAddition final : public Addition {
public:
    /// If this throws, the handler was not moved.
    GroupAddition(std::shared_ptr<GroupCore<R>> core, Work&& work, SubmitOptions&& options, Handler& handler)
        : core_{std::move(core)},
          work_{std::move(work)},
          options_{std::move(options)},
          completion_{std::move(handler), core_->executor()} {}

    void begin() noexcept override {
        std::size_t index = 0;
        auto error = exception_of([&] { index = core_->submit(std::move(work_), std::move(options_)); });
        completion_.post(std::move(error), index);
    }
    void fail(std::exception_ptr error) noexcept override { completion_.post(std::move(error), std::size_t{}); }

private:
    const std::shared_ptr<GroupCore<R>> core_;
    Work work_;
    SubmitOptions options_;
    Completion<Handler> completion_;
};

}  // namespace distwork::detail
