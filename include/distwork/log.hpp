#pragma once

#include "detail/requirements.hpp"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace distwork {

enum class LogLevel { debug, info, warning, error };

inline std::string_view to_string(LogLevel level) noexcept {
    switch (level) {
        case LogLevel::debug: return "debug";
        case LogLevel::info: return "info";
        case LogLevel::warning: return "warning";
        case LogLevel::error: return "error";
    }
    return "?";
}

/// Where a role writes what it does: one line, without a line break. Empty: nowhere.
///
/// *Thread-safety*: called from any thread that runs the role, also from several at once; must not block for long,
/// throw, or call the role.
using Log = std::function<void(LogLevel, std::string_view line)>;

namespace detail {

/// One that throws all the same costs its line, and nothing else.
inline Log guarded(Log log) {
    if (!log) return log;
    return [log = std::move(log)](LogLevel level, std::string_view line) {
        try {
            log(level, line);
        } catch (...) {
        }
    };
}

}  // namespace detail

/// Writes `[yyyy-mm-dd hh:mm:ss] line` to the standard output, as the ancestor's Logger did; warnings and errors are
/// marked so.
class ConsoleLog {
public:
    explicit ConsoleLog(LogLevel least = LogLevel::info) : least_{least} {}

    void operator()(LogLevel level, std::string_view line) const {
        if (level < least_) return;
        const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
        std::tm local{};
#ifdef _WIN32
        localtime_s(&local, &now);
#else
        localtime_r(&now, &local);
#endif
        char stamp[32];
        std::strftime(stamp, sizeof stamp, "[%Y-%m-%d %H:%M:%S] ", &local);
        std::string whole{stamp};
        if (level > LogLevel::info) whole.append(to_string(level)).append(": ");
        whole.append(line).push_back('\n');
        // One call, so that lines of several threads do not mix.
        std::fwrite(whole.data(), 1, whole.size(), stdout);
        std::fflush(stdout);
    }

private:
    LogLevel least_;
};

}  // namespace distwork
