#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/completion.hpp"
#include "../error.hpp"

namespace distwork::detail {

/// The waiters for a number of connected slaves of a master.
///
/// *Executor*: the master's strand.
class SlaveWaiters {
public:
    struct AnyWaiter {
        explicit AnyWaiter(std::size_t wanted) : count{wanted} {}
        virtual ~AnyWaiter() = default;
        virtual void complete(std::exception_ptr error) noexcept = 0;
        const std::size_t count;
    };

    template <class Handler>
    struct Waiter final : AnyWaiter {
        Waiter(std::size_t wanted, Handler& handler, const asio::any_io_executor& fallback)
            : AnyWaiter{wanted}, completion{std::move(handler), fallback} {}
        void complete(std::exception_ptr error) noexcept override { completion.post(std::move(error)); }
        Completion<Handler> completion;
    };

    void add(const std::shared_ptr<AnyWaiter>& waiter) noexcept {
        if (ended_) fail(*waiter, Errc::stopped);
        else surely([&] { waiters_.push_back(waiter); });
    }

    /// Completes the waiters for which `connected` slaves are enough.
    void wake(std::size_t connected) noexcept {
        std::erase_if(waiters_, [connected](const auto& waiter) {
            if (waiter->count > connected) return false;
            waiter->complete(nullptr);
            return true;
        });
    }

    /// Completes the waiter with Errc::cancelled, if it still waits.
    void cancel(const std::shared_ptr<AnyWaiter>& waiter) noexcept {
        if (std::erase(waiters_, waiter) != 0) fail(*waiter, Errc::cancelled);
    }

    /// The master stops: completes all waiters, and every later one, with Errc::stopped.
    void end() noexcept {
        ended_ = true;
        for (const auto& waiter : waiters_) fail(*waiter, Errc::stopped);
        waiters_.clear();
    }

private:
    static void fail(AnyWaiter& waiter, Errc reason) noexcept {
        waiter.complete(exception_of([reason] { throw Error{reason, "waiting for slaves"}; }));
    }

    std::vector<std::shared_ptr<AnyWaiter>> waiters_;
    bool ended_ = false;
};

}  // namespace distwork::detail
