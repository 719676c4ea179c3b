#pragma once

#include <chrono>
#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include "../base/asio.hpp"
#include "../base/backoff.hpp"
#include "../base/pause.hpp"
#include "../base/surely.hpp"
#include "../base/type_name.hpp"
#include "../error.hpp"
#include "../transport.hpp"

namespace distwork::detail {

/// Where a master listens, and the loop that accepts.
///
/// *Executor*: the strand that it was made on. *Thread-safety*: `local_endpoint`.
template <class Transport>
class Listener {
public:
    /// Throws Error (address_in_use, bad_address; with `loopback_only` also needs_credentials).
    Listener(Transport transport, const typename Transport::Strand& strand, const std::string& address,
             std::uint16_t port, bool loopback_only)
        : transport_{std::move(transport)},
          acceptor_{transport_.listen(strand, address, port, loopback_only)},
          local_endpoint_{acceptor_.local_endpoint()},
          timer_{strand} {}

    asio::ip::tcp::endpoint local_endpoint() const noexcept { return local_endpoint_; }

    /// Until it is closed; throws Error (cancelled). `accepted(Socket)` may throw; `failed(text)` is told why accepting failed.
    template <class Accepted, class Failed>
    asio::awaitable<void> run(Accepted accepted, Failed failed) {
        unsigned failures = 0;
        while (acceptor_.is_open()) {
            std::exception_ptr error;
            try {
                accepted(co_await transport_.accept(acceptor_));
                failures = 0;
            } catch (...) {
                error = std::current_exception();
            }
            if (!error || !acceptor_.is_open()) continue;
            const auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() != asio::cancellation_type::none) throw Error{Errc::cancelled, "a master's run"};
            // Out of descriptors or memory, as a rule: accepting again at once would fail again, millions of times a second.
            static_cast<void>(exception_of([&] { failed(what_of(error)); }));
            try {
                co_await pause(timer_, backoff(shortest_pause, failures++, longest_pause));
            } catch (const std::bad_alloc&) {
                wait_for_memory();
            }
        }
    }

    void close() {
        std::error_code ignored;
        static_cast<void>(acceptor_.close(ignored));
        timer_.cancel();
    }

private:
    static constexpr auto shortest_pause = std::chrono::milliseconds{10};
    static constexpr auto longest_pause = std::chrono::milliseconds{500};

    Transport transport_;
    typename Transport::Acceptor acceptor_;
    const asio::ip::tcp::endpoint local_endpoint_;
    typename Transport::Timer timer_;
};

}  // namespace distwork::detail
