#pragma once

#include <signal.h>
#include <unistd.h>
#include <asio/signal_set.hpp>
#include <asio/use_future.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "../base/log_queue.hpp"
#include "../program/child_mark.hpp"
#include "../program/program_core.hpp"
#include "../run_slave.hpp"
#include "../transport.hpp"

namespace distwork::detail {

/// The program of this process, for exit().
inline std::atomic<ProgramCore*>& current_program() {
    static std::atomic<ProgramCore*> current{nullptr};
    return current;
}

DISTWORK_DECL ProgramCore::ProgramCore(const ProgramOptions& options) {
    if (current_program().load()) throw Error::with_text(Errc::already_running, "this process has a Program already");
    const Log log = ConsoleLog{options.log};
    MasterOptions master;
    master.address = options.listen_address;
    master.port = options.listen_port;
    master.insecure_plaintext = options.insecure_plaintext;
    if (!options.name.empty()) master.name = options.name;
    master.log = log;
    master_.emplace(io_.get_executor(), std::move(master));
    master_->start();
    watch_signals();
    if (options.slaves != 0u) {
        LocalSlavesOptions local;
        local.count = options.slaves.value_or(0);
        local.labels = options.labels;
        local.log = log;
        slaves_.emplace(*master_, std::move(local));
    }
    {
        const NoSignals no_signals;
        thread_ = std::thread{[this] { io_.run(); }};
    }
    static const int registered = std::atexit([] {
        if (ProgramCore* const core = current_program().load()) core->end();
    });
    static_cast<void>(registered);
    current_program() = this;
}

DISTWORK_DECL ProgramCore::~ProgramCore() {
    end();
}

DISTWORK_DECL void ProgramCore::check_thread() const {
    if (std::this_thread::get_id() == thread_.get_id())
        throw Error::with_text(Errc::on_io_thread,
                               "a function of Program that blocks was called on the program's I/O thread: await there");
}

DISTWORK_DECL void ProgramCore::watch_signals() {
    auto signals = std::make_shared<asio::signal_set>(io_, SIGINT, SIGTERM);
    signals->async_wait([this, signals](std::error_code cancelled, int first) {
        if (cancelled) return;
        stop_by(first);
        signals->async_wait([](std::error_code no, int second) {
            if (!no) ::_exit(128 + second);
        });
    });
    signals_ = std::move(signals);
}

DISTWORK_DECL void ProgramCore::stop_by(int signal) {
    status_ = 128 + signal;
    stop_.request_stop();
    PartsOf::scheduler(*master_)->interrupt();
}

DISTWORK_DECL void ProgramCore::end() noexcept {
    if (has_ended_.exchange(true)) return;
    current_program() = nullptr;
    const bool is_own_thread = std::this_thread::get_id() == thread_.get_id();
    if (!is_own_thread) {
        // Says bye, so that the slaves end by themselves. What still runs on them is not waited for.
        auto stopped =
            exception_of([this] { master_->async_stop(std::chrono::milliseconds{0}, asio::use_future).wait(); });
        static_cast<void>(stopped);  // out of memory: the slaves are ended without a bye
        slaves_.reset();
    }
    busy_.reset();
    io_.stop();
    if (is_own_thread) thread_.detach();  // exit() was called on it: the process ends
    else thread_.join();
}

DISTWORK_DECL std::shared_ptr<ProgramCore> start_program(int& argc, char** argv) {
    ProgramOptions options;
    try {
        const auto mark = ChildMark::take();
        if (mark) run_child(*mark);
        options = ProgramOptions::take(argc, argv, [](const char* name) -> const char* { return std::getenv(name); });
    } catch (const Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        std::exit(2);
    }
    if (options.help) {
        std::fputs(ProgramOptions::usage().c_str(), stdout);
        std::exit(0);
    }
    if (options.slave_of.empty()) return std::make_shared<ProgramCore>(options);

    SlaveOptions slave;
    slave.name = options.name;
    if (options.slots != 0) slave.slots = options.slots;
    slave.labels = options.labels;
    slave.insecure_plaintext = options.insecure_plaintext;
    slave.reconnect = Reconnect::until_bye;
    slave.log = ConsoleLog{options.log};
    int status = 2;
    try {
        status = run_slave(std::move(options.slave_of), std::move(slave));
    } catch (const Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
    }
    std::exit(status);
}

DISTWORK_DECL void end_program(ProgramCore& core) noexcept {
    core.end();
}

}  // namespace distwork::detail
