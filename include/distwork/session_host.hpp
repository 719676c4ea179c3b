#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "archive.hpp"
#include "call.hpp"
#include "handshake.hpp"
#include "introduction.hpp"
#include "log.hpp"
#include "reply.hpp"
#include "slave_state.hpp"
#include "type_table.hpp"
#include "work_queue.hpp"

namespace distwork {

/// What a session is told by its role.
struct SessionSettings {
    Role role{};
    std::string name;
    std::uint32_t slots = 0;
    std::uint32_t window = 0;
    std::vector<std::string> labels;
    std::shared_ptr<RoleTypes> types;
    std::chrono::milliseconds handshake_timeout{2000};
    std::chrono::milliseconds heartbeat{5000};
    std::chrono::milliseconds dead_after{15000};
    std::chrono::milliseconds stalled_after{10000};
    std::size_t max_frame_bytes = 64 * 1024 * 1024;
    std::size_t max_outbox_bytes = 64 * 1024 * 1024;
    ArchiveLimits limits;
    Log log;

    /// An introduction is no work: only its length is an option.
    ArchiveLimits introduction_limits() const {
        ArchiveLimits own;
        own.max_bytes = limits.max_bytes;
        return own;
    }
};

/// What came back for one work. All of it is told in the order in which it came.
struct Answer {
    enum class What : std::uint8_t {
        reply,       ///< its outcome, or an early word of it
        returned,    ///< it was recalled, and had not begun: it comes back
        gives_slot,  ///< it goes on later, and needs no slot until then
        takes_slot,  ///< it goes on
    };

    std::uint64_t id = 0;
    std::shared_ptr<Call> call{};  ///< null: late, doubled or invented
    What what{};
    Reply reply{};
    LargeBytes own{};  ///< keeps a large value alive

    /// It tells of a slot; the work's outcome is still to come.
    bool is_of_slot() const noexcept { return what == What::gives_slot || what == What::takes_slot; }
    /// The usual case: the work was executed, and nothing more comes for it.
    bool is_last() const noexcept { return what == What::reply && !reply.goes_on; }
};

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

/// Throws what the caller of a work is told whose answer is an error.
[[noreturn]] inline void throw_as(const Reply& reply, const Call& call, const std::string& peer) {
    const std::string name{call.name()};
    if (reply.error == Errc::work_failed || reply.error == Errc::failed_for_good)
        throw RemoteError{std::string{reply.exception_type}, std::string{reply.text}, name, peer, call.attempt()};
    const std::string meaning = make_error_code(reply.error).message();
    std::string_view text = reply.text;
    if (text.starts_with(call.type().name + ": ")) text.remove_prefix(call.type().name.size() + 2);  // named already
    std::string why = text.empty() ? meaning : std::string{text};
    if (reply.error == Errc::execution_timeout && !text.empty()) why = meaning + ", " + why;  // it says: after how long
    throw Error::with_text(reply.error, name + " on " + peer + ": " + why);
}

/// What the caller of a work is told whose answer is an error; or std::bad_alloc, where memory lacks for that.
inline std::exception_ptr to_exception(const Reply& reply, const Call& call, const std::string& peer) noexcept {
    return exception_of([&] { throw_as(reply, call, peer); });
}

/// Settles the calls that the answers are for and nobody claimed before; returns them, to be delivered.
inline std::vector<std::shared_ptr<Call>> settle(std::span<Answer> answers, const std::shared_ptr<Peer>& peer,
                                                 const std::string& description) noexcept {
    std::vector<std::shared_ptr<Call>> settled;
    detail::surely([&] { settled.reserve(answers.size()); });
    for (Answer& answer : answers) {
        if (!answer.call || answer.is_of_slot() || !answer.call->claim(answer.reply.error)) continue;
        if (answer.reply.error == Errc{}) answer.call->succeed(answer.reply.value, peer);
        else answer.call->fail(to_exception(answer.reply, *answer.call, description));
        settled.push_back(std::move(answer.call));
    }
    return settled;
}

/// What crossed a link so far.
struct Traffic {
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::chrono::steady_clock::time_point last_heard{};
};

template <class Transport>
class Session;

/// What a role does with what its sessions receive. All functions are called on the session's strand.
template <class Transport>
class SessionHost {
public:
    using SessionPtr = std::shared_ptr<Session<Transport>>;

    virtual ~SessionHost() = default;

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

}  // namespace distwork
