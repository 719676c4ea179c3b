#pragma once

#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../base/console.hpp"
#include "../base/log_queue.hpp"
#include "../error.hpp"
#include "../log.hpp"

namespace distwork {

DISTWORK_DECL std::string_view to_string(LogLevel level) noexcept {
    switch (level) {
        case LogLevel::debug: return "debug";
        case LogLevel::info: return "info";
        case LogLevel::warning: return "warning";
        case LogLevel::error: return "error";
    }
    return "?";
}

DISTWORK_DECL QueuedLog::QueuedLog(Log hook)
    : hook_{std::make_shared<const Log>(std::move(hook))},
      queue_{std::make_shared<detail::LogQueue>(
          [hook = hook_](const detail::LogLine& line, const std::atomic<bool>&) { (*hook)(line.level, line.text); })} {}

DISTWORK_DECL void QueuedLog::operator()(LogLevel level, std::string_view line) const {
    if (!queue_->push({level, {}, std::string{line}})) (*hook_)(level, line);
}

namespace detail {

inline void write_line(const LogLine& line, const std::atomic<bool>& given_up) {
    std::string whole = stamp(std::chrono::floor<std::chrono::seconds>(line.time));
    if (line.level > LogLevel::info) whole.append(to_string(line.level)).append(": ");
    whole.append(line.text).push_back('\n');
    write_to_console(line.level > LogLevel::info ? stderr : stdout, whole, given_up);
}

}  // namespace detail

DISTWORK_DECL void ConsoleLog::operator()(LogLevel level, std::string_view line) const {
    if (level < least_) return;
    detail::LogLine said{level, std::chrono::system_clock::now(), std::string{line}};
    // Determines the UTC offset on this thread, so that no process is forked while the writing thread asks the system.
    static_cast<void>(detail::utc_offset(std::chrono::floor<std::chrono::seconds>(said.time)));
    if (detail::console_queue(&detail::write_line).push(said)) return;
    // The queue's thread has ended: the line is written here, without waiting.
    const std::atomic<bool> no_patience{true};
    detail::write_line(said, no_patience);
}

namespace detail {

DISTWORK_DECL std::string escaped(std::string_view line) {
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

DISTWORK_DECL LogLevel level_of_failure(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const Error& failure) {
        const bool is_end = failure.code() == Errc::stopped || failure.code() == Errc::cancelled;
        return is_end ? LogLevel::info : LogLevel::warning;
    } catch (...) {
        return LogLevel::warning;
    }
}

DISTWORK_DECL Log guarded(Log log, std::string prefix) {
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
