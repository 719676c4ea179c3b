#pragma once

#include "../base/requirements.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>

#include "../base/asio.hpp"
#include "../base/probe.hpp"
#include "../tcp/address.hpp"
#include "offenders.hpp"

namespace distwork::detail {

/// The connections of a master whose peers it does not know yet. They are few: of too many, the oldest of the address
/// that has most has to go, so that whoever opens many of them displaces his own. But each may stay for a while: else,
/// when a thousand slaves come back at once, each would displace another in the middle of its handshake, again and again.
///
/// `Session` has a member `stranger`, a number that belongs to this class, and remote_endpoint().
/// *Thread-safety*: all functions.
template <class Session>
class Strangers {
public:
    using SessionPtr = std::shared_ptr<Session>;
    using TimePoint = std::chrono::steady_clock::time_point;

    static constexpr auto least_stay = std::chrono::milliseconds{200};

    explicit Strangers(std::size_t most) : most_{most} {}

    /// Whether another one would have to wait, until one of these leaves or has been here for long enough.
    bool is_full(TimePoint now) {
        const std::lock_guard lock{mutex_};
        return count_ >= most_ && now < next_to_go()->second.begin()->second.since + least_stay;
    }

    /// Whether a connection of that address may be added now.
    bool admits(const asio::ip::address& address, TimePoint now) noexcept { return offenders_.admits(address, now); }

    /// Returns the session that has to go now; null: there is room for all. *Errors*: std::bad_alloc; nothing was added.
    SessionPtr add(const SessionPtr& session, TimePoint now) {
        const std::lock_guard lock{mutex_};
        OfAddress one;
        one.emplace(next_, Stranger{session, now});
        const auto address = network_of(session->remote_endpoint().address());
        sessions_.try_emplace(address).first->second.merge(one);  // does not throw once the address is there
        session->stranger = next_++;
        return ++count_ > most_ ? take_oldest() : nullptr;
    }

    /// It is no stranger any more.
    void remove(const Session& session) noexcept {
        const std::lock_guard lock{mutex_};
        const auto found = sessions_.find(network_of(session.remote_endpoint().address()));
        if (session.stranger == 0 || found == sessions_.end()) return;
        count_ -= found->second.erase(session.stranger);
        if (found->second.empty()) sessions_.erase(found);
    }

    /// The session ended; it may have been no stranger. The end of a socket pair has no address to be remembered by.
    void ended(const Session& session, bool was_admitted, std::error_code reason, TimePoint now) noexcept {
        remove(session);
        const auto endpoint = session.remote_endpoint();
        if (endpoint.port() == 0 || (!was_admitted && !DISTWORK_PLANTED(never_forgive))) return;
        offenders_.note(endpoint.address(), reason, now);
    }

    void clear() noexcept {
        decltype(sessions_) dropped;  // sessions are destroyed outside of the lock
        const std::lock_guard lock{mutex_};
        dropped.swap(sessions_);
        count_ = 0;
    }

private:
    struct Stranger {
        SessionPtr session;
        TimePoint since;
    };
    using OfAddress = std::map<std::uint64_t, Stranger>;  // the oldest first

    /// The address whose oldest has to go next.
    auto next_to_go() noexcept {
        const auto goes_later = [](const auto& one, const auto& other) {
            const auto first = [](const auto& entry) { return entry.second.begin()->first; };
            if (one.second.size() != other.second.size()) return one.second.size() < other.second.size();
            return first(one) > first(other);
        };
        return std::max_element(sessions_.begin(), sessions_.end(), goes_later);
    }

    SessionPtr take_oldest() noexcept {
        const auto most = next_to_go();
        SessionPtr oldest = std::move(most->second.begin()->second.session);
        most->second.erase(most->second.begin());
        if (most->second.empty()) sessions_.erase(most);
        --count_;
        return oldest;
    }

    const std::size_t most_;
    Offenders offenders_;
    std::mutex mutex_;
    // guarded by mutex_
    std::map<asio::ip::address, OfAddress> sessions_;  // by network_of; no entry is empty
    std::size_t count_ = 0;
    std::uint64_t next_ = 1;
};

}  // namespace distwork::detail
