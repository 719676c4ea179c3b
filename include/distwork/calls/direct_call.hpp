#pragma once

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "../base/type_name.hpp"
#include "../error.hpp"
#include "../log.hpp"
#include "../wire/byte_buffer.hpp"
#include "call.hpp"
#include "deliver.hpp"
#include "peer.hpp"

namespace distwork::detail {

/// The handler of a work without a caller: it logs a failure. On allocation failure only the line is lost.
///
/// `Role` has `sent_work()`, which names the work, and `log(level, line)`.
template <class Role>
struct LogFailure {
    std::shared_ptr<Role> role;

    template <class... Value>
    void operator()(const std::exception_ptr& error, Value&&...) const noexcept {
        if (!error) return;
        static_cast<void>(exception_of([&] {
            const std::string line = role->sent_work() + " did not succeed: " + what_of(error);
            role->log(level_of_failure(error), std::string_view{line});
        }));
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
