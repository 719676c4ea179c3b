#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <system_error>

#include "../error.hpp"

namespace distwork::detail {

[[noreturn]] inline void refuse_file(const std::string& path, const std::string& why) {
    throw Error::with_text(Errc::bad_credentials, path + ": " + why);
}

/// The bytes of a file that only its owner and its group may read, and only its owner may write. Links are followed:
/// systemd's credentials and Kubernetes' secrets are links. *Errors*: throws Error (bad_credentials).
inline std::string read_private_file(const std::string& path, std::size_t most_bytes) {
    const auto failed = [&] { refuse_file(path, std::generic_category().message(errno)); };
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) failed();
    struct Close {
        int file;
        ~Close() { ::close(file); }
    } const close{file};
    struct stat status {};
    if (::fstat(file, &status) != 0) failed();
    if (!S_ISREG(status.st_mode)) refuse_file(path, "it is no file");
    if ((status.st_mode & (S_IWGRP | S_IRWXO)) != 0) refuse_file(path, "others can read or write it: chmod 600 it");
    std::string bytes(most_bytes + 1, '\0');
    std::size_t size = 0;
    while (size != bytes.size()) {
        const ssize_t count = ::read(file, bytes.data() + size, bytes.size() - size);
        if (count < 0 && errno != EINTR) failed();
        if (count == 0) break;
        if (count > 0) size += static_cast<std::size_t>(count);
    }
    if (size > most_bytes) refuse_file(path, "it has more than " + std::to_string(most_bytes) + " bytes");
    bytes.resize(size);
    return bytes;
}

}  // namespace distwork::detail
