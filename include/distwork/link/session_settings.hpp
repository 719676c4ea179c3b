#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../archive/archive_bounds.hpp"
#include "../log.hpp"
#include "../types/type_table.hpp"
#include "../wire/handshake.hpp"

namespace distwork::detail {

/// What a session is told by its role.
struct SessionSettings {
    Role role{};
    std::string name;
    std::uint32_t slots = 0;
    std::uint32_t window = 0;
    std::vector<std::string> labels;
    std::shared_ptr<RoleTypes> types;
    std::chrono::milliseconds handshake_timeout{2000};
    std::chrono::milliseconds heartbeat{5000};
    std::chrono::milliseconds dead_after{15000};
    std::chrono::milliseconds stalled_after{10000};
    std::size_t max_frame_bytes = 64 * 1024 * 1024;
    std::size_t max_outbox_bytes = 64 * 1024 * 1024;
    ArchiveLimits limits;
    Log log;

    /// An introduction is no work: only its length is an option.
    ArchiveLimits introduction_limits() const {
        ArchiveLimits own;
        own.max_bytes = limits.max_bytes;
        return own;
    }
};

}  // namespace distwork::detail
