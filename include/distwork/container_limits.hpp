#pragma once

#include <cstddef>

#include "base/requirements.hpp"

namespace distwork {

/// How much may wait, and where.
struct ContainerLimits {
    std::size_t max_backlog = 1'000'000;                ///< works
    std::size_t max_backlog_bytes = 256 * 1024 * 1024;  ///< of their bodies; as many again of those that wait for room
    std::size_t max_waiting = 10'000;                   ///< submissions that wait for room in the backlog
};

}  // namespace distwork
