#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "../calls/peer.hpp"
#include "../error.hpp"
#include "../socket_information.hpp"
#include "../types/registry.hpp"
#include "amount_pool.hpp"
#include "credit_window.hpp"
#include "submission.hpp"

namespace distwork::detail {

/// The container's entry for the session of a connected slave.
struct Socket {
    /// `held`: slots that works of an earlier session still occupy.
    Socket(SocketInformation what, std::shared_ptr<Peer> who, std::size_t window, std::size_t most_bytes,
           std::size_t held)
        : peer{std::move(who)},
          in_flight{what.slots, window, information.running, held},
          information{std::move(what)},
          max_body_bytes{most_bytes},
          takes_chunks{peer->takes_chunks()} {}

    std::shared_ptr<Peer> peer;
    bool is_leaving = false;  // it is told to leave when it holds no work any more
    bool closing = false;     // its session refused a work: it gets no more until it has room, or is heard from
    CreditWindow in_flight;
    SocketInformation information;
    std::vector<bool> knows;           // whether the slave has the type; by this end's number of the type
    const std::size_t max_body_bytes;  // the largest body of a work that the slave accepts
    const bool takes_chunks;
    std::shared_ptr<AmountPool> amounts{};  // null: it offers none

    /// Sends a work, which takes its amounts. If it is refused, or this throws, it has taken none.
    std::error_code send(const SubmissionPtr& work) {
        if (!amounts) return peer->send(work);
        amounts->take(*work);
        std::error_code refused;
        const auto failed = exception_of([&] { refused = peer->send(work); });
        if (failed || refused) amounts->give_back(*work);
        if (failed) std::rethrow_exception(failed);
        return refused;
    }
};

/// Mean execution times by type, over all slaves.
class ExecutionTimes {
public:
    using Duration = std::chrono::nanoseconds;

    /// The mean execution time of a type. Zero: none was measured yet.
    Duration estimate(const WorkType& type) const noexcept {
        return type.number < means_.size() ? means_[type.number] : Duration{};
    }

    /// The same, and makes room for a measurement, so that `measure` does not throw. *Errors*: std::bad_alloc.
    Duration& reserve(const WorkType& type) {
        if (type.number >= means_.size()) [[unlikely]]
            means_.resize(type.number + std::size_t{1});
        return means_[type.number];
    }

    void measure(const WorkType& type, Duration sample) { measure(reserve(type), sample); }

    /// Adds a sample to an exponentially weighted mean: about the latest eight samples count. The mean is never zero
    /// then.
    static void measure(Duration& mean, Duration sample) noexcept {
        mean = std::max(mean.count() == 0 ? sample : mean + (sample - mean) / 8, Duration{1});
    }

private:
    std::vector<Duration> means_;  // by this end's number of the type
};

}  // namespace distwork::detail
