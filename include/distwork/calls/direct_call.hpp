#pragma once

#include <exception>
#include <memory>
#include <string>
#include <system_error>

#include "../error.hpp"
#include "../log.hpp"
#include "../wire/byte_buffer.hpp"
#include "call.hpp"
#include "deliver.hpp"
#include "peer.hpp"

namespace distwork::detail {

/// The handler of a work without a caller: it logs a failure.
struct LogFailure {
    std::shared_ptr<Peer> peer;

    template <class... Value>
    void operator()(const std::exception_ptr& error, Value&&...) const {
        if (error) peer->log(level_of_failure(error), "A work sent to " + peer->name() + " failed: " + what_of(error));
    }
};

/// Sends a call directly to a peer. If `refused` is set, or if the call cannot be encoded or sent, the call fails with
/// that error.
inline void send_or_fail(Peer& peer, const std::shared_ptr<Call>& call, std::error_code refused = {}) noexcept {
    ByteBuffer room;
    auto error = exception_of([&] {
        if (!refused) call->encode(room, peer.limits());
        if (!refused) refused = peer.send(call);
        if (refused == Errc::too_many_waiting)
            throw Error::with_text(refused, std::string{call->name()} +
                                                ": too many works of this slave are unanswered at " + peer.name() +
                                                " (MasterOptions::max_slave_works)");
        if (refused) throw Error{refused, std::string{call->name()}};
    });
    if (!error || !call->claim()) return;
    call->fail(std::move(error));
    deliver_one(peer.get_executor(), call);
}

}  // namespace distwork::detail
