#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "byte_buffer.hpp"
#include "detail/asio.hpp"
#include "detail/pause.hpp"
#include "detail/probe.hpp"
#include "error.hpp"
#include "frame.hpp"
#include "frame_reader.hpp"
#include "handshake.hpp"
#include "inbox.hpp"
#include "introduction.hpp"
#include "liveness.hpp"
#include "session_host.hpp"
#include "session_peer.hpp"
#include "session_writer.hpp"
#include "transport.hpp"
#include "woken_writers.hpp"

namespace distwork {

/// One connected link between two peers; both ends are of this class. From top to bottom: the reader, what frames mean,
/// liveness, the end. How calls go out is in SessionPeer.
///
/// *Executor*: its socket's strand. *Thread-safety*: the functions of SessionPeer, `leave` and `close`.
/// *Lifetime*: shared by its role, by operations under way, and by the works it received. It keeps its host alive until
/// it ends.
template <class Transport>
class Session final : public SessionPeer, public std::enable_shared_from_this<Session<Transport>> {
    using Socket = typename Transport::Socket;
    using TimePoint = std::chrono::steady_clock::time_point;

public:
    /// `executor` is where calls complete that have no executor of their own.
    Session(Transport transport, asio::any_io_executor executor, Socket socket,
            std::shared_ptr<const SessionSettings> settings, std::shared_ptr<SessionHost<Transport>> host)
        : SessionPeer{std::move(executor), std::move(settings), detail::remote_endpoint_of(socket)},
          transport_{std::move(transport)},
          strand_{socket.get_executor()},
          socket_{std::move(socket)},
          timer_{strand_},
          room_{strand_},
          reader_{stranger_bytes},
          writer_{socket_, outgoing_},
          handshake_{settings_->role, settings_->name},
          liveness_{settings_->heartbeat, settings_->dead_after},
          host_{std::move(host)},
          inbox_{settings_->window} {}

    // Any thread

    /// Ends the session when what waits has left, and tells the peer why.
    void leave(Errc reason, std::string text) {
        asio::post(strand_, [self = this->shared_from_this(), reason, text = std::move(text)] {
            self->part(reason, text);
            self->flush();
        });
    }

    /// Ends the session at once.
    void close(Errc reason) {
        asio::post(strand_, [self = this->shared_from_this(), reason] { self->end(reason, ""); });
    }

    void write() override {
        asio::dispatch(strand_, [self = this->shared_from_this()] { self->flush(); });
    }

    // The session's strand

    std::uint64_t tag = 0;  ///< the host's own
    std::size_t place = 0;  ///< likewise, guarded by the host

    /// Whether the peer was accepted: it introduced itself, and the host admitted it.
    bool accepted() const noexcept { return handshake_.accepted(); }

    Traffic traffic() const { return {writer_.bytes(), bytes_received_, liveness_.last_heard()}; }

    /// Greets, then reads until the session ends; never throws.
    static asio::awaitable<void> run(std::shared_ptr<Session> self) {
        const Released released{*self};
        try {
            self->liveness_.heard(self->now());
            asio::co_spawn(self->strand_, watch(self), [self](const std::exception_ptr& error) { self->fail(error); });
            if (self->settings_->role == Role::slave) self->send_control(FrameKind::hello, self->handshake_.hello());
            co_await self->read();
        } catch (...) {
            self->fail(std::current_exception());
        }
    }

    // Called by the writer.

    TimePoint now() const { return transport_.now(); }

    void progressed(Outgoing::Room room) {
        if (!opened_ || ended_) return;
        if (room.for_calls) host_->has_room(this->shared_from_this());
        if (!room.for_answers) return;
        room_.cancel();
        if (const auto works = host_->works()) works->resume();
    }

    /// Nothing waits to leave, or it cannot.
    void written(std::error_code error) {
        if (error) end(error, "");
        else if (parting_) end(parting_->reason, parting_->detail);
    }

private:
    void wake_writer() override {
        auto self = this->shared_from_this();
        if (WokenWriters* const gathering = WokenWriters::current()) return gathering->add(std::move(self));
        asio::post(strand_, [self = std::move(self)] { self->flush(); });
    }

    void flush() {
        if (ended_) return;
        try {
            writer_.flush(this->shared_from_this());
        } catch (...) {
            fail(std::current_exception());
        }
    }

    // The reader: one read, every whole frame in it, one hand-over of its works, one flush of what it caused.

    asio::awaitable<void> read() {
        std::error_code error;
        while (!ended_) {
            const auto space = reader_.prepare();
            auto token = asio::redirect_error(asio::use_awaitable, error);
            const std::size_t count = co_await socket_.async_read_some(asio::buffer(space.data(), space.size()), token);
            if (error == asio::error::eof) error = Errc::connection_closed;
            if (error) end(error, "");
            else if (!ended_ && !parting_) receive(count);  // it may have ended since the bytes came
            // A slave that sends and does not read makes its master hold what that would answer. Not the other way
            // round, or both might wait for each other: a slave gets no more than its credit, and what it asked for.
            while (!ended_ && settings_->role == Role::master && outgoing_.is_overfull())
                co_await detail::pause(room_, std::chrono::hours{24});
        }
    }

