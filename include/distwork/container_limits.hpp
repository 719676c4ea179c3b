#pragma once

#include <cstddef>

#include "base/requirements.hpp"

namespace distwork {

/// How many works, bytes and submissions may wait at a master. Any value is allowed.
struct ContainerLimits {
    std::size_t max_backlog = 1'000'000;                ///< works in the backlog
    std::size_t max_backlog_bytes = 256 * 1024 * 1024;  ///< bytes of their bodies; submissions that wait for room may
                                                        ///< have as many again
    std::size_t max_waiting = 10'000;                   ///< submissions that wait for room in the backlog
};

}  // namespace distwork
