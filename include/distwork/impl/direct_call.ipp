#pragma once

#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "../calls/deliver.hpp"
#include "../calls/direct_call.hpp"
#include "../wire/byte_buffer.hpp"

namespace distwork::detail {

DISTWORK_DECL void send_or_fail(Peer& peer, const std::shared_ptr<Call>& call, std::error_code refused) noexcept {
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

DISTWORK_DECL void cancel_call(Peer& peer, const std::shared_ptr<Call>& call) {
    if (!call->claim(Errc::cancelled)) return;
    static_cast<void>(exception_of([&] { peer.cancel(*call); }));  // out of memory: the peer goes on
    call->fail(exception_of([&] { throw Error{Errc::cancelled, std::string{call->name()}}; }));
    deliver_one(peer.get_executor(), call);
}

}  // namespace distwork::detail
