#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/spawn.hpp"
#include "../program/child_process.hpp"

namespace distwork::detail {

DISTWORK_DECL std::string this_executable() {
    constexpr const char* link = "/proc/self/exe";
    std::string path(4096, '\0');
    const auto bytes = ::readlink(link, path.data(), path.size());
    if (bytes <= 0) return link;
    path.resize(static_cast<std::size_t>(bytes));
    return path.ends_with(" (deleted)") || ::access(path.c_str(), X_OK) != 0 ? link : path;
}

DISTWORK_DECL ChildProcess::ChildProcess(const std::vector<std::string>& arguments, std::vector<std::string> variables,
                                         const ChildMark& mark) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw_system_error("socketpair");
    socket = out_of_the_way(Descriptor{ends[0]});
    const Descriptor its_socket = out_of_the_way(Descriptor{ends[1]});
    Pipe life;
    Pipe out;
    Pipe err;

    SpawnSettings settings;
    settings.give(out.write, STDOUT_FILENO);
    settings.give(err.write, STDERR_FILENO);
    settings.give(its_socket, ChildMark::socket);
    settings.give(life.read, ChildMark::parent_lives);
    settings.close_from(ChildMark::parent_lives + 1);

    variables.push_back(mark.text());
    auto copied = arguments;
    id_ = settings.spawn(this_executable(), pointers_to(copied), pointers_to(variables));
    // Until it is reaped, no other process gets its number. An application that ignores SIGCHLD does not reap it itself: then it
    // may have ended already, and there is nothing to watch.
    pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, id_, 0)));
    if (!pidfd_ && errno == ESRCH) ended_ = taken;
    life_ = std::move(life.write);
    output = std::move(out.read);
    errors = std::move(err.read);
}

DISTWORK_DECL ChildProcess::~ChildProcess() {
    if (parent_ == process_id()) end();
}

DISTWORK_DECL void ChildProcess::end() const noexcept {
    if (how_ended()) return;
    signal(SIGKILL);
#ifdef SYS_pidfd_send_signal
    ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);  // also if it has left its process group
#endif
    wait(-1);
    static_cast<void>(how_ended());
}

DISTWORK_DECL std::optional<std::string> ChildProcess::how_ended() const {
    const std::lock_guard lock{mutex_};
    if (ended_) return ended_;
    if (!wait(0)) return std::nullopt;
    const auto status_of = [this](siginfo_t& status, int how) {
        constexpr auto by_pidfd = static_cast<idtype_t>(3);  // P_PIDFD, which older headers lack
        const int found = pidfd_ ? ::waitid(by_pidfd, static_cast<id_t>(pidfd_.get()), &status, WEXITED | WNOHANG | how)
                                 : ::waitid(P_PID, static_cast<id_t>(id_), &status, WEXITED | WNOHANG | how);
        return found == 0 && status.si_pid != 0;
    };
    siginfo_t status{};
    if (!status_of(status, WNOWAIT)) {
        ended_ = taken;
        return ended_;
    }
    signal(SIGKILL);  // before it is reaped: its number cannot be another process group's yet
    static_cast<void>(status_of(status, 0));
    if (status.si_code == CLD_EXITED) {
        ended_ = "ended with status " + std::to_string(status.si_status);
    } else {
        const char* const name = ::strsignal(status.si_status);
        ended_ = "was ended by signal " + std::to_string(status.si_status) + " (" + (name ? name : "?") + ')';
    }
    return ended_;
}

DISTWORK_DECL bool ChildProcess::wait(int milliseconds) const noexcept {
    if (!pidfd_) return wait_by_looking(milliseconds);
    pollfd state{pidfd_.get(), POLLIN, 0};
    int ready = 0;
    do ready = ::poll(&state, 1, milliseconds);
    while (ready < 0 && errno == EINTR);
    return ready == 1;
}

DISTWORK_DECL bool ChildProcess::wait_by_looking(int milliseconds) const noexcept {
    constexpr int between = 5;
    for (int waited = 0;; waited += between) {
        siginfo_t status{};
        const int found = ::waitid(P_PID, static_cast<id_t>(id_), &status, WEXITED | WNOHANG | WNOWAIT);
        if (status.si_pid != 0 || (found != 0 && errno == ECHILD)) return true;
        if (milliseconds >= 0 && waited >= milliseconds) return false;
        ::poll(nullptr, 0, between);
    }
}

DISTWORK_DECL void ChildProcess::signal(int number) const noexcept {
    ::kill(-id_, number);
}

}  // namespace distwork::detail
