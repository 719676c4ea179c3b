#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "../base/asio.hpp"
#include "../calls/child_works.hpp"
#include "../error.hpp"
#include "../types/peer_types.hpp"
#include "../wire/frame.hpp"
#include "../wire/frame_reader.hpp"
#include "../wire/frame_rules.hpp"
#include "../wire/handshake.hpp"
#include "../wire/progress_body.hpp"
#include "../wire/reply.hpp"
#include "../wire/slave_state_body.hpp"
#include "frame_allowance.hpp"
#include "liveness.hpp"
#include "read_batch.hpp"
#include "session_handler.hpp"
#include "session_sender.hpp"
#include "session_settings.hpp"

namespace distwork::detail {

/// The meaning of the frames that a session's peer sends. It has no socket: bytes come in, and what they cause goes to
/// the session's sender and handler. From top to bottom: one read, the greeting, the types of each side, works and
/// answers, heartbeats, the farewell.
///
/// Its session is a SessionSender with these functions: `shared_from_this()`; `now()`; `stage_changed()`, called when
/// the session was opened or began to part.
///
/// *Executor*: the session's strand. *Lifetime*: a member of its session.
template <class Transport>
class SessionProtocol {
    using Handler = SessionHandler<Transport>;
    static constexpr double bytes_of_a_frame = 1024;  // an introduction counts as so many frames as it has of these

public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// Why the session ends when everything that waits has left.
    struct Parting {
        std::error_code reason;
        std::string detail;
    };

    SessionProtocol(Session<Transport>& session, const SessionSettings& settings, std::shared_ptr<Handler> handler)
        : session_{session},
          settings_{settings},
          reader_{stranger_bytes},
          handshake_{settings.role, settings.name},
          liveness_{settings.heartbeat, settings.dead_after},
          handler_{std::move(handler)},
          batch_{settings.window, settings.role, count_in(settings.received_bytes)},
          submitted_bytes_{count_in(settings.submitted_bytes)} {}

    /// Whether the peer was accepted: it greeted this end, and the role admitted it.
    bool accepted() const noexcept { return handshake_.accepted(); }
    /// Whether the peer is to be read no further for a moment: until some of its works have begun, for example.
    bool has_too_much() const noexcept { return batch_.has_too_much() || allowance_.is_too_fast(session_.now()); }
    /// Whether both ends know each other's types.
    bool is_open() const noexcept { return is_open_; }
    const std::optional<Parting>& parting() const noexcept { return parting_; }
    bool has_ended() const noexcept { return !handler_; }

    /// The role. Null when the session has ended.
    Handler* handler() const noexcept { return handler_.get(); }
    Liveness& liveness() noexcept { return liveness_; }
    const Liveness& liveness() const noexcept { return liveness_; }
    std::uint64_t bytes_received() const noexcept { return bytes_received_; }

    /// The session has ended. Returns the role, which is to be told; null if the session had ended before.
    std::shared_ptr<Handler> end() noexcept { return std::exchange(handler_, nullptr); }

    /// Cancels the works that works of the session submitted.
    void end_all_children(Handler& handler) noexcept {
        children_.take_all([&](const std::shared_ptr<Call>& child) { handler.cancel_work(child); });
    }

    /// Where the next read puts its bytes.
    std::span<std::byte> prepare() { return reader_.prepare(); }

    void say_hello() { session_.send_control(FrameKind::hello, handshake_.hello()); }

    /// Handles the bytes of one read: parses every whole frame, then hands over all works at once and settles all
    /// answers at once.
    void receive(std::size_t count) {
        if (liveness_.heard(session_.now())) handler_->suspected(session_.shared_from_this(), false);
        bytes_received_ += count;
        session_.multiplexer().stay_awake();
        const auto broken = reader_.commit(count, [this](Frame&& frame) { return on_frame(std::move(frame)); });
        if (broken) part(accepted() ? broken : make_error_code(Errc::not_distwork), "invalid length of a frame");
        if (has_ended()) return;
        if (!children_.empty()) batch_.for_each_reply([this](std::uint64_t id) { end_children(id); });
        hand_over_works();  // first: settled answers may end a drain, which must see these works
        const std::size_t useless =
            batch_.settle_answers(session_.shared_from_this(), *handler_, session_.multiplexer());
        if (useless != 0) allow(static_cast<double>(useless));
    }

