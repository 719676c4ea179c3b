#pragma once

#include <chrono>

#include "../base/asio.hpp"

namespace distwork::detail {

/// The life cycle of a role's implementation, as Master and Slave use it.
///
/// *Thread-safety*: all functions.
class AnyRole {
public:
    /// Begins to run, and logs how that ended. *Errors*: Error (already_running).
    virtual void start() = 0;
    /// Notes that `run` is about to be awaited.
    virtual void ask_to_run() noexcept = 0;
    /// Runs until the role is stopped. *Errors*: as of `async_run` of Master and Slave.
    virtual asio::awaitable<void> run() = 0;
    /// Takes no new works, waits for at most `timeout` for those that it has, and ends all sessions. A further call
    /// joins the same shutdown and may shorten it. *Errors*: Error (cancelled): the shutdown goes on.
    virtual asio::awaitable<void> stop(std::chrono::milliseconds timeout) = 0;
    /// The Master or Slave is destroyed: settles every call, ends everything, and blocks until the works that run on the
    /// role's own threads have returned.
    virtual void end() noexcept = 0;

    /// Where `run` and `stop` run.
    virtual asio::any_io_executor any_strand() const = 0;

protected:
    ~AnyRole() = default;
};

}  // namespace distwork::detail
