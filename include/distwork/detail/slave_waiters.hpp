#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "../error.hpp"
#include "asio.hpp"
#include "completion.hpp"

namespace distwork::detail {

/// Those who wait until a master has so many slaves. On its strand only.
class SlaveWaiters {
public:
    template <class Handler>
    void add(std::size_t count, Handler handler, const asio::any_io_executor& fallback) {
        if (ended_) return complete_ended(Waiter<Handler>{count, std::move(handler), fallback});
        waiters_.push_back(std::make_unique<Waiter<Handler>>(count, std::move(handler), fallback));
    }

    void wake(std::size_t connected) {
        std::erase_if(waiters_, [connected](const auto& waiter) {
            if (waiter->count > connected) return false;
            waiter->complete(nullptr);
            return true;
        });
    }

    /// The master stops: nobody waits any more.
    void end() {
        ended_ = true;
        for (const auto& waiter : waiters_) complete_ended(*waiter);
        waiters_.clear();
    }

private:
    struct AnyWaiter {
        explicit AnyWaiter(std::size_t wanted) : count{wanted} {}
        virtual ~AnyWaiter() = default;
        virtual void complete(std::exception_ptr error) = 0;
        const std::size_t count;
    };

    template <class Handler>
    struct Waiter final : AnyWaiter {
        Waiter(std::size_t wanted, Handler handler, const asio::any_io_executor& fallback)
            : AnyWaiter{wanted}, completion{std::move(handler), fallback} {}
        void complete(std::exception_ptr error) override { completion.post(std::move(error)); }
        Completion<Handler> completion;
    };

    static void complete_ended(AnyWaiter&& waiter) { complete_ended(waiter); }
    static void complete_ended(AnyWaiter& waiter) {
        waiter.complete(std::make_exception_ptr(Error{Errc::stopped, "waiting for slaves"}));
    }

    std::vector<std::unique_ptr<AnyWaiter>> waiters_;
    bool ended_ = false;
};

}  // namespace distwork::detail
