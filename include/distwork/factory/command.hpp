#pragma once

#include "../base/requirements.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "../base/descriptor.hpp"
#include "../base/spawn.hpp"
#include "../error.hpp"

namespace distwork::detail {

/// What became of a command.
struct CommandResult {
    enum class End {
        exited,     ///< by itself; `number` is its status
        signalled,  ///< by the signal `number`
        too_late,   ///< it was killed, with its process group, at its deadline
        unseen,     ///< the application reaps all children, or ignores SIGCHLD, and so took the status
    };
    /// The most that is kept of the output, and of the errors.
    static constexpr std::size_t most_bytes = 64 * 1024;

    End end = End::unseen;
    int number = 0;
    std::string output{};  ///< the beginning of what it wrote to its standard output
    std::string errors{};  ///< the same of its standard error
    bool is_cut = false;   ///< it wrote more to its standard output

    bool succeeded() const noexcept { return end == End::exited && number == 0; }

    /// Its own words, or else how it ended: never empty.
    std::string text() const {
        std::string how;
        switch (end) {
            case End::exited: how = "status " + std::to_string(number); break;
            case End::signalled: how = "ended by signal " + std::to_string(number); break;
            case End::too_late: how = "it took too long, and was killed"; break;
            case End::unseen: how = "its status was taken by the application"; break;
        }
        const std::string& words = errors.empty() ? output : errors;
        return words.empty() ? how : how + ": " + words;
    }
};

/// A command that runs, until the destructor kills its process group.
class RunningCommand {
public:
    /// *Errors*: throws std::system_error.
    RunningCommand(std::vector<std::string> words, std::chrono::milliseconds deadline,
                   std::vector<std::string> variables) {
        Pipe out;
        Pipe err;
        for (const Descriptor* const end : {&out.read, &err.read})
            if (::fcntl(end->get(), F_SETFL, O_NONBLOCK) != 0) throw_system_error("fcntl");
        timer_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
        if (!timer_) throw_system_error("timerfd_create");
        ::itimerspec at{};
        at.it_value.tv_sec = deadline.count() / 1000;
        at.it_value.tv_nsec = deadline.count() % 1000 * 1'000'000;
        if (::timerfd_settime(timer_.get(), 0, &at, nullptr) != 0) throw_system_error("timerfd_settime");

        SpawnSettings settings;
        settings.give(out.write, STDOUT_FILENO);
        settings.give(err.write, STDERR_FILENO);
        settings.close_from(STDERR_FILENO + 1);
        id_ = settings.spawn(words.front(), pointers_to(words), pointers_to(variables));
        pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, id_, 0)));  // -1 before Linux 5.3, and in valgrind
        output_ = std::move(out.read);
        errors_ = std::move(err.read);
    }
    RunningCommand(const RunningCommand&) = delete;
    RunningCommand& operator=(const RunningCommand&) = delete;
    ~RunningCommand() {
        if (id_ != 0) kill_and_reap();
    }

    /// Returns when it has ended, or was killed at its deadline. To be called once.
    CommandResult wait() {
        CommandResult result;
        bool is_over = false;
        while (!is_over) {
            constexpr int look_every = 10;  // ms, without a pidfd
            std::array<pollfd, 4> files{{{output_.get(), POLLIN, 0},
                                         {errors_.get(), POLLIN, 0},
                                         {pidfd_.get(), POLLIN, 0},
                                         {timer_.get(), POLLIN, 0}}};
            if (::poll(files.data(), files.size(), pidfd_ ? -1 : look_every) < 0 && errno != EINTR)
                throw_system_error("poll");
            if (files[3].revents != 0) break;
            is_over = has_ended();  // before it is read for the last time
            // One read each: what writes without end is killed at the deadline all the same.
            read_some(output_, result.output, result.is_cut);
            read_some(errors_, result.errors, ignored_);
        }
        if (is_over) {
            read_rest(output_, result.output, result.is_cut);
            read_rest(errors_, result.errors, ignored_);
        }
        const siginfo_t status = is_over ? reap() : kill_and_reap();
        if (!is_over) result.end = CommandResult::End::too_late;
        else if (status.si_pid == 0) result.end = CommandResult::End::unseen;
        else if (status.si_code == CLD_EXITED) result.end = CommandResult::End::exited;
        else result.end = CommandResult::End::signalled;
        result.number = status.si_status;
        return result;
    }

private:
    bool has_ended() const noexcept {
        siginfo_t status{};
        const int found = ::waitid(P_PID, static_cast<id_t>(id_), &status, WEXITED | WNOHANG | WNOWAIT);
        return status.si_pid != 0 || (found != 0 && errno == ECHILD);
    }

    /// Returns whether there was something to read.
    bool read_some(Descriptor& file, std::string& kept, bool& is_cut) {
        if (!file) return false;
        const ssize_t count = ::read(file.get(), buffer_.data(), buffer_.size());
        if (count == 0) file.reset();
        if (count <= 0) return false;
        const auto room = CommandResult::most_bytes - kept.size();
        kept.append(buffer_.data(), std::min(static_cast<std::size_t>(count), room));
        if (static_cast<std::size_t>(count) > room) is_cut = true;
        return true;
    }

    /// What is in the pipe of a command that has ended. What it has left in the background may go on writing.
    void read_rest(Descriptor& file, std::string& kept, bool& is_cut) {
        for (std::size_t read = 0; read < CommandResult::most_bytes; read += buffer_.size())
            if (!read_some(file, kept, is_cut)) return;
    }

    siginfo_t kill_and_reap() noexcept {
        ::kill(-id_, SIGKILL);
        ::kill(id_, SIGKILL);  // also if it has left its process group
        return reap();
    }

    /// Of this process alone. Its number is not given to another process before that.
    siginfo_t reap() noexcept {
        siginfo_t status{};
        while (::waitid(P_PID, static_cast<id_t>(id_), &status, WEXITED) != 0 && errno == EINTR) continue;
        id_ = 0;
        return status;
    }

    ::pid_t id_ = 0;
    Descriptor pidfd_;
    Descriptor timer_;
    Descriptor output_;
    Descriptor errors_;
    std::array<char, 4096> buffer_;
    bool ignored_ = false;
};

/// Runs a command: `words` are the program and its arguments, which no shell interprets. A program without a slash is
/// looked for in the folders of PATH. The command has a process group of its own, /dev/null as its standard input, the
/// default signal mask and dispositions, the environment `variables`, and no descriptors but its standard ones. At the
/// deadline its process group is killed. What a command leaves running in the background when it ends in time goes on.
///
/// Blocks. Needs no signal handler, and reaps no other child. *Thread-safety*: all functions. *Errors*: throws Error
/// (bad_option) if a word contains a null character, there is no word, or the deadline is not positive;
/// std::system_error if the command cannot be started.
inline CommandResult run_command(std::vector<std::string> words,
                                 std::chrono::milliseconds deadline = std::chrono::seconds{30},
                                 std::vector<std::string> variables = environment_of_children()) {
    if (words.empty() || words.front().empty()) throw Error::with_text(Errc::bad_option, "a command has no program");
    if (deadline.count() <= 0) throw Error::with_text(Errc::bad_option, "a command's deadline must be positive");
    for (const std::string& word : words)
        if (word.find('\0') != std::string::npos)
            throw Error::with_text(Errc::bad_option, "a word of a command contains a null character");
    return RunningCommand{std::move(words), deadline, std::move(variables)}.wait();
}

}  // namespace distwork::detail
