#pragma once

#include "../base/requirements.hpp"

#ifndef __linux__
#error "distwork: Program, run_slave and LocalSlaves are for Linux"
#endif

#include <sys/types.h>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "../base/descriptor.hpp"
#include "../base/process_id.hpp"
#include "../base/separate.hpp"
#include "child_mark.hpp"

namespace distwork::detail {

/// What is executed for another process of this program. The link itself if the file was deleted or replaced.
DISTWORK_DECL std::string this_executable();

/// A child process of this very program that runs as a slave: with the same arguments, a process group of its own, the
/// default signal mask and dispositions, /dev/null as its standard input, and no descriptors but those of ChildMark.
///
/// It is watched by its pidfd: no signal handler is needed, and no child of the application is reaped. Where the system
/// has none (before Linux 5.3, in valgrind, in some containers) it is looked at again and again. Linux.
///
/// *Thread-safety*: const functions. *Lifetime*: the destructor kills the process group, and blocks until the process has ended.
class ChildProcess {
public:
    /// Starts the process. `variables` is its environment, without the mark. *Errors*: throws std::system_error.
    ChildProcess(const std::vector<std::string>& arguments, std::vector<std::string> variables, const ChildMark& mark);
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;
    /// In a process that was forked from this one it does nothing.
    ~ChildProcess();

    ::pid_t id() const noexcept { return id_; }
    /// Readable when the process has ended; -1: the system has none, or it has ended.
    int pidfd() const noexcept { return pidfd_.get(); }

    // To be taken once

    Descriptor socket;  ///< this end of the connection
    Descriptor output;  ///< what it writes to its standard output
    Descriptor errors;  ///< what it writes to its standard error

    /// How it ended: "ended with status 1", "was ended by signal 9 (Killed)". Nothing if it runs. Ends what is left of
    /// its process group.
    std::optional<std::string> how_ended() const;

    /// Waits at most so long for its end.
    bool wait(int milliseconds) const noexcept;

    /// Sends a signal to all of its process group.
    void signal(int number) const noexcept;

    /// What how_ended says of a process that has returned 0.
    static constexpr const char* regular_end = "ended with status 0";

    /// Ends it, and waits for its end.
    void end() const noexcept;

private:
    /// Of an application that reaps all children, or ignores SIGCHLD.
    static constexpr const char* taken = "ended; its status was taken by the application";

    bool wait_by_looking(int milliseconds) const noexcept;

    const int parent_ = process_id();
    ::pid_t id_ = 0;
    Descriptor pidfd_;
    Descriptor life_;  // the end of this descriptor tells the child that its parent has ended
    mutable std::mutex mutex_;
    mutable std::optional<std::string> ended_;  // guarded by mutex_
};

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/child_process.ipp"
#endif
