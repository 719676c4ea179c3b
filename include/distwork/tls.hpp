#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/asio.hpp"
#include "log.hpp"
#include "tls/credentials.hpp"
#include "tls/handshake_turns.hpp"
#include "tls/tls_socket.hpp"
#include "transport.hpp"

namespace distwork {

/// TCP with TLS 1.3, in which both ends prove who they are: by a secret that they share, or by certificates. For both
/// roles; it needs OpenSSL 3 (CMake: distwork::tls).
///
///     Master<RoundRobin, Tls> master{Tls{io.get_executor(), secret_file("farm.key")}, {.address = "0.0.0.0"}};
///     Slave<Tls> slave{Tls{io.get_executor(), secret_file("farm.key")}, {{"host", 5000}}, {}};
///
/// Roles with this transport may listen and connect beyond loopback without `insecure_plaintext`. A peer that proves
/// nothing gets no byte of this protocol: its session ends with Errc::not_authenticated. Handshakes take at most two
/// fifths of a processor: about 1,300 a second with a secret, and 130 with certificates; those of each address in turn.
class Tls {
public:
    /// The types of this transport; see the concept Transport.
    ///@{
    using Strand = Tcp::Strand;
    using Socket = detail::TlsSocket;
    using Acceptor = Tcp::Acceptor;
    using Clock = Tcp::Clock;
    using Timer = Tcp::Timer;
    using WorkPool = Tcp::WorkPool;
    ///@}

    /// Peers prove who they are: roles need no leave to go beyond loopback.
    static constexpr bool authenticates = true;

    /// Copies of the credentials may be renewed at any time: new connections use what they have then.
    Tls(asio::any_io_executor executor, Credentials credentials)
        : tcp_{std::move(executor)},
          credentials_{std::move(credentials)},
          turns_{std::make_shared<detail::HandshakeTurns>(tcp_)} {}

    /// As those of Tcp.
    ///@{
    const asio::any_io_executor& get_executor() const noexcept { return tcp_.get_executor(); }
    Clock::time_point now() const noexcept { return tcp_.now(); }
    std::uint64_t random() const { return tcp_.random(); }
    detail::MachineLoad machine_load() const { return tcp_.machine_load(); }
    Strand make_strand() const { return tcp_.make_strand(); }
    std::unique_ptr<WorkPool> make_work_pool(std::size_t threads) const { return tcp_.make_work_pool(threads); }
    std::string process_name() const { return tcp_.process_name(); }
    Log default_log() const { return tcp_.default_log(); }
    Acceptor listen(const Strand& strand, const std::string& host, std::uint16_t port, bool = false) const {
        return tcp_.listen(strand, host, port);
    }
    ///@}

    /// A connection to another process of this machine over one end of a socket pair, which nobody else can reach: without
    /// TLS. *Errors*: throws Error (bad_option: it is no such socket), std::system_error; then the handle is closed.
    Socket adopt(int handle) const {
        if (!detail::is_local(handle)) {
            detail::close_handle(handle);
            throw Error::with_text(Errc::bad_option, "a master over Tls adopts socket pairs only");
        }
        return Socket::plain(tcp_.adopt(handle), credentials_.contexts());
    }

    /// Accepts a connection, and gives it a strand of its own. Its handshake waits for the first read.
    template <std::same_as<Acceptor> A>
    asio::awaitable<Socket> accept(A& acceptor) const {
        auto socket = co_await tcp_.accept(acceptor);
        co_return Socket{std::move(socket), credentials_.contexts(), turns_};
    }

    /// Connects, and shakes hands. *Errors*: Error (not_authenticated); std::system_error.
    template <std::same_as<Strand> S>
    asio::awaitable<Socket> connect(S strand, std::string host, std::uint16_t port) const {
        auto connected = co_await tcp_.connect(strand, host, port);
        Socket socket{std::move(connected), credentials_.contexts(), nullptr};
        co_await socket.shake_hands(host);
        co_return socket;
    }

private:
    Tcp tcp_;
    Credentials credentials_;
    std::shared_ptr<detail::HandshakeTurns> turns_;
};

}  // namespace distwork
