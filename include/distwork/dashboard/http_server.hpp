#pragma once

#include "../base/log_queue.hpp"

#include <fcntl.h>
#include <httplib.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "../base/asio.hpp"
#include "../error.hpp"
#include "../tcp/address.hpp"
#include "http_connection.hpp"
#include "request_queue.hpp"

namespace distwork::detail {

/// cpp-httplib's server with bounds: `threads` connections at a time, `most_waiting` behind them, and what comes beyond is
/// answered 503 at once. One request for each connection. `handler`, the pre-routing handler, answers all of them.
///
/// *Lifetime*: `run` begins to accept; `end`, or the destructor, ends all connections and joins the threads.
class HttpServer final : public httplib::Server {
public:
    static constexpr std::size_t threads = 16;
    static constexpr std::size_t most_waiting = 32;

    /// Its constructor has the process ignore SIGPIPE, which is the application's to decide.
    static std::unique_ptr<HttpServer> make() {
        struct sigaction before {};
        ::sigaction(SIGPIPE, nullptr, &before);
        auto server = std::make_unique<HttpServer>();
        ::sigaction(SIGPIPE, &before, nullptr);
        return server;
    }

    ~HttpServer() override { end(); }

    /// Binds and listens. *Errors*: Error (address_in_use, bad_address).
    void bind(const std::string& address, std::uint16_t port) {
        // Not with SO_REUSEPORT, cpp-httplib's choice, with which two could share a port and each get half of the readers.
        set_socket_options([](socket_t socket) {
            const int yes = 1;
            ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
            ::fcntl(socket, F_SETFD, FD_CLOEXEC);
        });
        errno = 0;
        const bool bound = port != 0 ? bind_to_port(address, port) : bind_to_any_port(address) > 0;
        if (bound) {
            // Of a burst that is more than cpp-httplib's 5, clients would try again only after a second.
            ::listen(svr_sock_, 128);
            return;
        }
        const std::error_code why{errno, std::system_category()};  // it gives no other reason
        throw Error::with_text(why.value() == EADDRINUSE ? Errc::address_in_use : Errc::bad_address,
                               "the dashboard cannot listen on " + host_and_port(address, port) +
                                   (why ? ": " + why.message() : std::string{}));
    }

    /// Begins to accept, and returns. `on_failure` is called if it ends before `end`. *Errors*: std::system_error.
    void run(std::function<void()> on_failure) {
        auto queue =
            std::make_unique<RequestQueue>(threads, most_waiting, [this](const std::function<void()>& connection) {
                refusing_ = std::this_thread::get_id();
                connection();
                refusing_ = std::thread::id{};
            });
        new_task_queue = [this, &queue] {
            auto* const taken = queue.release();
            announce();
            return taken;
        };
        const NoSignals none;
        accepting_ = std::thread{[this, failed = std::move(on_failure)] {
            listen_after_bind();
            announce();
            if (!ending_) failed();
        }};
        begun_.wait(false);  // else `stop` would find nothing to stop
    }

    /// For a handler that goes on: waits for the time, or until the server ends; returns false then.
    bool pause(std::chrono::milliseconds time) {
        std::unique_lock lock{mutex_};
        return !changed_.wait_for(lock, time, [this] { return ending_.load(); });
    }

    void end() {
        {
            const std::lock_guard lock{mutex_};
            ending_ = true;
        }
        changed_.notify_all();
        stop();
        {
            const std::lock_guard lock{mutex_};
            for (const socket_t socket : open_) ::shutdown(socket, SHUT_RDWR);
        }
        if (accepting_.joinable()) accepting_.join();
    }

    /// The address and port in use.
    asio::ip::tcp::endpoint local_endpoint() const {
        asio::ip::tcp::endpoint endpoint;
        auto size = static_cast<socklen_t>(endpoint.capacity());
        if (::getsockname(svr_sock_, endpoint.data(), &size) == 0) endpoint.resize(size);
        return endpoint;
    }

private:
    void announce() {
        begun_ = true;
        begun_.notify_all();
    }

    /// Called by cpp-httplib for each connection that was accepted, on a thread of the queue or, to refuse it, on the one
    /// that accepts.
    bool process_and_close_socket(socket_t socket) override {
        const bool is_open = enter(socket);
        try {
            HttpConnection connection{socket};
            if (is_open && refusing_ == std::this_thread::get_id()) {
                connection.await_request(std::chrono::milliseconds{100});
                connection.write(too_many.data(), too_many.size());
                connection.linger(std::chrono::milliseconds{0});
            } else if (is_open) {
                process(*this, connection);
                connection.linger(std::chrono::milliseconds{500});
            }
        } catch (...) {
            // No memory: this connection ends without an answer.
        }
        if (is_open) leave(socket);
        ::close(socket);
        return true;
    }

    bool enter(socket_t socket) noexcept {
        const std::lock_guard lock{mutex_};
        try {
            return !ending_ && open_.insert(socket).second;
        } catch (...) {
            return false;
        }
    }
    void leave(socket_t socket) noexcept {
        const std::lock_guard lock{mutex_};
        open_.erase(socket);
    }

    /// Newer versions of cpp-httplib ask for the addresses of both ends, which nobody uses.
    template <class Server>
    static void process(Server& server, httplib::Stream& connection) {
        bool closed = false;
        // No compression, which would cost more than it saves here; no ranges, and no body that the client waits to send.
        const std::function<void(httplib::Request&)> simplify = [](httplib::Request& request) {
            for (const char* const name : {"Accept-Encoding", "Range", "Expect"}) request.headers.erase(name);
            request.ranges.clear();
        };
        if constexpr (requires { server.process_request(connection, true, closed, simplify); })
            server.process_request(connection, true, closed, simplify);
        else server.process_request(connection, std::string{}, 0, std::string{}, 0, true, closed, simplify);
    }

    static constexpr std::string_view too_many =
        "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nCache-Control: no-store\r\n"
        "Content-Type: text/plain\r\nContent-Length: 33\r\n\r\nToo many requests are under way.\n";

    std::thread accepting_;
    std::atomic<bool> begun_{false};
    std::atomic<bool> ending_{false};
    std::atomic<std::thread::id> refusing_{};  ///< the thread that accepts, while it refuses a connection

    std::mutex mutex_;
    std::condition_variable changed_;
    std::set<socket_t> open_;  // guarded by mutex_
};

}  // namespace distwork::detail
