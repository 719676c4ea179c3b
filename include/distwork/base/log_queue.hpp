#pragma once

#include "../log_level.hpp"
#include "process_id.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#ifndef _WIN32
#include <signal.h>
#endif

namespace distwork::detail {

/// A log line, and the time at which it was logged.
struct LogLine {
    LogLevel level{};
    std::chrono::system_clock::time_point time{};
    std::string text;
};

#ifdef _WIN32
struct NoSignals {};
#else
/// A thread that is started while this object lives receives no signals: neither the application's nor SIGPIPE.
class NoSignals {
public:
    NoSignals() noexcept {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    NoSignals(const NoSignals&) = delete;
    ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_;
};
#endif

/// A queue of log lines, and the thread that writes them in order. A caller that logs never waits. If too many lines
/// wait, further lines are dropped, and a line in their place tells how many.
///
/// *Thread-safety*: `push`. *Lifetime*: the thread starts with the first line. It shares the state of the queue, and
/// may outlive the queue. A forked process has no such thread, so `push` accepts no lines there.
class LogQueue {
public:
    static constexpr std::size_t most_lines = 1024;
    static constexpr std::size_t most_bytes = 1024 * 1024;

    /// Called on the queue's thread. It should return soon after `given_up` is set.
    using Write = std::function<void(const LogLine& line, const std::atomic<bool>& given_up)>;

    /// `most_a_second`: lines of each level that are accepted in a second, by their times; 0: unlimited. `before` is
    /// only kept.
    explicit LogQueue(Write write, std::size_t most_a_second = 0, const LogQueue* before = nullptr)
        : state_{std::make_shared<State>(std::move(write))}, most_a_second_{most_a_second}, before_{before} {}
    LogQueue(const LogQueue&) = delete;
    LogQueue& operator=(const LogQueue&) = delete;
    /// Blocks: writes the waiting lines for at most a second, then waits until the line in progress is written.
    ~LogQueue() { end(std::chrono::seconds{1}, true); }

    bool is_of_this_process() const noexcept { return process_ == process_id(); }

    /// Returns false if the queue has ended or belongs to another process; then the caller must write the line.
    bool push(LogLine line) {
        if (!is_of_this_process()) return false;
        State& state = *state_;
        const std::lock_guard lock{state.mutex};
        if (state.ending) return false;
        const std::size_t bytes = line.text.size();
        if (state.lines >= most_lines || state.bytes + bytes > most_bytes || is_one_too_many(line)) {
            if (state.omitted++ == 0) state.omitted_since = line.time;
            return true;
        }
        if (state.omitted != 0) state.add(state.take_omitted());
        state.add(std::move(line));
        begin();
        state.changed.notify_all();
        return true;
    }

    /// Blocks: writes the waiting lines for at most `time`, then ends the thread. From now on no line is accepted. If a
    /// line is still being written after `time`, this waits for it if `waits`; else it detaches the thread.
    void end(std::chrono::milliseconds time, bool waits) noexcept {
        if (!is_of_this_process()) {
            if (thread_.joinable())
                new std::thread{std::move(thread_)};  // leaked: the thread does not exist in this process, and cannot
                                                      // be joined or detached
            return;
        }
        State& state = *state_;
        std::unique_lock lock{state.mutex};
        state.ending = true;
        state.changed.notify_all();
        if (!thread_.joinable()) return;
        const bool is_own_thread = thread_.get_id() == std::this_thread::get_id();
        const auto ended = [&state] { return state.ended; };
        if (is_own_thread || !state.changed.wait_for(lock, time, ended)) state.given_up = true;
        if (is_own_thread || (!waits && !state.changed.wait_for(lock, std::chrono::milliseconds{200}, ended)))
            return thread_.detach();
        lock.unlock();
        thread_.join();
    }

private:
    struct State {
        explicit State(Write writes) : write{std::move(writes)} {}

        void add(LogLine line) {
            const std::size_t size = line.text.size();
            waiting.push_back(std::move(line));
            ++lines;
            bytes += size;
        }

        LogLine take_omitted() {
            LogLine line{LogLevel::warning, omitted_since, std::to_string(omitted)};
            line.text += " lines of the log are left out here: they came faster than they could be written";
            omitted = 0;
            return line;
        }

        const Write write;
        std::atomic<bool> given_up{false};

        std::mutex mutex;
        std::condition_variable changed;
        // guarded by mutex
        std::deque<LogLine> waiting;
        std::size_t lines = 0;    // that wait or are being written
        std::size_t bytes = 0;    // of these
        std::size_t omitted = 0;  // since a line last told of them
        std::chrono::system_clock::time_point omitted_since{};
        bool ending = false;
        bool ended = false;
    };

    bool is_one_too_many(const LogLine& line) {
        if (most_a_second_ == 0) return false;
        const auto second = std::chrono::floor<std::chrono::seconds>(line.time);
        if (std::exchange(second_, second) != second) in_second_ = {};
        return ++in_second_[static_cast<std::size_t>(line.level)] > most_a_second_;
    }

    /// If no thread can be started, the lines wait until one can, or are dropped.
    void begin() {
        if (thread_.joinable()) return;
        try {
            [[maybe_unused]] const NoSignals no_signals;
            thread_ = std::thread{[state = state_] { run(*state); }};
        } catch (const std::system_error&) {
        }
    }

    static void run(State& state) {
        std::unique_lock lock{state.mutex};
        while (!state.given_up) {
            state.changed.wait(lock, [&] { return !state.waiting.empty() || state.omitted != 0 || state.ending; });
            if (state.waiting.empty() && state.omitted == 0) break;
            try {
                if (state.waiting.empty()) state.add(state.take_omitted());
                const LogLine line = std::move(state.waiting.front());
                state.waiting.pop_front();
                const std::size_t bytes = line.text.size();
                lock.unlock();
                try {
                    state.write(line, state.given_up);
                } catch (...) {  // this line is lost
                }
                lock.lock();
                --state.lines;
                state.bytes -= bytes;
            } catch (const std::bad_alloc&) {  // the dropped lines are not reported
                state.omitted = 0;
            }
        }
        state.ended = true;
        state.changed.notify_all();
    }

    const int process_ = process_id();
    const std::shared_ptr<State> state_;
    const std::size_t most_a_second_;
    [[maybe_unused]] const LogQueue* const before_;  // keeps the queue of the parent of a forked process reachable, for
                                                     // leak checkers
    // guarded by the state's mutex
    std::thread thread_;
    std::chrono::sys_seconds second_{};
    std::array<std::size_t, 4> in_second_{};  // lines of that second, by level
};

}  // namespace distwork::detail
