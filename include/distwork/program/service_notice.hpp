#pragma once

#include <asio/basic_waitable_timer.hpp>
#include <asio/io_context.hpp>
#include <chrono>
#include <string>
#include <string_view>

#include "../base/asio.hpp"
#include "../base/descriptor.hpp"
#include "../base/separate.hpp"

namespace distwork::detail {

/// Tells the manager of services that started this process (systemd, Type=notify) that it is ready, that it stops, and, as
/// often as it asks for, that its I/O thread still runs: one that stands still is ended and started again. Does nothing
/// where NOTIFY_SOCKET is not set.
///
/// *Source*: the protocol of sd_notify(3) and sd_watchdog_enabled(3). *Executor*: the context's thread.
class ServiceNotice {
public:
    explicit ServiceNotice(asio::io_context& io);

    /// It is ready. From now on it tells that it lives.
    void begin();
    void stops() noexcept { tell("STOPPING=1"); }
    /// Nothing keeps the context busy any more.
    void end() { timer_.cancel(); }

private:
    void tell(std::string_view what) noexcept;
    void wait();

    Descriptor socket_;
    std::string path_;                   // of the manager's socket; empty: there is none
    std::chrono::microseconds every_{};  // zero: it does not want to know
    asio::basic_waitable_timer<std::chrono::steady_clock> timer_;
};

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/service_notice.ipp"
#endif
