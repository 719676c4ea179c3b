#pragma once

#include <concepts>
#include <cstddef>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "archive.hpp"
#include "call.hpp"
#include "detail/asio.hpp"
#include "detail/call_check.hpp"
#include "detail/completion.hpp"
#include "detail/scalars.hpp"
#include "detail/shape.hpp"
#include "detail/surely.hpp"
#include "function_work.hpp"
#include "peer.hpp"
#include "registry.hpp"

namespace distwork {

class Context;

namespace detail {

/// What is taken where a work is taken: an object of a work class, or an owning pointer to one.
template <class W>
concept work_argument =
    std::derived_from<std::remove_cvref_t<W>, IWork> || std::convertible_to<W, std::unique_ptr<IWork>>;

/// What it is kept as in a call: the object itself, or a pointer to one whose class may be a derived one; of what class
/// is known at least decides what value comes back.
template <class W>
struct Kept {
    using type = std::unique_ptr<IWork>;
};
template <std::derived_from<IWork> Work>
struct Kept<Work> {
    using type = Work;
};
template <std::derived_from<IWork> Work>
struct Kept<std::unique_ptr<Work>> {
    using type = std::unique_ptr<Work>;
};
template <class W>
using kept_t = typename Kept<std::remove_cvref_t<W>>::type;

template <class Kept>
inline constexpr bool is_pointer = is_unique_pointer<Kept>;

/// A pointer to a work whose class only it knows: it completes without a value.
template <class Kept>
inline constexpr bool is_erased = std::same_as<Kept, std::unique_ptr<IWork>>;

/// The class of what is kept, as far as it is known.
template <class Kept>
struct KnownClass {
    using type = Kept;
};
template <class Work>
struct KnownClass<std::unique_ptr<Work>> {
    using type = Work;
};
template <class Kept>
using known_class_t = typename KnownClass<Kept>::type;

template <class Kept>
using kept_result_t = result_of_t<known_class_t<Kept>>;

/// Throws Error (null_work, unregistered_type): in the call itself, before a coroutine is suspended for its outcome.
template <class W>
void require_registered(const W& work) {
    if constexpr (std::derived_from<W, IWork>) {
        static_cast<void>(work_type<W>());
    } else {
        if (!work) throw Error{Errc::null_work};
        static_cast<void>(work_type_of(typeid(*work)));
    }
}

/// A number is its bytes: an archive's tables of pointers would cost twenty times as much.
template <class T>
inline constexpr bool needs_no_archive = std::is_arithmetic_v<T> && !std::is_same_v<T, bool> && is_wire_image<T>;

/// To be called within a handler: whatever was thrown becomes an Error, behind which it is nested.
[[noreturn]] inline void rethrow_malformed() {
    try {
        throw;
    } catch (const Error&) {
        throw;
    } catch (...) {
        std::throw_with_nested(Error{Errc::malformed, what_of(std::current_exception())});
    }
}

/// Decodes one value from a whole body. Throws Error (malformed, too_large): nothing else passes the decoding edge.
template <class T>  // `inline` for the optimizer, which expands a function template in place more readily then
inline void decode(std::span<const std::byte> body, T& value, const ArchiveLimits& limits) {
    if constexpr (needs_no_archive<T>)
        if (body.size() == sizeof value) return static_cast<void>(std::memcpy(&value, body.data(), sizeof value));
    try {
        WireInputArchive archive{body, limits};
        archive(value);
        archive.finish();
    } catch (...) {
        rethrow_malformed();
    }
}

/// Appends one value's bytes. Throws Error (too_large, shared_pointer; malformed, behind which what cereal throws is
/// nested), and what the class itself throws.
template <class T>
void encode_value(const T& value, ByteBuffer& body, const ArchiveLimits& limits) {
    if constexpr (needs_no_archive<T>) {
        std::memcpy(body.extend(sizeof value), &value, sizeof value);
    } else {
        try {
            WireOutputArchive archive{body, limits};
            archive(value);
            archive.finish();
        } catch (const cereal::Exception&) {
            rethrow_malformed();
        }
    }
}

/// No handler has this one.
struct NoExecutor : asio::system_executor {};

/// Whether handlers of that type have an executor of their own.
template <class Handler>
inline constexpr bool has_executor = !std::same_as<asio::associated_executor_t<Handler, NoExecutor>, NoExecutor>;

/// The part of a call that may throw when it is made: its work and its value, whose classes are the user's. It comes
/// before the handler is taken, so that this can be called with what was thrown.
template <class Base, class Work, class Delivered>
class KeptWork : public Base {
protected:
    explicit KeptWork(Work&& work) : Base{type_of(work)}, work_{std::move(work)} {}

