#pragma once

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
#include "execution_times.hpp"
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
    ExecutionTimes times{};                 // of its own
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

}  // namespace distwork::detail