    void receive(std::size_t count) {
        if (liveness_.heard(now())) host_->suspected(this->shared_from_this(), false);
        bytes_received_ += count;
        outgoing_.stay_awake();
        const auto broken = reader_.commit(count, [this](Frame&& frame) { return on_frame(std::move(frame)); });
        if (broken) part(handshake_.accepted() ? broken : make_error_code(Errc::not_distwork), "by a frame's length");
        if (ended_) return;
        hand_over_works();  // first: when all is answered, nothing is on its way any more
        inbox_.settle_answers(this->shared_from_this(), *host_, outgoing_);
        flush();
    }

    /// False when the session ends with this frame.
    bool on_frame(Frame&& frame) {
        const FrameKind kind = frame.header.kind;
        const bool is_hello = !accepted() && kind == FrameKind::hello;  // refused, then, in words
        if (!has_known_flags(frame.header) && !is_hello) return on_nonsense(frame.header);
        if (!accepted()) return on_greeting(frame);
        if (kind == FrameKind::types) return on_types(frame);
        if (kind == FrameKind::bye) return on_bye(frame);
        if (!opened_) return on_nonsense(frame.header);
        switch (kind) {
            case FrameKind::work: return on_work(std::move(frame));
            case FrameKind::answer:
            case FrameKind::error: return on_reply(std::move(frame));
            case FrameKind::cancel: return on_cancel(frame);
            case FrameKind::ping: return on_ping(frame);
            case FrameKind::pong: return on_pong(frame);
            case FrameKind::drain: return on_drain();
            default: return on_nonsense(frame.header);
        }
    }

    bool on_nonsense(const FrameHeader& header) {
        const unsigned kind{static_cast<std::uint8_t>(header.kind)};
        return part(Errc::protocol_violation, "a frame of kind " + std::to_string(kind) + " means nothing here");
    }

    // The greeting, then each side's types.

    bool on_greeting(const Frame& frame) {
        auto step = handshake_.take(frame.header.kind, frame.body, [&](const Greeting& hello, std::string& text) {
            return has_known_flags(frame.header) ? host_->admit(hello, text) : Errc::protocol_violation;
        });
        if (step.reply != FrameKind{}) send_control(step.reply, step.body);
        if (step.error) {
            parting_ = Parting{step.error, std::move(step.detail)};
            return false;
        }
        meet(handshake_.peer_name());
        reader_.max_body_bytes(settings_->max_frame_bytes);
        send_types();
        return true;
    }

    bool on_types(const Frame& frame) {
        Introduction peer;
        try {
            detail::decode(frame.body, peer, settings_->limits);
        } catch (const Error& error) {
            return part(Errc::protocol_violation, error.what());
        }
        if (peer.window == 0 || peer.max_frame_bytes < least_max_frame_bytes)
            return part(Errc::protocol_violation, "it takes no works");
        peer_ = std::move(peer);
        if (!opened_) bound_answers(peer_.max_frame_bytes);
        const PeerTypes types = match_types();
        if (opened_) return host_->types_changed(this->shared_from_this(), types), true;
        opened_ = true;
        timer_.cancel();  // heartbeats begin
        host_->opened(this->shared_from_this(), peer_, types);
        send_ping();
        return true;
    }

    // Works and answers.

    bool on_work(Frame&& frame) {
        const WorkType* const type = types_.find(frame.header.type);
        if (!type) return on_nonsense(frame.header);
        if (!inbox_.has_room(outgoing_))
            return part(Errc::protocol_violation, "it sent more works than it was told to");
        if (host_->accepts(*type)) inbox_.add_work(std::move(frame), *type, *this, *host_);
        else
            reply({.kind = FrameKind::error, .id = frame.header.id},
                  error_body({}, Errc::not_accepted, "", "by " + settings_->name));
        return true;
    }

    bool on_reply(Frame&& frame) {
        const FrameHeader header = frame.header;
        return inbox_.add_answer(std::move(frame)) || on_nonsense(header);
    }

    bool on_cancel(const Frame& frame) {
        const std::uint64_t id = frame.header.id;
        if (inbox_.drop_work(id)) reply({.kind = FrameKind::error, .id = id}, cancelled_body());
        else if (const auto works = host_->works()) works->cancel(*this, id);
        return true;
    }

    void hand_over_works() { inbox_.hand_over_works(this->shared_from_this(), *host_); }

    /// A master answers in kind, behind the last work that it sent: then the slave knows that nothing more comes.
    bool on_drain() {
        hand_over_works();
        host_->peer_drains(this->shared_from_this());
        if (settings_->role == Role::master) send_control(FrameKind::drain);
        return true;
    }

