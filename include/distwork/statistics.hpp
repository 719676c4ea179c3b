#pragma once

#include "base/requirements.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace distwork {

/// What a master has counted since it was made. When nothing is under way: admitted = succeeded + failed + cancelled +
/// timed_out + lost.
struct Statistics {
    std::uint64_t admitted = 0;   ///< submissions sent or put into the backlog; a broadcast counts once for each slave
    std::uint64_t refused = 0;    ///< submissions that were not admitted, or cancelled before they were
    std::uint64_t succeeded = 0;  ///< outcomes: the call has a value
    std::uint64_t failed = 0;     ///< outcomes: the work threw, or could not be executed, encoded or decoded
    std::uint64_t cancelled = 0;  ///< outcomes: cancelled by the caller after admission
    std::uint64_t timed_out = 0;  ///< outcomes: queue_timeout, execution_timeout or deadline
    std::uint64_t lost = 0;       ///< outcomes: lost with the slaves, or because the master stopped

    std::uint64_t attempts = 0;      ///< times that a work was sent
    std::uint64_t requeued = 0;      ///< works that were taken from lost slaves to be sent again
    std::uint64_t freed = 0;         ///< of these, works that had not begun: no attempt counts
    std::uint64_t retries = 0;       ///< works that were to be sent again because they threw
    std::uint64_t recalled = 0;      ///< works that were taken back from a slave before they began: no attempt counts
    std::uint64_t late_answers = 0;  ///< answers that no call waited for: late, doubled or invented

    std::uint64_t bytes_sent = 0;      ///< bytes on all connections
    std::uint64_t bytes_received = 0;  ///< bytes on all connections

    /// The number of all outcomes.
    std::uint64_t completed() const noexcept { return succeeded + failed + cancelled + timed_out + lost; }
};

/// Why works wait.
enum class WaitReason {
    no_slave,      ///< no slave is connected
    no_capable,    ///< no connected slave has the type, the labels and room for the work
    no_credit,     ///< the slaves that could take it are busy, suspected or starting
    declined,      ///< the selector declined to send it now
    master_slots,  ///< a slave sent it, and no slot of the master is free: see MasterOptions::slots
    pause,         ///< it is sent again, after a loss or an exception, when its pause is over
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

/// Waiting works of one kind.
struct Waiting {
    WaitReason reason{};                             ///< why they wait
    std::string type;                                ///< the name of the type
    std::vector<std::string> labels;                 ///< the labels that they ask for
    int priority = 0;                                ///< SubmitOptions::priority
    std::size_t works = 0;                           ///< the number of works; elements of a map that travel together
                                                     ///< are one
    std::map<std::string, double> amounts;           ///< the amounts that the first of them asks for
    std::chrono::nanoseconds mean_execution_time{};  ///< of works of the type, as slaves measured it; zero: none was
    std::size_t elements = 0;                        ///< the number of works, with about all elements of maps
};

}  // namespace distwork
