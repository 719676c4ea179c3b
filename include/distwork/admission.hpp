#pragma once

#include <cstddef>

namespace distwork {

/// How much may wait, and where.
struct ContainerLimits {
    std::size_t max_backlog = 1'000'000;                ///< works
    std::size_t max_backlog_bytes = 256 * 1024 * 1024;  ///< of their bodies
    std::size_t max_waiting = 10'000;                   ///< submissions that wait for room in the backlog
};

/// What became of a submission at once.
enum class Admission {
    sent,
    queued,        ///< in the backlog
    waiting,       ///< for room in the backlog
    backlog_full,  ///< refused, as all that follow
    too_many_waiting,
    no_slave,
    gone,          ///< the one socket that it was for
    unknown_type,  ///< to that one
    shape_differs,
    stopped,
};

}  // namespace distwork