    Work work_;
    [[no_unique_address]] std::conditional_t<is_erased<Work>, ByteBuffer, Value<Delivered>> value_;

private:
    static const WorkType& type_of(const Work& work) {
        if constexpr (is_pointer<Work>) return work_type_of(typeid(*work));
        else return work_type<Work>();
    }
};

/// A call whose work and handler are known by type: one allocation for the two, the encoded body and the value.
///
/// `Base` is Call, or a class derived from it that is constructed from a WorkType. `Handler` is given the work's result,
/// or, where `Delivered` says so, a std::shared_ptr to it; a work behind a std::unique_ptr<IWork> completes without a
/// value.
template <class Base, class Work, class Handler, class Delivered = kept_result_t<Work>>
class TypedCall final : public KeptWork<Base, Work, Delivered> {
    static constexpr bool by_pointer = is_pointer<Work>;
    static constexpr bool erased = is_erased<Work>;
    using Known = known_class_t<Work>;
    using Result = kept_result_t<Work>;
    static constexpr bool boxed = !std::same_as<Result, Delivered>;
    // Behind a pointer, a derived class may have an execute_return of its own.
    static constexpr bool returns = erased || (by_pointer ? returning_work<Known> : overrides_execute_return<Known>);
    using Executor = asio::associated_executor_t<Handler, asio::any_io_executor>;
    using BusyExecutor = asio::executor_work_guard<Executor>;
    using KeptWork<Base, Work, Delivered>::work_;
    using KeptWork<Base, Work, Delivered>::value_;

public:
    /// `default_executor`: for a handler that has none of its own, the role's unless it is said otherwise. Where this
    /// throws the handler is as it was: moving one throws nothing.
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
                if (!value.empty()) throw Error{Errc::malformed, "a value came where none was expected"};
            } else {
                if constexpr (boxed) value_.value = std::make_shared<Result>();
                decode(value, result(), peer->limits());
            }
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
        // The context is kept busy until the handler ran, not only until its call is destroyed.
        post_surely(busy_->get_executor(), [call = std::move(call), busy = *busy_]() mutable {
            Call& settled = *call;
            settled.deliver(std::move(call));
        });
    }

private:
    static std::unique_ptr<BusyExecutor> own_executor(const Handler& handler,
                                                      const asio::any_io_executor& roles_executor,
                                                      const asio::any_io_executor& default_executor) {
        // Most handlers want the role's own executor: those complete together, in one task.
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

    /// execute_return, on the object that was sent. What it throws is the call's outcome.
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
    std::unique_ptr<BusyExecutor> busy_;  // the handler's own, if it has one: few have
    Handler handler_;
    std::exception_ptr error_;
    [[no_unique_address]] std::conditional_t<returns, std::shared_ptr<Peer>, Nothing> peer_;
};

/// Whether a value of this class may throw when it is made or moved, which Asio does under a `co_await` where nothing may
/// throw: its caller is given a pointer to it, and unpacks that behind.
template <class Token, class R>
inline constexpr bool needs_box = false;
template <class Executor, class R>
requires(!std::is_void_v<R>) inline constexpr bool needs_box<asio::use_awaitable_t<Executor>, R> =
    !std::is_nothrow_default_constructible_v<R> || !std::is_nothrow_move_constructible_v<R>;

template <class Token, class R>
struct DeliveredAs {
    using type = R;
};
template <class Token, class R>
requires(needs_box<std::remove_cvref_t<Token>, R>) struct DeliveredAs<Token, R> {
    using type = std::shared_ptr<R>;
};
/// What a call that completes with `R` gives the handler of such a token.
template <class Token, class R>
using delivered_t = typename DeliveredAs<Token, R>::type;

template <class R, class Executor>
asio::awaitable<R, Executor> unbox(asio::awaitable<std::shared_ptr<R>, Executor> call) {
    const std::shared_ptr<R> box = co_await std::move(call);
    co_return std::move(*box);
}

/// Begins a call that completes with `R`; `initiation` is given the handler, of delivered_t<Token, R>, and the arguments.
template <class R, class Token, class Initiation, class... Arguments>
auto initiate_call(Initiation initiation, Token& token, Arguments&&... arguments) {
    using Delivered = delivered_t<Token, R>;
    const auto initiate = [&] {
        return asio::async_initiate<Token, signature_t<Delivered>>(std::move(initiation), token,
                                                                   std::forward<Arguments>(arguments)...);
    };
    if constexpr (std::same_as<R, Delivered>) return initiate();
    else return unbox<R>(initiate());
}

/// Has an operation begin that has a handler: what `begin(handler)` throws before it took that is what the handler is
/// called with.
template <class Delivered, class Handler, class Begin>
void begin_or_fail(Handler& handler, const asio::any_io_executor& default_executor, Begin begin) {
    auto error = exception_of([&] { begin(handler); });
    if (!error) return;
    if constexpr (std::is_void_v<Delivered>) {
        Completion<Handler>{std::move(handler), default_executor}.post(std::move(error));
    } else {
        auto value = surely([] { return Delivered{}; });
        Completion<Handler>{std::move(handler), default_executor}.post(std::move(error), std::move(value));
    }
}

/// The handler of a work that nobody waits for.
struct LogFailure {
    std::shared_ptr<Peer> peer;

