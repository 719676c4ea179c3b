#pragma once

#include "base/requirements.hpp"

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/separate.hpp"
#include "log_level.hpp"

namespace distwork {

namespace detail {
class LogQueue;
}

/// The name of a level, as it is written in logs.
DISTWORK_DECL std::string_view to_string(LogLevel level) noexcept;

/// Receives the log lines of a role: each call has one line. A line contains no line break and no other control
/// character.
///
/// *Thread-safety*: called from any thread that runs the role, and from several at once. It must not block, throw, or
/// call the role. A function behind a QueuedLog may block.
using Log = std::function<void(LogLevel, std::string_view line)>;

/// A log that discards its lines.
struct NoLog {
    /// Discards the line.
    void operator()(LogLevel, std::string_view) const noexcept {}
};

/// Calls a function on a thread of its own, so that the function may block. At most 1,024 lines, of at most 1 MiB in
/// total, wait for the thread. Further lines are dropped, and a warning tells how many.
///
/// *Lifetime*: copies share the thread and the function. The destructor of the last copy blocks: for at most one second
/// while the waiting lines are passed on, and then until the call in progress returns.
class QueuedLog {
public:
    /// `hook` is called only on this log's thread, one line at a time.
    explicit QueuedLog(Log hook);

    /// Queues the line. Does not block, except in a forked process: there it calls the function itself.
    void operator()(LogLevel level, std::string_view line) const;

private:
    std::shared_ptr<const Log> hook_;
    std::shared_ptr<detail::LogQueue> queue_;
};

/// Writes `[yyyy-mm-dd hh:mm:ss +hhmm] line` with the local time and its offset from UTC. Warnings and errors are
/// marked and go to the standard error, other lines to the standard output.
///
/// It does not block if the output is not read, and does not end the process if the output was closed: one thread of
/// the process does all the writing. Lines are dropped and counted, as by QueuedLog, if more than 1,024 lines or 1 MiB
/// wait, or more than 1,000 lines of one level come in a second. At exit the process waits at most half a second for
/// waiting lines.
class ConsoleLog {
public:
    /// Lines below `least` are dropped.
    explicit ConsoleLog(LogLevel least = LogLevel::info) : least_{least} {}

    /// Queues the line. Does not block.
    void operator()(LogLevel level, std::string_view line) const;

private:
    LogLevel least_;
};

namespace detail {

/// Escapes control characters: a peer's name or a user's text could otherwise forge log lines.
DISTWORK_DECL std::string escaped(std::string_view line);

/// The level for logging a failure that no caller waits for. An end that was asked for (stopped, cancelled) is only
/// info.
DISTWORK_DECL LogLevel level_of_failure(const std::exception_ptr& error);

/// Wraps a role's log: prefixes each line with `prefix` and escapes control characters. If the log throws, the line is
/// lost, and nothing else happens.
DISTWORK_DECL Log guarded(Log log, std::string prefix = {});

}  // namespace detail
}  // namespace distwork

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "impl/log.ipp"
#endif
