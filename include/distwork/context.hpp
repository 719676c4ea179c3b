#pragma once

#include <concepts>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "call.hpp"
#include "detail/asio.hpp"
#include "function_work.hpp"
#include "log.hpp"
#include "typed_call.hpp"

namespace distwork {

/// One work while it is executed, as the work itself sees it: the peer that sent it, and whether it is still wanted.
///
/// *Thread-safety*: all functions. *Lifetime*: as long as the execution.
class Context {
public:
    /// What stands behind `stop_token`: made by whoever executes the work.
    class Execution {
    public:
        virtual std::stop_token stop_token() = 0;

    protected:
        ~Execution() = default;
    };

    explicit Context(const std::shared_ptr<Peer>& peer, Execution* execution = nullptr)
        : peer_{peer}, execution_{execution} {}
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    /// Queues a work for the peer, who executes it; never blocks. False when it was not queued: the session is closed,
    /// its outbox full, or the peer has no such type. If the work fails there, the log says so.
    ///
    /// *Errors*: throws Error (unregistered_type, too_large, shared_pointer, null_work).
    template <detail::work_argument W>
    bool send_work(W&& work) {
        detail::require_registered(work);
        return send(std::make_shared<detail::TypedCall<Call, detail::kept_t<W>, detail::LogFailure>>(
            std::forward<W>(work), detail::LogFailure{peer_}, peer_->get_executor()));
    }

    /// Has the peer execute a work, and completes with its value: `void(std::exception_ptr, R)`, or
    /// `void(std::exception_ptr)` where R is void. Only a coroutine may await it: anything else would keep its slot
    /// while it waits.
    ///
    /// *Executor*: completes on the handler's. *Cancellation*: completes at once with Errc::cancelled.
    /// *Errors*: RemoteError; Error (lost, unknown_type, shape_differs, not_accepted, malformed, too_large, …), also
    /// outbox_full: it does not wait for room.
    template <detail::work_argument W, class Token = asio::use_awaitable_t<>>
    auto async_call(W&& work, Token&& token = Token{}) {
        detail::require_registered(work);
        return initiate(detail::kept_t<W>(std::forward<W>(work)), token);
    }

    /// The same for a registered function; its arguments, then optionally the token.
    template <auto F, class... Rest>
    auto async_call(Rest&&... rest) {
        return detail::call_function<F>(
            [this](FunctionWork<F> work, auto&&... token) {
                return this->async_call(std::move(work), std::forward<decltype(token)>(token)...);
            },
            std::forward<Rest>(rest)...);
    }

    asio::ip::tcp::endpoint remote_endpoint() const { return peer_->remote_endpoint(); }

    /// What the peer calls itself.
    const std::string& peer_name() const { return peer_->name(); }

    /// Asked to stop when the caller cancelled the work, its connection was lost, or this role stops.
    std::stop_token stop_token() const { return execution_ ? execution_->stop_token() : std::stop_token{}; }

private:
    bool send(std::shared_ptr<Call> call) {
        ByteBuffer room;
        call->encode(room, peer_->limits());
        return !peer_->send(std::move(call));
    }

    template <class Work, class Token>
    auto initiate(Work work, Token& token) {
        return asio::async_initiate<Token, detail::signature_t<detail::kept_result_t<Work>>>(
            [peer = peer_](auto handler, Work moved) {
                using Typed = detail::TypedCall<Call, Work, decltype(handler)>;
                const auto slot = asio::get_associated_cancellation_slot(handler);
                auto call = std::make_shared<Typed>(std::move(moved), std::move(handler), peer->get_executor());
                if (slot.is_connected())
                    detail::cancel_through(slot, [peer = std::weak_ptr{peer}, weak = std::weak_ptr<Call>{call}] {
                        const auto still = weak.lock();
                        const auto there = peer.lock();
                        if (!there || !still || !still->claim(Errc::cancelled)) return;
                        there->cancel(*still);
                        still->fail(std::make_exception_ptr(Error{Errc::cancelled, std::string{still->name()}}));
                        deliver_one(there->get_executor(), still);
                    });
                detail::send_or_fail(*peer, std::move(call));
            },
            token, std::move(work));
    }

    const std::shared_ptr<Peer>& peer_;
    Execution* execution_;
};

template <class Base, class Work, class Handler>
void detail::TypedCall<Base, Work, Handler>::call_execute_return() {
    Context context{peer_};
    if constexpr (by_pointer) {
        this->type().execute_return(*work_, value_.view(), context, peer_->limits());
    } else {
        auto& original = static_cast<Returning<Result>&>(work_);
        if constexpr (std::is_void_v<Result>) original.execute_return(context);
        else original.execute_return(value_.value, context);
    }
}

}  // namespace distwork
