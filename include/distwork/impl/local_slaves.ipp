#pragma once

#include <signal.h>
#include <unistd.h>
#include <algorithm>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/process_id.hpp"
#include "../base/processors.hpp"
#include "../base/spawn.hpp"
#include "../base/surely.hpp"
#include "../base/type_name.hpp"
#include "../local_slaves.hpp"
#include "../program/child_process.hpp"
#include "../program/output_relay.hpp"
#include "../program/restart_policy.hpp"

namespace distwork::detail {

/// The implementation of LocalSlaves. *Lifetime*: shared by its owner and its handlers.
class LocalSlavesCore : public std::enable_shared_from_this<LocalSlavesCore> {
public:
    LocalSlavesCore(const std::shared_ptr<AnyMaster>& master, LocalSlavesOptions options)
        : options_{std::move(options)},
          log_{guarded(options_.log)},
          master_{master},
          strand_{asio::make_strand(master->scheduler()->executor())} {
        for (const std::string& label : options_.labels) {
            if (label.find(',') != std::string::npos)
                throw Error::with_text(Errc::bad_option, "the label \"" + label + "\" has a comma");
            mark_.labels.push_back(label);
        }
        mark_.limits = options_.limits;
        mark_.amounts = amount_units(options_.amounts, "LocalSlavesOptions::amounts");
        static_cast<void>(indexed_amounts(options_.amounts, options_.indexed, "LocalSlavesOptions::indexed"));
        mark_.indexed = options_.indexed;
        for (const auto& [name, units] : mark_.amounts)
            if (name.empty() || name.find(',') != std::string::npos)
                throw Error::with_text(Errc::bad_option, "the amount \"" + name + "\" has a comma, or no name");
        if (ChildMark::is_there())
            throw Error::with_text(
                Errc::bad_option,
                "this process was started as a slave, but its main has not reached distwork::Program "
                "or distwork::run_slave, which run it as one: begin main with it");
        if (options_.count == 0) options_.count = usable_processors();
        if (options_.arguments.empty()) options_.arguments = own_arguments();
    }

    static std::uint64_t next_number() noexcept {
        static std::atomic<std::uint64_t> last{0};
        return ++last;
    }

    /// *Errors*: std::system_error if none can be started.
    void start() {
        const std::lock_guard lock{mutex_};
        std::exception_ptr failure;
        bool is_any_started = false;
        for (std::size_t i = 0; i < options_.count; ++i) {
            Supervised& process = *processes_.emplace_back(std::make_unique<Supervised>(strand_));
            const auto failed = exception_of([&] { begin(process); });
            is_any_started |= !failed;
            if (failed) failure = failed, give_up(process), begin_later(process);
        }
        if (failure && !is_any_started) std::rethrow_exception(failure);
        if (failure) log_(LogLevel::warning, "Not all local slaves were started: " + what_of(failure));
    }

