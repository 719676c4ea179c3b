#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "../base/asio.hpp"
#include "../base/surely.hpp"
#include "../base/type_name.hpp"
#include "../error.hpp"
#include "../tcp/native_socket.hpp"
#include "../transport.hpp"
#include "contexts.hpp"
#include "handshake_turns.hpp"
#include "openssl.hpp"

namespace distwork::detail {

/// A connection over TLS. A master's end shakes hands when it is first read, so that accepting waits for nobody, and when
/// its turn comes after its peer has said something; a slave's before it is used.
///
/// *Executor*: its strand. OpenSSL's stream is shared with the operations under way, which may end after the socket.
class TlsSocket {
    using Inner = Tcp::Socket;

public:
    using executor_type = Inner::executor_type;

    /// Bytes that a stranger may send before the end of the handshake.
    static constexpr std::size_t max_handshake_bytes = 16 * 1024;
    /// Both ends take new keys when so many bytes were sent. AES-GCM is safe for about 2^24.5 full records: RFC 8446, 5.5.
    static constexpr std::uint64_t bytes_a_key = std::uint64_t{64} << 30;
    static constexpr int max_updates = 32;  // as BoringSSL allows in a row
    static constexpr std::size_t bytes_an_update = 64 * 1024;

    /// `turns`: for a master's end; null: it is a slave's.
    TlsSocket(Inner socket, std::shared_ptr<const TlsContexts> contexts, std::shared_ptr<HandshakeTurns> turns)
        : state_{std::make_shared<State>(std::move(socket), std::move(contexts), std::move(turns))} {}

    /// A connection without TLS, to a peer that the application knows.
    static TlsSocket plain(Inner socket, std::shared_ptr<const TlsContexts> contexts) {
        TlsSocket made{std::move(socket), std::move(contexts), nullptr};
        made.state_->is_plain = made.state_->is_ready = true;
        return made;
    }

    TlsSocket(TlsSocket&&) noexcept = default;
    TlsSocket& operator=(TlsSocket&& other) noexcept {
        state_.swap(other.state_);
        return *this;
    }
    ~TlsSocket() {
        std::error_code ignored;
        if (state_) state_->close(ignored);
    }

    executor_type get_executor() const { return state_->stream.get_executor(); }
    auto remote_endpoint(std::error_code& error) const { return state_->stream.next_layer().remote_endpoint(error); }
    auto remote_endpoint() const { return state_->stream.next_layer().remote_endpoint(); }
    bool is_open() const { return state_->stream.next_layer().is_open(); }

    /// Bytes that came and were not read yet.
    std::size_t available(std::error_code& error) const {
        const int decoded = SSL_pending(state_->stream.native_handle());
        return state_->stream.next_layer().available(error) + static_cast<std::size_t>(decoded);
    }

    /// Ends the connection without a farewell of TLS: that of distwork is the frame bye.
    std::error_code close(std::error_code& error) {
        state_->close(error);
        return error;
    }

    /// The common name in the certificate of the other end, whose authority was checked; empty: it has none, or showed a
    /// secret. Of a connection that was read.
    std::string certified_name() const {
        return state_->is_ready ? state_->contexts->name_of(state_->stream.native_handle()) : std::string{};
    }

    /// Why the handshake of a master's end failed; empty: it did not. For its own log: the stranger is told an alert.
    const std::string& why_failed() const noexcept { return state_->why_failed; }

    /// What is written is first encrypted: it is written asynchronously.
    template <class Buffers>
    std::size_t write_some(const Buffers& buffers, std::error_code& error) {
        if (state_->is_plain) return state_->stream.next_layer().write_some(buffers, error);
        error = asio::error::would_block;
        return 0;
    }

    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return asio::async_compose<Token, void(std::error_code, std::size_t)>(Read<Buffers>{state_, buffers}, token,
                                                                              state_->stream);
    }

    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return asio::async_compose<Token, void(std::error_code, std::size_t)>(Write<Buffers>{state_, buffers}, token,
                                                                              state_->stream);
    }

    /// A slave's handshake. `host`: the name that must stand in the master's certificate; empty, or an address: none.
    /// *Errors*: Error (not_authenticated); std::system_error.
    asio::awaitable<void> shake_hands(std::string host) {
        const std::shared_ptr<State> kept = state_;
        State& state = *kept;
        SSL* const ssl = state.stream.native_handle();
        std::error_code error;
        static_cast<void>(asio::ip::make_address(host, error));
        if (error && !host.empty() && !state.contexts->uses_secrets()) {
            SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
            if (SSL_set1_host(ssl, host.c_str()) != 1 || SSL_set_tlsext_host_name(ssl, host.c_str()) != 1)
                throw Error::with_text(Errc::not_authenticated, host + " is no name of a host");
        }
        error.clear();
        co_await state.stream.async_handshake(asio::ssl::stream_base::client,
                                              asio::redirect_error(asio::use_awaitable, error));
        if (!error) error = state.finish_handshake();
        if (error) throw_failure(error, ssl);
    }

