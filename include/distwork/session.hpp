#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
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
#include "outgoing.hpp"
#include "peer.hpp"
#include "session_host.hpp"
#include "transport.hpp"
#include "work_queue.hpp"

namespace distwork {

/// One connected link between two peers; both ends are of this class. From top to bottom: calls go out, the writer,
/// the reader, what frames mean, liveness, the end.
///
/// *Executor*: its socket's strand. *Thread-safety*: the functions of Peer, `close`. *Lifetime*: shared by its role,
/// by operations under way, and by the works it received. It keeps its host alive until it ends.
template <class Transport>
class Session final : public Peer, public std::enable_shared_from_this<Session<Transport>> {
    using Socket = typename Transport::Socket;
    using Timer = typename Transport::Timer;
    using Strand = typename Transport::Strand;

public:
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
          host_{std::move(host)} {
        std::error_code ignored;
        endpoint_ = socket_.remote_endpoint(ignored);
    }

    // Peer: any thread

    std::error_code send(const std::shared_ptr<Call>& call) override {
        const auto sent = outgoing_.send(call);
        if (sent.wake) wake_writer();
        return sent.error;
    }

    void reply(std::uint64_t id, FrameKind kind, ByteBuffer&& body) override {
        if (body.size() > settings_->max_frame_bytes) {
            body = error_body({}, Errc::too_large, "", "an answer of " + std::to_string(body.size()) + " bytes");
            kind = FrameKind::error;
        }
        if (outgoing_.send({.kind = kind, .id = id}, std::move(body))) wake_writer();
    }

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

    std::uint64_t tag = 0;  ///< the host's own; session strand

    /// Calls that were sent and not answered yet.
    std::size_t awaiting() const { return outgoing_.awaiting(); }

    /// Tells the peer to send nothing new.
    void send_drain() { send_control(FrameKind::drain); }

    /// Gives up every call that awaits an answer, from any thread; the session ends soon.
    std::vector<std::shared_ptr<Call>> give_up() { return outgoing_.close(); }

    /// Ends the session: at once, or, politely, after what waits to leave has left, with a farewell.
    void close(Errc reason) {
        asio::post(strand_, [self = this->shared_from_this(), reason] { self->end(reason, ""); });
    }
    void leave() {
        asio::post(strand_, [self = this->shared_from_this()] {
            self->leaving_for_good_ = true;
            self->send_control(FrameKind::bye);
        });
    }

    /// Greets, then reads until the session ends; never throws.
    asio::awaitable<void> run() {
        const auto self = this->shared_from_this();
        last_heard_ = transport_.now();
        asio::co_spawn(strand_, watch(self), [self](const std::exception_ptr&) {});
        if (settings_->role == Role::slave)
            send_control(FrameKind::hello, encode(Greeting{.role = settings_->role, .name = settings_->name}));
        std::error_code error;
        while (!ended_) {
            const auto space = reader_.prepare();
            auto token = asio::redirect_error(asio::use_awaitable, error);
            const std::size_t count = co_await socket_.async_read_some(asio::buffer(space.data(), space.size()), token);
            if (error) {
                end(error == asio::error::eof ? make_error_code(Errc::connection_closed) : error, "");
                break;
            }
            receive(count);
        }
    }

private:
    // The writer. At most one write is under way, and it alone uses leaving_.

    void wake_writer() {
        asio::post(strand_, [self = this->shared_from_this()] { self->flush(); });
    }

    void flush() {
        if (writing_ || ended_) return;
        if (leaving_.empty() && !outgoing_.take(leaving_)) {
            if (leaving_for_good_) end(Errc::connection_closed, "left");
            return;
        }
        leaving_.gather(buffers_, most_bytes_a_write);
        writing_ = true;
        socket_.async_write_some(std::span<const asio::const_buffer>{buffers_},
                                 [self = this->shared_from_this()](std::error_code error, std::size_t count) {
                                     self->writing_ = false;
                                     if (error) return self->end(error, "");
                                     self->traffic_.bytes_sent += count;
                                     self->leaving_.consume(count);
                                     self->flush();
                                 });
    }

