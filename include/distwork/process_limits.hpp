#pragma once

#include <chrono>
#include <cstddef>

#include "base/requirements.hpp"

namespace distwork {

/// When the process of a slave ends before its time, so that another takes its place: see LocalSlaves and run_slave. It
/// is looked at ten times a second. Not for a slave that is a part of an application, nor for one that executes in place.
struct ProcessLimits {
    /// A work that was asked to stop, because of its execution_timeout, a cancellation or a loss, and goes on for so long,
    /// ends the process: C++ cannot end it otherwise. Other works of the process are lost with it. Positive; 0: never.
    std::chrono::milliseconds end_process_after{};
    /// After so many works, and those that it holds then, the process is replaced. 0: never.
    std::size_t max_works = 0;
    /// The same when it has so many bytes of memory (resident). 0: never.
    std::size_t max_memory = 0;
};

}  // namespace distwork
