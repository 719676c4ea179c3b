#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../calls/call.hpp"
#include "../calls/locals.hpp"
#include "../calls/peer.hpp"
#include "../transport.hpp"
#include "../types/peer_types.hpp"
#include "../wire/byte_buffer.hpp"
#include "../wire/reply.hpp"
#include "../wire/slave_state_body.hpp"
#include "multiplexer.hpp"
#include "session_handler.hpp"
#include "session_settings.hpp"

namespace distwork::detail {

/// What a session sends, and what its peer said of itself: the part of a session that needs no strand.
///
/// *Thread-safety*: the functions before "Session strand", once the session is opened.
class SessionSender : public Peer {
public:
    std::error_code send(const std::shared_ptr<Call>& call) override {
        const auto sent = multiplexer_.send(call);
        if (sent.wake) wake_writer();
        if (sent.error && sent.error == Errc::foreign_type) [[unlikely]]
            return send_foreign(call);
        return sent.error;
    }

    void reply(FrameHeader header, ByteBuffer&& body) override {
        bound_answer(header.kind, body, max_answer_bytes_);
        if (multiplexer_.reply(header, std::move(body))) wake_writer();
    }

    bool takes_answers() const noexcept override { return !multiplexer_.is_overfull(); }

    std::error_code why_unknown(const WorkType& type) const override { return multiplexer_.why_unknown(type); }

    void cancel(const Call& call) override {
        if (multiplexer_.cancel(call)) wake_writer();
    }

    Locals* locals() noexcept override { return distributes() ? &locals_ : nullptr; }

    bool takes_chunks() const noexcept override { return version_ >= 3; }
    std::size_t max_answer_bytes() const noexcept override { return max_answer_bytes_; }

    bool distributes() const noexcept override { return settings_->role == Role::slave; }

    bool recall(const Call& call) override {
        if (version_ < 2) return false;
        const auto sent = multiplexer_.recall(call);
        if (sent.wake) wake_writer();
        return !sent.error;
    }

    void tell_slot(std::uint64_t id, bool is_taken) override {
        if (version_ < 2 || settings_->role != Role::slave) return;
        const std::uint8_t flags = is_taken ? flag_takes_slot : std::uint8_t{0};
        if (multiplexer_.send({.kind = FrameKind::credit, .flags = flags, .id = id})) wake_writer();
    }

    const IndexedAmounts& indexed_amounts() const noexcept override { return settings_->indexed; }

    void tell_progress(std::uint64_t id, const ProgressBody& progress) noexcept override {
        if (version_ < 3 || !distributes() || !takes_answers()) return;
        static_cast<void>(exception_of([&] {
            if (multiplexer_.send({.kind = FrameKind::progress, .id = id}, encode(progress))) wake_writer();
        }));
    }

    asio::ip::tcp::endpoint remote_endpoint() const override { return endpoint_; }
    const std::string& name() const override { return peer_name_; }
    const asio::any_io_executor& get_executor() const override { return executor_; }
    const ArchiveLimits& limits() const override { return settings_->limits; }
    void log(LogLevel level, std::string_view line) const override {
        (*settings_->peer_log)(endpoint_.address(), level, line);
    }

    /// The peer's name and address, for log lines and errors.
    const std::string& description() const noexcept { return description_; }

    /// Has the writer write what has gathered: at once if this thread runs on the strand, else posted.
    virtual void write() noexcept = 0;

    void send_drain() { send_control(FrameKind::drain); }

    /// The number of calls that await their answers.
    std::size_t awaiting() const { return multiplexer_.awaiting(); }

    /// Gives up and returns all calls that await an answer. From now on calls are refused.
    std::vector<std::shared_ptr<Call>> give_up() noexcept { return multiplexer_.give_up(); }

    // Session strand

    const SessionSettings& settings() const noexcept { return *settings_; }
    Multiplexer& multiplexer() noexcept { return multiplexer_; }
    /// What the peer introduced itself with last.
    const Introduction& introduction() const noexcept { return peer_; }
    /// The latest state that a slave sent.
    const SlaveState& peer_state() const noexcept { return peer_state_; }
    /// The type that the peer sends under this number; null if it was told of none.
    const WorkType* find_type(std::uint32_t number) const { return types_.find(number); }
    /// Whether types were registered since the peer was told.
    bool have_types_grown() const { return types_.grew(*settings_->types); }

