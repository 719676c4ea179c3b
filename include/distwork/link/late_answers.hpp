#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "../calls/answer.hpp"

namespace distwork::detail {

/// The answers of one read that are settled on another thread, because decoding them takes long.
template <class Session>
struct LateAnswers {
    std::shared_ptr<Session> session;
    std::vector<Answer> answers;                          // none of them refers to the read buffer
    std::shared_ptr<std::atomic<std::size_t>> unsettled;  // of the session: see ReadBatch
    std::size_t weight = 0;                               // what they are counted for in `unsettled`

    /// They were settled, or are given up.
    void done() noexcept { unsettled->fetch_sub(std::exchange(weight, 0), std::memory_order_release); }
};

}  // namespace distwork::detail
