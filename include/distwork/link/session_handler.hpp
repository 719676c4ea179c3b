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
#include "../execution/received_bytes.hpp"
#include "../execution/work_queue.hpp"
#include "../slave_state.hpp"
#include "../types/peer_types.hpp"
#include "../wire/handshake.hpp"
#include "late_answers.hpp"

namespace distwork::detail {

/// The text that says why a session ended.
inline std::string why_ended(std::error_code reason, const std::string& detail) {
    const std::string meaning = reason.message();
    if (detail.empty() || detail == "refused: " + meaning) return meaning;
    return meaning + " (" + detail + ')';
}

/// Whether a session that ends with `reason` ended regularly: one of the peers left.
inline bool is_clean_end(std::error_code reason) noexcept {
    return !reason || reason == Errc::stopped || reason == Errc::draining || reason == Errc::connection_closed;
}

template <class Transport>
class Session;

/// A work that a work on a slave submitted, for its master to distribute.
struct SubmittedWork {
    const WorkType& type;
    std::span<const std::byte> body;  ///< valid during the call
    std::uint64_t id = 0;             ///< under which the slave awaits its outcome
    std::shared_ptr<Call> parent;     ///< the work that submitted it; null: it has ended
    CountedBytes counted;             ///< its body, for as long as this end holds the work
};

/// What a role does with what its sessions receive.
///
/// *Executor*: all functions are called on the session's strand.
template <class Transport>
class SessionHandler {
public:
    using SessionPtr = std::shared_ptr<Session<Transport>>;

    virtual ~SessionHandler() = default;

    /// A slave said hello to a master. An error refuses it; `text` says why.
    virtual std::error_code admit(const Session<Transport>& session, const Greeting& hello, std::string& text) = 0;
    /// The session was opened: from now on works may be sent in both directions.
    virtual void opened(const SessionPtr& session, const Introduction& peer, const PeerTypes& types) = 0;
    /// The peer's table of types grew.
    virtual void types_changed(const SessionPtr& session, const PeerTypes& types) = 0;
    /// Called with the answers of one read before they are settled, so that the role can count them.
    virtual void answered(const SessionPtr& session, std::span<Answer> answers) noexcept = 0;
    /// Completes the calls that these answers settled. Must not call a handler before it returns.
    virtual void deliver(std::vector<std::shared_ptr<Call>> settled) noexcept = 0;
    /// Takes answers of those that `answered` was called with, to settle them on a thread of the role's own, and to
    /// complete their calls. False: it has none; then they are unchanged.
    virtual bool settle_later(LateAnswers<Session<Transport>>& answers) noexcept {
        return static_cast<void>(answers), false;
    }
    /// Whether the role executes works of this type.
    virtual bool accepts(const WorkType& type) const = 0;
    /// The queue that executes works; null if the role executes none.
    virtual std::shared_ptr<WorkQueue<Transport>> works() noexcept = 0;
    /// At a slave: the number of slots that works of an earlier session still occupy when this session begins. The
    /// slave must call the session's `free_slot` for each of these works that ends.
    virtual std::uint32_t occupied_slots(const SessionPtr&) { return 0; }
    /// At a master: one of the occupied slots of the slave became free.
    virtual void slot_freed(const SessionPtr&) {}
    /// At a master: a work on the slave submitted this work. Null: the submission was refused, and answered already.
    virtual std::shared_ptr<Call> distribute(const SessionPtr&, SubmittedWork) { return nullptr; }
    /// Cancels a work that `distribute` returned.
    virtual void cancel_work(const std::shared_ptr<Call>&) noexcept {}
    /// The outbox has room again after refusing calls.
    virtual void has_room(const SessionPtr& session) = 0;
    /// True: nothing was heard from the peer for over a heartbeat, so it may be gone. False: it was heard from again.
    virtual void suspected(const SessionPtr&, bool) {}
    /// A ping was answered after `time`; `peer` is the latest state that the peer sent.
    virtual void round_trip(const SessionPtr& session, std::chrono::nanoseconds time, const SlaveState& peer) = 0;
    /// The state that a slave sends with each heartbeat. Masters send none.
    virtual std::optional<SlaveState> own_state() { return std::nullopt; }
    /// At a master: the slave drains, and wants no new works. At a slave: the master confirms that it sends no more
    /// works.
    virtual void peer_drains(const SessionPtr& session) = 0;
    /// The session ended. The role must settle the `unanswered` calls. Called once, as the last function.
    virtual void closed(const SessionPtr& session, std::error_code reason, const std::string& detail,
                        std::vector<std::shared_ptr<Call>> unanswered) noexcept = 0;
};

}  // namespace distwork::detail
