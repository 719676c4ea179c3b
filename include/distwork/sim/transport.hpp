#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "../base/asio.hpp"
#include "../log.hpp"
#include "../transport.hpp"
#include "host.hpp"
#include "network.hpp"
#include "timer.hpp"

namespace distwork::sim {

/// The part of asio::ip::tcp::socket that sessions use, over a simulated connection.
class Socket {
public:
    using executor_type = Executor;

    Socket(Executor strand, Endpoint& endpoint) : strand_{strand}, executor_{strand_}, endpoint_{&endpoint} {}
    Socket(Socket&& other) noexcept
        : strand_{other.strand_}, executor_{other.executor_}, endpoint_{std::exchange(other.endpoint_, nullptr)} {}
    Socket& operator=(Socket&& other) noexcept {
        close();
        strand_ = other.strand_;
        executor_ = other.executor_;
        endpoint_ = std::exchange(other.endpoint_, nullptr);
        return *this;
    }
    ~Socket() { close(); }

    const Executor& get_executor() const noexcept { return strand_; }
    bool is_open() const noexcept { return endpoint_ && endpoint_->is_open(); }

    Endpoint::Address remote_endpoint() const {
        std::error_code error;
        const auto address = remote_endpoint(error);
        if (error) throw std::system_error{error, "remote_endpoint"};
        return address;
    }
    Endpoint::Address remote_endpoint(std::error_code& error) const {
        error = is_open() ? std::error_code{} : asio::error::bad_descriptor;
        return is_open() ? endpoint_->remote_address : Endpoint::Address{};
    }

    std::size_t available(std::error_code& error) const noexcept {
        error.clear();
        return endpoint_ ? endpoint_->available() : 0;
    }

    std::error_code close(std::error_code& error) {
        close();
        return error = {};
    }
    void close() {
        if (endpoint_) endpoint_->close();
    }
    void cancel() {
        if (endpoint_) endpoint_->cancel();
    }

    /// Reads into the first of the buffers. Signature: `void(std::error_code, std::size_t)`.
    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return asio::async_initiate<Token, void(std::error_code, std::size_t)>(
            [this](auto handler, asio::mutable_buffer buffer) {
                start<std::error_code, std::size_t>(
                    std::move(handler), executor_,
                    [&](auto operation) { return endpoint_->read(buffer, std::move(operation)); },
                    [endpoint = endpoint_](std::uint64_t number) { endpoint->cancel_read(number); });
            },
            token, asio::mutable_buffer{*asio::buffer_sequence_begin(buffers)});
    }

    /// Writes; waits while the peer's window is full. Signature: `void(std::error_code, std::size_t)`.
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return asio::async_initiate<Token, void(std::error_code, std::size_t)>(
            [this](auto handler, const Buffers& from) {
                start<std::error_code, std::size_t>(
                    std::move(handler), executor_,
                    [&](auto operation) { return endpoint_->write(from, std::move(operation)); },
                    [endpoint = endpoint_](std::uint64_t number) { endpoint->cancel_write(number); });
            },
            token, buffers);
    }

    template <class Buffers>
    std::size_t write_some(const Buffers& buffers, std::error_code& error) {
        error = asio::error::bad_descriptor;
        return endpoint_ ? endpoint_->write_now(buffers, error) : 0;
    }

private:
    Executor strand_;
    asio::any_io_executor executor_;
    Endpoint* endpoint_;
};

/// The part of asio::ip::tcp::acceptor that a master uses.
class Acceptor {
public:
    using executor_type = Executor;

    Acceptor(Executor strand, Listener& listener) : executor_{strand}, listener_{&listener} {}
    Acceptor(Acceptor&& other) noexcept
        : executor_{std::move(other.executor_)}, listener_{std::exchange(other.listener_, nullptr)} {}
    Acceptor& operator=(Acceptor&&) = delete;
    ~Acceptor() {
        if (listener_) listener_->close();
    }

    bool is_open() const noexcept { return listener_->is_open(); }
    Endpoint::Address local_endpoint() const { return listener_->local_address; }
    std::error_code close(std::error_code& error) {
        listener_->close();
        return error = {};
    }

