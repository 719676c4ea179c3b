#pragma once

#include <concepts>
#include <type_traits>

#include "base/asio.hpp"

namespace distwork {

class Context;

/// A work: an object that travels to another process and is executed there.
///
/// Derive from it, give the class a default constructor and a cereal `serialize` (or `save` and `load`), and register
/// it with DISTWORK_REGISTER_WORK in a header that both programs include. Where a value shall come back, derive from
/// RpcWork<R> or CoroutineWork<R> instead.
class IWork {
public:
    virtual ~IWork() = default;

    /// Called at the other end, once for each time the work is sent, on a fresh object that was decoded there.
    /// What it throws reaches the caller as a RemoteError.
    ///
    /// *Executor*: the receiver's work executor. *Lifetime*: `peer` is valid until the function returns.
    virtual void execute(Context& peer) = 0;

protected:
    /// Works are made, copied and moved as their own classes say.
    ///@{
    IWork() = default;
    IWork(const IWork&) = default;
    IWork(IWork&&) = default;
    IWork& operator=(const IWork&) = default;
    IWork& operator=(IWork&&) = default;
    ///@}
};

namespace detail {

/// What execute_return is given: a copy of the value, since the caller gets it too; of a move-only value a reference.
template <class R>
using ReturnParameter = std::conditional_t<std::is_copy_constructible_v<R>, R, R&>;

/// Where the value arrives, at the end that sent the work.
template <class R>
class Returning {
public:
    /// Called on the original object when its value came back, before the call completes; also for a work that was
    /// distributed without waiting for it. Nothing but the value travels back: what the execution changed in the
    /// object stays there. What it throws fails the call.
    ///
    /// *Executor*: the caller's; for a broadcast one of the master's threads, one value at a time. *Lifetime*: `peer`,
    /// who executed the work, is valid until the function returns.
    virtual void execute_return(ReturnParameter<R> value, Context& peer) {
        static_cast<void>(value);
        static_cast<void>(peer);
    }

protected:
    ~Returning() = default;
};

template <>
class Returning<void> {
public:
    virtual void execute_return(Context& peer) { static_cast<void>(peer); }

protected:
    ~Returning() = default;
};

}  // namespace detail

/// A work whose execution returns a value to the caller. `R` is void, or default-constructible and serializable; it
/// may be move-only.
template <class R>
class RpcWork : public IWork, public detail::Returning<R> {
public:
    using result_type = R;  ///< what a call of it completes with

    /// Called at the other end; its value travels back.
    virtual R execute_work(Context& peer) = 0;

    void execute(Context& peer) final { static_cast<void>(execute_work(peer)); }
};

/// A work that is a coroutine: it occupies its slot while it waits, but no thread, so that thousands wait at once on a
/// slave with as many slots. Only such a work may await calls to its peer.
template <class R>
class CoroutineWork : public IWork, public detail::Returning<R> {
public:
    using result_type = R;  ///< what a call of it completes with

    /// Called at the other end and resumed on the work executor. *Lifetime*: the object and `peer` are valid until the
    /// coroutine ends.
    virtual asio::awaitable<R> execute_work(Context& peer) = 0;

    /// Never called: the receiver awaits execute_work.
    void execute(Context&) final {}
};

namespace detail {

template <class Work>
struct ResultOf {
    using type = void;
};
template <class Work>
requires requires {
    typename Work::result_type;
}
struct ResultOf<Work> {
    using type = typename Work::result_type;
};

/// What a call of `Work` completes with: its R, or void.
template <class Work>
using result_of_t = typename ResultOf<Work>::type;

template <class Work>
concept returning_work = requires {
    typename Work::result_type;
}
&&std::derived_from<Work, Returning<typename Work::result_type>>;

template <class Work>
concept coroutine_work = returning_work<Work> && std::derived_from<Work, CoroutineWork<typename Work::result_type>>;

template <class Work>
concept inherits_execute_return = requires {
    { &Work::execute_return } -> std::same_as<decltype(&Returning<typename Work::result_type>::execute_return)>;
};

/// Whether `Work` has an execute_return of its own; if not, the value is neither copied nor the peer kept for it.
template <class Work>
inline constexpr bool overrides_execute_return = returning_work<Work> && !inherits_execute_return<Work>;

}  // namespace detail

}  // namespace distwork
