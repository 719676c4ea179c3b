#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "../archive/wire_archive.hpp"
#include "../base/asio.hpp"
#include "../error.hpp"
#include "../log.hpp"
#include "../wire/byte_buffer.hpp"
#include "../wire/frame.hpp"
#include "call.hpp"

namespace distwork::detail {

/// The other end of a session, as everything above the session sees it: works go to it and answers come back.
///
/// *Thread-safety*: all functions. *Lifetime*: shared; it may be kept after the session ended, `send` then fails.
class Peer {
public:
    virtual ~Peer() = default;

    /// Sends an encoded call, which the session then holds until it is answered or the session ends. On failure
    /// (lost, unknown_type, shape_differs, outbox_full; it throws std::bad_alloc) the call is not taken: the caller
    /// settles it. Never calls back from inside.
    virtual std::error_code send(const std::shared_ptr<Call>& call) = 0;

    /// Why works of a type that the peer lacks are not sent: unknown_type or shape_differs.
    virtual std::error_code why_unknown(const WorkType&) const { return Errc::unknown_type; }

    /// Tells the peer that a call, which somebody claimed, is no longer wanted. Its place stays taken until the answer.
    virtual void cancel(const Call& call) = 0;

    /// Whether it distributes works that works of its own have it distribute: only a master does.
    virtual bool distributes() const noexcept { return true; }

    /// Asks for a work back that its slave has not begun. False: it was not asked, and nothing comes back. Where it has
    /// begun, nothing comes back either.
    virtual bool recall(const Call&) { return false; }

    /// Tells a master that a work of an earlier session has ended, and that its slot is free.
    virtual void free_slot() noexcept {}

    /// Tells a master that the work `id`, which was begun, gives its slot free while it waits, or has one again.
    virtual void tell_slot(std::uint64_t id, bool is_taken) { static_cast<void>(id), static_cast<void>(is_taken); }

    /// Answers a work that the peer sent: `header` has its kind, id and flags; the body is whole. A small body is copied
    /// and stays with the caller.
    virtual void reply(FrameHeader header, ByteBuffer&& body) = 0;

    /// Ends the session: a work of the peer's was executed, and there is no way to answer it. The peer sends it elsewhere.
    virtual void fail(const std::exception_ptr& why) noexcept = 0;

    /// False: so much waits to leave for it that none of its works shall begin. Whoever executes them is told when they
    /// may.
    virtual bool takes_answers() const noexcept { return true; }

    virtual asio::ip::tcp::endpoint remote_endpoint() const = 0;
    virtual const std::string& name() const = 0;

    /// Where calls without an executor of their own complete.
    virtual const asio::any_io_executor& get_executor() const = 0;

    /// What may be decoded from it, and encoded for it.
    virtual const ArchiveLimits& limits() const = 0;

    virtual void log(LogLevel level, std::string_view line) const = 0;
};

}  // namespace distwork::detail
