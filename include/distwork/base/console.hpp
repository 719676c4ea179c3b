#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "log_queue.hpp"
#include "status_line.hpp"

#ifndef _WIN32
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>
#endif

namespace distwork::detail {

/// The queue of log lines for this process's console. It is never destroyed, since destructors of static objects may
/// log. At exit the queue ends; from then on `push` accepts no lines.
inline LogQueue& console_queue(LogQueue::Write::result_type (*write)(const LogLine&, const std::atomic<bool>&)) {
    constexpr std::size_t most_a_second = 1000;  // peers can cause lines, and a log file needs disk space
    static std::atomic<LogQueue*> current{nullptr};
    LogQueue* queue = current.load(std::memory_order_acquire);
    while (!queue || !queue->is_of_this_process()) {  // the first line, or the first after a fork
        auto* const mine = new LogQueue{write, most_a_second, queue};
        if (current.compare_exchange_strong(queue, mine, std::memory_order_acq_rel)) {
            queue = mine;
            // If it cannot be registered, lines that wait at the end are lost.
            static_cast<void>(std::atexit([] {
                LogQueue* const last = current.load(std::memory_order_acquire);
                if (last->is_of_this_process()) last->end(std::chrono::milliseconds{500}, false);
            }));
        } else {
            delete mine;
        }
    }
    return *queue;
}

/// The offset of the local time from UTC. It is cached for a quarter of an hour, since zones change only then. The
/// system call takes a lock, and a forked process may inherit that lock in a locked state, forever.
inline std::chrono::seconds utc_offset(std::chrono::sys_seconds now) {
    using namespace std::chrono;
    struct Known {
        std::int32_t quarter = -1;
        std::int32_t seconds = 0;
    };
    static std::atomic<Known> last{};
    const Known known = last;
    const auto quarter = static_cast<std::int32_t>(now.time_since_epoch() / minutes{15});
    if (known.quarter == quarter) return seconds{known.seconds};
    const std::time_t time = system_clock::to_time_t(now);
    std::tm local{};
#ifdef _WIN32
    if (localtime_s(&local, &time) != 0) return {};
#else
    if (!localtime_r(&time, &local)) return {};  // a year beyond the range of int
#endif
    const sys_days day = year{local.tm_year + 1900} / (local.tm_mon + 1) / local.tm_mday;
    const seconds offset = day + hours{local.tm_hour} + minutes{local.tm_min} + seconds{local.tm_sec} - now;
    last = Known{quarter, static_cast<std::int32_t>(offset.count())};
    return offset;
}

/// `[yyyy-mm-dd hh:mm:ss +hhmm] `
inline std::string stamp(std::chrono::sys_seconds now) {
    using namespace std::chrono;
    const seconds offset = utc_offset(now);
    const sys_seconds local = now + offset;
    const auto day = floor<days>(local);
    const year_month_day date{day};
    const hh_mm_ss time{local - day};
    const hh_mm_ss zone{abs(offset)};
    char text[64];
    static_cast<void>(std::snprintf(text, sizeof text, "[%04d-%02u-%02u %02d:%02d:%02d %c%02d%02d] ",
                                    static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                                    static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                                    static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
                                    offset.count() < 0 ? '-' : '+', static_cast<int>(zone.hours().count()),
                                    static_cast<int>(zone.minutes().count())));
    return text;
}

#ifdef _WIN32

inline void write_to_console(std::FILE* to, std::string_view lines, const std::atomic<bool>&) {
    std::fwrite(lines.data(), 1, lines.size(), to);
    std::fflush(to);
}

#else

/// While this object lives, a write to a pipe without a reader fails on this thread, and does not end the process.
class NoSigpipe {
public:
    NoSigpipe() noexcept {
        sigset_t pending;
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        sigpending(&pending);
        was_pending_ = sigismember(&pending, SIGPIPE) == 1;
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    NoSigpipe(const NoSigpipe&) = delete;
    ~NoSigpipe() {
        sigset_t pending;
        sigpending(&pending);
        int taken = 0;
        if (!was_pending_ && sigismember(&pending, SIGPIPE) == 1) sigwait(&pipe_, &taken);
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

private:
    sigset_t pipe_;
    sigset_t before_;
    bool was_pending_ = false;
};

/// Writes `text`, and blocks until it is written or `given_up` is set. Drops the rest if there is no reader. It
/// bypasses stdio, whose lock the application's own output needs.
inline void write_all(std::FILE* to, std::string_view text, const std::atomic<bool>& given_up) {
#ifdef PIPE_BUF
    constexpr std::size_t most = PIPE_BUF;  // a pipe with room takes so many bytes at once
#else
    constexpr std::size_t most = _POSIX_PIPE_BUF;
#endif
    const NoSigpipe no_sigpipe;
    const int file = to == stderr ? STDERR_FILENO : STDOUT_FILENO;
    while (!text.empty()) {
        pollfd state{file, POLLOUT, 0};
        const int ready = poll(&state, 1, given_up ? 0 : 50);
        if (ready < 0 && errno != EINTR) return;
        if (ready == 1) {
            if ((state.revents & POLLNVAL) != 0) return;
            const auto count = write(file, text.data(), std::min(text.size(), most));
            if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
            else if (count < 0 && errno != EINTR && errno != EAGAIN) return;
        } else if (given_up) {
            return;
        }
    }
}

/// Writes whole lines, above the status line if there is one. Blocks as write_all.
inline void write_to_console(std::FILE* to, std::string_view lines, const std::atomic<bool>& given_up) {
    if (lines.empty()) return;
    StatusLine& status = StatusLine::instance();
    if (!status.is_wanted || isatty(to == stderr ? STDERR_FILENO : STDOUT_FILENO) != 1)
        return write_all(to, lines, given_up);
    std::unique_lock lock{status.mutex, std::defer_lock};
    while (!lock.try_lock()) {  // another thread writes lines to the terminal
        if (given_up) return write_all(to, lines, given_up);
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    std::string all = StatusLine::erase;
    all.append(lines).append(status.is_wanted ? status.text : "");
    write_all(to, all, given_up);
}

/// Shows a line at the bottom of the terminal that is the standard error, in place of the one before; an empty one erases
/// it. Does not wait: what the terminal does not take at once is dropped, and nothing changes while lines are written.
inline void show_status(const std::string& text) {
    StatusLine& status = StatusLine::instance();
    const bool was_wanted = status.is_wanted.exchange(!text.empty());
    const std::unique_lock lock{status.mutex, std::try_to_lock};
    if (!lock || (text.empty() && !was_wanted && status.text.empty())) return;
    status.text = text;
    // Writing to a terminal blocks although poll says that there is room. Opened anew, it does not.
    if (status.terminal < 0) status.terminal = ::open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    const std::string all = StatusLine::erase + text;
    if (status.terminal >= 0) static_cast<void>(!write(status.terminal, all.data(), all.size()));
}

#endif

}  // namespace distwork::detail
