#pragma once

#include "requirements.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>

#ifndef _WIN32
#include <stdlib.h>
#include <unistd.h>
#endif

namespace distwork::detail {

/// The state of a slave's machine. Fields are zero if unknown.
struct MachineLoad {
    double load_average = 0;        ///< over the last minute
    std::uint64_t free_memory = 0;  ///< bytes that can be allocated without swapping
};

#ifdef _WIN32

inline MachineLoad machine_load() {
    return {};
}

#else

/// On Linux the memory that counts as available, including caches that can be freed; elsewhere the unused memory.
inline std::uint64_t free_memory() {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen("/proc/meminfo", "re"), &std::fclose};
    char line[128];
    constexpr std::string_view label = "MemAvailable:";
    while (file && std::fgets(line, sizeof line, file.get()))
        if (std::string_view{line}.starts_with(label)) return 1024 * std::strtoull(line + label.size(), nullptr, 10);
#ifdef _SC_AVPHYS_PAGES
    const long pages = sysconf(_SC_AVPHYS_PAGES);
    const long page_bytes = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page_bytes > 0) return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
#endif
    return 0;
}

inline MachineLoad machine_load() {
    MachineLoad load;
    if (double average = 0; getloadavg(&average, 1) == 1) load.load_average = average;
    load.free_memory = free_memory();
    return load;
}

#endif

/// Remembers the state of the machine: reading it costs more than the heartbeat that asks for it. No clock.
class RecentMachineLoad {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// The state at most half a second ago; `measure()` returns the current one.
    template <class Measure>
    const MachineLoad& at(TimePoint now, Measure measure) {
        if (!measured_ || now - *measured_ >= std::chrono::milliseconds{500}) {
            load_ = measure();
            measured_ = now;
        }
        return load_;
    }

private:
    MachineLoad load_;
    std::optional<TimePoint> measured_;
};

}  // namespace distwork::detail
