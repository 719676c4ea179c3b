#pragma once

#include <cstddef>
#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/completion.hpp"
#include "../base/surely.hpp"
#include "../calls/initiation.hpp"
#include "../outcome.hpp"
#include "group_core.hpp"

namespace distwork::detail {

/// What a handler gets of these outcomes: see GroupReader.
template <class Read, class Delivered, class R>
Delivered delivered_of(std::list<Outcome<R>> outcomes) noexcept {
    Delivered delivered{};
    if constexpr (!std::is_same_v<Read, Delivered>) delivered = surely([] { return std::make_shared<Read>(); });
    Read* read = nullptr;
    if constexpr (std::is_same_v<Read, Delivered>) read = &delivered;
    else read = delivered.get();
    if constexpr (std::is_same_v<Read, std::list<Outcome<R>>>) *read = std::move(outcomes);
    else if (!outcomes.empty()) read->emplace(std::move(outcomes.front()));
    return delivered;
}

/// A reader of a group that completes a handler: with the outcomes, or with one of them if `Read` is an optional.
/// `Delivered` is Read, or a std::shared_ptr to it: see delivered_t.
template <class R, class Read, class Delivered, class Handler>
class GroupReader final : public OutcomeQueue<R>::Reader {
public:
    GroupReader(std::size_t outcomes_at_most, Handler& handler, const asio::any_io_executor& fallback)
        : OutcomeQueue<R>::Reader{outcomes_at_most}, completion_{std::move(handler), fallback} {}

    void complete(std::exception_ptr error, typename OutcomeQueue<R>::Outcomes outcomes) noexcept override {
        completion_.post(std::move(error), delivered_of<Read, Delivered>(std::move(outcomes)));
    }

private:
    Completion<Handler> completion_;
};

/// Reads up to `most` outcomes of a group.
template <class Read, class R, class Token>
auto async_read(const std::shared_ptr<GroupCore<R>>& core, std::size_t most, Token&& token) {
    using Delivered = delivered_t<Token, Read>;
    auto initiated = [core, most](auto handler) {
        begin_or_fail<Delivered>(handler, core->executor(), [&](auto& taken) {
            using Reader = GroupReader<R, Read, Delivered, std::remove_reference_t<decltype(taken)>>;
            // Usually some are here already: then there is nothing to wait for, and nothing to cancel.
            if (auto ready = core->take_ready(most); !ready.empty()) {
                Completion<std::remove_reference_t<decltype(taken)>> completion{std::move(taken), core->executor()};
                return completion.post(std::exception_ptr{}, delivered_of<Read, Delivered>(std::move(ready)));
            }
            const auto slot = asio::get_associated_cancellation_slot(taken);
            const auto reader = std::make_shared<Reader>(most, taken, core->executor());
            cancel_through(slot, [weak = std::weak_ptr{reader}, core] {
                post_surely(core->executor(), [weak, core] {
                    if (const auto still = weak.lock()) core->outcomes().cancel(still);
                });
            });
            // From here on the reader has the handler.
            if (auto error = exception_of([&] { core->read(reader); })) reader->complete(std::move(error), {});
        });
    };
    return initiate_call<Read>(std::move(initiated), token);
}

/// All outcomes that there are, at least one; none at the end of the group.
template <class R>
asio::awaitable<std::list<Outcome<R>>> read_some(std::shared_ptr<GroupCore<R>> core) {
    constexpr std::size_t most = 1024;
    return async_read<std::list<Outcome<R>>>(core, most, asio::use_awaitable);
}

/// Calls `take` with each outcome until the end of the group. If that, a range or a cancellation ends it earlier, the
/// group is cancelled.
template <class R, class Take>
asio::awaitable<void> for_each_outcome(std::shared_ptr<GroupCore<R>> core, Take& take) {
    try {
        for (;;) {
            std::list<Outcome<R>> outcomes = co_await read_some<R>(core);
            if (outcomes.empty()) co_return;
            for (Outcome<R>& outcome : outcomes) take(outcome);
        }
    } catch (...) {
        core->flow().cancel();
        throw;
    }
}

template <class R>
asio::awaitable<std::vector<R>> values_of(std::shared_ptr<GroupCore<R>> core) {
    std::vector<R> values;
    auto take = [&values](Outcome<R>& outcome) {
        if (outcome.error) std::rethrow_exception(outcome.error);
        if (values.size() <= outcome.index) values.resize(outcome.index + 1);
        values[outcome.index] = std::move(outcome.result);
    };
    co_await for_each_outcome<R>(core, take);
    co_return values;
}

template <class R>
requires std::is_void_v<R> asio::awaitable<void> values_of(std::shared_ptr<GroupCore<R>> core) {
    auto take = [](Outcome<void>& outcome) { outcome.value(); };
    co_await for_each_outcome<R>(core, take);
}

template <class R>
asio::awaitable<std::vector<Outcome<R>>> outcomes_of(std::shared_ptr<GroupCore<R>> core) {
    std::vector<Outcome<R>> all;
    auto take = [&all](Outcome<R>& outcome) {
        if (all.size() <= outcome.index) all.resize(outcome.index + 1);
        all[outcome.index] = std::move(outcome);
    };
    co_await for_each_outcome<R>(core, take);
    co_return all;
}

template <class R, class T, class Fold>
asio::awaitable<T> reduced(std::shared_ptr<GroupCore<R>> core, T sum, Fold fold) {
    auto take = [&](Outcome<R>& outcome) { sum = fold(std::move(sum), std::move(outcome).value()); };
    co_await for_each_outcome<R>(core, take);
    co_return sum;
}

}  // namespace distwork::detail
