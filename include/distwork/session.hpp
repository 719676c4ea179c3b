#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "byte_buffer.hpp"
#include "call.hpp"
#include "detail/asio.hpp"
#include "error.hpp"
#include "frame.hpp"
#include "frame_reader.hpp"
#include "handshake.hpp"
#include "introduction.hpp"
#include "outgoing.hpp"
#include "peer.hpp"
#include "session_host.hpp"
#include "session_writer.hpp"
#include "transport.hpp"
#include "work_batch.hpp"

namespace distwork {

/// One connected link between two peers; both ends are of this class. From top to bottom: calls go out, the reader,
/// what frames mean, liveness, the end.
///
/// *Executor*: its socket's strand. *Thread-safety*: the functions of Peer, `give_up`, `leave` and `close`.
/// *Lifetime*: shared by its role, by operations under way, and by the works it received. It keeps its host alive until
/// it ends.
template <class Transport>
class Session final : public Peer, public std::enable_shared_from_this<Session<Transport>> {
    using Socket = typename Transport::Socket;
    using TimePoint = std::chrono::steady_clock::time_point;

public:
    /// `executor` is where calls complete that have no executor of their own.
    Session(Transport transport, asio::any_io_executor executor, Socket socket,
            std::shared_ptr<const SessionSettings> settings, std::shared_ptr<SessionHost<Transport>> host)
        : transport_{std::move(transport)},
          executor_{std::move(executor)},
          strand_{socket.get_executor()},
          settings_{std::move(settings)},
          outgoing_{settings_->max_outbox_bytes},
          socket_{std::move(socket)},
          timer_{strand_},
          reader_{stranger_bytes},
          writer_{socket_, outgoing_},
          handshake_{settings_->role, settings_->name},
          host_{std::move(host)} {
        std::error_code ignored;
        endpoint_ = socket_.remote_endpoint(ignored);
    }

    // Any thread

    std::error_code send(const std::shared_ptr<Call>& call) override {
        const auto sent = outgoing_.send(call);
        if (sent.wake) wake_writer();
        return sent.error;
    }

    void reply(std::uint64_t id, FrameKind kind, ByteBuffer&& body) override {
        bound_answer(kind, body, settings_->max_frame_bytes);
        if (outgoing_.send({.kind = kind, .id = id}, std::move(body))) wake_writer();
    }

    std::error_code why_unknown(const WorkType& type) const override { return outgoing_.why_unknown(type); }

    void cancel(const Call& call) override {
        if (outgoing_.cancel(call)) wake_writer();
    }

    asio::ip::tcp::endpoint remote_endpoint() const override { return endpoint_; }
    const std::string& name() const override { return peer_name_; }
    const asio::any_io_executor& get_executor() const override { return executor_; }
    const ArchiveLimits& limits() const override { return settings_->limits; }
    void log(LogLevel level, std::string_view line) const override {
        if (settings_->log) settings_->log(level, line);
    }

    void send_drain() { send_control(FrameKind::drain); }

    /// Gives up every call that awaits an answer; no more are taken.
    std::vector<std::shared_ptr<Call>> give_up() { return outgoing_.give_up(); }

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

    // The session's strand

    std::uint64_t tag = 0;  ///< the host's own

    Traffic traffic() const { return {writer_.bytes(), bytes_received_, last_heard_}; }

    /// Greets, then reads until the session ends; never throws.
    asio::awaitable<void> run() {
        const auto self = this->shared_from_this();
        const Released released{*this};
        last_heard_ = transport_.now();
        asio::co_spawn(strand_, watch(self), [self](const std::exception_ptr&) {});
        if (settings_->role == Role::slave) send_control(FrameKind::hello, handshake_.hello());
        std::error_code error;
        while (!ended_) {
            const auto space = reader_.prepare();
            auto token = asio::redirect_error(asio::use_awaitable, error);
            const std::size_t count = co_await socket_.async_read_some(asio::buffer(space.data(), space.size()), token);
            if (error == asio::error::eof) error = Errc::connection_closed;
            if (error) end(error, "");
            else if (!ended_ && !parting_) receive(count);  // it may have ended since the bytes came
        }
    }

    /// Called by the writer: nothing waits to leave, or it failed.
    void written(std::error_code error) {
        if (error) end(error, "");
        else if (parting_) end(parting_->reason, parting_->detail);
    }

private:
    void wake_writer() {
        asio::post(strand_, [self = this->shared_from_this()] { self->flush(); });
    }