    template <class... Value>
    void operator()(const std::exception_ptr& error, Value&&...) const {
        if (error) peer->log(level_of_failure(error), "A work sent to " + peer->name() + " failed: " + what_of(error));
    }
};

/// Has `cancel` run when the caller emits a cancellation signal of any type. The slot's handler must only post.
template <class Slot, class Cancel>
void cancel_through(Slot slot, Cancel cancel) noexcept {
    if (!slot.is_connected()) return;
    surely([&] {
        slot.assign([cancel](asio::cancellation_type type) {
            if (type != asio::cancellation_type::none) cancel();
        });
    });
}

/// Sends a call straight to a peer; what keeps it from leaving, or `refused` it before, is its outcome.
inline void send_or_fail(Peer& peer, const std::shared_ptr<Call>& call, std::error_code refused = {}) noexcept {
    ByteBuffer room;
    auto error = exception_of([&] {
        if (!refused) call->encode(room, peer.limits());
        if (!refused) refused = peer.send(call);
        if (refused == Errc::too_many_waiting)
            throw Error::with_text(refused, std::string{call->name()} +
                                                ": as many works of this slave are unanswered at " + peer.name() +
                                                " as may be (MasterOptions::max_slave_works)");
        if (refused) throw Error{refused, std::string{call->name()}};
    });
    if (!error || !call->claim()) return;
    call->fail(std::move(error));
    deliver_one(peer.get_executor(), call);
}

/// Splits `rest` into the function's arguments and what follows them (a token, or options and a token), makes the
/// work, and passes both to `initiate`.
template <auto F, bool TakesOptions, class Initiate, class... Rest>
auto call_function(Initiate&& initiate, Rest&&... rest) {
    if constexpr (CheckedCall<F, TakesOptions, Rest...>::is_right()) {
        constexpr std::size_t arity = traits_of<F>::arity;
        using Parameters = typename traits_of<F>::Parameters;
        auto all = std::forward_as_tuple(std::forward<Rest>(rest)...);
        return [&]<std::size_t... A, std::size_t... T>(std::index_sequence<A...>, std::index_sequence<T...>) {
            using Arguments = typename FunctionWork<F>::Arguments;
            FunctionWork<F> work{Arguments(own<std::tuple_element_t<A, Parameters>>(std::get<A>(std::move(all)))...)};
            return initiate(std::move(work), std::get<arity + T>(std::move(all))...);
        }
        (std::make_index_sequence<arity>{}, std::make_index_sequence<sizeof...(Rest) - arity>{});
    }
}

}  // namespace detail
}  // namespace distwork
