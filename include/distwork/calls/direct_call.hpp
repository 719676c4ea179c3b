#pragma once

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "../base/separate.hpp"
#include "../base/type_name.hpp"
#include "../error.hpp"
#include "../log.hpp"
#include "call.hpp"
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
DISTWORK_DECL void send_or_fail(Peer& peer, const std::shared_ptr<Call>& call, std::error_code refused = {}) noexcept;

/// Completes a call that was sent to a peer with Errc::cancelled, and tells the peer. Does nothing if the call has an
/// outcome already.
DISTWORK_DECL void cancel_call(Peer& peer, const std::shared_ptr<Call>& call);

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/direct_call.ipp"
#endif
