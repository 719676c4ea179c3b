#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/asio.hpp"
#include "function_work.hpp"
#include "fwd.hpp"
#include "role_options.hpp"
#include "roles/any_slave.hpp"
#include "roles/parts_of.hpp"
#include "roles/role_executor.hpp"
#include "work.hpp"

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "roles/slave_core.hpp"
#include "transport.hpp"
#endif

namespace distwork {

/// Connects to a master, or to one of several, and executes the works that it sends: `slots` works at a time, begun in
/// the order of arrival.
///
/// *Executor*: any executor or execution context. Its I/O runs there on one strand, its works on its work executor.
/// *Thread-safety*: all functions. Only the destructor blocks. *Lifetime*: the context of the executor must outlive the
/// slave. The destructor asks running works to stop, and blocks until those on the slave's own threads have returned.
/// Works on an executor of the application may return later, also after that context is gone, if they do not call their
/// peer any more.
template <class Transport>
class Slave {
    using Factory = detail::SlaveFactory<Transport>;

public:
    /// An address is checked here; a host's name is resolved when the slave connects.
    ///
    /// *Errors*: throws Error (bad_address, needs_credentials, zero_slots, bad_option, duplicate_type), or
    /// std::system_error if its own threads cannot be created.
    Slave(detail::RoleExecutor executor, std::string host, std::uint16_t port, SlaveOptions options = SlaveOptions{})
        : Slave{std::move(executor), std::vector<MasterAddress>{{std::move(host), port}}, std::move(options)} {}

    /// With a transport other than one made from an executor alone. *Errors*: the same.
    Slave(std::type_identity_t<Transport> transport, std::string host, std::uint16_t port,
          SlaveOptions options = SlaveOptions{})
        : Slave{std::move(transport), std::vector<MasterAddress>{{std::move(host), port}}, std::move(options)} {}

    /// With several masters, of which it uses one at a time. It tries them in their order, and begins with the first
    /// again whenever a connection is lost. *Errors*: the same.
    Slave(detail::RoleExecutor executor, std::vector<MasterAddress> masters, SlaveOptions options = SlaveOptions{})
        : core_{Factory::make(std::move(executor).take(), std::move(masters), std::move(options))} {}
    /// With several masters and a transport other than one made from an executor alone. *Errors*: the same.
    Slave(std::type_identity_t<Transport> transport, std::vector<MasterAddress> masters,
          SlaveOptions options = SlaveOptions{})
        : core_{Factory::make(std::move(transport), std::move(masters), std::move(options))} {}

    /// A slave that was moved from may only be destroyed.
    Slave(Slave&&) noexcept = default;
    Slave& operator=(Slave&&) = delete;

    ~Slave() {
        if (core_) core_->end();
    }

    /// Has the slave execute works of this type, and of no type that was not named so: whatever its master says. To be
    /// called before it runs; without a call it executes all registered types. *Errors*: throws Error (unregistered_type,
    /// foreign_type).
    template <std::derived_from<IWork> Work>
    void accept_work() {
        core_->accept_work(detail::work_type<Work>());
    }
    /// The same for a registered function.
    template <auto F>
    void accept_work() {
        core_->accept_work(detail::work_type<FunctionWork<F>>());
    }

    /// Begins to connect, and returns at once. The slave runs until it is stopped; how it ended is logged. *Errors*:
    /// throws Error (already_running).
    void start() { core_->start(); }

    /// Connects to a master, and connects again whenever the connection is lost, until the slave is stopped:
    /// `void(std::exception_ptr)`. After all masters of the list failed it pauses; the pause doubles each time.
    ///
    /// *Errors*: Error (already_running, cancelled). Error (version_mismatch, not_distwork, wrong_role,
    /// needs_credentials): another attempt would not help, so the slave removes this master from its list, and
    /// completes with the error of the last one. With Reconnect::never also the error of the last master of the list:
    /// protocol_violation, frame_too_large, handshake_timeout, too_many_slaves, connection_closed, peer_silent,
    /// peer_stalled, session_failed, stopped, or the system's code. The text names the master.
    template <class Token = asio::use_awaitable_t<>>
    auto async_run(Token&& token = Token{}) {
        core_->ask_to_run();
        return asio::co_spawn(core_->any_strand(), core_->run(), std::forward<Token>(token));
    }

    /// Has the master send nothing new, finishes the works that it holds, for at most `timeout`, and disconnects:
    /// `void(std::exception_ptr)`. Any `timeout` is allowed; more than a year counts as a year. Calling it again joins
    /// the same shutdown; a shorter timeout takes effect. Cancelling a waiter does not cancel the shutdown. *Errors*:
    /// Error (cancelled).
    template <class Token = asio::use_awaitable_t<>>
    auto async_stop(std::chrono::milliseconds timeout, Token&& token = Token{}) {
        return asio::co_spawn(core_->any_strand(), core_->stop(timeout), std::forward<Token>(token));
    }

    /// The same without a timeout: finishes and answers all works that it holds, so the master loses nothing. A later
    /// call of `async_stop` sets a timeout. `void(std::exception_ptr)`. *Errors*: Error (cancelled).
    template <class Token = asio::use_awaitable_t<>>
    auto async_drain(Token&& token = Token{}) {
        return async_stop(std::chrono::milliseconds::max(), std::forward<Token>(token));
    }

    /// Whether a session is open now.
    bool is_connected() const { return core_->is_connected(); }

    /// The executor that the slave was made with.
    asio::any_io_executor get_executor() const { return core_->executor(); }

private:
    friend struct detail::PartsOf;

    explicit Slave(std::shared_ptr<detail::AnySlave> core) : core_{std::move(core)} {}

    std::shared_ptr<detail::AnySlave> core_;
};

/// `Slave slave{executor, …}` is a `Slave<Tcp>`.
///@{
Slave(detail::RoleExecutor, std::string, std::uint16_t)->Slave<>;
Slave(detail::RoleExecutor, std::string, std::uint16_t, SlaveOptions)->Slave<>;
Slave(detail::RoleExecutor, std::vector<MasterAddress>)->Slave<>;
Slave(detail::RoleExecutor, std::vector<MasterAddress>, SlaveOptions)->Slave<>;
///@}

}  // namespace distwork
