#pragma once

#include <concepts>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <typeinfo>
#include <utility>
#include <vector>

#include "base/asio.hpp"
#include "base/completion.hpp"
#include "base/type_name.hpp"
#include "calls/call.hpp"
#include "calls/call_check.hpp"
#include "calls/call_function.hpp"
#include "calls/direct_call.hpp"
#include "calls/initiation.hpp"
#include "calls/kept_work.hpp"
#include "calls/peer.hpp"
#include "calls/typed_call.hpp"
#include "function_work.hpp"
#include "log.hpp"

namespace distwork {

namespace detail {
class AwaitedCall;
struct LocalsOf;
}  // namespace detail

/// An execution of a work, as seen by the work: the peer that sent it, and whether its outcome is still wanted.
///
/// *Thread-safety*: all functions. No function blocks. *Lifetime*: the duration of the execution.
class Context {
public:
    /// The calls of a coroutine work to its peer. While the work only waits for such calls, it holds no slot.
    class Calls {
    public:
        virtual ~Calls() = default;
        /// The executor of handlers that have none of their own.
        virtual asio::any_io_executor get_executor() const = 0;
        /// The id of the work in the session that received it.
        virtual std::uint64_t id() const noexcept = 0;
        /// Begins a call, or returns the error that prevents it. `end_call` is called once for each call that began.
        virtual std::error_code begin_call() noexcept = 0;
        /// Ends a call that began.
        virtual void end_call() noexcept = 0;
    };

    /// The state of one execution. The code that executes the work makes it.
    class Execution {
    public:
        /// See Context::stop_token.
        virtual std::stop_token stop_token() = 0;
        /// See Context::progress.
        virtual void report(double done, std::string_view text, detail::Peer& to) {
            static_cast<void>(done), static_cast<void>(text), static_cast<void>(to);
        }
        /// The units of indexed resources that it was given, one bit each.
        virtual std::uint64_t given_units() const noexcept { return 0; }
        /// Null if the work is no coroutine.
        virtual std::shared_ptr<Calls> calls() const { return nullptr; }

    protected:
        ~Execution() = default;
    };

    /// Made by the library for each execution.
    explicit Context(const std::shared_ptr<detail::Peer>& peer, Execution* execution = nullptr)
        : peer_{peer}, execution_{execution} {}
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    /// Queues a work that the peer is to execute, and returns at once. Returns false if the work was not queued: the
    /// session is closed, its outbox is full, the peer does not have the type or has it with another shape, or the body
    /// exceeds the peer's `max_frame_bytes`. If the work fails at the peer, that is logged.
    ///
    /// *Errors*: throws Error (unregistered_type, foreign_type, null_work, too_large, shared_pointer, malformed), and
    /// what saving the work throws.
    template <detail::work_argument W>
    bool send_work(W&& work) {
        detail::require_registered(work);
        detail::kept_t<W> kept(std::forward<W>(work));
        using Handler = detail::LogFailure<detail::Peer>;
        Handler log{peer_};
        return send(std::make_shared<detail::TypedCall<detail::Call, detail::kept_t<W>, Handler>>(
            std::move(kept), log, peer_->get_executor(), peer_->get_executor()));
    }

    /// Has the peer execute a work, and completes with its value: `void(std::exception_ptr, R)`, or
    /// `void(std::exception_ptr)` if R is void. Only a coroutine work may await the call: any other work would keep its
    /// slot while it waits.
    ///
    /// *Executor*: completes on the handler's, else on the work's. *Cancellation*: completes at once with
    /// Errc::cancelled.
    ///
    /// *Errors*: throws Error (unregistered_type, foreign_type, null_work). Completes with RemoteError if the work
    /// threw, or with Error: lost (the session ended), stopped, cancelled, unknown_type, shape_differs, foreign_type,
    /// not_accepted, malformed, too_large, shared_pointer; outbox_full and too_many_waiting, since the call does not
    /// wait for room; too_many_suspended. Completes with what saving the work or `execute_return` throws.
    template <detail::work_argument W, class Token = asio::use_awaitable_t<>>
    auto async_call(W&& work, Token&& token = Token{}) {
        static_cast<void>(detail::TokenOfCall<Token, detail::kept_result_t<detail::kept_t<W>>>{});
        detail::require_registered(work);
        return initiate(detail::kept_t<W>(std::forward<W>(work)), token);
    }

