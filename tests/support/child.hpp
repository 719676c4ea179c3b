#pragma once

#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <thread>

#include "support/catch.hpp"

namespace support {

#if defined(__has_feature)
#define SUPPORT_HAS_FEATURE(feature) __has_feature(feature)
#else
#define SUPPORT_HAS_FEATURE(feature) 0
#endif

/// The thread sanitizer takes no new threads in a process that was forked.
#if defined(__SANITIZE_THREAD__) || SUPPORT_HAS_FEATURE(thread_sanitizer)
inline constexpr bool children_have_threads = false;
#else
inline constexpr bool children_have_threads = true;
#endif

/// What the threads held that a forked process does not have is leaked there.
#if defined(__SANITIZE_ADDRESS__) || SUPPORT_HAS_FEATURE(address_sanitizer)
inline constexpr bool leaks_are_found = true;
#else
inline constexpr bool leaks_are_found = false;
#endif

/// How a process ended, and what it wrote.
struct Child {
    int status = 0;  ///< its exit code, or 128 and the signal
    std::string out;
    std::string err;
};

/// Who reads what it writes.
enum class Reader { meanwhile, when_told, nobody };

inline std::string read_all(int file) {
    std::string all;
    char some[4096];
    for (ssize_t count; (count = read(file, some, sizeof some)) > 0;) all.append(some, static_cast<std::size_t>(count));
    close(file);
    return all;
}

/// Runs a function in a process of its own, which exits as others do. `body(tell)`: has it read from, when_told.
inline Child run_child(const std::function<void(const std::function<void()>& tell)>& body,
                       Reader reader = Reader::meanwhile) {
    int out[2];
    int err[2];
    int told[2];
    for (int* const ends : {out, err, told}) REQUIRE(pipe(ends) == 0);
    std::cout.flush();
    std::fflush(nullptr);  // or the child would write it again
    const pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        for (const int file : {out[0], out[1], err[0], err[1], told[0]}) close(file);
        signal(SIGPIPE, SIG_DFL);
        alarm(30);  // a hang ends it
        body([end = told[1]] { close(end); });
        std::exit(0);
    }
    for (const int file : {out[1], err[1], told[1]}) close(file);
    if (reader == Reader::when_told) read_all(told[0]);
    else close(told[0]);
    Child child;
    if (reader == Reader::nobody) {
        close(out[0]);
        close(err[0]);
    } else {
        std::thread other{[&] { child.out = read_all(out[0]); }};
        child.err = read_all(err[0]);
        other.join();
    }
    int status = 0;
    waitpid(pid, &status, 0);
    child.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return child;
}

inline std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
}

}  // namespace support
