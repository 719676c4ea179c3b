#pragma once

#include <signal.h>
#include <unistd.h>
#include <algorithm>
#include <asio/signal_set.hpp>
#include <asio/use_future.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "../base/console.hpp"
#include "../base/log_queue.hpp"
#include "../program/child_mark.hpp"
#include "../program/program_core.hpp"
#include "../program/program_engine.hpp"
#include "../run_slave.hpp"
#include "../slave.hpp"
#include "../transport.hpp"

namespace distwork::detail {

/// The program of this process, for exit(). Never destroyed.
struct CurrentProgram {
    std::mutex mutex;
    std::shared_ptr<ProgramCore> core;  // guarded by mutex

    static CurrentProgram& instance() {
        static CurrentProgram& current = *new CurrentProgram;
        return current;
    }
    std::shared_ptr<ProgramCore> get() {
        const std::lock_guard lock{mutex};
        return core;
    }
    void set(std::shared_ptr<ProgramCore> to) {
        const std::lock_guard lock{mutex};
        core.swap(to);
    }
};

DISTWORK_DECL ProgramCore::ProgramCore(const ProgramOptions& options, const SecureRoles* secure,
                                       const std::vector<std::string>& arguments)
    : progress_{options.progress} {
    const Log log = ConsoleLog{options.log};
    MasterOptions master;
    master.address = options.listen_address;
    master.port = options.listen_port;
    master.insecure_plaintext = options.insecure_plaintext;
    if (!options.name.empty()) master.name = options.name;
    master.log = log;
    if (secure) master_.emplace(PartsOf::of_core<Master<>>(secure->master(io_.get_executor(), std::move(master))));
    else master_.emplace(io_.get_executor(), std::move(master));
    master_->start();
    watch_signals();
    if (options.slaves != 0u) {
        LocalSlavesOptions local;
        local.count = options.slaves.value_or(0);
        local.labels = options.labels;
        local.log = log;
        slaves_.emplace(*master_, std::move(local));
    }
    const NoSignals no_signals;  // the threads get none: they are the application's
    if (!options.engine.empty()) {
        FactoryOptions factory;
        factory.max = options.engine_max;
        factory.labels = options.labels;
        factory.log = log;
        factory_.emplace(*master_, engine_of(options, arguments, master_->local_endpoint().port()), std::move(factory));
    }
    thread_ = std::thread{[this] { io_.run(); }};
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
    for (const int signal : {SIGINT, SIGTERM}) signals_.add(signal);
    signals_.async_wait([this](std::error_code cancelled, int first) {
        if (cancelled) return;
        stop_by(first);
        signals_.async_wait([](std::error_code no, int second) {
            if (no) return;
            static_cast<void>(exception_of([] { show_status({}); }));
            ::_exit(128 + second);
        });
    });
}

DISTWORK_DECL void ProgramCore::stop_by(int signal) {
    status_ = 128 + signal;
    stop_.request_stop();
    PartsOf::scheduler(*master_)->interrupt(Error::with_text(Errc::stopped, "the program was asked to stop"));
}

DISTWORK_DECL void ProgramCore::end() noexcept {
    if (process_ != process_id()) {  // there is no I/O thread here
        static_cast<void>(new std::thread{std::move(thread_)});
        return;
    }
    const bool is_first = !is_ending_.exchange(true);
    // On the I/O thread, from exit(), the one who ends the program may be waiting for that thread.
    if (!is_first && std::this_thread::get_id() == thread_.get_id()) return;
    std::call_once(once_, [this] { end_once(); });
}

DISTWORK_DECL void ProgramCore::end_once() noexcept {
    static_cast<void>(exception_of([] { show_status({}); }));
    const bool is_own_thread = std::this_thread::get_id() == thread_.get_id();
    if (!is_own_thread) {
        // Says bye, so that the slaves end by themselves. What still runs on them is not waited for.
        auto stopped =
            exception_of([this] { master_->async_stop(std::chrono::milliseconds{0}, asio::use_future).wait(); });
        static_cast<void>(stopped);  // out of memory: the slaves are ended without a bye
        slaves_.reset();
    }
    factory_.reset();  // cancels what it has placed
    busy_.reset();
    io_.stop();
    has_ended_ = true;
    if (is_own_thread) return thread_.detach();  // exit() was called on it: the process ends
    thread_.join();
    static_cast<void>(exception_of([] { show_status({}); }));
    std::error_code ignored;
    static_cast<void>(signals_.clear(ignored));  // a later Ctrl-C ends the process, as without a program
    io_.restart();
    io_.poll();  // what completed at the end
}

DISTWORK_DECL std::shared_ptr<ProgramCore> start_program(int& argc, char** argv, LoadSecret load) {
    ProgramOptions options;
    std::shared_ptr<const SecureRoles> secure;
    try {
        const auto mark = ChildMark::take();
        if (mark) run_child(*mark);
        options = ProgramOptions::take(argc, argv, [](const char* name) -> const char* { return std::getenv(name); });
        if (!options.secret.empty() && !load)
            throw Error::with_text(Errc::bad_option,
                                   "--distwork-secret: this program was built without TLS. It needs OpenSSL (Debian, "
                                   "Ubuntu: libssl-dev), and links the CMake target distwork::tls");
        if (!options.secret.empty()) secure = load(options.secret);
    } catch (const Error& error) {
        static_cast<void>(std::fprintf(stderr, "%s\n", error.what()));
        std::exit(2);
    }
    if (options.help) {
        static_cast<void>(std::fputs(ProgramOptions::usage().c_str(), stdout));
        std::exit(0);
    }
    if (options.slave_of.empty()) {
        if (CurrentProgram::instance().get())
            throw Error::with_text(Errc::already_running, "this process has a Program already");
        const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
        std::shared_ptr<ProgramCore> core;
        try {
            core = std::make_shared<ProgramCore>(options, secure.get(), arguments);
        } catch (const Error& error) {
            if (error.code() != Errc::bad_option) throw;
            static_cast<void>(std::fprintf(stderr, "%s\n", error.what()));  // of an engine
            std::exit(2);
        }
        static const int registered = std::atexit([] {
            if (const auto current = CurrentProgram::instance().get()) current->end();
        });
        static_cast<void>(registered);
        CurrentProgram::instance().set(core);
        return core;
    }

    SlaveOptions slave;
    slave.name = options.name;
    if (options.slots != 0) slave.slots = options.slots;
    slave.labels = options.labels;
    slave.insecure_plaintext = options.insecure_plaintext;
    slave.reconnect = options.reconnect;
    slave.log = ConsoleLog{options.log};
    int status = 2;
    try {
        status = run_slave_made_by([&](asio::io_context& io) {
            if (!secure) return Slave<>{io, std::move(options.slave_of), std::move(slave)};
            return PartsOf::of_core<Slave<>>(
                secure->slave(io.get_executor(), std::move(options.slave_of), std::move(slave)));
        });
    } catch (const Error& error) {
        static_cast<void>(std::fprintf(stderr, "%s\n", error.what()));
    }
    std::exit(status);
}

DISTWORK_DECL void end_program(ProgramCore& core) noexcept {
    core.end();
    CurrentProgram::instance().set(nullptr);
}

}  // namespace distwork::detail
