#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/asio.hpp"
#include "base/machine_load.hpp"
#include "base/process_id.hpp"
#include "base/split_mix.hpp"
#include "base/work_pool.hpp"
#include "error.hpp"
#include "log.hpp"
#include "tcp/address.hpp"
#include "tcp/address_race.hpp"
#include "tcp/connect_first.hpp"
#include "tcp/native_socket.hpp"
#include "tcp/resolve.hpp"

namespace distwork {

/// The source of connections, time, random numbers, work threads, and what is known of the machine and the process.
/// Roles and sessions get all of these from their Transport only, so that another Transport can simulate them.
///
/// `Socket` has the used part of asio::ip::tcp::socket: async_read_some, async_write_some, write_some (would_block
/// instead of blocking), available, remote_endpoint, close. `Timer` has expires_after, async_wait and cancel. `listen`
/// may block while it resolves a name. `connect` ends when it is cancelled. `WorkPool` executes works: functions that
/// are posted to its executor run until `join`, which blocks until those that run have returned. `process_name` is the
/// name of a slave that was given none. `default_log` is the log of a role that was given none.
template <class T>
concept Transport = std::copy_constructible<T> &&
    requires(T transport, typename T::Strand strand, typename T::Acceptor acceptor, typename T::WorkPool pool,
             std::string host, std::error_code error) {
    typename T::Socket;
    typename T::Timer;
    { transport.get_executor() } -> std::convertible_to<asio::any_io_executor>;
    { transport.now() } -> std::same_as<std::chrono::steady_clock::time_point>;
    { transport.random() } -> std::same_as<std::uint64_t>;
    { transport.machine_load() } -> std::same_as<detail::MachineLoad>;
    { transport.process_name() } -> std::same_as<std::string>;
    { transport.default_log() } -> std::same_as<Log>;
    { transport.make_strand() } -> std::same_as<typename T::Strand>;
    { transport.listen(strand, host, std::uint16_t{}, bool{}) } -> std::same_as<typename T::Acceptor>;
    { transport.accept(acceptor) } -> std::same_as<asio::awaitable<typename T::Socket>>;
    { transport.connect(strand, host, std::uint16_t{}) } -> std::same_as<asio::awaitable<typename T::Socket>>;
    { transport.make_work_pool(std::size_t{}) } -> std::same_as<std::unique_ptr<typename T::WorkPool>>;
    { acceptor.is_open() } -> std::same_as<bool>;
    { acceptor.local_endpoint() } -> std::convertible_to<asio::ip::tcp::endpoint>;
    acceptor.close(error);
    { pool.get_executor() } -> std::convertible_to<asio::any_io_executor>;
    pool.join();
};

/// A transport in which works take time before they run. `delay_work` calls a function later, never from inside the
/// call; or it returns false and does not call it. One thread only.
template <class T>
concept DelaysWorks = requires(const T transport, std::string_view type, std::function<void()> then) {
    { transport.delay_work(type, then) } -> std::same_as<bool>;
};

namespace detail {

/// Whether peers of this transport prove who they are. Then roles may go beyond loopback without `insecure_plaintext`.
template <class Transport>
inline constexpr bool authenticates = requires {
    requires Transport::authenticates;
};

}  // namespace detail

/// TCP, and the clock of the machine.
class Tcp {
public:
    /// The types of this transport; see the concept Transport.
    ///@{
    using Strand = asio::strand<asio::any_io_executor>;
    using Socket = detail::ShutDownFirst<asio::basic_stream_socket<asio::ip::tcp, Strand>>;
    using Acceptor = detail::ShutDownFirst<asio::basic_socket_acceptor<asio::ip::tcp, Strand>>;
    using Clock = std::chrono::steady_clock;
    using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Strand>;

    using WorkPool = detail::WorkPool;
    ///@}

    /// `look_up` finds the addresses of a host's name. It is called on a thread of its own, and may block.
    explicit Tcp(asio::any_io_executor executor, detail::LookUp look_up = &detail::look_up)
        : executor_{std::move(executor)}, look_up_{std::move(look_up)} {}

    /// Connects no further than to the other end of this connected socket, once: for a slave whose master adopted that
    /// end. Closes the handle if it was not used.
    static Tcp over(asio::any_io_executor executor, int handle) {
        Tcp transport{std::move(executor)};
        transport.given_ = std::make_shared<detail::GivenHandle>(handle);
        return transport;
    }

    /// The executor that the transport was made with.
    const asio::any_io_executor& get_executor() const noexcept { return executor_; }

    /// The current time.
    Clock::time_point now() const noexcept { return Clock::now(); }

    /// Random enough for jitter: the seed is the time of a thread's first call and the address of its data.
    std::uint64_t random() const {
        thread_local char here;
        thread_local detail::SplitMix64 engine{static_cast<std::uint64_t>(Clock::now().time_since_epoch().count()) ^
                                               std::hash<const void*>{}(&here)};
        return engine.next();
    }

    /// How busy this machine is.
    detail::MachineLoad machine_load() const { return detail::machine_load(); }

    /// A strand for a role or for one connection.
    Strand make_strand() const { return asio::make_strand(executor_); }

    /// The threads of WorkExecutor::own_pool.
    std::unique_ptr<WorkPool> make_work_pool(std::size_t threads) const { return std::make_unique<WorkPool>(threads); }

