#pragma once

#include <concepts>
#include <type_traits>

#include "base/asio.hpp"

namespace distwork {

class Context;

/// A work: an object that is sent to another process and executed there.
///
/// Derive a class from it. Give the class a default constructor and a cereal `serialize` (or `save` and `load`).
/// Register it with DISTWORK_REGISTER_WORK in a header that both programs include. To send a value back, derive from
/// RpcWork<R> or CoroutineWork<R> instead.
class IWork {
public:
    virtual ~IWork() = default;

    /// Called at the receiver, once for each time the work is sent and begun, on a new object that was decoded there.
    /// An exception that it throws reaches the caller as a RemoteError.
    ///
    /// *Executor*: the receiver's work executor. The function may block, unless that is in_place. *Lifetime*: `peer` is
    /// valid until the function returns.
    virtual void execute(Context& peer) = 0;

protected:
    /// The derived class decides whether works can be copied and moved.
    ///@{
    IWork() = default;
    IWork(const IWork&) = default;
    IWork(IWork&&) = default;
    IWork& operator=(const IWork&) = default;
    IWork& operator=(IWork&&) = default;
    ///@}
};

namespace detail {

/// The parameter of execute_return: a copy of the value, since the caller gets the value too; a reference if the value
/// is move-only.
template <class R>
using ReturnParameter = std::conditional_t<std::is_copy_constructible_v<R>, R, R&>;

/// Receives the value at the sender of the work.
template <class R>
class Returning {
public:
    /// Called on the original object when its value came back, before the call completes. It is also called for works
    /// that were distributed without waiting for them. Only the value is sent back: changes that the execution made to
    /// its object are lost. An exception that it throws fails the call.
    ///
    /// *Executor*: the caller's; for a broadcast a thread of the master, one value at a time. *Lifetime*: `peer`, which
    /// executed the work, is valid until the function returns.
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

/// A work that returns a value to the caller. `R` is void, or default-constructible and serializable. It may be
/// move-only.
template <class R>
class RpcWork : public IWork, public detail::Returning<R> {
public:
    using result_type = R;  ///< the type of the value that a call completes with

    /// Called at the receiver, as IWork::execute. The value is sent back to the caller.
    virtual R execute_work(Context& peer) = 0;

    /// Calls execute_work.
    void execute(Context& peer) final { static_cast<void>(execute_work(peer)); }
};

/// A work that is a coroutine. While it waits it occupies its slot but no thread, so that a slave with thousands of
/// slots runs as many at once; while it awaits calls to its peer it holds no slot. Only such a work may await calls to
/// its peer.
template <class R>
class CoroutineWork : public IWork, public detail::Returning<R> {
public:
    using result_type = R;  ///< the type of the value that a call completes with

    /// Called at the receiver, and resumed on the work executor. *Lifetime*: the object and `peer` are valid until the
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

/// The value that a call of `Work` completes with, or void.
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

/// Whether `Work` overrides execute_return. If not, the value is not copied and the peer is not kept for it.
template <class Work>
inline constexpr bool overrides_execute_return = returning_work<Work> && !inherits_execute_return<Work>;

}  // namespace detail

}  // namespace distwork
