#pragma once

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "../base/asio.hpp"
#include "../base/backoff.hpp"
#include "../base/pause.hpp"
#include "../base/type_name.hpp"
#include "../error.hpp"
#include "../transport.hpp"

namespace distwork::detail {

/// The acceptor of a master, and the coroutine that accepts.
///
/// *Executor*: the strand that it was created with. *Thread-safety*: `local_endpoint`.
template <class Transport>
class Listener {
public:
    /// Blocks while a host name is resolved. An empty address: it does not listen. *Errors*: Error (address_in_use, bad_address; with `loopback_only` also
    /// needs_credentials).
    Listener(Transport transport, const typename Transport::Strand& strand, const std::string& address,
             std::uint16_t port, bool loopback_only)
        : transport_{std::move(transport)}, timer_{strand} {
        if (address.empty()) return;
        acceptor_.emplace(transport_.listen(strand, address, port, loopback_only));
        local_endpoint_ = acceptor_->local_endpoint();
    }

    /// A default endpoint if it does not listen.
    asio::ip::tcp::endpoint local_endpoint() const noexcept { return local_endpoint_; }

    /// Accepts until the listener is closed, and calls `accepted(Socket)`; while `is_full()`, connections wait in the
    /// backlog of the system. If accepting or `accepted` throws, calls `failed(text)` with the reason, pauses (10 ms,
    /// doubling to 500 ms) and goes on. *Errors*: Error (cancelled).
    template <class IsFull, class Accepted, class Failed>
    asio::awaitable<void> run(IsFull is_full, Accepted accepted, Failed failed) {
        unsigned failures = 0;
        while (is_open()) {
            std::exception_ptr error;
            try {
                while (is_full() && is_open()) co_await pause(timer_, look_again_after);
                accepted(co_await transport_.accept(*acceptor_));
                failures = 0;
            } catch (...) {
                error = std::current_exception();
            }
            if (!error || !is_open()) continue;
            const auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() != asio::cancellation_type::none) throw Error{Errc::cancelled, "a master's run"};
            // Usually descriptors or memory lack: accepting again at once would fail again, millions of times a second.
            static_cast<void>(exception_of([&] { failed(what_of(error)); }));
            co_await pause(timer_, backoff(shortest_pause, failures++, longest_pause));
        }
    }

    void close() {
        std::error_code ignored;
        if (acceptor_) static_cast<void>(acceptor_->close(ignored));
        timer_.cancel();
    }

private:
    static constexpr auto shortest_pause = std::chrono::milliseconds{10};
    static constexpr auto look_again_after = std::chrono::milliseconds{5};
    static constexpr auto longest_pause = std::chrono::milliseconds{500};

    bool is_open() const { return acceptor_ && acceptor_->is_open(); }

    Transport transport_;
    std::optional<typename Transport::Acceptor> acceptor_;
    asio::ip::tcp::endpoint local_endpoint_;
    typename Transport::Timer timer_;
};

}  // namespace distwork::detail
