#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
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

/// The bytes of the UTF-8 character at the beginning of `text` that may be written as it is; 0: its first byte is to be
/// escaped. Those are control characters, which may also move a terminal's cursor; separators of lines; characters that
/// turn the direction of writing; and what is no UTF-8.
inline std::size_t plain_bytes(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
    const unsigned first = byte(0);
    if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
    const std::size_t count = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4) return 0;
    unsigned code = first & (0x7fu >> count);
    for (std::size_t i = 1; i < count; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
        code = code << 6 | (byte(i) & 0x3f);
    }
    const bool is_overlong = (count == 3 && code < 0x800) || (count == 4 && code < 0x1'0000);
    const bool is_invalid = is_overlong || (code >= 0xd800 && code <= 0xdfff) || code > 0x10'ffff;
    const bool is_control = code < 0xa0 || code == 0x2028 || code == 0x2029;
    const bool turns = code == 0x61c || code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
                       (code >= 0x2066 && code <= 0x2069);
    return is_invalid || is_control || turns ? 0 : count;
}

DISTWORK_DECL std::string escaped(std::string_view line) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string safe;
    safe.reserve(line.size());
    while (!line.empty()) {
        const std::size_t count = plain_bytes(line);
        const auto code = static_cast<unsigned char>(line.front());
        if (count != 0) safe += line.substr(0, count);
        else if (code == '\n') safe += "\\n";
        else (safe += "\\x").append({digits[code / 16], digits[code % 16]});
        line.remove_prefix(std::max<std::size_t>(count, 1));
    }
    return safe;
}

inline bool is_plain(std::string_view line) noexcept {
    while (!line.empty()) {
        const std::size_t count = plain_bytes(line);
        if (count == 0) return false;
        line.remove_prefix(count);
    }
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