    template <class Token>
    auto async_accept(Token&& token) {
        return asio::async_initiate<Token, void(std::error_code, Endpoint*)>(
            [this](auto handler) {
                start<std::error_code, Endpoint*>(
                    std::move(handler), executor_,
                    [this](auto operation) { return listener_->accept(std::move(operation)); },
                    [listener = listener_](std::uint64_t number) { listener->cancel(number); });
            },
            token);
    }

private:
    asio::any_io_executor executor_;
    Listener* listener_;
};

/// The work pool of a simulated process: works run on the process's executor, without threads.
class WorkPool {
public:
    explicit WorkPool(asio::any_io_executor executor) : executor_{std::move(executor)} {}
    const asio::any_io_executor& get_executor() const noexcept { return executor_; }
    void join() {}

private:
    asio::any_io_executor executor_;
};

/// The transport of roles and sessions in a simulation: see distwork::Transport.
///
/// *Lifetime*: refers to its host; the simulation must outlive it.
class Transport {
public:
    using Strand = Executor;
    using Socket = sim::Socket;
    using Acceptor = sim::Acceptor;
    using Timer = sim::Timer;
    using WorkPool = sim::WorkPool;

    explicit Transport(Host& host) : host_{&host}, executor_{host.get_executor()} {}
    /// *Errors*: see host_of.
    explicit Transport(asio::any_io_executor executor) : host_{&host_of(executor)}, executor_{std::move(executor)} {}

    const asio::any_io_executor& get_executor() const noexcept { return executor_; }
    TimePoint now() const noexcept { return host_->now(); }
    std::uint64_t random() const noexcept { return host_->random().next(); }
    detail::MachineLoad machine_load() const noexcept { return {}; }
    Strand make_strand() const { return host_->make_strand(); }
    std::unique_ptr<WorkPool> make_work_pool(std::size_t) const { return std::make_unique<WorkPool>(executor_); }

    std::string process_name() const { return host_->name(); }
    /// Discards all lines. Set MasterOptions::log or SlaveOptions::log to see them.
    Log default_log() const { return NoLog{}; }

    /// Listens on an address of the host. All simulated machines have loopback addresses, so the last parameter, which
    /// allows others, is ignored.
    Acceptor listen(Strand strand, const std::string& address, std::uint16_t port, bool = false) const {
        return {strand, host_->network().listen(*host_, address, port)};
    }

    asio::awaitable<Socket> accept(Acceptor& acceptor) const {
        Endpoint* const endpoint = co_await acceptor.async_accept(asio::use_awaitable);
        co_return Socket{make_strand(), *endpoint};
    }

    /// Signature: `void(std::error_code, Endpoint*)`.
    template <class Token>
    auto async_connect(const Strand& strand, std::size_t machine, std::uint16_t port, Token&& token) const {
        return asio::async_initiate<Token, void(std::error_code, Endpoint*)>(
            [host = host_, machine, port](auto handler, const Strand& on) {
                start<std::error_code, Endpoint*>(
                    std::move(handler), on,
                    [&](auto operation) { return host->network().connect(*host, machine, port, std::move(operation)); },
                    [host](std::uint64_t number) { host->network().cancel_connect(number); });
            },
            token, strand);
    }

    /// Connects to a machine by name or address. *Errors*: std::system_error (connection_refused, timed_out,
    /// host_not_found, operation_aborted), Error (not_authenticated, see Host::credentials).
    asio::awaitable<Socket> connect(Strand strand, std::string address, std::uint16_t port) const {
        const auto machine = host_->network().find_machine(address);
        if (!machine) throw std::system_error{asio::error::host_not_found, address};
        Endpoint* const endpoint = co_await async_connect(strand, *machine, port, asio::use_awaitable);
        Socket socket{strand, *endpoint};
        if (!endpoint->is_proven()) throw Error{Errc::not_authenticated, address};
        co_return socket;
    }

    /// Calls `then` after the time that a work of this type takes. Returns false, without calling it, if that is zero.
    bool delay_work(std::string_view type, std::function<void()> then) const {
        const Duration time = host_->draw_work_time(type);
        if (time <= Duration{}) return false;
        host_->run_after(time, std::move(then));
        return true;
    }

private:
    Host* host_;
    asio::any_io_executor executor_;
};

static_assert(distwork::Transport<Transport>);

inline Transport Host::transport() noexcept {
    return Transport{*this};
}

}  // namespace distwork::sim
