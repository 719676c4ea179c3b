#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <system_error>
#include <utility>

#include "../base/asio.hpp"
#include "../base/pause.hpp"
#include "address_race.hpp"
#include "native_socket.hpp"

namespace distwork::detail {

/// Connection attempts that run at the same time.
///
/// *Executor*: their strand. *Lifetime*: shared by the coroutine that waits for the first connection, and the attempts
/// in progress.
template <class Socket, class Timer, class Strand>
class Racers : public std::enable_shared_from_this<Racers<Socket, Timer, Strand>> {
public:
    Racers(Endpoints order, Strand strand) : race_{std::move(order)}, strand_{std::move(strand)}, timer_{strand_} {}

    /// Begins the next attempt, and returns its address; null if all addresses were tried.
    const asio::ip::tcp::endpoint* begin_next() {
        any_failed_ = false;
        const auto* const endpoint = race_.begin_next();
        if (!endpoint) return nullptr;
        const auto socket = sockets_.emplace(sockets_.end(), strand_);
        if (const auto error = open(*socket, endpoint->protocol())) {
            failed(error);
            return endpoint;
        }
        socket->async_connect(*endpoint, [self = this->shared_from_this(), socket](std::error_code error) {
            if (self->ended_) return;
            if (error) self->failed(error);
            else if (!self->winner_) self->winner_ = &*socket;
            self->timer_.cancel();
        });
        return endpoint;
    }

    /// Waits until an attempt succeeds or fails, or until it is time for the next one.
    asio::awaitable<void> wait() {
        if (!any_failed_) co_await pause(timer_, race_.pause().value_or(std::chrono::hours{24}));
    }

    Socket* winner() const noexcept { return winner_; }
    bool is_lost() const noexcept { return race_.is_lost(); }
    std::error_code error() const noexcept { return error_; }  ///< the error of the attempt that failed last

    void end() noexcept {
        ended_ = true;
        std::error_code ignored;
        for (Socket& socket : sockets_) static_cast<void>(socket.close(ignored));
    }

private:
    void failed(std::error_code error) noexcept {
        race_.failed();
        any_failed_ = true;
        error_ = error;
    }

    AddressRace race_;
    const Strand strand_;
    Timer timer_;
    std::list<Socket> sockets_;
    Socket* winner_ = nullptr;
    std::error_code error_ = asio::error::host_not_found;
    bool any_failed_ = false;  // since the last attempt was begun
    bool ended_ = false;
};

/// Connects to the first of these addresses that answers. Calls `begun(endpoint)` for each address that is tried. Ends
/// at once when it is cancelled.
///
/// *Errors*: sets `error` to the system's error of the attempt that failed last; then the returned socket is closed.
/// Throws operation_aborted if it is cancelled.
template <class Socket, class Timer, class Strand, class Begun>
asio::awaitable<Socket> connect_first(Strand strand, Endpoints order, Begun begun, std::error_code& error) {
    using Runners = Racers<Socket, Timer, Strand>;
    const auto racers = std::make_shared<Runners>(std::move(order), strand);
    struct Ended {
        Runners& racers;
        ~Ended() { racers.end(); }
    };
    const Ended at_the_end{*racers};
    while (!racers->winner()) {
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) throw std::system_error{asio::error::operation_aborted};
        if (const auto* const endpoint = racers->begin_next()) {
            begun(*endpoint);
        } else if (racers->is_lost()) {
            error = racers->error();
            co_return Socket{strand};
        }
        co_await racers->wait();
    }
    co_return std::move(*racers->winner());
}

}  // namespace distwork::detail
