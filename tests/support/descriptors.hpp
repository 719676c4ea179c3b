#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <vector>

namespace support {

/// How many descriptors this process may have, until the end of the scope: so many, or as many as it can be given.
class DescriptorLimit {
public:
    explicit DescriptorLimit(rlim_t most) {
        getrlimit(RLIMIT_NOFILE, &before_);
        const rlimit now{std::min(most, before_.rlim_max), before_.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &now) != 0) throw std::runtime_error{"setrlimit failed"};
    }
    DescriptorLimit(const DescriptorLimit&) = delete;
    DescriptorLimit& operator=(const DescriptorLimit&) = delete;
    ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_{};
};

/// All descriptors that this process may still have.
class AllDescriptors {
public:
    AllDescriptors() {
        int one;
        while ((one = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) taken_.push_back(one);
        if (errno != EMFILE) throw std::runtime_error{"out of something else than descriptors"};
    }
    AllDescriptors(const AllDescriptors&) = delete;
    AllDescriptors& operator=(const AllDescriptors&) = delete;
    ~AllDescriptors() {
        while (!taken_.empty()) give_back();
    }

    void give_back() {
        close(taken_.back());
        taken_.pop_back();
    }

private:
    std::vector<int> taken_;
};

}  // namespace support
