#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "../base/asio.hpp"
#include "../role_options.hpp"
#include "../version.hpp"

namespace distwork::detail {

/// The implementation of a Slave, without its transport: see AnyMaster.
///
/// *Thread-safety*: all functions. *Lifetime*: shared by the Slave, by its coroutines and by its session.
class AnySlave {
public:
    /// Begins to run, and logs how that ended. *Errors*: Error (already_running).
    virtual void start() = 0;
    virtual void ask_to_run() noexcept = 0;
    /// Connects to a master, and connects again when the session ends, until it is stopped. *Errors*: Error
    /// (already_running, cancelled); the error of the last master if no further attempt can succeed (version_mismatch,
    /// not_distwork, wrong_role, needs_credentials); with `reconnect` false, the error of the last master tried.
    virtual asio::awaitable<void> run() = 0;
    /// Takes no new works, finishes the works that it has, for at most `timeout`, and disconnects. A further call joins
    /// the same shutdown and may shorten it. *Errors*: Error (cancelled): the shutdown goes on.
    virtual asio::awaitable<void> stop(std::chrono::milliseconds timeout) = 0;
    /// The Slave is destroyed: settles the calls of its works, ends everything, and blocks until the works that run on
    /// the slave's own threads have returned.
    virtual void end() noexcept = 0;

    virtual bool is_connected() const noexcept = 0;
    virtual const asio::any_io_executor& executor() const noexcept = 0;
    virtual asio::any_io_executor any_strand() const = 0;

protected:
    ~AnySlave() = default;
};

/// The versions are a part of the function's name: see MasterFactory.
template <class Transport, int major = DISTWORK_VERSION_MAJOR, int minor = DISTWORK_VERSION_MINOR,
          int patch = DISTWORK_VERSION_PATCH, int with_asio = asio_version>
struct SlaveFactory {
    /// *Errors*: Error (bad_address, needs_credentials, zero_slots, bad_option, duplicate_type).
    static std::shared_ptr<AnySlave> make(Transport transport, std::vector<MasterAddress> masters,
                                          SlaveOptions options);
};

}  // namespace distwork::detail
