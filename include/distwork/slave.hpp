#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/asio.hpp"
#include "fwd.hpp"
#include "role_options.hpp"
#include "roles/role_executor.hpp"
#include "roles/slave_core.hpp"
#include "transport.hpp"

namespace distwork {

/// Connects to a master, the first of a list that takes it, and executes the works that it sends, `slots` at a time, in
/// the order of arrival.
///
/// *Executor*: any, or an execution context; all its I/O runs there on one strand, works on its work executor.
/// *Thread-safety*: all functions. *Lifetime*: the executor's context must outlive the slave. Its end asks works that
/// run to stop and waits for those on its own threads; those on an executor of the host's may end later, also after that
/// context, if they do not call their peer any more.
template <class Transport>
class Slave {
    using Core = detail::SlaveCore<Transport>;

public:
    /// A master's name is resolved when the slave connects, an address is checked here.
    ///
    /// *Errors*: Error (bad_address, needs_credentials, zero_slots, bad_option, duplicate_type).
    Slave(detail::RoleExecutor executor, std::string host, std::uint16_t port, SlaveOptions options = SlaveOptions{})
        : Slave{Transport{std::move(executor).take()}, std::move(host), port, std::move(options)} {}

    /// On a transport that is more than an executor. *Errors*: the same.
    Slave(std::type_identity_t<Transport> transport, std::string host, std::uint16_t port,
          SlaveOptions options = SlaveOptions{})
        : Slave{std::move(transport), std::vector<MasterAddress>{{std::move(host), port}}, std::move(options)} {}

    /// Of several masters, one at a time: tried in their order, from the first again whenever a connection was lost.
    /// *Errors*: the same.
    Slave(detail::RoleExecutor executor, std::vector<MasterAddress> masters, SlaveOptions options = SlaveOptions{})
        : Slave{Transport{std::move(executor).take()}, std::move(masters), std::move(options)} {}
    /// Of several masters, on a transport that is more than an executor. *Errors*: the same.
    Slave(std::type_identity_t<Transport> transport, std::vector<MasterAddress> masters,
          SlaveOptions options = SlaveOptions{})
        : core_{std::make_shared<Core>(std::move(transport), std::move(masters), std::move(options))} {
        core_->observe_registry();
    }

    /// What was moved from may only be destroyed.
    Slave(Slave&&) noexcept = default;
    Slave& operator=(Slave&&) = delete;

    ~Slave() {
        if (!core_) return;
        core_->forget_registry();
        core_->abort();
        core_->join();
    }

    /// Runs until stopped; how it ended is logged. *Errors*: Error (already_running).
    void start() {
        core_->begin();
        asio::co_spawn(core_->strand(), Core::run_begun(core_), [core = core_](const std::exception_ptr& error) {
            if (error) core->log(LogLevel::error, "Ended: " + detail::what_of(error));
            else core->log(LogLevel::info, "Ended");
        });
    }

    /// Connects to a master, again whenever the connection is lost, until stopped: `void(std::exception_ptr)`. When all
    /// masters of the list failed there is a pause, which doubles.
    ///
    /// *Errors*: Error (version_mismatch, not_distwork, wrong_role, needs_credentials): a further attempt would change
    /// nothing. It strikes that master from the list; that of the last one is thrown. Without `reconnect`, whatever
    /// kept the last of the list from taking it: its text names that master, its code may be the system's. Also
    /// already_running and cancelled.
    template <class Token = asio::use_awaitable_t<>>
    auto async_run(Token&& token = Token{}) {
        core_->ask_to_run();
        return asio::co_spawn(core_->strand(), Core::run(core_), std::forward<Token>(token));
    }

    /// Has the master send nothing new, finishes what was sent, for at most `timeout`, and leaves.
    /// `void(std::exception_ptr)`. Who is cancelled only waits no longer. *Errors*: Error (cancelled).
    template <class Token = asio::use_awaitable_t<>>
    auto async_stop(std::chrono::milliseconds timeout, Token&& token = Token{}) {
        return asio::co_spawn(core_->strand(), Core::stop(core_, timeout), std::forward<Token>(token));
    }

    /// Has the master send nothing new, finishes and answers what was sent, however long that takes, and leaves: to its
    /// master that costs nothing. `async_stop` meanwhile gives it a time limit. `void(std::exception_ptr)`.
    template <class Token = asio::use_awaitable_t<>>
    auto async_drain(Token&& token = Token{}) {
        return async_stop(std::chrono::milliseconds::max(), std::forward<Token>(token));
    }

    /// Whether its session is open now.
    bool is_connected() const { return core_->is_connected(); }

    /// The executor that it was made with.
    asio::any_io_executor get_executor() const { return core_->executor(); }

private:
    std::shared_ptr<Core> core_;
};

/// `Slave slave{executor, …}` is a `Slave<Tcp>`.
///@{
Slave(detail::RoleExecutor, std::string, std::uint16_t)->Slave<>;
Slave(detail::RoleExecutor, std::string, std::uint16_t, SlaveOptions)->Slave<>;
Slave(detail::RoleExecutor, std::vector<MasterAddress>)->Slave<>;
Slave(detail::RoleExecutor, std::vector<MasterAddress>, SlaveOptions)->Slave<>;
///@}

}  // namespace distwork
