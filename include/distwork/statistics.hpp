#pragma once

#include "base/requirements.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace distwork {

/// What a master did since it began. When all is quiet: admitted = succeeded + failed + cancelled + timed_out + lost.
struct Statistics {
    std::uint64_t admitted = 0;   ///< sent, or entered the backlog; a broadcast is one for each slave
    std::uint64_t refused = 0;    ///< submissions that were not admitted, or cancelled before
    std::uint64_t succeeded = 0;  ///< outcomes, by kind
    std::uint64_t failed = 0;     ///< the work threw, or could not be executed or decoded
    std::uint64_t cancelled = 0;  ///< by their callers, after they were admitted
    std::uint64_t timed_out = 0;  ///< queue_timeout, execution_timeout and deadline
    std::uint64_t lost = 0;       ///< with its slaves, or because the master stopped

    std::uint64_t attempts = 0;      ///< works sent
    std::uint64_t requeued = 0;      ///< works of lost slaves that went again
    std::uint64_t freed = 0;         ///< of these, works that had not begun: the attempt does not count
    std::uint64_t retries = 0;       ///< works that went again because they threw
    std::uint64_t recalled = 0;      ///< works that were taken back from a slave before they began: no attempt counts
    std::uint64_t late_answers = 0;  ///< answers that nobody waited for: late, doubled or invented

    std::uint64_t bytes_sent = 0;      ///< on all connections
    std::uint64_t bytes_received = 0;  ///< on all connections

    /// All outcomes.
    std::uint64_t completed() const noexcept { return succeeded + failed + cancelled + timed_out + lost; }
};

/// Why works wait.
enum class WaitReason {
    no_slave,      ///< none is connected
    no_capable,    ///< none of those that are has the type, the labels and the room for it
    no_credit,     ///< those that could take it are busy, or suspected
    declined,      ///< the selector did not want to send it now
    master_slots,  ///< it was sent by a slave, and no slot of the master is free: see MasterOptions::slots
    pause,         ///< it goes again after a loss or an exception, when its pause is over
};

/// The reason in words.
inline std::string_view to_string(WaitReason reason) noexcept {
    switch (reason) {
        case WaitReason::no_slave: return "no slave is connected";
        case WaitReason::no_capable: return "no connected slave can take it";
        case WaitReason::no_credit: return "the slaves that can take it are busy";
        case WaitReason::declined: return "the selector declined";
        case WaitReason::master_slots: return "no slot of the master is free";
        case WaitReason::pause: return "it pauses before another attempt";
    }
    return "?";
}

/// Works of one kind that wait.
struct Waiting {
    WaitReason reason{};              ///< why they wait
    std::string type;                 ///< the name of their type
    std::vector<std::string> labels;  ///< that they ask for
    int priority = 0;                 ///< SubmitOptions::priority
    std::size_t works = 0;            ///< how many they are
};

}  // namespace distwork