private:
    struct State {
        State(Inner socket, std::shared_ptr<const TlsContexts> of, std::shared_ptr<HandshakeTurns> masters_turns)
            : contexts{std::move(of)},
              turns{std::move(masters_turns)},
              stream{std::move(socket), turns ? contexts->of_master() : contexts->of_slave()} {
            SSL_set_msg_callback(stream.native_handle(), &count);
            SSL_set_msg_callback_arg(stream.native_handle(), this);
        }

        std::error_code finish_handshake() noexcept {
            SSL_set_msg_callback(stream.native_handle(), &count_updates);
            if (!contexts->is_proven(stream.native_handle(), turns != nullptr)) return Errc::not_authenticated;
            is_ready = true;
            return {};
        }

        /// Ends the connection of a stranger that sends too much: by the length in the head of each record, before
        /// OpenSSL reads the record.
        static void count(int is_written, int, int type, const void* head, std::size_t size, SSL*, void* self) {
            if (is_written || type != SSL3_RT_HEADER || size < 5) return;
            State& state = *static_cast<State*>(self);
            const auto* const bytes = static_cast<const unsigned char*>(head);
            state.handshake_bytes += size + 256u * bytes[3] + bytes[4];
            std::error_code ignored;
            if (state.handshake_bytes > max_handshake_bytes) state.close(ignored);
        }

        /// What comes after the handshake and is no data changes the peer's keys, which costs this end more than it takes
        /// to ask for. So a peer may not do it again and again with little data in between.
        static void count_updates(int is_written, int, int type, const void*, std::size_t, SSL*, void* self) {
            if (is_written || type != SSL3_RT_HANDSHAKE) return;
            State& state = *static_cast<State*>(self);
            std::error_code ignored;
            if (++state.updates == max_updates + 1) state.close(ignored);
        }

        void close(std::error_code& error) {
            is_closed = true;
            static_cast<void>(stream.next_layer().close(error));
        }

        /// What a processor takes for a master's part of a handshake, about.
        std::chrono::microseconds cost() const {
            return std::chrono::microseconds{contexts->uses_secrets() ? 300 : 3000};
        }

        void renew_keys() {
            const std::uint64_t sent = BIO_number_written(SSL_get_wbio(stream.native_handle()));
            if (sent - sent_before < bytes_a_key) return;
            sent_before = sent;
            SSL_key_update(stream.native_handle(), SSL_KEY_UPDATE_REQUESTED);
        }

        const std::shared_ptr<const TlsContexts> contexts;  // outlives the stream
        const std::shared_ptr<HandshakeTurns> turns;        // null: a slave's end
        std::atomic<bool> is_closed{false};
        asio::ssl::stream<Inner> stream;
        std::size_t handshake_bytes = 0;
        std::uint64_t sent_before = 0;
        int updates = 0;       // of the peer's keys, beyond one for each so many bytes of data
        std::size_t read = 0;  // of data, for which no update was forgiven
        bool is_ready = false;
        bool is_plain = false;  // nothing is encrypted
        std::string why_failed;
    };

    [[noreturn]] static void throw_failure(std::error_code error, SSL* ssl) {
        const bool is_ssl = error.category() == asio::error::get_ssl_category();
        const long verified = SSL_get_verify_result(ssl);
        if (verified != X509_V_OK)
            throw Error::with_text(Errc::not_authenticated, X509_verify_cert_error_string(verified));
        if (is_ssl || error == Errc::not_authenticated || error == asio::ssl::error::stream_truncated)
            throw Error::with_text(Errc::not_authenticated, error.message());
        throw std::system_error{error};
    }

    /// Goes on with `self` when its turn comes.
    template <class Self>
    class Turn final : public WaitingHandshake, public std::enable_shared_from_this<Turn<Self>> {
    public:
        Turn(std::shared_ptr<State> state, Self self) : state_{std::move(state)}, self_{std::move(self)} {}

        bool is_open() const noexcept override { return !state_->is_closed; }
        void begin() noexcept override { go(is_open() ? std::error_code{} : asio::error::operation_aborted); }
        void go(std::error_code error) noexcept {
            post_surely(state_->stream.get_executor(),
                        [turn = this->shared_from_this(), error] { turn->self_(error); });
        }

    private:
        std::shared_ptr<State> state_;
        Self self_;
    };

    /// Reads, after the handshake if there was none yet.
    template <class Buffers>
    struct Read {
        std::shared_ptr<State> state;
        Buffers buffers;
        enum { begins, waits_for_bytes, waits_for_turn, shakes_hands, reads } step = begins;

        template <class Self>
        void operator()(Self& self, std::error_code error = {}, std::size_t count = 0) {
            auto& stream = state->stream;
            if (step == begins && !state->is_ready) {
                step = waits_for_bytes;
                return stream.next_layer().async_wait(Inner::wait_read, std::move(self));
            }
            if ((step == waits_for_bytes || step == waits_for_turn) && error) return self.complete(error, 0);
            if (step == waits_for_bytes) {
                std::error_code ignored;  // who comes and goes, as a check of health does, takes no turn
                if (stream.next_layer().available(ignored) == 0) return self.complete(asio::error::eof, 0);
                step = waits_for_turn;
                return wait_for_turn(self);
            }
            if (step == waits_for_turn) {
                if (has_hung_up(stream.next_layer())) {  // it waited for too long, and may be back already
                    state->turns->give_back(state->cost());
                    return self.complete(asio::error::eof, 0);
                }
                step = shakes_hands;
                return stream.async_handshake(asio::ssl::stream_base::server, std::move(self));
            }
            if (step == shakes_hands) {
                if (!error) error = state->finish_handshake();
                if (error) return self.complete(failure(*state, error), 0);
            }
            if (step != reads) {
                step = reads;
                if (state->is_plain) return stream.next_layer().async_read_some(buffers, std::move(self));
                return stream.async_read_some(buffers, std::move(self));
            }
            if (state->updates > max_updates) {
                state->why_failed = "it changes its keys, and says little";
                return self.complete(Errc::protocol_violation, 0);
            }
            state->read = state->updates == 0 ? 0 : state->read + count;
            for (; state->updates > 0 && state->read >= bytes_an_update; state->read -= bytes_an_update)
                --state->updates;
            if (error == asio::ssl::error::stream_truncated)
                error = asio::error::eof;  // distwork's bye came before, or not
            self.complete(error, count);
        }

        template <class Self>
        void wait_for_turn(Self& self) {
            const auto kept = state;  // this object is moved from
            std::error_code ignored;
            const auto address = kept->stream.next_layer().remote_endpoint(ignored).address();
            std::shared_ptr<Turn<Self>> turn;
            if (exception_of([&] { turn = std::make_shared<Turn<Self>>(kept, std::move(self)); }))
                return self.complete(asio::error::no_memory, 0);
            if (exception_of([&] { kept->turns->wait(address, kept->cost(), turn); })) turn->go(asio::error::no_memory);
        }

        /// Who does not speak TLS, or has not what it takes, is a stranger.
        static std::error_code failure(State& of, std::error_code error) {
            if (of.handshake_bytes > max_handshake_bytes) {
                of.why_failed = "it sent more than 16 KiB before it proved who it is (a long chain of certificates?)";
                return Errc::not_authenticated;
            }
            if (const long verified = SSL_get_verify_result(of.stream.native_handle()); verified != X509_V_OK)
                of.why_failed = X509_verify_cert_error_string(verified);
            else if (error != Errc::not_authenticated) of.why_failed = error.message();
            const bool is_ssl = error.category() == asio::error::get_ssl_category();
            return is_ssl || error == asio::ssl::error::stream_truncated ? make_error_code(Errc::not_authenticated)
                                                                         : error;
        }
    };

    template <class Buffers>
    struct Write {
        std::shared_ptr<State> state;
        Buffers buffers;
        bool has_begun = false;

        template <class Self>
        void operator()(Self& self, std::error_code error = {}, std::size_t count = 0) {
            if (has_begun) return self.complete(error, count);
            has_begun = true;
            auto& stream = state->stream;
            if (state->is_plain) return stream.next_layer().async_write_some(buffers, std::move(self));
            state->renew_keys();
            stream.async_write_some(buffers, std::move(self));
        }
    };

    std::shared_ptr<State> state_;
};

}  // namespace distwork::detail
