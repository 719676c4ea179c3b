#pragma once

#include "../base/requirements.hpp"

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <system_error>

#include "../base/asio.hpp"
#include "../base/probe.hpp"
#include "../base/token_bucket.hpp"
#include "../error.hpp"
#include "../tcp/address.hpp"

namespace distwork::detail {

/// The addresses whose peers were admitted and broke the protocol. For a minute each of them gets twenty connections, and
/// then ten a second: else a peer that is dropped would be back at once, thousands of times a second, and each time cost
/// a handshake, its introduction and what it says until it is dropped again. Who was not admitted is no offender: anyone
/// could keep out the slaves of his address, and Strangers and HandshakeTurns bound what he costs.
///
/// *Thread-safety*: all functions.
class Offenders {
public:
    using TimePoint = TokenBucket::TimePoint;

    static constexpr double burst = 20;
    static constexpr double a_second = 10;
    static constexpr auto remembered = std::chrono::minutes{1};

    static bool is_offence(std::error_code reason) noexcept {
        if (DISTWORK_PLANTED(never_forgive) && reason == Errc::not_authenticated) return true;
        return reason == Errc::protocol_violation || reason == Errc::frame_too_large || reason == Errc::malformed;
    }

    /// The session of a peer of that address, which was admitted, ended for that reason. Without memory it is not noted.
    void note(const asio::ip::address& address, std::error_code reason, TimePoint now) noexcept {
        if (!is_offence(reason)) return;
        static_cast<void>(exception_of([&] {
            const std::lock_guard lock{mutex_};
            if (known_.size() >= most_known) forget_before(now - remembered);
            if (known_.size() < most_known)
                known_.try_emplace(network_of(address), Offender{now}).first->second.last_offence = now;
        }));
    }

    /// Whether a connection of that address may become a session now.
    bool admits(const asio::ip::address& address, TimePoint now) noexcept {
        const std::lock_guard lock{mutex_};
        const auto found = known_.find(network_of(address));
        if (found == known_.end()) return true;
        if (DISTWORK_PLANTED(never_forgive)) return false;
        Offender& offender = found->second;
        if (now - offender.last_offence > remembered) return known_.erase(found), true;
        return offender.connections.take(now);
    }

private:
    static constexpr std::size_t most_known = 4096;

    struct Offender {
        explicit Offender(TimePoint now) : connections{burst, a_second, now}, last_offence{now} {}
        TokenBucket connections;
        TimePoint last_offence;
    };

    void forget_before(TimePoint time) noexcept {
        std::erase_if(known_, [time](const auto& entry) { return entry.second.last_offence < time; });
    }

    std::mutex mutex_;
    std::map<asio::ip::address, Offender> known_;  // by network_of; guarded by mutex_
};

}  // namespace distwork::detail
