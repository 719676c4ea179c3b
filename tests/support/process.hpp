#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

/// Another program of this build, killed at the end of its scope.
class Process {
public:
    /// `name` stands in the folder of the tests. Its output, and its errors, go to `output`, if that is given.
    Process(const std::string& name, std::vector<std::string> arguments, std::FILE* output = nullptr) {
        arguments.insert(arguments.begin(), std::string{DISTWORK_TEST_BIN_DIR} + '/' + name);
        std::vector<char*> argv;
        for (std::string& argument : arguments) argv.push_back(argument.data());
        argv.push_back(nullptr);
        pid_ = fork();
        if (pid_ < 0) throw std::runtime_error{"fork failed"};
        if (pid_ != 0) return;
        for (const int file : {STDOUT_FILENO, STDERR_FILENO})
            if (output) dup2(fileno(output), file);
        // Connections that it inherited would not end when this process closes them.
        close_range(STDERR_FILENO + 1, ~0u, 0);
        execv(argv[0], argv.data());
        _exit(127);
    }
    Process(Process&& other) noexcept : pid_{std::exchange(other.pid_, -1)} {}
    Process& operator=(Process&&) = delete;
    ~Process() {
        if (pid_ <= 0) return;
        kill(SIGKILL);
        wait();
    }

    void kill(int signal) const { ::kill(pid_, signal); }

    /// How it ended: its exit code, or 128 and the signal.
    int wait() {
        int status = 0;
        waitpid(pid_, &status, 0);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

private:
    pid_t pid_;
};
