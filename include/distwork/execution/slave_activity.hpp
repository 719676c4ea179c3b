#pragma once

#include <chrono>
#include <cstdint>

#include "../base/requirements.hpp"

namespace distwork::detail {

/// What a slave has done, for those that watch its process.
struct SlaveActivity {
    std::uint64_t begun = 0;  ///< works, so far
    /// How long a work has gone on since it was asked to stop, the longest one; zero: none was.
    std::chrono::nanoseconds ignored_stop{};
};

}  // namespace distwork::detail
