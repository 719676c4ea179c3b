#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "../calls/answer.hpp"
#include "../calls/call.hpp"
#include "../error.hpp"
#include "../execution/work_queue.hpp"
#include "../slave_state.hpp"
#include "../types/peer_types.hpp"
#include "../wire/handshake.hpp"

namespace distwork::detail {

/// For people: why a session ended.
inline std::string why_ended(std::error_code reason, const std::string& detail) {
    const std::string meaning = reason.message();
    if (detail.empty() || detail == "refused: " + meaning) return meaning;
    return meaning + " (" + detail + ')';
}

/// Whether that is how sessions should end: one end left.
inline bool is_clean_end(std::error_code reason) noexcept {
    return !reason || reason == Errc::stopped || reason == Errc::connection_closed;
}

template <class Transport>
class Session;

/// What a role does with what its sessions receive. All functions are called on the session's strand.
template <class Transport>
class SessionHandler {
public:
    using SessionPtr = std::shared_ptr<Session<Transport>>;

    virtual ~SessionHandler() = default;

    /// A master judges a stranger that said hello; a text makes the refusal readable.
    virtual std::error_code admit(const Greeting& hello, std::string& text) = 0;
    /// Works may go both ways from now on.
    virtual void opened(const SessionPtr& session, const Introduction& peer, const PeerTypes& types) = 0;
    /// The peer's table of types grew.
    virtual void types_changed(const SessionPtr& session, const PeerTypes& types) = 0;
    /// The answers of one read, before they are settled: whoever counts does it here.
    virtual void answered(const SessionPtr& session, std::span<Answer> answers) noexcept = 0;
    /// Calls that were settled by them, to be called back; never from inside.
    virtual void deliver(std::vector<std::shared_ptr<Call>> settled) noexcept = 0;
    virtual bool accepts(const WorkType& type) const = 0;
    /// Who executes works; null if nobody does.
    virtual std::shared_ptr<WorkQueue<Transport>> works() noexcept = 0;
    /// Of a slave that is greeted: slots that works of an earlier session still occupy. The session's `free_slot` is to be
    /// called for each that ends.
    virtual std::uint32_t occupied_slots(const SessionPtr&) { return 0; }
    /// One of those is free.
    virtual void slot_freed(const SessionPtr&) {}
    /// A work of a slave has a work distributed. Null: it is answered already.
    virtual std::shared_ptr<Call> distribute(const SessionPtr&, const WorkType&, std::span<const std::byte> body,
                                             std::uint64_t id, const std::shared_ptr<Call>& parent) {
        static_cast<void>(body), static_cast<void>(id), static_cast<void>(parent);
        return nullptr;
    }
    /// Nobody waits any more for a work that was distributed so.
    virtual void cancel_work(const std::shared_ptr<Call>&) noexcept {}
    /// Calls were refused by this session's outbox, and need not be any more.
    virtual void has_room(const SessionPtr& session) = 0;
    /// Nothing was heard of the peer for over a heartbeat: it may be gone. Or it spoke again.
    virtual void suspected(const SessionPtr&, bool) {}
    /// A heartbeat came back, with what the peer last told of itself.
    virtual void round_trip(const SessionPtr& session, std::chrono::nanoseconds time, const SlaveState& peer) = 0;
    /// What a slave tells of itself with each heartbeat. Masters tell nothing.
    virtual std::optional<SlaveState> own_state() { return std::nullopt; }
    /// A slave wants nothing new; or a master confirms that nothing more comes.
    virtual void peer_drains(const SessionPtr& session) = 0;
    /// The session ended; `unanswered` are for the host to settle. Called once, and last.
    virtual void closed(const SessionPtr& session, std::error_code reason, const std::string& detail,
                        std::vector<std::shared_ptr<Call>> unanswered) noexcept = 0;
};

}  // namespace distwork::detail