    void send_control(FrameKind kind, std::span<const std::byte> body = {}, std::uint64_t id = 0) {
        if (outgoing_.send({.kind = kind, .id = id}, body)) wake_writer();
    }

    // The reader: one read, every whole frame in it, one hand-over of its works, one flush of what it caused.

    void receive(std::size_t count) {
        last_heard_ = transport_.now();
        traffic_.bytes_received += count;
        outgoing_.stay_awake();
        const std::error_code broken =
            reader_.commit(count, [this](Frame&& frame) { return on_frame(std::move(frame)); });
        if (!ended_) {
            settle_answers();
            hand_over_works();
        }
        if (broken) end(broken, "");
        flush();
    }

    /// False once the session has ended.
    bool on_frame(Frame&& frame) {
        switch (frame.header.kind) {
            case FrameKind::work: return opened_ ? on_work(std::move(frame)) : refuse_frame(frame);
            case FrameKind::answer:
            case FrameKind::error: return opened_ ? on_reply(std::move(frame)) : refuse_frame(frame);
            case FrameKind::cancel:
                if (!opened_) return refuse_frame(frame);
                hand_over_works();  // it may be among them
                if (const auto works = host_->works()) works->cancel(*this, frame.header.id);
                return true;
            case FrameKind::ping:
                if (!accepted_) return refuse_frame(frame);
                send_control(FrameKind::pong, {}, frame.header.id);
                return true;
            case FrameKind::pong: return opened_ ? on_pong(frame) : refuse_frame(frame);
            case FrameKind::types: return accepted_ ? on_types(frame) : refuse_frame(frame);
            case FrameKind::hello:
                return settings_->role == Role::master && !accepted_ ? on_hello(frame) : refuse_frame(frame);
            case FrameKind::welcome:
                return settings_->role == Role::slave && !accepted_ ? on_welcome(frame) : refuse_frame(frame);
            case FrameKind::refuse:
                return settings_->role == Role::slave && !accepted_ ? on_refuse(frame) : refuse_frame(frame);
            case FrameKind::drain:
                if (!opened_) return refuse_frame(frame);
                host_->peer_drains(this->shared_from_this());
                return true;
            case FrameKind::bye: return end(Errc::connection_closed, "the peer left"), false;
            default: return refuse_frame(frame);
        }
    }

    bool refuse_frame(const Frame& frame) {
        const auto kind = std::to_string(static_cast<unsigned>(frame.header.kind));
        if (!accepted_ && settings_->role == Role::master)
            return end(Errc::not_distwork, "first frame of kind " + kind), false;
        return end(Errc::protocol_violation, "frame of kind " + kind + " out of place"), false;
    }

    // The handshake: hello, welcome or refuse, then each side's types.

    bool on_hello(const Frame& frame) {
        Greeting hello;
        std::uint16_t version = 0;
        std::string text;
        std::error_code error = decode(frame.body, hello);
        if (!error) error = meet(hello, Role::slave, version);
        if (!error) error = host_->admit(hello, text);
        if (error) {
            const bool ours = error.category() == error_category();
            const Refusal refusal{ours ? static_cast<Errc>(error.value()) : Errc::protocol_violation,
                                  text.empty() ? error.message() : text};
            send_control(FrameKind::refuse, encode(refusal));
            refused_ = error;
            leaving_for_good_ = true;
            return false;
        }
        peer_name_ = std::move(hello.name);
        const Greeting welcome{.oldest = version, .newest = version, .role = Role::master, .name = settings_->name};
        send_control(FrameKind::welcome, encode(welcome));
        accept_peer();
        return true;
    }

    bool on_welcome(const Frame& frame) {
        Greeting welcome;
        std::uint16_t version = 0;
        if (const std::error_code error = decode(frame.body, welcome)) return end(error, ""), false;
        if (const std::error_code error = meet(welcome, Role::master, version)) return end(error, ""), false;
        peer_name_ = std::move(welcome.name);
        accept_peer();
        return true;
    }

