#pragma once

#include <signal.h>
#include <spawn.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/sanitizers.hpp"

namespace support {

/// The thread sanitizer takes no new threads in a process that was forked.
inline constexpr bool forks_have_threads = !has_thread_sanitizer;

/// What the threads held that a forked process does not have is leaked there.
inline constexpr bool leaks_are_found = has_address_sanitizer;

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

/// The one test case of that name, for Catch's command line.
inline std::string only(const std::string& test) {
    std::string escaped;
    for (const char c : test)
        escaped.append(std::string_view{",[]\\\""}.find(c) == std::string_view::npos ? 0 : 1, '\\') += c;
    return escaped;
}

/// Runs a function in a process of its own, which exits as others do. `body(tell)`: has it read from, when_told.
///
/// It is no fork: that would have the static objects, caches and locks of all that this process did before, but not the
/// threads that go with them. The program is run anew for this test case, as far as this call; calls before it return
/// nothing there.
inline Child run_child(const std::function<void(const std::function<void()>& tell)>& body,
                       Reader reader = Reader::meanwhile) {
    constexpr const char* variable = "DISTWORK_TEST_CHILD";  // the number of the call, and what it tells through
    static std::string test;
    static int calls = 0;
    if (const std::string now{Catch::getResultCapture().getCurrentTestName()}; test != now) test = now, calls = 0;
    ++calls;
    if (const char* const wanted = std::getenv(variable)) {
        if (calls < std::atoi(wanted)) return {};
        const int told = std::atoi(std::strchr(wanted, ' '));
        signal(SIGPIPE, SIG_DFL);
        alarm(30);  // a hang ends it
        REQUIRE(write(told, "", 1) == 1);
        body([told] { close(told); });
        std::exit(0);
    }

    int out[2];
    int err[2];
    int told[2];
    for (int* const ends : {out, err, told}) REQUIRE(pipe(ends) == 0);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, err[1], STDERR_FILENO);
    for (const int file : {out[0], out[1], err[0], err[1], told[0]}) posix_spawn_file_actions_addclose(&files, file);
    std::string arguments[] = {"/proc/self/exe", only(test), "--out",
                               "/dev/null"};  // what Catch says is not its output
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::string wanted = std::string{variable} + '=' + std::to_string(calls) + ' ' + std::to_string(told[1]);
    std::vector<char*> environment{wanted.data()};
    for (char** each = environ; *each; ++each) environment.push_back(*each);
    environment.push_back(nullptr);
    pid_t pid = 0;
    REQUIRE(posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), environment.data()) == 0);
    posix_spawn_file_actions_destroy(&files);
    for (const int file : {out[1], err[1], told[1]}) close(file);
    char begun = 0;
    CHECK(read(told[0], &begun, 1) == 1);
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