    void send_control(FrameKind kind, std::span<const std::byte> body = {}, std::uint64_t id = 0) {
        if (multiplexer_.send({.kind = kind, .id = id}, body)) wake_writer();
    }

    /// Sends an introduction. `held_slots`: the slots of this slave that works of an earlier session still occupy.
    void send_types(std::uint32_t held_slots) {
        Introduction introduction{.slots = settings_->slots,
                                  .window = settings_->window,
                                  .max_frame_bytes = static_cast<std::uint32_t>(settings_->max_frame_bytes),
                                  .labels = settings_->labels,
                                  .types = {},
                                  .version = version_,
                                  .held_slots = held_slots,
                                  .amounts = settings_->amounts,
                                  .indexed = {}};
        for (const auto& [name, units] : settings_->indexed) introduction.indexed.push_back(name);
        types_.tell(*settings_->types, settings_->accepted.get(), introduction);
        ByteBuffer body;
        encode_value(introduction, body, settings_->introduction_limits());
        if (multiplexer_.send({.kind = FrameKind::types}, std::move(body))) wake_writer();
    }

    /// The types that both sides have. Called again whenever one of the tables grew.
    PeerTypes match_types() {
        PeerTypes types{types_.told(), peer_};
        multiplexer_.introduce(types, peer_.window, peer_.max_frame_bytes, version_);
        if (*settings_->peer_log)
            types.log_differences([this](LogLevel level, std::string_view line) { log(level, line); }, description());
        for (const std::string& text : settings_->types->take_opaque())
            log(LogLevel::info,
                "Not all of " + text + " is compared with peers' types: fingerprint_override can tell builds apart");
        return types;
    }

    /// Takes the body of a heartbeat: empty, or the state of a slave. False: it is invalid.
    bool take_state(std::span<const std::byte> body) {
        return body.empty() || (settings_->role == Role::master && !decode(body, peer_state_));
    }

    // Called before the session is opened
    void meet(std::string peer_name, std::uint16_t version) {
        version_ = version;
        peer_name_ = std::move(peer_name);
        description_ = name_and_address(peer_name_, endpoint_);
    }
    void bound_answers(std::size_t max_bytes) { max_answer_bytes_ = std::min(settings_->max_frame_bytes, max_bytes); }

    /// The peer introduced itself.
    void take_introduction(Introduction peer) { peer_ = std::move(peer); }

protected:
    /// Of the wire, as both ends agreed.
    std::uint16_t version() const noexcept { return version_; }

    SessionSender(asio::any_io_executor executor, std::shared_ptr<const SessionSettings> settings,
                  asio::ip::tcp::endpoint endpoint)
        : settings_{std::move(settings)},
          multiplexer_{settings_->max_outbox_bytes},
          executor_{std::move(executor)},
          endpoint_{std::move(endpoint)},
          description_{name_and_address(peer_name_, endpoint_)} {}

    /// Wakes the writer after a frame was queued.
    virtual void wake_writer() noexcept = 0;

private:
    /// Sends a call whose type was registered in another library's registry: it enters the registry of this role first.
    [[gnu::cold]] std::error_code send_foreign(const std::shared_ptr<Call>& call) {
        try {
            call->enter(settings_->types->registry());
        } catch (const Error& error) {
            return error.code();
        }
        return send(call);
    }

    const std::shared_ptr<const SessionSettings> settings_;
    Multiplexer multiplexer_;
    Locals locals_;

    // session strand
    OwnTypes types_;
    Introduction peer_;
    SlaveState peer_state_;

    const asio::any_io_executor executor_;
    const asio::ip::tcp::endpoint endpoint_;
    // written before the session is opened, then constant
    std::string peer_name_ = "a stranger";
    std::string description_;
    std::size_t max_answer_bytes_ = 0;
    std::uint16_t version_ = oldest_protocol_version;
};

}  // namespace distwork::detail