    bool on_refuse(const Frame& frame) {
        Refusal refusal;
        if (const std::error_code error = decode(frame.body, refusal)) return end(error, ""), false;
        return end(make_error_code(refusal.reason), "refused: " + refusal.text), false;
    }

    void accept_peer() {
        accepted_ = true;
        reader_.max_body_bytes(settings_->max_frame_bytes);
        types_ = Registry::instance().types();
        send_types();
    }

    void send_types() {
        Introduction introduction{settings_->slots, settings_->window, settings_->labels, {}};
        for (const WorkType* type : types_) introduction.types.emplace_back(type->name, type->fingerprint());
        ByteBuffer body;
        detail::encode_value(introduction, body, settings_->limits);
        if (outgoing_.send({.kind = FrameKind::types}, std::move(body))) wake_writer();
    }

    bool on_types(const Frame& frame) {
        Introduction peer;
        try {
            detail::decode(frame.body, peer, settings_->limits);
        } catch (const Error& error) {
            return end(Errc::protocol_violation, error.what()), false;
        }
        const PeerTypes types{types_, peer};
        outgoing_.introduce(types, peer.window);
        for (const std::string& name : types.differing())
            log(LogLevel::warning, "type " + name + " has another shape at " + peer_name_ + ": it is not exchanged");
        for (const std::string& name : types.unknown_names())
            log(LogLevel::debug, "type " + name + " is not known at " + peer_name_);
        const auto self = this->shared_from_this();
        if (opened_) return host_->types_changed(self, types), true;
        opened_ = true;
        host_->opened(self, peer, types);
        send_ping();
        return true;
    }

    // Works and answers gather while a read is parsed.

    bool on_work(Frame&& frame) {
        WorkBatch::Item item;
        item.id = frame.header.id;
        item.body = frame.body;
        if (frame.header.type < types_.size()) item.type = types_[frame.header.type];
        if (!item.type || !host_->accepts(*item.type)) {
            reply(item.id, FrameKind::error,
                  item.type ? error_body({}, Errc::not_accepted, "", item.type->name)
                            : error_body({}, Errc::unknown_type, "", std::to_string(frame.header.type)));
            return true;
        }
        if (frame.own) {
            hand_over_works();
            hand_over({item}, std::shared_ptr<const std::byte[]>{std::move(frame.own)});
        } else {
            works_.push_back(item);
        }
        return true;
    }

    /// One block for the bodies of all works of a read: the read buffer stays with the reader.
    void hand_over_works() {
        if (works_.empty()) return;
        std::size_t bytes = 0;
        for (const auto& item : works_) bytes += item.body.size();
        auto block = std::make_shared_for_overwrite<std::byte[]>(bytes);
        std::byte* to = block.get();
        for (auto& item : works_) {
            if (!item.body.empty()) std::memcpy(to, item.body.data(), item.body.size());
            item.body = {to, item.body.size()};
            to += item.body.size();
        }
        hand_over(std::exchange(works_, {}), std::move(block));
    }

    void hand_over(std::vector<WorkBatch::Item> items, std::shared_ptr<const void> block) {
        auto batch = std::make_shared<WorkBatch>();
        batch->peer = this->shared_from_this();
        batch->block = std::move(block);
        batch->items = std::move(items);
        host_->works()->push(std::move(batch));
    }

    bool on_reply(Frame&& frame) {
        Answer answer;
        answer.id = frame.header.id;
        if (decode(frame.header.kind, frame.body, answer.reply)) return refuse_frame(frame);
        answer.own = std::move(frame.own);
        answers_.push_back(std::move(answer));
        return true;
    }

    void settle_answers() {
        if (answers_.empty()) return;
        outgoing_.take_calls(answers_);
        const auto self = this->shared_from_this();
        host_->answered(self, answers_);
        std::vector<std::shared_ptr<Call>> settled;
        settled.reserve(answers_.size());
        for (Answer& answer : answers_) {
            if (!answer.call || !answer.call->claim()) continue;
            if (answer.reply.error == Errc{})
                answer.call->succeed(answer.reply.value, self);
            else
                answer.call->fail(to_exception(answer));
            settled.push_back(std::move(answer.call));
        }
        answers_.clear();
        deliver_all(executor_, std::move(settled));
    }