    /// Tells the peer of types that were registered since the last introduction.
    void tell_types() {
        if (has_ended() || parting_ || !session_.have_types_grown()) return;
        session_.send_types(0);
        if (is_open_) handler_->types_changed(session_.shared_from_this(), session_.match_types());
    }

    /// Sends a heartbeat.
    void beat() {
        tell_types();
        send_ping();
    }

    /// Has the session end when everything that waits has left; the reason leaves last. Returns false, as the result of
    /// a frame's handler.
    bool part(std::error_code reason, const std::string& detail) {
        if (parting_ || has_ended()) return false;
        if (accepted())
            session_.send_control(FrameKind::bye, encode(Refusal{errc_of(reason, Errc::connection_closed), detail}));
        parting_ = Parting{reason, detail};
        session_.stage_changed();
        return false;
    }

    /// Cancels the works that the work `parent` submitted.
    void end_children(std::uint64_t parent) {
        children_.take(parent, [this](const std::shared_ptr<Call>& child) {
            if (!DISTWORK_PLANTED(forget_children)) handler_->cancel_work(child);
        });
    }

private:
    // The meaning of frames. Each function returns false if the session ends with its frame.

    bool on_frame(Frame&& frame) {
        const FrameKind kind = frame.header.kind;
        const bool is_hello = !accepted() && kind == FrameKind::hello;  // it is refused with a text
        if (!has_known_flags(frame.header) && !is_hello) return on_nonsense(frame.header);
        if (!accepted()) return on_greeting(frame);
        if (!may_come(kind, settings_.role, is_open_ ? SessionStage::open : SessionStage::types, handshake_.version()))
            return on_nonsense(frame.header);
        switch (kind) {
            case FrameKind::types: return on_types(frame);
            case FrameKind::bye: return on_bye(frame);
            case FrameKind::work: return on_work(std::move(frame));
            case FrameKind::answer:
            case FrameKind::error: return on_reply(std::move(frame));
            case FrameKind::cancel: return on_cancel(frame);
            case FrameKind::recall: return on_recall(frame);
            case FrameKind::returned: return on_returned(frame);
            case FrameKind::credit: return on_credit(frame);
            case FrameKind::progress: return on_progress(frame);
            case FrameKind::ping: return on_ping(frame);
            case FrameKind::pong: return on_pong(frame);
            case FrameKind::drain: return on_drain();
            default: return on_nonsense(frame.header);
        }
    }

    bool on_nonsense(const FrameHeader& header) {
        const unsigned kind{static_cast<std::uint8_t>(header.kind)};
        return part(Errc::protocol_violation, "a frame of kind " + std::to_string(kind) + " is not valid here");
    }

    /// Takes frames that no work is behind from the peer's allowance. False: it is used up, and the session ends.
    bool allow(double frames = 1) {
        return allowance_.take(session_.now(), frames) || part(Errc::protocol_violation, "it sends too many frames");
    }

    // The greeting, then the types of each side

    bool on_greeting(const Frame& frame) {
        auto step = handshake_.take(frame.header.kind, frame.body, [&](const Greeting& hello, std::string& text) {
            return has_known_flags(frame.header) ? handler_->admit(session_, hello, text) : Errc::protocol_violation;
        });
        if (step.reply != FrameKind{}) session_.send_control(step.reply, step.body);
        if (step.error) {
            parting_ = Parting{step.error, std::move(step.detail)};
            return false;
        }
        session_.meet(handshake_.peer_name(), handshake_.version());
        reader_.max_body_bytes(std::min(settings_.max_frame_bytes, max_types_body_bytes));
        session_.send_types(handler_->occupied_slots(session_.shared_from_this()));
        return true;
    }

