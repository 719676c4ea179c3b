#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/probe.hpp"
#include "../wire/outbox.hpp"
#include "multiplexer.hpp"

namespace distwork::detail {

/// The writing half of a session. At most one write is under way; it takes everything that has gathered before it
/// began.
///
/// Its session has these functions: `now()`; `has_ended()`; `guarded(action)`, which ends the session if `action`
/// throws; `progressed(Room)`, called after each write; `written(error)`, called when nothing waits to leave any more,
/// or when a write failed.
///
/// *Executor*: the session's strand. *Lifetime*: a member of its session; a write under way keeps the session alive.
template <class Socket>
class SessionWriter {
    using TimePoint = std::chrono::steady_clock::time_point;

public:
    SessionWriter(Socket& socket, Multiplexer& multiplexer) : socket_{socket}, multiplexer_{multiplexer} {}

    /// Writes what waits to leave, unless a write is under way. Does not block.
    template <class Session>
    void flush(const std::shared_ptr<Session>& session) {
        if (writing_) return;
        // Most writes fit into the socket's send buffer: a synchronous attempt saves a turn of the event loop. After a
        // few writes an asynchronous one lets other operations run.
        for (int tries = most_writes_a_turn;; --tries) {
            if (leaving_.empty() && !multiplexer_.take(leaving_)) return session->written({});
            leaving_.gather(buffers_, most_bytes_a_write);
            if (tries == 0) break;
            std::error_code error;
            const std::size_t count = socket_.write_some(std::span<const asio::const_buffer>{buffers_}, error);
            if (error == asio::error::would_block) break;
            if (error) return session->written(error);
            wrote(count, *session);
        }
        writing_ = true;
        since_ = session->now();
        socket_.async_write_some(std::span<const asio::const_buffer>{buffers_},
                                 [this, session](std::error_code error, std::size_t count) {
                                     writing_ = false;
                                     if (session->has_ended()) return;
                                     if (error) return session->written(error);
                                     session->guarded([&] {
                                         wrote(count, *session);
                                         flush(session);
                                     });
                                 });
    }

    /// Bytes written so far.
    std::uint64_t bytes() const noexcept { return bytes_; }

    /// Whether a part of what was taken from the multiplexer is not written yet.
    bool is_partly_written() const noexcept { return !leaving_.empty(); }

    /// Discounts the time for which this process was stopped.
    void slept(std::chrono::nanoseconds time, TimePoint now) noexcept { since_ = std::min(since_ + time, now); }

    /// Whether the peer has taken no byte for longer than `limit`.
    bool is_stalled(TimePoint now, std::chrono::nanoseconds limit) const noexcept {
        return writing_ && now - since_ > limit;
    }

private:
    template <class Session>
    void wrote(std::size_t count, Session& session) {
        bytes_ += count;
        const bool is_partial = count < std::min(leaving_.size(), most_bytes_a_write);
        if (is_partial) DISTWORK_MARK(partial_write);
        leaving_.consume(DISTWORK_PLANTED(write_twice) && is_partial ? count - 1 : count);
        session.progressed(multiplexer_.left(count));
    }

    /// Small enough that a heartbeat does not wait long behind a large body.
    static constexpr std::size_t most_bytes_a_write = 256 * 1024;
    static constexpr int most_writes_a_turn = 4;

    Socket& socket_;
    Multiplexer& multiplexer_;
    Outbox leaving_;
    std::vector<asio::const_buffer> buffers_;
    std::uint64_t bytes_ = 0;
    bool writing_ = false;
    TimePoint since_{};  // the beginning of the write under way, plus the time for which this process was stopped
};

}  // namespace distwork::detail
