#pragma once

#include <algorithm>

#include "requirements.hpp"

namespace distwork::detail {

/// `first`, doubled that many times, and at most `longest`. All that waits longer after each failure waits so long.
template <class Duration>
constexpr Duration backoff(Duration first, unsigned doublings, Duration longest) noexcept {
    Duration pause = std::min(first, longest);
    while (doublings-- != 0 && pause > Duration{} && pause < longest)
        pause = pause > longest - pause ? longest : pause * 2;
    return pause;
}

}  // namespace distwork::detail
