#pragma once

#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "../archive/codec.hpp"
#include "../base/asio.hpp"
#include "../base/surely.hpp"
#include "../error.hpp"
#include "../work.hpp"
#include "call.hpp"
#include "kept_work.hpp"
#include "peer.hpp"

namespace distwork::detail {

/// An executor type that no handler has, to detect handlers without an associated executor.
struct NoExecutor : asio::system_executor {};

/// Whether handlers of this type have an associated executor.
template <class Handler>
inline constexpr bool has_executor = !std::same_as<asio::associated_executor_t<Handler, NoExecutor>, NoExecutor>;

/// A call that knows the types of its work and its handler. Work, handler and result are in one allocation.
///
/// `Base` is Call, or a class derived from it that is constructed from a WorkType. `Handler` gets the work's result, or
/// a std::shared_ptr to it if `Delivered` is one. If it has a function `take_note`, that gets the call before. A work
/// behind a std::unique_ptr<IWork> completes without a value.
template <class Base, class Work, class Handler, class Delivered = kept_result_t<Work>>
class TypedCall final : public KeptWork<Base, Work, Delivered> {
    static constexpr bool by_pointer = is_pointer<Work>;
    static constexpr bool erased = is_erased<Work>;
    using Known = known_class_t<Work>;
    using Result = kept_result_t<Work>;
    static constexpr bool boxed = !std::same_as<Result, Delivered>;
    // The object behind a pointer may be of a derived class that overrides execute_return.
    static constexpr bool returns = erased || (by_pointer ? returning_work<Known> : overrides_execute_return<Known>);
    using Executor = asio::associated_executor_t<Handler, asio::any_io_executor>;
    using BusyExecutor = asio::executor_work_guard<Executor>;
    using KeptWork<Base, Work, Delivered>::work_;
    using KeptWork<Base, Work, Delivered>::value_;

public:
    /// `default_executor`: the executor for a handler without an associated one; usually `roles_executor`. If this
    /// throws, the handler was not moved.
    TypedCall(Work&& work, Handler& handler, const asio::any_io_executor& roles_executor,
              const asio::any_io_executor& default_executor)
        : KeptWork<Base, Work, Delivered>{std::move(work)},
          busy_{own_executor(handler, roles_executor, default_executor)},
          handler_{std::move(handler)} {
        this->has_own_executor_ = busy_ != nullptr;
    }

    const IWork& work() const noexcept override {
        if constexpr (by_pointer) return *work_;
        else return work_;
    }

    void succeed(std::span<const std::byte> value, const std::shared_ptr<Peer>& peer) noexcept override {
        try {
            if constexpr (erased) {
                if (this->own_type().execute_return) value_.append(value.data(), value.size());
            } else if constexpr (std::is_void_v<Result>) {
                if (!value.empty()) throw Error{Errc::malformed, "it has a value, and none was expected"};
            } else {
                if constexpr (boxed) value_.value = std::make_shared<Result>();
                decode(value, result(), peer->limits());
            }
            if constexpr (requires { this->note_value(value); }) this->note_value(value);
            if constexpr (returns)
                if (!by_pointer || this->own_type().execute_return) peer_ = peer;
        } catch (...) {
            error_ = exception_of(
                [&] { rethrow_naming(std::string{this->name()} + " on " + peer->name() + ": its answer: "); });
            this->outcome(Errc::malformed);
        }
    }

    void fail(std::exception_ptr error) noexcept override { error_ = std::move(error); }

    void deliver(std::shared_ptr<Call> call) override {
        if constexpr (requires { this->delivered(); }) this->delivered();
        if (!error_) return_to_original();
        if constexpr (requires { handler_.take_note(static_cast<Base&>(*this)); })
            handler_.take_note(static_cast<Base&>(*this));
        if (auto slot = asio::get_associated_cancellation_slot(handler_); slot.is_connected()) slot.clear();
        Handler handler{std::move(handler_)};
        std::exception_ptr error{std::move(error_)};
        if constexpr (std::is_void_v<Result>) {
            call.reset();
            std::move(handler)(std::move(error));
        } else if constexpr (std::is_nothrow_move_constructible_v<Delivered>) {
            auto value = std::move(value_.value);
            call.reset();
            std::move(handler)(std::move(error), std::move(value));
        } else {
            std::optional<Delivered> value;
            if (auto thrown = exception_of([&] { value.emplace(std::move(value_.value)); })) {
                if (!error) error = std::move(thrown);
                value.emplace();
            }
            call.reset();
            std::move(handler)(std::move(error), std::move(*value));
        }
    }

    void post(std::shared_ptr<Call> call) noexcept override {
        // The guard keeps the context busy until the handler has run: `deliver` destroys the call, with its own guard,
        // earlier.
        post_surely(busy_->get_executor(), [call = std::move(call), busy = *busy_]() mutable {
            Call& settled = *call;
            settled.deliver(std::move(call));
        });
    }

private:
    static std::unique_ptr<BusyExecutor> own_executor(const Handler& handler,
                                                      const asio::any_io_executor& roles_executor,
                                                      const asio::any_io_executor& default_executor) {
        // Most handlers run on the role's executor. These are delivered together, in one task.
        if (!has_executor<Handler> && &default_executor == &roles_executor) return nullptr;
        const Executor wanted = asio::get_associated_executor(handler, default_executor);
        if constexpr (std::same_as<Executor, asio::any_io_executor>)
            if (wanted == roles_executor) return nullptr;
        return std::make_unique<BusyExecutor>(wanted);
    }

    decltype(auto) result() noexcept {
        if constexpr (boxed) return (*value_.value);
        else return (value_.value);
    }

    /// Calls execute_return on the original object. If it throws, the call completes with that exception.
    void return_to_original() noexcept {
        if constexpr (returns) {
            if (!peer_) return;
            try {
                call_execute_return();
            } catch (...) {
                error_ = std::current_exception();
            }
        }
    }
    void call_execute_return();  // in context.hpp, where Context is complete

    struct Nothing {};
    std::unique_ptr<BusyExecutor> busy_;  // the handler's own executor; null for most
    Handler handler_;
    std::exception_ptr error_;
    [[no_unique_address]] std::conditional_t<returns, std::shared_ptr<Peer>, Nothing> peer_;
};

}  // namespace distwork::detail