    /// In a process that was forked from this one it does nothing.
    void end() noexcept {
        if (process_ != process_id()) return;
        std::vector<std::unique_ptr<Supervised>> processes;
        {
            const std::lock_guard lock{mutex_};
            is_ending_ = true;
            processes.swap(processes_);
        }
        // They finish what they run, and leave. Usually their master said bye before.
        for (const auto& process : processes)
            if (process->child && !process->child->how_ended()) process->child->signal(SIGTERM);
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{2};
        for (const auto& process : processes) {
            if (!process->child) continue;
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
            process->child->wait(static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
        }
        for (const auto& process : processes) {
            process->watch.release();
            if (process->child) process->child->end();  // the session may keep the object
        }
        relay_.reset();
        // The timers are destroyed on their strand.
        post_surely(strand_,
                    [kept = std::make_shared<std::vector<std::unique_ptr<Supervised>>>(std::move(processes))] {});
    }

    std::vector<int> ids() const {
        const std::lock_guard lock{mutex_};
        std::vector<int> all;
        for (const auto& process : processes_)
            if (process->child) all.push_back(process->child->id());
        return all;
    }

private:
    /// One process, and the next one after its end.
    struct Supervised {
        explicit Supervised(const asio::strand<asio::any_io_executor>& strand) : watch{strand}, timer{strand} {}
        std::shared_ptr<ChildProcess> child;
        asio::posix::basic_stream_descriptor<asio::strand<asio::any_io_executor>> watch;  // the child's pidfd
        asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                                   asio::strand<asio::any_io_executor>>
            timer;
        std::shared_ptr<LastLines> last_lines;
        std::chrono::steady_clock::time_point begun{};
        bool was_connected = false;
        std::optional<std::error_code> why_closed;  // its connection
        unsigned short_lives = 0;                   // in a row
    };

    static std::vector<std::string> own_arguments() {
        std::vector<std::string> all;
        std::ifstream file{"/proc/self/cmdline", std::ios::binary};
        for (std::string argument; std::getline(file, argument, '\0');) all.push_back(argument);
        return all;
    }

    /// With mutex_ held. *Errors*: std::system_error.
    void begin(Supervised& process) {
        auto child = std::make_shared<ChildProcess>(options_.arguments, variables_, mark_);
        process.last_lines = std::make_shared<LastLines>();
        process.was_connected = false;
        process.why_closed.reset();
        process.begun = std::chrono::steady_clock::now();
        relay_->add(std::move(child->output), STDOUT_FILENO, nullptr);
        relay_->add(std::move(child->errors), STDERR_FILENO, process.last_lines);
        process.child = child;
        if (child->pidfd() >= 0) process.watch.assign(child->pidfd());
        watch(process);

        ConnectionWatch watch;
        watch.opened = [core = weak_from_this(), at = &process, weak = std::weak_ptr{child}] {
            if (const auto there = core.lock()) there->connected(*at, weak.lock());
        };
        watch.how_ended = [child] {
            constexpr int most_milliseconds = 50;  // its descriptors are closed just before it has ended
            if (!child->wait(most_milliseconds)) return std::string{};
            return "process " + std::to_string(child->id()) + ' ' + child->how_ended().value_or("ended");
        };
        watch.closed = [core = weak_from_this(), at = &process, weak = std::weak_ptr{child}](std::error_code why) {
            if (const auto there = core.lock()) there->closed(*at, weak.lock(), why);
        };
        watch.pool = pool_;
        watch.handshake_timeout = std::chrono::hours{24 * 365};  // its end is noticed otherwise
        if (const auto master = master_.lock()) master->adopt(child->socket.release(), std::move(watch));
    }

    void watch(Supervised& process) {
        const auto ended = [core = weak_from_this(), at = &process](std::error_code cancelled) {
            const auto there = core.lock();
            if (there && !cancelled) there->ended(*at);
        };
        if (process.watch.is_open()) return process.watch.async_wait(asio::posix::descriptor_base::wait_read, ended);
        if (process.child->how_ended()) return asio::post(strand_, [ended] { ended({}); });
        constexpr std::chrono::milliseconds between_looks{50};
        process.timer.expires_after(between_looks);
        process.timer.async_wait([core = weak_from_this(), at = &process](std::error_code cancelled) {
            const auto there = core.lock();
            if (there && !cancelled) there->look_at(*at);
        });
    }

    /// Without a pidfd.
    void look_at(Supervised& process) {
        {
            const std::lock_guard lock{mutex_};
            if (is_ending_ || !process.child) return;
            if (!process.child->how_ended()) return watch(process);
        }
        ended(process);
    }

    void connected(Supervised& process, const std::shared_ptr<ChildProcess>& child) {
        const std::lock_guard lock{mutex_};
        if (is_ending_ || process.child != child) return;
        process.was_connected = true;
        policy_.connected();
    }

    void closed(Supervised& process, const std::shared_ptr<ChildProcess>& child, std::error_code why) {
        const std::lock_guard lock{mutex_};
        if (!is_ending_ && process.child == child) process.why_closed = why;
    }

    /// The process has ended; `is_final`: its connection is not waited for.
    void ended(Supervised& process, bool is_final = false) {
        std::string line;
        std::string reason;  // why none is started again
        {
            const std::lock_guard lock{mutex_};
            if (is_ending_ || !process.child || is_master_done()) return;
            if (!process.why_closed && !is_final) return look_again(process);
            if (process.why_closed == make_error_code(Errc::draining)) return give_up(process);  // it was let go
            const std::string how = process.child->how_ended().value_or("ended");
            // It has drained, because of its limits or of a SIGTERM.
            if (process.why_closed == make_error_code(Errc::connection_closed) && how == ChildProcess::regular_end) {
                give_up(process);
                return begin_later(process);
            }
            line = "Local slave " + std::to_string(process.child->id()) + ' ' + how;
            give_up(process);
            const auto lived = std::chrono::steady_clock::now() - process.begun;
            process.short_lives = RestartPolicy::is_short(lived) ? process.short_lives + 1 : 0;
            if (policy_.ended(process.was_connected) && !has_given_up_) {
                begin_later(process);
            } else {
                has_given_up_ = true;  // but others may run, or be about to connect
                const bool is_last = std::none_of(processes_.begin(), processes_.end(),
                                                  [](const auto& other) { return other->child != nullptr; });
                if (is_last)
                    reason =
                        "no local slave could be run: five in a row ended before they were connected; the last one " +
                        how + ". Its last lines:\n";
            }
        }
        log_(LogLevel::warning, line);
        if (!reason.empty()) end_without_slaves(reason + process.last_lines->text());
    }

    /// It may have been let go: the reason comes with the end of its connection.
    void look_again(Supervised& process) {
        process.timer.expires_after(std::chrono::milliseconds{100});
        process.timer.async_wait([core = weak_from_this(), at = &process](std::error_code cancelled) {
            const auto there = core.lock();
            if (there && !cancelled) there->ended(*at, true);
        });
    }

    /// If no slave can come from elsewhere, nothing will ever be executed.
    void end_without_slaves(const std::string& reason) {
        log_(LogLevel::error, reason);
        const auto master = master_.lock();
        if (master && master->local_endpoint().port() == 0 && master->scheduler()->connected_slave_count() == 0)
            master->scheduler()->interrupt(Error::with_text(Errc::no_slave, reason));
    }

    /// Its process has ended, or was not started.
    void give_up(Supervised& process) noexcept {
        process.watch.release();  // the child closes it
        process.child.reset();
    }

    /// Whether the master admits nothing more: processes that end are not missed.
    bool is_master_done() const {
        const auto master = master_.lock();
        return !master || master->scheduler()->is_closed();
    }

    void begin_later(Supervised& process) {
        process.timer.expires_after(RestartPolicy::pause(process.short_lives));
        process.timer.async_wait([core = weak_from_this(), at = &process](std::error_code cancelled) {
            const auto there = core.lock();
            if (there && !cancelled) there->begin_again(*at);
        });
    }

    void begin_again(Supervised& process) {
        std::exception_ptr failed;
        {
            const std::lock_guard lock{mutex_};
            if (is_ending_ || has_given_up_ || is_master_done()) return;
            failed = exception_of([&] { begin(process); });
            if (!failed) return;
            give_up(process);
            ++process.short_lives;
            begin_later(process);
        }
        log_(LogLevel::warning, "A local slave was not started: " + what_of(failed));
    }

    const int process_ = process_id();
    const std::string pool_ = "local slaves " + std::to_string(next_number());  // of its processes' amounts
    LocalSlavesOptions options_;
    const Log log_;
    const std::weak_ptr<AnyMaster> master_;
    const asio::strand<asio::any_io_executor> strand_;
    const std::vector<std::string> variables_ = environment_of_children();
    ChildMark mark_;
    std::unique_ptr<OutputRelay> relay_ = std::make_unique<OutputRelay>();

    mutable std::mutex mutex_;
    // guarded by mutex_
    std::vector<std::unique_ptr<Supervised>> processes_;
    RestartPolicy policy_;
    bool has_given_up_ = false;
    bool is_ending_ = false;
};

DISTWORK_DECL std::shared_ptr<LocalSlavesCore> start_local_slaves(const std::shared_ptr<AnyMaster>& master,
                                                                  LocalSlavesOptions options) {
    if (!options.log) options.log = ConsoleLog{LogLevel::warning};
    auto core = std::make_shared<LocalSlavesCore>(master, std::move(options));
    try {
        core->start();
    } catch (...) {
        core->end();
        throw;
    }
    return core;
}

DISTWORK_DECL void end_local_slaves(LocalSlavesCore& slaves) noexcept {
    slaves.end();
}

DISTWORK_DECL std::vector<int> ids_of_local_slaves(const LocalSlavesCore& slaves) {
    return slaves.ids();
}

}  // namespace distwork::detail
