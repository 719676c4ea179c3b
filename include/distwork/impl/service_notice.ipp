#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>

#include "../program/service_notice.hpp"

namespace distwork::detail {

/// The number in this variable of the environment; 0: there is none.
inline long long number_in_environment(const char* name) noexcept {
    const char* const text = std::getenv(name);
    long long number = 0;
    if (text) std::from_chars(text, text + std::strlen(text), number);
    return number;
}

DISTWORK_DECL ServiceNotice::ServiceNotice(asio::io_context& io) : timer_{io} {
    const char* const path = std::getenv("NOTIFY_SOCKET");
    if (!path || (*path != '/' && *path != '@') || std::strlen(path) >= sizeof(sockaddr_un::sun_path)) return;
    socket_ = Descriptor{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    path_ = path;
    const auto process = number_in_environment("WATCHDOG_PID");
    if (process == 0 || process == ::getpid())
        every_ = std::chrono::microseconds{number_in_environment("WATCHDOG_USEC")} / 2;
}

DISTWORK_DECL void ServiceNotice::begin() {
    tell("READY=1");
    if (!path_.empty() && every_.count() > 0) wait();
}

DISTWORK_DECL void ServiceNotice::tell(std::string_view what) noexcept {
    if (path_.empty()) return;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    if (path_.front() == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size());
    // What cannot be told now is told the next time: the manager waits for two of them.
    static_cast<void>(!::sendto(socket_.get(), what.data(), what.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                                reinterpret_cast<const sockaddr*>(&address), size));
}

DISTWORK_DECL void ServiceNotice::wait() {
    timer_.expires_after(every_);
    timer_.async_wait([this](std::error_code cancelled) {
        if (cancelled) return;
        tell("WATCHDOG=1");
        wait();
    });
}

}  // namespace distwork::detail
