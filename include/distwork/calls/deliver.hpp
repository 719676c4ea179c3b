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

/// Calls back one after the other; when a handler throws, the others go on in a task of their own.
class DeliverEach {
public:
    DeliverEach(asio::any_io_executor executor, std::vector<std::shared_ptr<Call>> calls)
        : executor_{std::move(executor)}, calls_{std::move(calls)} {}

    /// Those that were not called back yet.
    std::size_t size() const noexcept { return calls_.size() - next_; }

    void operator()() { run(size()); }

    /// That many of them at most; returns how many.
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

/// Claims and fails those that nobody claimed before; the others are taken away. `text(call)` says why, for people.
template <class Text>
void fail_unclaimed(std::vector<std::shared_ptr<Call>>& calls, Errc reason, Text text) {
    std::erase_if(calls, [reason](const auto& call) { return !call->claim(reason); });
    for (const auto& call : calls)
        call->fail(exception_of([&] { throw Error::with_text(reason, text(*call)); }));  // or that memory lacks for it
}

/// Has those settled calls call back that have an executor of their own, and takes them away.
inline void post_own(std::vector<std::shared_ptr<Call>>& calls) noexcept {
    std::erase_if(calls, [](std::shared_ptr<Call>& call) {
        if (!call->has_own_executor()) return false;
        Call& settled = *call;
        settled.post(std::move(call));
        return true;
    });
}

/// Has every settled call of `calls` call back: those without an executor of their own in one task on `executor`.
/// Never calls back from inside.
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
