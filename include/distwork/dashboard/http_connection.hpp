#pragma once

#include "../base/requirements.hpp"

#ifdef _WIN32
#error "distwork: the dashboard is for POSIX systems"
#endif

#include <fcntl.h>
#include <httplib.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <string>

namespace distwork::detail {

/// An accepted connection, on which one request is read and answered. What a client may cost is bounded: its request comes
/// within 5 s and has at most 16 KiB; it takes each piece of the answer within 10 s.
///
/// cpp-httplib's own connection knows no time for a whole request. It may also have been compiled to use select(), which a
/// process with more than a thousand descriptors cannot, such as a master.
///
/// *Lifetime*: the socket is its owner's. No signal is raised where the client has left, since the threads of a dashboard
/// take none.
class HttpConnection final : public httplib::Stream {
    using Clock = std::chrono::steady_clock;

public:
    static constexpr std::chrono::seconds request_time{5};
    static constexpr std::size_t most_request_bytes = 16 * 1024;
    static constexpr std::chrono::seconds write_time{10};

    explicit HttpConnection(int socket) noexcept : socket_{socket} {
        ::fcntl(socket, F_SETFD, FD_CLOEXEC);
        ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
    }

    // The functions of httplib::Stream. Newer versions have more of them than older ones: so none says `override`.

    bool is_readable() const { return begin_ < end_ || wait_for(POLLIN, read_until_); }
    bool wait_readable() const { return is_readable(); }
    /// Waits until the client takes more. False if it has left.
    bool is_writable() const { return is_peer_alive() && wait_for(POLLOUT, Clock::now() + write_time); }
    bool wait_writable() const { return is_writable(); }
    bool is_peer_alive() const {
        char next;
        const ssize_t count = ::recv(socket_, &next, 1, MSG_PEEK);
        return count > 0 || (count < 0 && would_block());
    }

    /// Returns -1 at the end of the connection, and when the request has taken too long or has become too large.
    ssize_t read(char* to, std::size_t size) {
        if (begin_ == end_) {
            const std::size_t most = std::min(buffer_.size(), most_request_bytes - taken_);
            ssize_t count = 0;
            do {
                if (most == 0 || !wait_for(POLLIN, read_until_)) return -1;
                count = ::recv(socket_, buffer_.data(), most, 0);
            } while (count < 0 && would_block());
            if (count <= 0) return -1;
            begin_ = 0;
            end_ = static_cast<std::size_t>(count);
            taken_ += end_;
        }
        const std::size_t count = std::min(size, end_ - begin_);
        std::copy_n(buffer_.data() + begin_, count, to);
        begin_ += count;
        return static_cast<ssize_t>(count);
    }

    /// Writes all of it, or returns -1.
    ssize_t write(const char* from, std::size_t size) {
        const auto until = Clock::now() + write_time;
        for (std::size_t sent = 0; sent < size;) {
            const ssize_t count = ::send(socket_, from + sent, size - sent, 0);
            if (count >= 0) sent += static_cast<std::size_t>(count);
            else if (!would_block() || !wait_for(POLLOUT, until)) return -1;
        }
        return static_cast<ssize_t>(size);
    }

    /// Ends the answer, and waits a little until the client has left: to close a socket on which something is unread would
    /// take the answer back.
    void linger(std::chrono::milliseconds time) {
        ::shutdown(socket_, SHUT_WR);
        const auto until = Clock::now() + time;
        for (std::size_t left = 4 * most_request_bytes; left > 0 && wait_for(POLLIN, until);) {
            const ssize_t count = ::recv(socket_, buffer_.data(), std::min(left, buffer_.size()), 0);
            if (count == 0 || (count < 0 && !would_block())) return;
            left -= static_cast<std::size_t>(std::max<ssize_t>(count, 0));
        }
    }

    /// Waits until the client has sent something.
    void await_request(std::chrono::milliseconds time) const { wait_for(POLLIN, Clock::now() + time); }

    void get_remote_ip_and_port(std::string&, int&) const {}  // nobody asks
    void get_local_ip_and_port(std::string&, int&) const {}
    /// None: cpp-httplib refuses those that select() does not take.
    socket_t socket() const { return -1; }
    time_t duration() const { return 0; }

private:
    static bool would_block() noexcept { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

    bool wait_for(short event, Clock::time_point until) const {
        for (;;) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
            if (left <= 0) return false;
            pollfd handle{socket_, event, 0};
            const int ready = ::poll(&handle, 1, static_cast<int>(left));
            if (ready > 0) return true;
            if (ready < 0 && errno != EINTR) return false;
        }
    }

    const int socket_;
    const Clock::time_point read_until_ = Clock::now() + request_time;
    std::array<char, 4096> buffer_{};
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t taken_ = 0;
};

}  // namespace distwork::detail
