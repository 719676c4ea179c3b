#pragma once

#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include "../base/asio.hpp"

#ifndef _WIN32
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

// Programs that the application starts must not inherit the library's ports and connections. A socket that is marked
// close-on-exec after it was made may be inherited by a program that another thread starts in between. So the system
// makes the socket with the mark if it can.

namespace distwork::detail {

/// Defined if the system can make sockets that are close-on-exec from the start.
#if defined(SOCK_CLOEXEC) && !defined(_WIN32)
#define DISTWORK_HAS_SOCK_CLOEXEC 1
#endif

/// Marks a socket close-on-exec, for systems that cannot do this when they make it.
template <class Socket>
void close_on_exec([[maybe_unused]] Socket& socket) {
#ifndef _WIN32
    if (socket.is_open()) fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
#endif
}

#ifdef _WIN32
inline void close_handle(int handle) noexcept {
    ::closesocket(static_cast<SOCKET>(handle));
}
#else
inline void close_handle(int handle) noexcept {
    ::close(handle);
}
#endif

/// Whether the other end of this socket can only be on this machine, as that of a socket pair is.
inline bool is_local([[maybe_unused]] int handle) noexcept {
#ifdef _WIN32
    return false;
#else
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    return ::getsockname(handle, reinterpret_cast<sockaddr*>(&address), &size) == 0 && address.ss_family == AF_UNIX;
#endif
}

/// Whether the other end has closed the connection, also if bytes of it were not read yet. False: it has not, or the
/// system cannot tell.
template <class Socket>
bool has_hung_up([[maybe_unused]] Socket& socket) noexcept {
#ifdef POLLRDHUP
    pollfd events{socket.native_handle(), POLLRDHUP, 0};
    return ::poll(&events, 1, 0) == 1 && (events.revents & (POLLRDHUP | POLLERR | POLLHUP)) != 0;
#else
    return false;
#endif
}

/// Gives the socket a handle. Closes the handle on failure.
template <class Socket>
std::error_code assign(Socket& socket, const asio::ip::tcp& protocol, int handle) {
    std::error_code error;
    static_cast<void>(socket.assign(protocol, static_cast<typename Socket::native_handle_type>(handle), error));
    if (error) close_handle(handle);
    return error;
}

/// A socket that is to be used once. *Thread-safety*: `take`.
class GivenHandle {
public:
    explicit GivenHandle(int handle) noexcept : handle_{handle} {}
    GivenHandle(const GivenHandle&) = delete;
    GivenHandle& operator=(const GivenHandle&) = delete;
    ~GivenHandle() {
        if (const int handle = take(); handle >= 0) close_handle(handle);
    }

    /// The handle; -1 if it was taken before.
    int take() noexcept { return handle_.exchange(-1); }

private:
    std::atomic<int> handle_;
};

#ifdef DISTWORK_HAS_SOCK_CLOEXEC

inline std::error_code last_system_error() noexcept {
    return {errno, asio::error::get_system_category()};
}

template <class Socket>
std::error_code open(Socket& socket, const asio::ip::tcp& protocol) {
    const int handle = ::socket(protocol.family(), protocol.type() | SOCK_CLOEXEC, protocol.protocol());
    return handle < 0 ? last_system_error() : assign(socket, protocol, handle);
}

/// Accepts a connection without blocking. Returns would_block if no connection waits. The acceptor's handle must be
/// non-blocking.
template <class Acceptor, class Socket>
std::error_code accept_now(Acceptor& acceptor, Socket& socket) {
    sockaddr_storage address{};
    socklen_t bytes = sizeof address;
    const int handle = ::accept4(acceptor.native_handle(), reinterpret_cast<sockaddr*>(&address), &bytes, SOCK_CLOEXEC);
    if (handle >= 0)
        return assign(socket, address.ss_family == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), handle);
    const bool is_gone_again = errno == EINTR || errno == ECONNABORTED || errno == EPROTO;
    return is_gone_again ? asio::error::would_block : last_system_error();
}

template <class Acceptor, class Socket>
asio::awaitable<void> accept(Acceptor& acceptor, Socket& socket) {
    std::error_code error = asio::error::would_block;
    while (error == asio::error::would_block) {
        co_await acceptor.async_wait(Acceptor::wait_read, asio::use_awaitable);
        error = accept_now(acceptor, socket);
    }
    if (error) throw std::system_error{error};
}

#else

template <class Socket>
std::error_code open(Socket& socket, const asio::ip::tcp& protocol) {
    std::error_code error;
    static_cast<void>(socket.open(protocol, error));
    close_on_exec(socket);
    return error;
}

template <class Acceptor, class Socket>
asio::awaitable<void> accept(Acceptor& acceptor, Socket& socket) {
    co_await acceptor.async_accept(socket, asio::use_awaitable);
    close_on_exec(socket);
}

#endif

/// A socket or an acceptor that is shut down before it is closed. A forked process holds a copy of the handle, which
/// would otherwise keep the connection or the port open. Closing that copy in the forked process does not shut the
/// socket down.
template <class Base>
class ShutDownFirst : public Base {
public:
    using Base::Base;
    ShutDownFirst(ShutDownFirst&&) = default;
    ShutDownFirst& operator=(ShutDownFirst&& other) {
        shut_down();
        Base::operator=(std::move(other));
        return *this;
    }
    ~ShutDownFirst() { shut_down(); }

    std::error_code close(std::error_code& error) {
        shut_down();
        static_cast<void>(Base::close(error));
        return error;
    }

private:
    void shut_down() noexcept {
#ifdef _WIN32
        if (this->is_open()) ::shutdown(this->native_handle(), SD_BOTH);
#else
        if (this->is_open() && process_ == ::getpid()) ::shutdown(this->native_handle(), SHUT_RDWR);
#endif
    }

#ifndef _WIN32
    pid_t process_ = ::getpid();
#endif
};

}  // namespace distwork::detail