    /// Has the peer call a registered function. Takes its arguments, then optionally the token.
    template <auto F, class... Rest>
    auto async_call(Rest&&... rest) {
        return detail::call_function<F, false>(
            [this](FunctionWork<F> work, auto&&... token) {
                return this->async_call(std::move(work), std::forward<decltype(token)>(token)...);
            },
            std::forward<Rest>(rest)...);
    }

    /// Has the master distribute a work to any of its slaves, and completes with the value, as async_call does. Only a
    /// coroutine work on a slave may call this. While it waits it holds no slot, so a tree of works may be deeper than
    /// the number of slots. The new work inherits labels, priority and max_attempts of the work that submits it. Deeper
    /// works go before all that are less deep, whatever their priority. When the submitting work ends, its submissions
    /// without an outcome are cancelled.
    ///
    /// *Executor*, *Cancellation*: as async_call.
    ///
    /// *Errors*: as async_call. Also throws Error (not_accepted) unless a coroutine work on a slave calls it. Also
    /// completes with Error: not_accepted (see Master::accept_submission), backlog_full, and version_mismatch if the
    /// master speaks only version 1 of the protocol. No limit makes the call wait: a limit that is reached is an error
    /// (backlog_full, outbox_full, too_many_suspended, too_many_waiting).
    template <detail::work_argument W, class Token = asio::use_awaitable_t<>>
    auto async_submit(W&& work, Token&& token = Token{}) {
        static_cast<void>(detail::TokenOfCall<Token, detail::kept_result_t<detail::kept_t<W>>>{});
        detail::require_registered(work);
        if (!execution_ || !execution_->calls() || !peer_->distributes())
            throw Error::with_text(Errc::not_accepted, "only a coroutine work on a slave may have works distributed");
        return initiate(detail::kept_t<W>(std::forward<W>(work)), token, true);
    }

    /// Has the master distribute a call of a registered function. Takes its arguments, then optionally the token.
    template <auto F, class... Rest>
    auto async_submit(Rest&&... rest) {
        return detail::call_function<F, false>(
            [this](FunctionWork<F> work, auto&&... token) {
                return this->async_submit(std::move(work), std::forward<decltype(token)>(token)...);
            },
            std::forward<Rest>(rest)...);
    }

    /// The peer's end of the connection.
    asio::ip::tcp::endpoint remote_endpoint() const { return peer_->remote_endpoint(); }

    /// The peer's name: SlaveOptions::name or MasterOptions::name.
    const std::string& peer_name() const { return peer_->name(); }

    /// The object that an on_start function has left on this slave: see on_start. Works in other slots use it at the same
    /// time. *Lifetime*: longer than the execution. *Errors*: throws Error (not_started).
    template <class T>
    T& local() const {
        auto* const all = peer_->locals();
        void* const object = all ? all->find(typeid(T)) : nullptr;
        if (!object) throw Error{Errc::not_started, detail::type_name(typeid(T))};
        return *static_cast<T*>(object);
    }

    /// Reports how far this work is, for the progress of its group: `done` from 0 to 1, and a text for people, of which
    /// 256 bytes are sent. At most ten reports a second are sent; the others are dropped, and so are those of works that
    /// share a work with others.
    void progress(double done, std::string_view text = {}) const {
        if (execution_) execution_->report(done, text, *peer_);
    }

