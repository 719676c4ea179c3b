#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/completion.hpp"
#include "../base/separate.hpp"

namespace distwork::detail {

/// Those who wait until a number of slaves is connected to a master, or until one has left.
///
/// *Executor*: the master's strand.
class SlaveWaiters {
public:
    struct AnyWaiter {
        explicit AnyWaiter(std::size_t wanted, std::uint64_t leaver) : count{wanted}, socket{leaver} {}
        virtual ~AnyWaiter() = default;
        virtual void complete(std::exception_ptr error) noexcept = 0;
        const std::size_t count;     // of slaves that are connected
        const std::uint64_t socket;  // that has left; 0: any
    };

    template <class Handler>
    struct Waiter final : AnyWaiter {
        Waiter(std::size_t wanted, std::uint64_t leaver, Handler& handler, const asio::any_io_executor& fallback)
            : AnyWaiter{wanted, leaver}, completion{std::move(handler), fallback} {}
        void complete(std::exception_ptr error) noexcept override { completion.post(std::move(error)); }
        Completion<Handler> completion;
    };

    void add(const std::shared_ptr<AnyWaiter>& waiter) noexcept;

    /// Completes those for whom `connected` slaves are enough, and whose slave has left.
    void wake(std::size_t connected, const std::function<bool(std::uint64_t socket)>& has_left) noexcept;

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