    bool on_types(const Frame& frame) {
        Introduction peer;
        peer.version = handshake_.version();
        try {
            detail::decode(frame.body, peer, settings_.introduction_limits());
        } catch (const Error& error) {
            return part(Errc::protocol_violation, error.what());
        }
        if (!allow(1.0 + static_cast<double>(frame.body.size()) / bytes_of_a_frame)) return false;
        if (const char* const why = why_invalid(peer, settings_.max_types)) return part(Errc::protocol_violation, why);
        if (is_open_) {
            if (!keeps_numbers(session_.introduction(), peer))
                return part(Errc::protocol_violation, "a type of its table is gone, or has another number");
            if (peer.types == session_.introduction().types) return true;
        }
        session_.take_introduction(std::move(peer));
        if (!is_open_) session_.bound_answers(session_.introduction().max_frame_bytes);
        const PeerTypes types = session_.match_types();
        if (is_open_) return handler_->types_changed(session_.shared_from_this(), types), true;
        is_open_ = true;
        held_slots_ = session_.introduction().held_slots;
        reader_.max_body_bytes(settings_.max_frame_bytes);
        session_.stage_changed();  // heartbeats begin
        handler_->opened(session_.shared_from_this(), session_.introduction(), types);
        send_ping();
        return true;
    }

    // Works and answers

    bool on_work(Frame&& frame) {
        const WorkType* const type = session_.find_type(frame.header.type);
        if (!type) return on_nonsense(frame.header);
        if (!batch_.has_room(session_.multiplexer()))
            return part(Errc::protocol_violation,
                        "the peer exceeded the advertised window of " + std::to_string(settings_.window) + " works");
        if (frame.header.flags & flag_submission) return on_submission(std::move(frame), *type);
        const bool is_newer = (frame.header.flags & (flag_chunk | flag_given)) != 0;
        if (is_newer && (handshake_.version() < 3 || settings_.role != Role::slave)) return on_nonsense(frame.header);
        if (handler_->accepts(*type)) return batch_.add_work(std::move(frame), *type, session_, *handler_), true;
        session_.reply({.kind = FrameKind::error, .id = frame.header.id},
                       error_body({}, Errc::not_accepted, "", make_error_code(Errc::not_accepted).message()));
        return allow();
    }

    /// A work that a work on the slave submitted, for this master to distribute.
    bool on_submission(Frame&& frame, const WorkType& type) {
        if (handshake_.version() < 2 || settings_.role != Role::master) return on_nonsense(frame.header);
        const auto body = frame.body.subspan(frame.header.flags & flag_timeout ? timeout_bytes : 0);
        const auto parent = detail::load<std::uint64_t>(body.data());
        const std::uint64_t id = frame.header.id;
        auto counted = CountedBytes::try_add(submitted_bytes_, body.size());
        if (!counted) return refuse_submission(id, type);
        const auto child = handler_->distribute(
            session_.shared_from_this(),
            {type, body.subspan(parent_bytes), id, session_.multiplexer().look_up(parent), std::move(*counted)});
        if (child) children_.add(parent, id, child);
        else allowance_.pace(session_.now(), cost_of_refusal);
        return true;
    }

    /// There is no room for its bytes. The peer must be read on: what it submitted before may wait for its answers.
    bool refuse_submission(std::uint64_t id, const WorkType& type) {
        const auto refused = std::make_exception_ptr(
            Error::with_text(Errc::too_many_waiting,
                             "what works of this slave submitted has more than max_slave_work_bytes, or what works of "
                             "all slaves submitted more than max_work_bytes"));
        session_.reply({.kind = FrameKind::error, .id = id}, error_body({}, refused, type.name));
        allowance_.pace(session_.now(), cost_of_refusal);
        return true;
    }

    bool on_reply(Frame&& frame) {
        const FrameHeader header = frame.header;
        const bool is_partial = header.kind == FrameKind::answer && header.flags != 0;  // an answer to a chunk
        if (is_partial && (handshake_.version() < 3 || settings_.role != Role::master)) return on_nonsense(header);
        return batch_.add_answer(std::move(frame)) || on_nonsense(header);
    }

    bool on_cancel(const Frame& frame) {
        const std::uint64_t id = frame.header.id;
        if (!batch_.has_work_for(FrameKind::cancel)) return on_nonsense(frame.header);
        if (const auto child = children_.find(id)) {
            allowance_.pace(session_.now(), cost_of_refusal);
            handler_->cancel_work(child);
        } else if (batch_.drop_work(id)) session_.reply({.kind = FrameKind::error, .id = id}, cancelled_body());
        else if (const auto works = handler_->works()) hand_over_works(), works->cancel(session_, id);
        return true;
    }

