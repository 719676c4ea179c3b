#pragma once

#include <chrono>
#include <cstdint>

#include "../base/requirements.hpp"

namespace distwork::detail {

/// The bytes that one session has sent and received, and when it received the last ones.
struct Traffic {
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::chrono::steady_clock::time_point last_heard{};
};

}  // namespace distwork::detail
