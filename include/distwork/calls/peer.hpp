#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "../archive/wire_archive.hpp"
#include "../base/amounts.hpp"
#include "../base/asio.hpp"
#include "../error.hpp"
#include "../log.hpp"
#include "../wire/byte_buffer.hpp"
#include "../wire/frame.hpp"
#include "../wire/progress_body.hpp"
#include "../wire/reply.hpp"
#include "call.hpp"
#include "locals.hpp"

namespace distwork::detail {

/// The interface of a session for everything above it: works are sent to the peer, and answers come back.
///
/// *Thread-safety*: all functions. *Lifetime*: shared. It may be kept after the session has ended; `send` then fails.
class Peer {
public:
    virtual ~Peer() = default;

    /// Sends an encoded call. The session then holds it until it is answered or the session ends. If this fails, the
    /// call is not taken, and the caller settles it. No handler runs inside this function.
    ///
    /// *Errors*: returns lost, version_mismatch, unknown_type, shape_differs, foreign_type, too_many_waiting, too_large
    /// or outbox_full; throws std::bad_alloc.
    virtual std::error_code send(const std::shared_ptr<Call>& call) = 0;

    /// Why works of this type are not sent to the peer: unknown_type, shape_differs or foreign_type.
    virtual std::error_code why_unknown(const WorkType&) const { return Errc::unknown_type; }

    /// Tells the peer that a call, which was claimed, is cancelled. The call keeps its id until the answer arrives.
    virtual void cancel(const Call& call) = 0;

    /// Whether works that it sent may ask it to distribute works. Only a master does that.
    virtual bool distributes() const noexcept { return true; }

    /// Whether it takes several works in one frame.
    virtual bool takes_chunks() const noexcept { return false; }

    /// Recalls a work. The slave returns it if it has not begun; otherwise the recall is ignored. Returns false if the
    /// slave was not asked.
    virtual bool recall(const Call&) { return false; }

    /// Tells a master that a work of an earlier session has ended, and that its slot is free.
    virtual void free_slot() noexcept {}

    /// Tells a master that the running work `id` gives its slot free while it is suspended, or holds one again.
    virtual void tell_slot(std::uint64_t id, bool is_taken) { static_cast<void>(id), static_cast<void>(is_taken); }

    /// Tells a master how far the running work `id` is. On an allocation failure it is not told.
    virtual void tell_progress(std::uint64_t id, const ProgressBody& progress) noexcept {
        static_cast<void>(id), static_cast<void>(progress);
    }

    /// What works of this session are given indices of: see SlaveOptions::indexed.
    virtual const IndexedAmounts& indexed_amounts() const noexcept {
        static const IndexedAmounts none;
        return none;
    }

    /// What on_start functions have left for the works of this session; null: it is of no slave.
    virtual Locals* locals() noexcept { return nullptr; }

    /// Answers a work that the peer sent. `header` has the kind, the id and the flags of the frame; `body` is complete.
    /// A small body is copied, so the caller may use its buffer again; a large one is moved.
    virtual void reply(FrameHeader header, ByteBuffer&& body) = 0;

    /// The largest body of an answer that the peer takes.
    virtual std::size_t max_answer_bytes() const noexcept { return limits().max_bytes + reply_head_bytes; }

    /// Tells the peer the reason, and ends the session. `text`, which must be a literal, explains the reason.
    virtual void leave(Errc reason, const char* text) noexcept { static_cast<void>(reason), static_cast<void>(text); }

    /// Ends the session because a work of the peer cannot be answered. The peer then sends the work elsewhere.
    virtual void fail(const std::exception_ptr& why) noexcept = 0;

    /// False if so many answers to this peer wait to be sent that none of its works may begin. The queue of works is
    /// resumed when there is room again.
    virtual bool takes_answers() const noexcept { return true; }

    virtual asio::ip::tcp::endpoint remote_endpoint() const = 0;
    virtual const std::string& name() const = 0;

    /// How a log line names a work that the peer was sent.
    std::string sent_work() const { return "A work sent to " + name(); }

    /// The executor on which handlers without an executor of their own run.
    virtual const asio::any_io_executor& get_executor() const = 0;

    /// The bounds of bodies that are decoded from the peer or encoded for it.
    virtual const ArchiveLimits& limits() const = 0;

    virtual void log(LogLevel level, std::string_view line) const = 0;
};

}  // namespace distwork::detail