    bool on_recall(const Frame& frame) {
        const std::uint64_t id = frame.header.id;
        if (!batch_.has_work_for(FrameKind::recall)) return on_nonsense(frame.header);
        if (batch_.drop_work(id)) session_.reply({.kind = FrameKind::returned, .id = id}, ByteBuffer{});
        else if (const auto works = handler_->works()) hand_over_works(), works->recall(session_, id);
        return true;
    }

    bool on_returned(const Frame& frame) {
        batch_.add(Answer::What::returned, frame.header.id);
        return true;
    }

    bool on_credit(const Frame& frame) {
        const bool is_taken = frame.header.flags == flag_takes_slot;
        const std::uint64_t id = frame.header.id;
        if (id == 0 && is_taken) return on_nonsense(frame.header);
        if (id == 0 && held_slots_ == 0) return allow();
        if (id == 0) return --held_slots_, handler_->slot_freed(session_.shared_from_this()), true;
        allowance_.pace(session_.now());
        batch_.add(is_taken ? Answer::What::takes_slot : Answer::What::gives_slot, id);
        return true;
    }

    bool on_progress(const Frame& frame) {
        ProgressBody progress;
        if (decode(frame.body, progress)) return on_nonsense(frame.header);
        const auto call = session_.multiplexer().look_up(frame.header.id);
        if (!call) return allow();
        allowance_.pace(session_.now());
        if (!call->claimed()) call->note_progress(progress);
        return true;
    }

    /// A master answers with a drain frame, behind the last work that it sent. So the slave knows that no more works
    /// come.
    bool on_drain() {
        if (std::exchange(drains_, true)) return allow();
        hand_over_works();
        handler_->peer_drains(session_.shared_from_this());
        if (settings_.role == Role::master) session_.send_control(FrameKind::drain);
        return true;
    }

    void hand_over_works() { batch_.hand_over_works(session_.shared_from_this(), *handler_); }

    /// The bytes of this peer alone.
    std::shared_ptr<ReceivedBytes> count_in(const std::shared_ptr<ReceivedBytes>& of_all) const {
        return of_all ? std::make_shared<ReceivedBytes>(settings_.max_peer_work_bytes, of_all) : nullptr;
    }

    // Heartbeats, and the farewell

    void send_ping() { send_heartbeat(FrameKind::ping, liveness_.ping(session_.now())); }

    void send_heartbeat(FrameKind kind, std::uint64_t id) {
        if (const auto state = handler_->own_state()) session_.send_control(kind, encode(*state), id);
        else session_.send_control(kind, {}, id);
    }

    bool on_ping(const Frame& frame) {
        if (!session_.take_state(frame.body)) return on_nonsense(frame.header);
        if (!allow()) return false;
        send_heartbeat(FrameKind::pong, frame.header.id);
        return true;
    }

    bool on_pong(const Frame& frame) {
        if (!session_.take_state(frame.body)) return on_nonsense(frame.header);
        const auto time = liveness_.pong(frame.header.id, session_.now());
        if (!time) return allow();
        handler_->round_trip(session_.shared_from_this(), *time, session_.peer_state());
        return true;
    }

    bool on_bye(const Frame& frame) {
        Refusal why;
        if (decode(frame.body, why)) return on_nonsense(frame.header);
        parting_ = Parting{why.reason, why.text};
        return false;
    }

    static constexpr double cost_of_refusal = 8;  // in frames that are taken

    Session<Transport>& session_;
    const SessionSettings& settings_;
    FrameReader reader_;
    Handshake handshake_;
    Liveness liveness_;
    std::shared_ptr<Handler> handler_;  // until the session ends
    ReadBatch<Transport> batch_;
    const std::shared_ptr<ReceivedBytes> submitted_bytes_;  // may be null
    ChildWorks children_;
    FrameAllowance allowance_;
    std::uint32_t held_slots_ = 0;  // by works of an earlier session, as the peer introduced itself
    std::uint64_t bytes_received_ = 0;
    std::optional<Parting> parting_;
    bool is_open_ = false;
    bool drains_ = false;  // the peer said so
};

}  // namespace distwork::detail
