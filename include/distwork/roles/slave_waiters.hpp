#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/completion.hpp"
#include "../base/separate.hpp"

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

    void add(const std::shared_ptr<AnyWaiter>& waiter) noexcept;

    /// Completes the waiters for which `connected` slaves are enough.
    void wake(std::size_t connected) noexcept;

    /// Completes the waiter with Errc::cancelled, if it still waits.
    void cancel(const std::shared_ptr<AnyWaiter>& waiter) noexcept;

    /// The master stops: completes all waiters, and every later one, with Errc::stopped.
    void end() noexcept;

private:
    std::vector<std::shared_ptr<AnyWaiter>> waiters_;
    bool ended_ = false;
};

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/slave_waiters.ipp"
#endif
