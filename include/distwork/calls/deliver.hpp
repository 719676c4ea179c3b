#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/surely.hpp"
#include "../error.hpp"
#include "call.hpp"

namespace distwork::detail {

/// Delivers settled calls one after the other. If a handler throws, the rest are delivered in a task of their own.
class DeliverEach {
public:
    DeliverEach(asio::any_io_executor executor, std::vector<std::shared_ptr<Call>> calls)
        : executor_{std::move(executor)}, calls_{std::move(calls)} {}

    /// The number of calls that were not delivered yet.
    std::size_t size() const noexcept { return calls_.size() - next_; }

    void operator()() { run(size()); }

    /// Delivers at most `most` calls; returns how many. Throws what a handler throws.
    std::size_t run(std::size_t most) {
        struct Rest {
            DeliverEach& each;
            bool thrown = true;
            ~Rest() {
                if (thrown && each.size() != 0) post_surely(each.executor_, each);
            }
        } rest{*this};
        const std::size_t until = next_ + std::min(most, size());
        const std::size_t before = next_;
        while (next_ != until) {
            auto call = std::move(calls_[next_++]);
            Call& settled = *call;
            settled.deliver(std::move(call));
        }
        rest.thrown = false;
        return until - before;
    }

private:
    asio::any_io_executor executor_;
    std::vector<std::shared_ptr<Call>> calls_;
    std::size_t next_ = 0;
};

/// Claims and fails the calls that were not claimed before, and removes the others from `calls`. `text(call)` is the
/// text of the Error.
template <class Text>
void fail_unclaimed(std::vector<std::shared_ptr<Call>>& calls, Errc reason, Text text) {
    std::erase_if(calls, [reason](const auto& call) { return !call->claim(reason); });
    for (const auto& call : calls)
        call->fail(exception_of([&] { throw Error::with_text(reason, text(*call)); }));  // or std::bad_alloc
}

/// Posts the settled calls whose handlers have executors of their own to these, and removes them from `calls`.
inline void post_own(std::vector<std::shared_ptr<Call>>& calls) noexcept {
    std::erase_if(calls, [](std::shared_ptr<Call>& call) {
        if (!call->has_own_executor()) return false;
        Call& settled = *call;
        settled.post(std::move(call));
        return true;
    });
}

/// Delivers the settled calls: those whose handlers have no executor of their own in one task on `executor`. No handler
/// runs inside this function.
inline void deliver_all(const asio::any_io_executor& executor, std::vector<std::shared_ptr<Call>> calls) noexcept {
    post_own(calls);
    if (calls.empty()) return;
    const auto each = surely([&] { return std::make_shared<DeliverEach>(executor, std::move(calls)); });
    defer_surely(executor, [each] { each->run(each->size()); });
}

inline void deliver_one(const asio::any_io_executor& executor, const std::shared_ptr<Call>& call) noexcept {
    deliver_all(executor, surely([&] { return std::vector<std::shared_ptr<Call>>{call}; }));
}

}  // namespace distwork::detail
