#pragma once

#include "requirements.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "descriptor.hpp"

extern char** environ;

namespace distwork::detail {

/// How a child process is started: in a process group of its own, with the default signal mask and dispositions, and with
/// /dev/null as its standard input.
class SpawnSettings {
public:
    SpawnSettings() {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawnattr_init(&attributes_);
        sigset_t none;
        sigset_t all;
        ::sigemptyset(&none);
        ::sigfillset(&all);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setsigdefault(&attributes_, &all);
        ::posix_spawnattr_setpgroup(&attributes_, 0);
        ::posix_spawnattr_setflags(&attributes_,
                                   POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
        ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;
    ~SpawnSettings() {
        ::posix_spawn_file_actions_destroy(&actions_);
        ::posix_spawnattr_destroy(&attributes_);
    }

    void give(const Descriptor& file, int as) { ::posix_spawn_file_actions_adddup2(&actions_, file.get(), as); }

    /// Everything of this process that is not close-on-exec would go along otherwise.
    void close_from([[maybe_unused]] int first) {
#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
        ::posix_spawn_file_actions_addclosefrom_np(&actions_, first);
#endif
#endif
    }

    /// *Errors*: throws std::system_error. A `file` without a slash is looked for in the folders of PATH.
    ::pid_t spawn(const std::string& file, const std::vector<char*>& arguments, const std::vector<char*>& variables) {
        ::pid_t id = 0;
        const int error =
            ::posix_spawnp(&id, file.c_str(), &actions_, &attributes_, arguments.data(), variables.data());
        if (error != 0) throw std::system_error{error, std::generic_category(), "cannot start " + file};
        return id;
    }

private:
    ::posix_spawn_file_actions_t actions_;
    ::posix_spawnattr_t attributes_;
};

/// Pointers to texts, with a null pointer behind the last.
inline std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (std::string& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
}

/// The environment of this process for children: without what belongs to distwork.
inline std::vector<std::string> environment_of_children() {
    std::vector<std::string> all;
    for (char** variable = environ; *variable; ++variable)
        if (!std::string_view{*variable}.starts_with("DISTWORK_")) all.emplace_back(*variable);
    return all;
}

}  // namespace distwork::detail
