#pragma once

#include "requirements.hpp"

#ifndef __linux__
#error "distwork: processes are started on Linux only"
#endif

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

namespace distwork::detail {

/// Throws the error of the last system call. `what` names the call.
[[noreturn]] inline void throw_system_error(const std::string& what) {
    throw std::system_error{errno, std::generic_category(), what};
}

/// A file descriptor, which is closed at the end.
class Descriptor {
public:
    Descriptor() noexcept = default;
    explicit Descriptor(int file) noexcept : file_{file} {}
    Descriptor(Descriptor&& other) noexcept : file_{other.release()} {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        reset(other.release());
        return *this;
    }
    ~Descriptor() { reset(); }

    int get() const noexcept { return file_; }
    explicit operator bool() const noexcept { return file_ >= 0; }
    int release() noexcept { return std::exchange(file_, -1); }
    void reset(int file = -1) noexcept {
        if (const int old = std::exchange(file_, file); old >= 0) ::close(old);
    }

private:
    int file_ = -1;
};

/// Moves a descriptor above those that a child process is given by number. Close-on-exec.
inline Descriptor out_of_the_way(Descriptor file) {
    constexpr int above = 10;
    if (!file) throw_system_error("no descriptor");
    if (file.get() >= above) return file;
    Descriptor moved{::fcntl(file.get(), F_DUPFD_CLOEXEC, above)};
    if (!moved) throw_system_error("fcntl");
    return moved;
}

/// A pipe, both ends close-on-exec.
struct Pipe {
    Descriptor read;
    Descriptor write;

    Pipe() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) throw_system_error("pipe2");
        read.reset(ends[0]);
        write.reset(ends[1]);
        read = out_of_the_way(std::move(read));
        write = out_of_the_way(std::move(write));
    }
};

}  // namespace distwork::detail
