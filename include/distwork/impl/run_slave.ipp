#pragma once

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include <asio/basic_waitable_timer.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <functional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "../base/log_queue.hpp"
#include "../base/type_name.hpp"
#include "../program/service_notice.hpp"
#include "../run_slave.hpp"
#include "../slave.hpp"
#include "../transport.hpp"

namespace distwork {
namespace detail {

/// The bytes of memory that this process has; 0 if that is not known.
inline std::size_t resident_memory() {
    std::ifstream file{"/proc/self/statm"};
    std::size_t pages = 0;
    std::size_t resident = 0;
    file >> pages >> resident;
    return file ? resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

/// Looks ten times a second whether a limit of the process is reached. *Lifetime*: that of the slave's run.
class LimitsWatch {
public:
    LimitsWatch(asio::io_context& io, Slave<>& slave, const ProcessLimits& limits)
        : slave_{slave}, limits_{limits}, timer_{io} {}

    void begin() {
        const bool is_any = limits_.end_process_after.count() > 0 || limits_.max_works != 0 || limits_.max_memory != 0;
        if (is_any) wait();
    }
    void end() { timer_.cancel(); }

private:
    static constexpr int ended_early = 75;  // EX_TEMPFAIL of sysexits.h

    void wait() {
        timer_.expires_after(std::chrono::milliseconds{100});
        timer_.async_wait([this](std::error_code cancelled) {
            if (cancelled) return;
            look();
            wait();
        });
    }

    void look() {
        const SlaveActivity activity = PartsOf::core(slave_)->activity();
        if (limits_.end_process_after.count() > 0 && activity.ignored_stop >= limits_.end_process_after) end_process();
        const bool is_worn = (limits_.max_works != 0 && activity.begun >= limits_.max_works) ||
                             (limits_.max_memory != 0 && resident_memory() >= limits_.max_memory);
        if (is_worn && !std::exchange(drains_, true)) slave_.async_drain([](const std::exception_ptr&) {});
    }

    [[noreturn]] void end_process() const {
        const std::string line = "A work goes on " + std::to_string(limits_.end_process_after.count()) +
                                 " ms after it was asked to stop: its process is ended\n";
        static_cast<void>(!::write(STDERR_FILENO, line.data(), line.size()));
        ::_exit(ended_early);
    }

    Slave<>& slave_;
    const ProcessLimits limits_;
    asio::basic_waitable_timer<std::chrono::steady_clock> timer_;
    bool drains_ = false;
};

/// Runs a slave on this thread until its run ends. Returns how it ended: 0, or 1 after an error.
template <class Failed>
int run_to_its_end(asio::io_context& io, Slave<>& slave, const ProcessLimits& limits, Failed failed) {
    LimitsWatch watch{io, slave, limits};
    watch.begin();
    ServiceNotice service{io};
    asio::signal_set signals{io, SIGINT, SIGTERM};
    signals.async_wait([&](std::error_code cancelled, int) {
        if (cancelled) return;
        service.stops();
        slave.async_drain([](const std::exception_ptr&) {});
        signals.async_wait([&](std::error_code no, int number) {
            if (!no) ::_exit(128 + number);
        });
    });
    service.begin();  // a stop is heard from here on
    int status = 0;
    slave.async_run([&](const std::exception_ptr& error) {
        signals.cancel();
        watch.end();
        service.end();
        if (!error) return;
        status = 1;
        failed(error);
    });
    io.run();
    return status;
}

/// Ends this process and its group when the parent has ended, however it did. A parent that is silent, as one in a
/// debugger is, is not judged.
inline void end_with_parent() {
    const NoSignals no_signals;
    std::thread{[] {
        char byte;
        ssize_t count = 0;
        do count = ::read(ChildMark::parent_lives, &byte, 1);
        while (count < 0 && errno == EINTR);
        if (count != 0) return;  // there is no such pipe
        if (::getpgrp() == ::getpid()) ::kill(0, SIGKILL);
        ::kill(::getpid(), SIGKILL);
    }}.detach();
}

[[noreturn]] DISTWORK_DECL void run_child(const ChildMark& mark) {
    for (const int file : {ChildMark::socket, ChildMark::parent_lives}) ::fcntl(file, F_SETFD, FD_CLOEXEC);
    end_with_parent();
    SlaveOptions options;
    options.slots = 1;
    options.reconnect = Reconnect::never;
    options.log = ConsoleLog{LogLevel::error};  // that its connection has ended is the parent's to tell
    options.link.dead_after = options.link.stalled_after = options.link.handshake_timeout =
        std::chrono::hours{24 * 365};
    options.labels = mark.labels;
    options.amounts = amounts_of_peer(mark.amounts);
    options.indexed = mark.indexed;
    int status = 1;
    try {
        asio::io_context io;
        Slave<> slave{Tcp::over(io.get_executor(), ChildMark::socket), "127.0.0.1", 1, std::move(options)};
        status = run_to_its_end(io, slave, mark.limits, [](const std::exception_ptr& error) {
            // If the parent has closed the connection before it was one, nobody wants to know.
            const std::error_code code = error_code_of(error);
            const bool is_closed = code.category() != error_category() || code == Errc::connection_closed;
            if (!is_closed) ConsoleLog{}(LogLevel::error, "Slave: " + what_of(error));
        });
    } catch (const std::exception& error) {
        ConsoleLog{}(LogLevel::error, std::string{"Slave: "} + error.what());
    }
    std::exit(status);
}

DISTWORK_DECL int run_slave_made_by(const std::function<Slave<>(asio::io_context&)>& make, ProcessLimits limits) {
    asio::io_context io;
    Slave<> slave = make(io);
    return run_to_its_end(io, slave, limits, [](const std::exception_ptr& error) {
        ConsoleLog{}(LogLevel::error, "Slave: " + what_of(error));
    });
}

}  // namespace detail

DISTWORK_DECL int run_slave(std::vector<MasterAddress> masters, SlaveOptions options, ProcessLimits limits) {
    if (const auto mark = detail::ChildMark::take()) detail::run_child(*mark);
    return detail::run_slave_made_by(
        [&](asio::io_context& io) {
            return Slave<>{io, std::move(masters), std::move(options)};
        },
        limits);
}

}  // namespace distwork