    // Liveness: a ping each heartbeat; silence for too long, judged after the socket was read, is death. So is a write
    // that does not go on.

    static asio::awaitable<void> watch(std::shared_ptr<Session> self) {
        co_await detail::pause(self->timer_, self->settings_->handshake_timeout);
        if (!self->opened_ && !self->parting_) self->end(Errc::handshake_timeout, "");
        std::error_code error;
        while (!self->ended_ && !self->parting_) {
            co_await detail::pause(self->timer_, self->settings_->heartbeat);
            // A read that was done waits for the strand: what it brought is heard before silence is judged.
            if (self->liveness_.is_silent(self->now())) co_await asio::post(self->strand_, asio::use_awaitable);
            const TimePoint now = self->now();
            const bool is_read = self->socket_.available(error) == 0;
            if (is_read && self->liveness_.is_silent(now)) {
                DISTWORK_MARK(heartbeat_death);
                self->end(Errc::peer_silent, "");
            } else if (self->writer_.is_stalled(now, self->settings_->stalled_after)) {
                DISTWORK_MARK(stalled);
                self->end(Errc::peer_stalled, "");
            } else if (!self->ended_ && !self->parting_) {
                if (is_read && self->liveness_.suspect(now)) self->host_->suspected(self, true);
                self->beat();
            }
        }
        // What waits leaves while the peer reads; one that does not keeps nobody waiting for a farewell.
        std::optional<std::uint64_t> left;
        while (!self->ended_ && (!left || (self->opened_ && *left != self->writer_.bytes()))) {
            left = self->writer_.bytes();
            co_await detail::pause(self->timer_, self->settings_->handshake_timeout);
        }
        if (!self->ended_) self->end(self->parting_->reason, self->parting_->detail);
    }

    void beat() {
        if (types_.grew()) {
            send_types();
            host_->types_changed(this->shared_from_this(), match_types());
        }
        send_ping();
    }

    void send_ping() { send_heartbeat(FrameKind::ping, liveness_.ping(now())); }

    void send_heartbeat(FrameKind kind, std::uint64_t id) {
        if (const auto state = host_->own_state()) send_control(kind, encode(*state), id);
        else send_control(kind, {}, id);
    }

    bool on_ping(const Frame& frame) {
        if (!take_state(frame.body)) return on_nonsense(frame.header);
        send_heartbeat(FrameKind::pong, frame.header.id);
        return true;
    }

    bool on_pong(const Frame& frame) {
        if (!take_state(frame.body)) return on_nonsense(frame.header);
        const auto time = liveness_.pong(frame.header.id, now());
        if (time) host_->round_trip(this->shared_from_this(), *time, peer_state_);
        return true;
    }

    // The end.

    bool on_bye(const Frame& frame) {
        Refusal why;
        if (decode(frame.body, why)) return on_nonsense(frame.header);
        parting_ = Parting{why.reason, why.text};
        return false;
    }

    /// The session ends when what waits has left, the reason last. False, for those who handle frames.
    bool part(std::error_code reason, const std::string& detail) {
        if (parting_ || ended_) return false;
        if (accepted()) send_control(FrameKind::bye, encode(Refusal{errc_of(reason, Errc::connection_closed), detail}));
        parting_ = Parting{reason, detail};
        timer_.cancel();
        return false;
    }

    /// Something threw that must not: out of memory, or a hook of the host's.
    void fail(const std::exception_ptr& error) {
        if (error) end(Errc::session_failed, detail::describe(error).text);
    }

    void end(std::error_code reason, const std::string& detail) {
        if (ended_) return;
        ended_ = true;
        if (reason && writer_.is_partly_written()) DISTWORK_MARK(partial_write_then_reset);
        timer_.cancel();
        room_.cancel();
        std::error_code ignored;
        static_cast<void>(socket_.close(ignored));
        const auto host = std::move(host_);
        if (const auto works = host->works()) works->forget(*this);
        host->closed(this->shared_from_this(), reason, detail, outgoing_.close());
    }

    /// A context that is destroyed destroys its coroutines: no loop is left that could end the session then, and what
    /// it holds must not keep it alive.
    struct Released {
        Session& session;
        ~Released() {
            session.ended_ = true;
            session.host_.reset();
            session.outgoing_.close();
        }
    };

    struct Parting {
        std::error_code reason;
        std::string detail;
    };

    Transport transport_;
    const typename Transport::Strand strand_;

    // session strand
    Socket socket_;
    typename Transport::Timer timer_;
    typename Transport::Timer room_;  // cancelled when what waits to leave is within its bound again
    FrameReader reader_;
    SessionWriter<Socket> writer_;
    Handshake handshake_;
    Liveness liveness_;
    std::shared_ptr<SessionHost<Transport>> host_;
    Inbox<Transport> inbox_;
    std::uint64_t bytes_received_ = 0;
    std::optional<Parting> parting_;  // set: the session ends when what waits has left
    bool opened_ = false;
    bool ended_ = false;
};

}  // namespace distwork