    /// `host:pid`: the default name of a slave.
    std::string process_name() const { return host_name() + ':' + std::to_string(detail::process_id()); }

    /// Writes warnings and errors to the standard error.
    Log default_log() const { return ConsoleLog{LogLevel::warning}; }

    /// Listens on an address of this machine, or on the first address of a name that can be listened on. Blocks while a
    /// name is resolved. *Errors*: throws Error (address_in_use, bad_address; with `loopback_only` also
    /// needs_credentials), which names the address.
    Acceptor listen(const Strand& strand, const std::string& host, std::uint16_t port,
                    bool loopback_only = false) const {
        std::error_code error;
        const auto addresses = resolve(host, error);
        const std::string where = detail::host_and_port(host, port);
        if (error) throw Error::with_text(Errc::bad_address, where + " does not resolve: " + error.message());
        for (const auto& address : addresses) {
            if (loopback_only && !address.is_loopback()) continue;
            Acceptor acceptor{strand};
            listen(acceptor, {address, port}, error);
            if (!error) return acceptor;
        }
        if (!error) {
            const std::string address = addresses.front().to_string();
            throw Error::with_text(Errc::needs_credentials,
                                   (address == host ? host : host + ", which is " + address + ',') +
                                       " is beyond this machine: to listen there needs credentials, or "
                                       "MasterOptions::insecure_plaintext");
        }
        const Errc reason = error == asio::error::address_in_use ? Errc::address_in_use : Errc::bad_address;
        throw Error::with_text(reason, "cannot listen on " + where + ": " + error.message());
    }

    /// A connection of this transport over a connected stream socket, which it closes. *Errors*: throws
    /// std::system_error; then the handle is closed.
    Socket adopt(int handle) const {
        Socket socket{make_strand()};
        if (const auto error = detail::assign(socket, asio::ip::tcp::v4(), handle)) throw std::system_error{error};
        set_options(socket);
        return socket;
    }

    // These are templates so that only programs with a role compile Asio's operations, not every file that defines
    // works.

    /// Accepts a connection, and gives it a strand of its own.
    template <std::same_as<Acceptor> A>
    asio::awaitable<Socket> accept(A& acceptor) const {
        Socket socket{make_strand()};
        co_await detail::accept(acceptor, socket);
        set_options(socket);
        co_return socket;
    }

    /// Connects to the first address of the host that answers. Begins with the address after the one that was tried
    /// last.
    template <std::same_as<Strand> S>
    asio::awaitable<Socket> connect(S strand, std::string host, std::uint16_t port) const {
        if (given_) co_return adopt_given(strand);
        const auto last = last_addresses_;
        const auto found = co_await detail::resolve<Timer>(strand, look_up_, host, port);
        auto order = detail::order_of(found, last->of(host, port));
        const auto begun = [&](const asio::ip::tcp::endpoint& endpoint) { last->set(host, port, endpoint); };
        std::error_code error;
        Socket socket = co_await detail::connect_first<Socket, Timer>(strand, std::move(order), begun, error);
        if (error) throw std::system_error{error, host + ':' + std::to_string(port)};
        set_options(socket);
        co_return socket;
    }

private:
    Socket adopt_given(const Strand& strand) const {
        const int handle = given_->take();
        if (handle < 0)
            throw std::system_error{asio::error::not_connected, "the connection that it was given has ended"};
        Socket socket{strand};
        if (const auto error = detail::assign(socket, asio::ip::tcp::v4(), handle)) throw std::system_error{error};
        set_options(socket);
        return socket;
    }

    static std::string host_name() {
        std::error_code error;
        const std::string name = asio::ip::host_name(error);
        return error || name.empty() ? "localhost" : name;
    }

    /// At least one address, unless there is an error.
    std::vector<asio::ip::address> resolve(const std::string& host, std::error_code& error) const {
        const auto literal = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
        if (!error) return {literal};
        asio::ip::basic_resolver<asio::ip::tcp, asio::any_io_executor> resolver{executor_};
        std::vector<asio::ip::address> addresses;
        for (const auto& entry : resolver.resolve(host, "", asio::ip::resolver_base::passive, error))
            addresses.push_back(entry.endpoint().address());
        if (!error && addresses.empty()) error = asio::error::host_not_found;
        return addresses;
    }

    static void listen(Acceptor& acceptor, const asio::ip::tcp::endpoint& endpoint, std::error_code& error) {
        error = detail::open(acceptor, endpoint.protocol());
        if (!error) static_cast<void>(acceptor.set_option(asio::socket_base::reuse_address{true}, error));
        if (!error) static_cast<void>(acceptor.bind(endpoint, error));
        if (!error) static_cast<void>(acceptor.listen(asio::socket_base::max_listen_connections, error));
        if (!error) static_cast<void>(acceptor.native_non_blocking(true, error));
    }

    /// Nagle's algorithm is off: the session gathers frames, since it knows which belong together.
    static void set_options(Socket& socket) {
        std::error_code ignored;
        static_cast<void>(socket.set_option(asio::ip::tcp::no_delay{true}, ignored));
        static_cast<void>(socket.non_blocking(true, ignored));
    }

    asio::any_io_executor executor_;
    detail::LookUp look_up_;
    std::shared_ptr<detail::GivenHandle> given_;  // null in most transports
    std::shared_ptr<detail::LastAddresses> last_addresses_ = std::make_shared<detail::LastAddresses>();
};

}  // namespace distwork
