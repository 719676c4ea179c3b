#pragma once

#include <atomic>
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
#include "../wire/byte_buffer.hpp"
#include "group_flow.hpp"
#include "outcome_queue.hpp"
#include "store_gate.hpp"
#include "stored_works.hpp"
#include "value_store.hpp"

namespace distwork::detail {

/// What became of one element of a map.
template <class R>
struct MapResult {
    std::size_t index = 0;
    bool is_kept = false;  ///< it was executed in an earlier run
    std::exception_ptr error;
    std::unique_ptr<StoredValue> stored{};  // the value, if it is to be kept
    [[no_unique_address]] Value<R> value{};
};

/// Appends the result of the element with this number, for the caller to fill in.
template <class R>
MapResult<R>& add_result(std::vector<MapResult<R>>& results, std::size_t index) noexcept {
    MapResult<R>& result = surely([&]() -> MapResult<R>& { return results.emplace_back(); });
    result.index = index;
    return result;
}

/// The implementation of a WorkGroup: the flow of its works to the master, and the queue of their outcomes.
///
/// *Thread-safety*: all functions. *Lifetime*: shared by the WorkGroup, by its works under way, and by its readers.
template <class R>
class GroupCore : public std::enable_shared_from_this<GroupCore<R>> {
public:
    using Queue = OutcomeQueue<R>;

    static std::shared_ptr<GroupCore> make(std::shared_ptr<AnyScheduler> scheduler, asio::any_io_executor executor,
                                           std::size_t max_unread, std::shared_ptr<ValueStore> store,
                                           double straggler_factor) {
        auto core = std::make_shared<GroupCore>(std::move(scheduler), std::move(executor), max_unread, std::move(store),
                                                straggler_factor);
        core->flow_.owned_by(core);
        return core;
    }
    GroupCore(std::shared_ptr<AnyScheduler> scheduler, asio::any_io_executor executor, std::size_t max_unread,
              std::shared_ptr<ValueStore> store, double straggler_factor)
        : store_{store ? std::make_unique<StoreGate>(std::move(store)) : nullptr},
          flow_{std::move(scheduler), std::move(executor), max_unread, [this] { flow_changed(); }, straggler_factor} {}

    GroupFlow& flow() noexcept { return flow_; }
    Queue& outcomes() noexcept { return outcomes_; }
    const asio::any_io_executor& executor() const noexcept { return flow_.executor(); }

    /// Null without a journal.
    StoreGate* store() const noexcept { return store_.get(); }

    /// Submits a work, unless its value was kept. Returns its number. *Errors*: Error (needs_key), std::bad_alloc; what
    /// moving the work throws, and with a journal, as Call::encode.
    template <class Work>
    std::size_t submit(Work&& work, SubmitOptions options) {
        Handler handler{this->shared_from_this(), typename Queue::Outcomes(1)};
        const auto call = make_submission<GroupSubmission, R>(flow_.scheduler(), std::forward<Work>(work), handler,
                                                              std::move(options));
        if (store_) look_for(call);
        else flow_.submit(call);
        return call->index;
    }

    /// *Errors*: std::bad_alloc; then the reader was not taken.
    void read(const typename Queue::ReaderPtr& reader) { flow_.were_read(outcomes_.read(reader)); }

    /// Outcomes that are here: see OutcomeQueue::take.
    typename Queue::Outcomes take_ready(std::size_t most) noexcept {
        auto taken = outcomes_.take(most);
        if (!taken.empty()) flow_.were_read(taken.size());
        return taken;
    }