    std::exception_ptr to_exception(const Answer& answer) const {
        const Reply& reply = answer.reply;
        const std::string name{answer.call->name()};
        if (reply.error != Errc::work_failed)
            return std::make_exception_ptr(Error{reply.error, name + ": " + reply.text});
        return std::make_exception_ptr(
            RemoteError{reply.exception_type, reply.text, name, description(), answer.call->attempt()});
    }

    // Liveness: a ping each heartbeat; silence for too long, judged after the socket was read, is death.

    static asio::awaitable<void> watch(std::shared_ptr<Session> self) {
        std::error_code error;
        self->timer_.expires_after(self->settings_->handshake_timeout);
        co_await self->timer_.async_wait(asio::redirect_error(asio::use_awaitable, error));
        if (!self->ended_ && !self->opened_) self->end(Errc::handshake_timeout, "");
        while (!self->ended_) {
            self->timer_.expires_after(self->settings_->heartbeat);
            co_await self->timer_.async_wait(asio::redirect_error(asio::use_awaitable, error));
            if (self->ended_) break;
            const auto silence = self->transport_.now() - self->last_heard_;
            // A process that was stopped for a while finds its timers expired and its socket full.
            if (silence > self->settings_->dead_after && self->socket_.available(error) == 0)
                self->end(Errc::peer_silent, "");
            else
                self->beat();
        }
    }

    void beat() {
        if (Registry::instance().size() != types_.size()) types_ = Registry::instance().types(), send_types();
        send_ping();
    }

    void send_ping() {
        send_control(FrameKind::ping, {}, static_cast<std::uint64_t>(transport_.now().time_since_epoch().count()));
    }

    bool on_pong(const Frame& frame) {
        const std::chrono::steady_clock::time_point sent{
            std::chrono::steady_clock::duration{static_cast<std::int64_t>(frame.header.id)}};
        const auto now = transport_.now();
        if (sent <= now) host_->round_trip(this->shared_from_this(), now - sent);
        return true;
    }

    // The end.

    void end(std::error_code reason, const std::string& detail) {
        if (ended_) return;
        settle_answers();  // those of this read that came before the end
        ended_ = true;
        if (refused_) reason = refused_;
        timer_.cancel();
        std::error_code ignored;
        static_cast<void>(socket_.close(ignored));
        const auto host = std::move(host_);
        if (const auto works = host->works()) works->forget(*this);
        host->closed(this->shared_from_this(), reason, detail, outgoing_.close());
    }

    std::string description() const { return peer_name_ + " (" + detail::to_string(endpoint_) + ')'; }

public:
    /// What crossed so far. On the strand only.
    Traffic traffic() const {
        Traffic traffic = traffic_;
        traffic.last_heard = last_heard_;
        return traffic;
    }

private:
    static constexpr std::size_t most_bytes_a_write = 256 * 1024;

    Transport transport_;
    const asio::any_io_executor executor_;
    const Strand strand_;
    const std::shared_ptr<const SessionSettings> settings_;
    Outgoing outgoing_;
    asio::ip::tcp::endpoint endpoint_;

    // session strand
    Socket socket_;
    Timer timer_;
    FrameReader reader_;
    Outbox leaving_;
    std::vector<asio::const_buffer> buffers_;
    std::vector<const WorkType*> types_;  // as we told the peer
    std::vector<WorkBatch::Item> works_;
    std::vector<Answer> answers_;
    std::shared_ptr<SessionHost<Transport>> host_;
    Traffic traffic_;
    std::chrono::steady_clock::time_point last_heard_{};
    std::error_code refused_;
    bool accepted_ = false;
    bool opened_ = false;
    bool writing_ = false;
    bool leaving_for_good_ = false;
    bool ended_ = false;
    std::string peer_name_ = "a stranger";  // written before the session is opened, then constant
};

}  // namespace distwork
