#pragma once

#include "base/requirements.hpp"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/console.hpp"
#include "base/log_queue.hpp"
#include "error.hpp"

namespace distwork {

/// The name of a level, as it is written in logs.
inline std::string_view to_string(LogLevel level) noexcept {
    switch (level) {
        case LogLevel::debug: return "debug";
        case LogLevel::info: return "info";
        case LogLevel::warning: return "warning";
        case LogLevel::error: return "error";
    }
    return "?";
}

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
    explicit QueuedLog(Log hook)
        : hook_{std::make_shared<const Log>(std::move(hook))},
          queue_{
              std::make_shared<detail::LogQueue>([hook = hook_](const detail::LogLine& line, const std::atomic<bool>&) {
                  (*hook)(line.level, line.text);
              })} {}

    /// Queues the line. Does not block, except in a forked process: there it calls the function itself.
    void operator()(LogLevel level, std::string_view line) const {
        if (!queue_->push({level, {}, std::string{line}})) (*hook_)(level, line);
    }

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
    void operator()(LogLevel level, std::string_view line) const {
        if (level < least_) return;
        detail::LogLine said{level, std::chrono::system_clock::now(), std::string{line}};
        // Determines the UTC offset on this thread, so that no process is forked while the writing thread asks the
        // system.
        static_cast<void>(detail::utc_offset(std::chrono::floor<std::chrono::seconds>(said.time)));
        if (!detail::console_queue(&write).push(said)) write(said, no_patience);
    }

private:
    /// For lines that the queue's thread cannot take because it has ended: they are written here, without waiting.
    static inline const std::atomic<bool> no_patience{true};

    static void write(const detail::LogLine& line, const std::atomic<bool>& given_up) {
        std::string whole = detail::stamp(std::chrono::floor<std::chrono::seconds>(line.time));
        if (line.level > LogLevel::info) whole.append(to_string(line.level)).append(": ");
        whole.append(line.text).push_back('\n');
        detail::write_to_console(line.level > LogLevel::info ? stderr : stdout, whole, given_up);
    }

    LogLevel least_;
};

namespace detail {

/// Escapes control characters: a peer's name or a user's text could otherwise forge log lines.
inline std::string escaped(std::string_view line) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string safe;
    safe.reserve(line.size());
    for (const char letter : line) {
        const auto code = static_cast<unsigned char>(letter);
        if (code >= 0x20 && code != 0x7f) safe += letter;
        else if (letter == '\n') safe += "\\n";
        else (safe += "\\x").append({digits[code / 16], digits[code % 16]});
    }
    return safe;
}

inline bool is_plain(std::string_view line) noexcept {
    for (const char letter : line)
        if (static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f) return false;
    return true;
}

/// The level for logging a failure that no caller waits for. An end that was asked for (stopped, cancelled) is only
/// info.
inline LogLevel level_of_failure(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const Error& failure) {
        const bool is_end = failure.code() == Errc::stopped || failure.code() == Errc::cancelled;
        return is_end ? LogLevel::info : LogLevel::warning;
    } catch (...) {
        return LogLevel::warning;
    }
}

/// Wraps a role's log: prefixes each line with `prefix` and escapes control characters. If the log throws, the line is
/// lost, and nothing else happens.
inline Log guarded(Log log, std::string prefix = {}) {
    if (!log) return log;
    return [log = std::move(log), prefix = std::move(prefix)](LogLevel level, std::string_view line) {
        try {
            if (prefix.empty() && is_plain(line)) log(level, line);
            else log(level, escaped(prefix + std::string{line}));
        } catch (...) {
        }
    };
}

}  // namespace detail
}  // namespace distwork
