#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "../base/asio.hpp"
#include "../error.hpp"
#include "../role_options.hpp"

namespace distwork::detail {

/// Connects to masters, one attempt at a time. An attempt ends on cancellation, on `stop()`, or after `silent_after`.
///
/// *Executor*: its slave's strand. *Lifetime*: shared by its slave and the attempt under way.
template <class Transport>
class Connector : public std::enable_shared_from_this<Connector<Transport>> {
    using Socket = typename Transport::Socket;

public:
    Connector(Transport transport, typename Transport::Strand strand, std::chrono::milliseconds silent_after)
        : transport_{std::move(transport)}, strand_{std::move(strand)}, silent_after_{silent_after}, timer_{strand_} {}

    /// *Errors*: Error (peer_silent: no answer within `silent_after`); std::system_error with the system's code, which
    /// is operation_aborted after cancellation or `stop()`; std::bad_alloc.
    asio::awaitable<Socket> connect(MasterAddress master) {
        const auto state = co_await asio::this_coro::cancellation_state;
        const Attempt attempt{*this, state.slot()};
        auto token = asio::bind_cancellation_slot(ends_.slot(), asio::use_awaitable);
        std::optional<Socket> socket;
        try {
            socket = co_await asio::co_spawn(strand_, reach(master), token);
        } catch (const std::system_error&) {
            if (!silent_) throw;
        }
        if (!socket)
            throw Error::with_text(Errc::peer_silent, "no answer for " + std::to_string(silent_after_.count()) + " ms");
        co_return std::move(*socket);
    }

    /// Ends the attempt under way, if there is one.
    void stop() { ends_.emit(asio::cancellation_type::terminal); }

private:
    /// Forwards a cancellation to the attempt, and ends the attempt after `silent_after`.
    struct Attempt {
        Attempt(Connector& connector, asio::cancellation_slot from) : connector_{connector}, slot_{from} {
            connector.silent_ = false;
            if (slot_.is_connected())
                slot_.assign([&connector](asio::cancellation_type type) { connector.ends_.emit(type); });
            connector.timer_.expires_after(connector.silent_after_);
            connector.timer_.async_wait(
                [self = connector.shared_from_this(), number = ++connector.attempts_](std::error_code cancelled) {
                    if (cancelled || number != self->attempts_) return;
                    self->silent_ = true;
                    self->stop();
                });
        }
        Attempt(const Attempt&) = delete;
        ~Attempt() {
            ++connector_.attempts_;
            connector_.timer_.cancel();
            if (slot_.is_connected()) slot_.clear();
        }

    private:
        Connector& connector_;
        asio::cancellation_slot slot_;
    };

    /// Returns an optional, because co_spawn needs a result that is default-constructible.
    asio::awaitable<std::optional<Socket>> reach(MasterAddress master) {
        co_return co_await transport_.connect(strand_, master.host, master.port);
    }

    Transport transport_;
    const typename Transport::Strand strand_;
    const std::chrono::milliseconds silent_after_;

    // strand_
    typename Transport::Timer timer_;  // set while an attempt is under way
    asio::cancellation_signal ends_;   // cancels the attempt under way
    std::uint64_t attempts_ = 0;       // changes with each attempt: a late timer has no effect
    bool silent_ = false;              // the last attempt ended after silent_after
};

}  // namespace distwork::detail