    /// For maps: elements that have an outcome. `work`: where they were executed; null: nowhere. `executed`: the mean time
    /// of their execution.
    void take(const GroupSubmission* work, std::vector<MapResult<R>>& results,
              std::chrono::nanoseconds executed) noexcept {
        typename Queue::Outcomes outcomes;
        typename Queue::Outcomes to_keep;
        std::vector<StoredValue> values;
        for (MapResult<R>& result : results) {
            const bool is_to_keep = result.stored && !result.error;
            if (is_to_keep) surely([&] { values.push_back(std::move(*result.stored)); });
            auto& among = is_to_keep ? to_keep : outcomes;
            Outcome<R>& outcome = surely([&]() -> Outcome<R>& { return among.emplace_back(); });
            if (work) surely([&] { work->describe(outcome); });
            outcome.index = result.index;
            outcome.executed = executed;
            outcome.is_kept = result.is_kept;
            outcome.error = std::move(result.error);
            if constexpr (!std::is_void_v<R>) outcome.result = std::move(result.value.value);
            drop_elements_if_stopped(outcome);
        }
        if (!outcomes.empty()) tell(std::move(outcomes));
        if (!to_keep.empty()) keep(std::move(to_keep), std::move(values));
    }

    /// Hands these outcomes over to the readers.
    void tell(typename Queue::Outcomes outcomes) noexcept {
        std::size_t errors = 0;
        std::size_t found = 0;
        std::chrono::nanoseconds executed{};
        for (const auto& outcome : outcomes) {
            executed += outcome.executed;
            errors += outcome.error ? 1 : 0;
            found += outcome.is_kept ? 1 : 0;
        }
        const std::size_t count = outcomes.size();
        const std::size_t given = outcomes_.push(std::move(outcomes));
        flow_.came(count, errors, found, executed);
        if (given != 0) flow_.were_read(given);
    }

    /// The store failed: cancels the group, and the next reader gets the error.
    void fail(std::exception_ptr error) noexcept {
        if (has_failed_.exchange(true)) return;
        outcomes_.fail(std::move(error));
        flow_.cancel(false);  // this is the store's thread
    }

    /// With a journal it blocks until nothing is with the store.
    void abandon() noexcept {
        outcomes_.abandon();
        flow_.cancel();
        if (store_) store_->close();
    }

private:
    /// The handler of a work.
    struct Handler {
        std::shared_ptr<GroupCore> core;
        typename Queue::Outcomes node;          // one outcome, which moves to its reader without an allocation
        std::unique_ptr<StoredValue> stored{};  // its value, if it is to be kept

        void take_note(GroupSubmission& work) noexcept {
            surely([&] { work.describe(node.front()); });
            stored = std::move(work.stored);
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
            if (stored && !outcome.error) {
                std::vector<StoredValue> values;
                surely([&] { values.push_back(std::move(*stored)); });
                core->keep(std::move(node), std::move(values));
            } else {
                core->tell(std::move(node));
            }
            core->flow_.settled();
        }
    };

    /// Submits the work if the store does not find its value.
    void look_for(const std::shared_ptr<GroupSubmission>& work) {
        AnyScheduler& scheduler = *flow_.scheduler();
        work->enter(scheduler.registry());
        ByteBuffer room;
        const bool is_canonical = work->encode(room, scheduler.limits());
        auto request = std::make_unique<WorkLookup<R>>(this->shared_from_this(), work);
        request->values.push_back(
            {stored_id(store_->hash_key(), work->own_type(), work->options.key(), work->body(), is_canonical)});
        work->keep_body();
        work->index = flow_.take_numbers(1);
        flow_.look_for(1, work->body_bytes());
        store_->find(std::move(request));
    }

    /// Hands these outcomes over to the readers once their values are kept.
    void keep(typename Queue::Outcomes outcomes, std::vector<StoredValue> values) noexcept {
        auto request = surely([&] { return std::make_unique<KeptOutcomes<R>>(this->shared_from_this()); });
        request->outcomes = std::move(outcomes);
        request->values = std::move(values);
        flow_.keep(request->values.size(), request->bytes());
        store_->keep(std::move(request));
    }

    /// The master admits nothing more.
    void drop_elements_if_stopped(const AnyOutcome& outcome) noexcept {
        if (outcome.error && outcome.attempt == 0 && error_code_of(outcome.error) == Errc::stopped)
            flow_.drop_elements();
    }

    void flow_changed() noexcept {
        if (auto failure = flow_.take_failure()) outcomes_.fail(std::move(failure));
        if (flow_.has_ended()) outcomes_.end();
    }

    const std::unique_ptr<StoreGate> store_;
    std::atomic<bool> has_failed_{false};
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
