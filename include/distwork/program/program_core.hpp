#pragma once

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "../base/asio.hpp"
#include "../base/process_id.hpp"
#include "../base/separate.hpp"
#include "../factory.hpp"
#include "../local_slaves.hpp"
#include "../master.hpp"
#include "program_options.hpp"
#include "secure_roles.hpp"

namespace distwork::detail {

/// The implementation of a Program: an I/O thread, a master, local slaves, and signals.
///
/// *Lifetime*: shared by the program and its maps.
class ProgramCore {
public:
    /// `secure`: makes the master; null: it is one over plain TCP. `arguments`: of this program, but its name.
    ProgramCore(const ProgramOptions& options, const SecureRoles* secure, const std::vector<std::string>& arguments);
    ProgramCore(const ProgramCore&) = delete;
    ProgramCore& operator=(const ProgramCore&) = delete;
    ~ProgramCore();

    Master<>& master() noexcept { return *master_; }
    asio::any_io_executor executor() { return io_.get_executor(); }
    std::stop_token stop_token() const noexcept { return stop_.get_token(); }
    int status() const noexcept { return status_; }
    ProgressStyle progress() const noexcept { return progress_; }

    /// *Errors*: throws Error (on_io_thread).
    void check_thread() const;

    /// Ends the slaves and the I/O thread. Further calls wait until that is done, unless they are made on that thread. In
    /// a process that was forked from this one it does nothing.
    void end() noexcept;
    bool has_ended() const noexcept { return has_ended_; }

private:
    void end_once() noexcept;
    void watch_signals();
    void stop_by(int signal);

    const int process_ = process_id();
    asio::io_context io_;
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> busy_{io_.get_executor()};
    const ProgressStyle progress_;
    std::stop_source stop_;
    std::atomic<int> status_{0};
    std::optional<Master<>> master_;
    std::optional<LocalSlaves> slaves_;
    std::optional<Factory> factory_;
    asio::signal_set signals_{io_};
    std::atomic<bool> is_ending_{false};
    std::atomic<bool> has_ended_{false};
    std::once_flag once_;
    std::thread thread_;
};

/// Reads the options, and runs this process as a slave if it is one: then it ends here.
DISTWORK_DECL std::shared_ptr<ProgramCore> start_program(int& argc, char** argv, LoadSecret load);
DISTWORK_DECL void end_program(ProgramCore& core) noexcept;

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/program_core.ipp"
#endif