    /// Which units of an indexed resource this work was given, counted from 0, in ascending order: see
    /// SlaveOptions::indexed. Of one of them it may have a part only. Empty if it asked for none.
    std::vector<unsigned> indices(std::string_view name) const {
        std::vector<unsigned> all;
        const std::uint64_t given = execution_ ? execution_->given_units() : 0;
        std::uint64_t first = 0;
        for (const auto& [resource, units] : peer_->indexed_amounts()) {
            for (std::uint64_t i = 0; resource == name && i != units; ++i)
                if (given >> (first + i) & 1) all.push_back(static_cast<unsigned>(i));
            first += units;
        }
        return all;
    }

    /// Tells the work to stop. That is requested when the caller cancels the work, its connection is lost, its time
    /// limit is over, or this role stops.
    std::stop_token stop_token() const { return execution_ ? execution_->stop_token() : std::stop_token{}; }

private:
    friend struct detail::LocalsOf;

    bool send(std::shared_ptr<detail::Call> call) {
        detail::ByteBuffer room;
        call->encode(room, peer_->limits());
        return !peer_->send(std::move(call));
    }

    template <class Work, class Token>
    auto initiate(Work work, Token& token, bool is_submission = false) {
        using Result = detail::kept_result_t<Work>;
        using Delivered = detail::delivered_t<Token, Result>;
        auto initiated = [peer = peer_, calls = execution_ ? execution_->calls() : nullptr, is_submission](
                             auto handler, auto&& kept) {
            const asio::any_io_executor where = calls ? calls->get_executor() : peer->get_executor();
            detail::begin_or_fail<Delivered>(handler, where, [&](auto& taken) {
                using Handler = std::remove_reference_t<decltype(taken)>;
                const auto slot = asio::get_associated_cancellation_slot(taken);
                const auto call = std::make_shared<detail::TypedCall<detail::AwaitedCall, Work, Handler, Delivered>>(
                    Work(std::forward<decltype(kept)>(kept)), taken, peer->get_executor(), where);
                cancel_through(slot, peer, call);
                detail::send_or_fail(*peer, call, call->begin(calls, is_submission));
            });
        };
        return detail::initiate_call<Result>(std::move(initiated), token, std::move(work));
    }

    template <class Slot>
    static void cancel_through(Slot slot, const std::shared_ptr<detail::Peer>& peer,
                               const std::shared_ptr<detail::Call>& call) {
        detail::cancel_through(slot, [peer = std::weak_ptr{peer}, weak = std::weak_ptr<detail::Call>{call}] {
            const auto still = weak.lock();
            if (const auto there = peer.lock(); there && still) detail::cancel_call(*there, still);
        });
    }

    const std::shared_ptr<detail::Peer>& peer_;
    Execution* execution_;
};

/// The locals of an execution, for those that add to them.
struct detail::LocalsOf {
    static Locals* of(const Context& context) noexcept { return context.peer_->locals(); }
};

/// A call of a work to its peer. A coroutine work holds no slot while it waits for such a call.
class detail::AwaitedCall : public detail::Call {
public:
    using detail::Call::Call;
    ~AwaitedCall() override { delivered(); }

    /// Called before the call is sent. On an error the call is not sent.
    std::error_code begin(std::shared_ptr<Context::Calls> calls, bool is_submission) noexcept {
        if (!calls) return {};
        if (is_submission) parent_id = calls->id();
        const std::error_code refused = calls->begin_call();
        if (refused) return refused;
        is_awaited = true;
        calls_ = std::move(calls);
        return {};
    }

    /// Called just before the handler.
    void delivered() noexcept {
        if (const auto calls = std::move(calls_)) calls->end_call();
    }

private:
    std::shared_ptr<Context::Calls> calls_;
};

/// \cond
template <class Base, class Work, class Handler, class Delivered>
void detail::TypedCall<Base, Work, Handler, Delivered>::call_execute_return() {
    Context context{peer_};
    if constexpr (erased) {
        this->own_type().execute_return(*work_, value_.view(), context, peer_->limits());
    } else {
        Returning<Result>* original;
        if constexpr (by_pointer) original = work_.get();
        else original = &work_;
        if constexpr (std::is_void_v<Result>) original->execute_return(context);
        else original->execute_return(result(), context);
    }
}
/// \endcond

}  // namespace distwork
