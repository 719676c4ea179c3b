#pragma once

#include "requirements.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif

// The number of processors that this process may use: those of its affinity mask, or fewer if a cgroup limits their
// time.

namespace distwork::detail {

/// The number at the start of a text, after blanks; none if the text starts with something else.
inline std::optional<std::int64_t> leading_number(std::string_view text) noexcept {
    text.remove_prefix(std::min(text.find_first_not_of(" \t\n"), text.size()));
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return std::nullopt;
    return number;
}

/// The number of processors that can use `quota` of processor time in each `period`; none if there is no quota.
inline std::optional<std::size_t> processors_for(std::optional<std::int64_t> quota,
                                                 std::optional<std::int64_t> period) noexcept {
    if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
    return static_cast<std::size_t>((*quota - 1) / *period + 1);
}

/// The same from the text of a `cpu.max` file (cgroup version 2), "QUOTA PERIOD" in microseconds. "150000 100000" gives
/// 2; "max" gives none.
inline std::optional<std::size_t> processors_by_cpu_max(std::string_view text) noexcept {
    const std::size_t blank = std::min(text.find(' '), text.size());
    return processors_for(leading_number(text.substr(0, blank)), leading_number(text.substr(blank)));
}

/// The limit of one cgroup. `group` is its path, "" or "/a/b". `controllers` are the names of its hierarchy; empty:
/// cgroup version 2.
template <class Read>
std::optional<std::size_t> processors_by_group(const Read& read, const std::string& controllers,
                                               const std::string& group) {
    const std::string root = "/sys/fs/cgroup";
    if (controllers.empty()) return processors_by_cpu_max(read(root + group + "/cpu.max"));
    for (const std::string& mounted : {controllers, std::string{"cpu"}}) {
        const std::string files = root + '/' + mounted + group + "/cpu.cfs_";
        const auto allowed =
            processors_for(leading_number(read(files + "quota_us")), leading_number(read(files + "period_us")));
        if (allowed) return allowed;
    }
    return std::nullopt;
}

/// The lowest limit of the cgroups in `/proc/self/cgroup` and their parents; none if there is no limit. `read(path)`
/// returns the text of a file, or an empty text if there is none.
template <class Read>
std::optional<std::size_t> processors_by_cgroup(const Read& read) {
    std::optional<std::size_t> least;
    std::istringstream groups{read("/proc/self/cgroup")};
    for (std::string number, controllers, group;
         std::getline(std::getline(groups, number, ':'), controllers, ':') && std::getline(groups, group);) {
        if (!controllers.empty() && (',' + controllers + ',').find(",cpu,") == std::string::npos) continue;
        // Includes the root: in a container the group may be named relative to another root than the one that is
        // mounted.
        for (bool is_root = false; !is_root;) {
            group.erase(group.find_last_not_of('/') + 1);
            const auto allowed = processors_by_group(read, controllers, group);
            if (allowed) least = std::min(least.value_or(*allowed), *allowed);
            is_root = group.empty();
            const std::size_t parent = group.rfind('/');
            group.erase(parent == std::string::npos ? 0 : parent);
        }
    }
    return least;
}

/// The first 4,096 bytes of a file, which hold a whole file of the kernel; empty if it cannot be read.
inline std::string text_of_file(const std::string& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(path.c_str(), "re"), &std::fclose};
    std::string text(file ? 4096 : 0, '\0');
    text.resize(file ? std::fread(text.data(), 1, text.size(), file.get()) : 0);
    return text;
}

/// The processors on which the calling thread may run.
inline std::size_t processors_by_affinity() {
#ifdef __linux__
    // The system rejects a mask that is too short for the machine.
    for (std::size_t count = 1024; count <= (1u << 20); count *= 2) {
        std::vector<cpu_set_t> mask(count / CPU_SETSIZE);
        const std::size_t bytes = mask.size() * sizeof(cpu_set_t);
        if (sched_getaffinity(0, bytes, mask.data()) == 0)
            return static_cast<std::size_t>(CPU_COUNT_S(bytes, mask.data()));
    }
#endif
    return std::thread::hardware_concurrency();
}

/// The number of works that can compute at the same time; at least 1.
inline std::size_t usable_processors() {
    std::size_t processors = processors_by_affinity();
#ifdef __linux__
    processors = std::min(processors, processors_by_cgroup(text_of_file).value_or(processors));
#endif
    return std::max<std::size_t>(processors, 1);
}

}  // namespace distwork::detail
