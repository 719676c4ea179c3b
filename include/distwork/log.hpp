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

/// Where a role writes what it does: one line, without a line break or any other control character.
///
/// *Thread-safety*: called from any thread that runs the role, also from several at once; must not block for long,
/// throw, or call the role. Behind a QueuedLog it may block.
using Log = std::function<void(LogLevel, std::string_view line)>;

/// A log that is written nowhere.
struct NoLog {
    /// Drops the line.
    void operator()(LogLevel, std::string_view) const noexcept {}
};

/// Calls a hook on a thread of its own, so that it may block: at most 1,024 lines, or 1 MiB of them, wait for it. What
/// comes beyond that is left out, and a warning says how many lines that were.
///
/// *Lifetime*: copies share thread and hook. The end of the last gives the hook what waits, for at most a second, and
/// waits for its call under way.
class QueuedLog {
public:
    /// `hook` is called on the thread of this log only, one line at a time.
    explicit QueuedLog(Log hook)
        : hook_{std::make_shared<const Log>(std::move(hook))},
          queue_{
              std::make_shared<detail::LogQueue>([hook = hook_](const detail::LogLine& line, const std::atomic<bool>&) {
                  (*hook)(line.level, line.text);
              })} {}

    /// Queues the line.
    void operator()(LogLevel level, std::string_view line) const {
        if (!queue_->push({level, {}, std::string{line}})) (*hook_)(level, line);
    }

private:
    std::shared_ptr<const Log> hook_;
    std::shared_ptr<detail::LogQueue> queue_;
};

/// Writes `[yyyy-mm-dd hh:mm:ss +hhmm] line`, as the ancestor's Logger did, with the time zone: warnings and errors,
/// marked so, to the standard error, others to the standard output.
///
/// It neither blocks nor ends the process where nobody reads that: a thread, one for all in the process, does the
/// writing, and what it cannot keep up with, or comes beyond 1,000 lines of a level a second, is left out and counted, as by
/// QueuedLog. At the end of the process it has half a second for what waits.
class ConsoleLog {
public:
    /// Lines below `least` are dropped.
    explicit ConsoleLog(LogLevel least = LogLevel::info) : least_{least} {}

    /// Queues the line.
    void operator()(LogLevel level, std::string_view line) const {
        if (level < least_) return;
        detail::LogLine said{level, std::chrono::system_clock::now(), std::string{line}};
        // Asked for here, so that no process is forked while our thread asks.
        static_cast<void>(detail::utc_offset(std::chrono::floor<std::chrono::seconds>(said.time)));
        if (!detail::console_queue(&write).push(said)) write(said, no_patience);
    }

private:
    /// Not on the thread of the others, which is not there: without waiting.
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

/// As it is written: a peer's name, or a user's text, may contain what would look like other lines.
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

/// Of a failure that nobody waits for: what ended because it was asked to is none.
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

/// The log of a role, whose lines begin with `prefix`. One that throws all the same costs its line, and nothing else.
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
