// Further processes of this program, which end with it.
#pragma once

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <system_error>
#include <vector>

/// Each runs `program --slave PORT`. None outlives the object: those that have not ended by then are told to.
class SlaveProcesses {
public:
    SlaveProcesses(std::string program, std::size_t count, unsigned port) {
        std::string option = "--slave";
        std::string value = std::to_string(port);
        char* arguments[] = {program.data(), option.data(), value.data(), nullptr};
        for (std::size_t i = 0; i < count; ++i) {
            pid_t process = 0;
            if (const int error = posix_spawnp(&process, arguments[0], nullptr, nullptr, arguments, environ)) {
                end();
                throw std::system_error{error, std::generic_category(), program};
            }
            processes_.push_back(process);
        }
    }
    SlaveProcesses(const SlaveProcesses&) = delete;
    SlaveProcesses& operator=(const SlaveProcesses&) = delete;

    ~SlaveProcesses() { end(); }

    /// Waits until all have ended by themselves.
    void wait() {
        for (const pid_t process : processes_) waitpid(process, nullptr, 0);
        processes_.clear();
    }

private:
    void end() {
        for (const pid_t process : processes_) kill(process, SIGTERM);
        wait();
    }

    std::vector<pid_t> processes_;
};