    void flush() {
        if (!ended_) writer_.flush(this->shared_from_this());
    }

    void send_control(FrameKind kind, std::span<const std::byte> body = {}, std::uint64_t id = 0) {
        if (outgoing_.send({.kind = kind, .id = id}, body)) wake_writer();
    }

    // The reader: one read, every whole frame in it, one hand-over of its works, one flush of what it caused.

    void receive(std::size_t count) {
        last_heard_ = transport_.now();
        bytes_received_ += count;
        outgoing_.stay_awake();
        const std::error_code broken =
            reader_.commit(count, [this](Frame&& frame) { return on_frame(std::move(frame)); });
        if (broken) part(handshake_.accepted() ? broken : make_error_code(Errc::not_distwork), "by a frame's length");
        settle_answers();
        hand_over_works();
        flush();
    }

    /// False when the session ends with this frame.
    bool on_frame(Frame&& frame) {
        const FrameKind kind = frame.header.kind;
        if (!handshake_.accepted()) return on_greeting(frame);
        if (kind == FrameKind::types) return on_types(frame);
        if (!opened_) return on_nonsense(frame);
        switch (kind) {
            case FrameKind::work: return on_work(std::move(frame));
            case FrameKind::answer:
            case FrameKind::error: return on_reply(std::move(frame));
            case FrameKind::cancel: return on_cancel(frame);
            case FrameKind::ping: return send_control(FrameKind::pong, {}, frame.header.id), true;
            case FrameKind::pong: return on_pong(frame);
            case FrameKind::drain: return on_drain();
            case FrameKind::bye: return on_bye(frame);
            default: return on_nonsense(frame);
        }
    }

    bool on_nonsense(const Frame& frame) {
        const unsigned kind{static_cast<std::uint8_t>(frame.header.kind)};
        return part(Errc::protocol_violation, "a frame of kind " + std::to_string(kind) + " means nothing here");
    }

    // The greeting, then each side's types.

    bool on_greeting(const Frame& frame) {
        auto step = handshake_.take(frame.header.kind, frame.body, [this](const Greeting& hello, std::string& text) {
            return host_->admit(hello, text);
        });
        if (step.reply != FrameKind{}) send_control(step.reply, step.body);
        if (step.error) {
            parting_ = Parting{step.error, std::move(step.detail)};
            return false;
        }
        peer_name_ = handshake_.peer_name();
        reader_.max_body_bytes(settings_->max_frame_bytes);
        send_types();
        return true;
    }

    void send_types() {
        const auto introduction = types_.tell(settings_->slots, settings_->window, settings_->labels);
        ByteBuffer body;
        detail::encode_value(introduction, body, settings_->limits);
        if (outgoing_.send({.kind = FrameKind::types}, std::move(body))) wake_writer();
    }

    bool on_types(const Frame& frame) {
        Introduction peer;
        try {
            detail::decode(frame.body, peer, settings_->limits);
        } catch (const Error& error) {
            return part(Errc::protocol_violation, error.what());
        }
        const PeerTypes types{types_.told(), peer};
        outgoing_.introduce(types, peer.window);
        types.log_differences(settings_->log, description());
        const auto self = this->shared_from_this();
        if (opened_) return host_->types_changed(self, types), true;
        opened_ = true;
        timer_.cancel();  // heartbeats begin
        host_->opened(self, peer, types);
        send_ping();
        return true;
    }

    // Works and answers gather while a read is parsed.

    bool on_work(Frame&& frame) {
        WorkBatch::Item item;
        item.id = frame.header.id;
        item.body = frame.body;
        item.type = types_.find(frame.header.type);
        if (!item.type) return on_nonsense(frame);
        if (!host_->accepts(*item.type)) {
            reply(item.id, FrameKind::error, error_body({}, Errc::not_accepted, "", "by " + settings_->name));
        } else if (frame.own) {
            hand_over_works();
            host_->works()->push(WorkBatch::single(this->shared_from_this(), item, std::move(frame.own)));
        } else {
            works_.push_back(item);
        }
        return true;
    }

    bool on_cancel(const Frame& frame) {
        hand_over_works();  // it may be among these
        if (const auto works = host_->works()) works->cancel(*this, frame.header.id);
        return true;
    }

    void hand_over_works() {
        if (works_.empty()) return;
        host_->works()->push(WorkBatch::copy(this->shared_from_this(), std::exchange(works_, {})));
    }

