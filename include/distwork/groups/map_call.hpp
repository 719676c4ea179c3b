#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/completion.hpp"
#include "../base/surely.hpp"
#include "../calls/initiation.hpp"
#include "../error.hpp"
#include "../roles/any_scheduler.hpp"
#include "group_core.hpp"
#include "group_flow.hpp"

namespace distwork::detail {

/// A map whose caller waits for all values.
///
/// *Thread-safety*: all functions. *Lifetime*: shared by its works under way, and by what makes them.
template <class R, class Handler>
class MapCall {
    static constexpr bool is_void = std::is_void_v<R>;
    static_assert(std::is_nothrow_move_constructible_v<Value<R>> && std::is_nothrow_move_assignable_v<Value<R>>,
                  "distwork: the values of a map must move without exceptions: put them behind a std::unique_ptr");

public:
    /// If this throws, the handler was not moved.
    static std::shared_ptr<MapCall> make(std::shared_ptr<AnyScheduler> scheduler, Handler& handler) {
        const auto executor = scheduler->executor();
        auto call = std::make_shared<MapCall>(std::move(scheduler), handler, executor);
        call->flow_.owned_by(call);
        return call;
    }
    MapCall(std::shared_ptr<AnyScheduler> scheduler, Handler& handler, const asio::any_io_executor& executor)
        : flow_{std::move(scheduler), executor, static_cast<std::size_t>(-1), [this] { flow_changed(); }},
          completion_{std::move(handler), executor} {}

    GroupFlow& flow() noexcept { return flow_; }

    void take(const GroupSubmission*, std::vector<MapResult<R>>& results, std::chrono::nanoseconds) noexcept {
        std::exception_ptr error;
        flow_.came(results.size(), 0, 0, {});
        flow_.were_read(results.size());
        {
            const std::lock_guard lock{mutex_};
            for (MapResult<R>& result : results) {
                if (result.error) {
                    if (!error) error = std::move(result.error);
                    continue;
                }
                if constexpr (!is_void) {
                    if (values_.size() <= result.index) error = exception_of([&] { values_.resize(result.index + 1); });
                    if (error) break;
                    values_[result.index] = std::move(result.value.value);
                }
            }
        }
        if (error) fail(std::move(error));
    }

    /// Completes with this error, unless there was one before, and cancels what is under way.
    void fail(std::exception_ptr error) noexcept {
        {
            const std::lock_guard lock{mutex_};
            if (error_) return;
            error_ = std::move(error);
        }
        flow_.cancel();
    }

    /// Makes room for so many values. *Errors*: std::bad_alloc.
    void expect(std::size_t elements) { values_.reserve(elements); }

    /// All elements were added.
    void begin() noexcept { flow_.close(); }

private:
    void flow_changed() noexcept {
        if (auto failure = flow_.take_failure()) fail(std::move(failure));
        if (!flow_.has_ended() || is_done_.exchange(true)) return;
        std::exception_ptr error;
        decltype(values_) values;
        {
            const std::lock_guard lock{mutex_};
            error = error_;
            values.swap(values_);
        }
        if (error) values.clear();
        if constexpr (is_void) completion_.post(std::move(error));
        else completion_.post(std::move(error), std::move(values));
    }

    GroupFlow flow_;
    std::mutex mutex_;
    // guarded by mutex_
    std::exception_ptr error_;
    std::vector<std::conditional_t<is_void, char, R>> values_;

    Completion<Handler> completion_;
    std::atomic<bool> is_done_{false};
};

}  // namespace distwork::detail
