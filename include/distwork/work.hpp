#pragma once

#include "detail/requirements.hpp"

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
    IWork() = default;
    IWork(const IWork&) = default;
    IWork(IWork&&) = default;
    IWork& operator=(const IWork&) = default;
    IWork& operator=(IWork&&) = default;
};

}  // namespace distwork