    /// A master answers in kind, behind the last work that it sent: then the slave knows that nothing more comes.
    bool on_drain() {
        hand_over_works();
        host_->peer_drains(this->shared_from_this());
        if (settings_->role == Role::master) send_control(FrameKind::drain);
        return true;
    }

    bool on_reply(Frame&& frame) {
        Answer answer;
        answer.id = frame.header.id;
        if (decode(frame.header.kind, frame.body, answer.reply)) return on_nonsense(frame);
        answer.own = std::move(frame.own);
        answers_.push_back(std::move(answer));
        return true;
    }

    void settle_answers() {
        if (answers_.empty()) return;
        outgoing_.take_calls(answers_);
        const auto self = this->shared_from_this();
        host_->answered(self, answers_);
        auto settled = settle(answers_, self, description());
        answers_.clear();
        deliver_all(executor_, std::move(settled));
    }

    // Liveness: a ping each heartbeat; silence for too long, judged after the socket was read, is death.

    static asio::awaitable<void> watch(std::shared_ptr<Session> self) {
        co_await self->pause(self->settings_->handshake_timeout);
        if (!self->opened_ && !self->parting_) self->end(Errc::handshake_timeout, "");
        std::error_code error;
        while (!self->ended_ && !self->parting_) {
            co_await self->pause(self->settings_->heartbeat);
            // A process that was stopped for a while finds its timers expired and its socket full.
            const auto silence = self->transport_.now() - self->last_heard_;
            if (silence > self->settings_->dead_after && self->socket_.available(error) == 0)
                self->end(Errc::peer_silent, "");
            else if (!self->ended_) self->beat();
        }
        // A peer that does not read keeps nobody waiting for a farewell.
        if (!self->ended_) co_await self->pause(self->settings_->handshake_timeout);
        if (!self->ended_) self->end(self->parting_->reason, self->parting_->detail);
    }

    asio::awaitable<void> pause(std::chrono::milliseconds time) {
        std::error_code cancelled;
        timer_.expires_after(time);
        auto token = asio::redirect_error(asio::use_awaitable, cancelled);
        co_await timer_.async_wait(token);
    }

    void beat() {
        if (types_.grew()) send_types();
        send_ping();
    }

    /// Its id is when it was sent.
    void send_ping() { send_control(FrameKind::ping, {}, std::uint64_t(transport_.now().time_since_epoch().count())); }

    bool on_pong(const Frame& frame) {
        const TimePoint sent{TimePoint::duration{std::int64_t(frame.header.id)}};
        if (const auto now = transport_.now(); sent <= now) host_->round_trip(this->shared_from_this(), now - sent);
        return true;
    }

    // The end.

    bool on_bye(const Frame& frame) {
        Refusal why;
        if (decode(frame.body, why)) return on_nonsense(frame);
        parting_ = Parting{why.reason, why.text};
        return false;
    }

    /// The session ends when what waits has left, the reason last. False, for those who handle frames.
    bool part(std::error_code reason, const std::string& detail) {
        if (parting_ || ended_) return false;
        if (opened_) send_control(FrameKind::bye, encode(Refusal{errc_of(reason, Errc::connection_closed), detail}));
        parting_ = Parting{reason, detail};
        timer_.cancel();
        return false;
    }

    void end(std::error_code reason, const std::string& detail) {
        if (ended_) return;
        ended_ = true;
        timer_.cancel();
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

    std::string description() const { return peer_name_ + " (" + detail::to_string(endpoint_) + ')'; }

    struct Parting {
        std::error_code reason;
        std::string detail;
    };

    Transport transport_;
    const asio::any_io_executor executor_;
    const typename Transport::Strand strand_;
    const std::shared_ptr<const SessionSettings> settings_;
    Outgoing outgoing_;
    asio::ip::tcp::endpoint endpoint_;
    std::string peer_name_ = "a stranger";  // written before the session is opened, then constant

    // session strand
    Socket socket_;
    typename Transport::Timer timer_;
    FrameReader reader_;
    SessionWriter<Socket> writer_;
    Handshake handshake_;
    std::shared_ptr<SessionHost<Transport>> host_;
    OwnTypes types_;
    std::vector<WorkBatch::Item> works_;
    std::vector<Answer> answers_;
    std::uint64_t bytes_received_ = 0;
    TimePoint last_heard_{};
    std::optional<Parting> parting_;  // set: the session ends when what waits has left
    bool opened_ = false;
    bool ended_ = false;
};

}  // namespace distwork
