#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/pause.hpp"
#include "../base/probe.hpp"
#include "../base/surely.hpp"
#include "../base/type_name.hpp"
#include "../calls/traffic.hpp"
#include "../connection_watch.hpp"
#include "../error.hpp"
#include "../transport.hpp"
#include "deferred_flushes.hpp"
#include "session_handler.hpp"
#include "session_protocol.hpp"
#include "session_settings.hpp"
#include "session_writer.hpp"

namespace distwork::detail {

/// One connection between two peers; both ends use this class. It has the socket and the timers: the reader, the watch
/// for silence, and the end. Its protocol knows what frames mean, its writer writes, and as a SessionSender it sends.
///
/// *Executor*: its socket's strand. *Thread-safety*: the functions of SessionSender, `leave`, `close`, `fail` and
/// `types_grew`. *Lifetime*: shared by its role, by operations under way, and by the works that it received. It keeps
/// its role alive until it ends. Works on an executor of the application may keep the session for longer than its
/// execution context exists. So everything that needs the context is destroyed when `run` ends.
template <class Transport>
class Session final : public SessionSender, public std::enable_shared_from_this<Session<Transport>> {
    using Socket = typename Transport::Socket;
    using TimePoint = std::chrono::steady_clock::time_point;
    static constexpr auto look_again_after = std::chrono::milliseconds{2};  // for works that begin meanwhile
    static constexpr auto look_again_at_most = std::chrono::milliseconds{64};

public:
    /// `executor`: where calls complete whose handlers have no associated executor.
    Session(Transport transport, asio::any_io_executor executor, Socket socket,
            std::shared_ptr<const SessionSettings> settings, std::shared_ptr<SessionHandler<Transport>> handler)
        : SessionSender{std::move(executor), std::move(settings), remote_endpoint_of(socket)},
          transport_{std::move(transport)},
          protocol_{*this, this->settings(), std::move(handler)},
          link_{std::make_unique<Link>(std::move(socket))},
          writer_{link_->socket, multiplexer()} {}

    // Any thread

    /// Tells the peer the reason, and ends the session when everything that waits has left. `text`, which must be a
    /// literal, explains the reason.
    void leave(Errc reason, const char* text) noexcept override {
        post([this, reason, text] {
            protocol_.part(reason, text);
            flush();
        });
    }

    /// Ends the session at once.
    void close(Errc reason) noexcept {
        post([this, reason] { end(reason, ""); });
    }

    /// Ends the session at once, with Errc::session_failed.
    void fail(const std::exception_ptr& why) noexcept override {
        post([this, why] { end(why); });
    }

    /// Types were registered: tells the peer.
    void types_grew() {
        post([this] {
            protocol_.tell_types();
            flush();
        });
    }

    /// At a master, also cancels the works that the cancelled work submitted.
    void cancel(const Call& call) override {
        SessionSender::cancel(call);
        if (settings().role != Role::master) return;
        post([this, id = call.id] {
            if (!has_ended()) protocol_.end_children(id);
        });
    }

    /// It is posted, so that the frame follows the introduction, which has the number of occupied slots.
    void free_slot() noexcept override {
        post([this] {
            if (!has_ended() && version() >= 2) send_control(FrameKind::credit);
        });
    }

    void write() noexcept override {
        std::optional<typename Transport::Strand> strand;
        {
            const std::lock_guard lock{link_mutex_};
            if (link_) strand = link_->strand;
        }
        if (!strand) return;
        auto flush = [self = this->shared_from_this()] { self->flush(); };
        if (exception_of([&] { asio::dispatch(*strand, flush); })) post([this] { this->flush(); });
    }

    // The session's strand

    std::uint64_t tag = 0;       ///< for the role: the id of its socket
    ConnectionWatch watched_by;  ///< for the role
    std::size_t index = 0;       ///< for the role: where it stands in the SessionSet, whose mutex guards it
    std::uint64_t stranger = 0;  ///< for the role: its number among the Strangers, whose mutex guards it

    Traffic traffic() const { return {writer_.bytes(), protocol_.bytes_received(), protocol_.liveness().last_heard()}; }
    /// Whether the peer was accepted: it greeted this end, and the role admitted it.
    bool accepted() const noexcept { return protocol_.accepted(); }

    /// The name in the peer's certificate; empty: the transport knows none.
    std::string certified_name() const {
        if constexpr (requires { link_->socket.certified_name(); }) return link_->socket.certified_name();
        else return {};
    }

    /// Greets the peer, then reads until the session ends. Never throws.
    static asio::awaitable<void> run(std::shared_ptr<Session> self) {
        const Released released{*self};
        try {
            self->protocol_.liveness().heard(self->now());
            asio::co_spawn(self->link_->strand, watch(self),
                           [self](const std::exception_ptr& error) { self->end(error); });
            if (self->settings().role == Role::slave) self->protocol_.say_hello();
            co_await self->read();
        } catch (...) {
            self->end(std::current_exception());
        }
    }

    // Called by the protocol and the writer

    TimePoint now() const { return transport_.now(); }

    /// The session was opened or began to part: wakes the coroutine that waits for either.
    void stage_changed() { link_->timer.cancel(); }

    void progressed(Multiplexer::Room room) {
        if (!protocol_.is_open() || has_ended()) return;
        if (room.for_calls) protocol_.handler()->has_room(this->shared_from_this());
        if (!room.for_answers) return;
        link_->room.cancel();
        if (const auto works = protocol_.handler()->works()) works->resume();
    }

    bool has_ended() const noexcept { return protocol_.has_ended(); }

    /// Calls `action`. An exception ends the session.
    template <class Action>
    void guarded(Action&& action) noexcept {
        try {
            action();
        } catch (...) {
            end(std::current_exception());
        }
    }

    /// Nothing waits to leave any more, or a write failed with `error`.
    void written(std::error_code error) noexcept {
        if (error) end(error, "");
        else if (const auto& why = protocol_.parting()) end(why->reason, why->detail);
    }

private:
    void wake_writer() noexcept override {
        DeferredFlushes* const gathering = DeferredFlushes::current();
        if (gathering && gathering->add(this->shared_from_this())) return;
        post([this] { flush(); });
    }

    void flush() noexcept {
        if (!has_ended()) guarded([this] { writer_.flush(this->shared_from_this()); });
    }

    // The reader

    asio::awaitable<void> read() {
        std::error_code error;
        while (!has_ended()) {
            const auto space = protocol_.prepare();
            auto token = asio::redirect_error(asio::use_awaitable, error);
            const std::size_t count =
                co_await link_->socket.async_read_some(asio::buffer(space.data(), space.size()), token);
            if (error == asio::error::eof) error = Errc::connection_closed;
            if (error) end(error, why_failed());
            // It may have ended after the bytes arrived.
            else if (!has_ended() && !protocol_.parting()) received(count);
            // A slave that sends and does not read would make its master hold more and more answers. So a master stops
            // reading. A slave does not, else both might wait for each other: its credit bounds what it receives.
            while (!has_ended() && settings().role == Role::master && multiplexer().is_overfull())
                co_await detail::pause(link_->room, std::chrono::hours{24});
            for (auto next_look = look_again_after; !has_ended() && protocol_.has_too_much(); next_look *= 2)
                co_await detail::pause(link_->room, std::min(next_look, look_again_at_most));
        }
    }

    /// What the socket itself says of its failure, if it says anything.
    std::string why_failed() const {
        if constexpr (requires { link_->socket.why_failed(); }) return link_->socket.why_failed();
        else return {};
    }

    void received(std::size_t count) {
        protocol_.receive(count);
        flush();  // one write of everything that the frames caused
    }

    // The watch sends a ping each heartbeat. It ends the session if the peer was silent for too long after its socket
    // was read, or if a write makes no progress for too long. After this process was stopped, it pings first and judges
    // later.

    static asio::awaitable<void> watch(std::shared_ptr<Session> self) {
        SessionProtocol<Transport>& protocol = self->protocol_;
        Liveness& liveness = protocol.liveness();
        const SessionSettings& settings = self->settings();
        const auto patience = self->watched_by.handshake_timeout;
        co_await detail::pause(self->link_->timer, patience.count() > 0 ? patience : settings.handshake_timeout);
        if (!protocol.is_open() && !protocol.parting()) self->end(Errc::handshake_timeout, "");
        std::error_code error;
        while (!self->has_ended() && !protocol.parting()) {
            const TimePoint due = self->now() + settings.heartbeat;
            co_await detail::pause(self->link_->timer, settings.heartbeat);
            if (self->has_ended()) co_return;
            const TimePoint woke = self->now();
            self->writer_.slept(liveness.slept(due, woke), woke);
            // A completed read may wait for the strand: what it brought must be heard before silence is judged.
            if (liveness.is_silent(self->now())) co_await asio::post(self->link_->strand, asio::use_awaitable);
            if (self->has_ended()) co_return;
            const TimePoint now = self->now();
            const bool is_read = self->link_->socket.available(error) == 0;
            if (is_read && liveness.is_silent(now)) {
                DISTWORK_MARK(heartbeat_death);
                self->end(Errc::peer_silent, "");
            } else if (self->writer_.is_stalled(now, settings.stalled_after)) {
                DISTWORK_MARK(stalled);
                self->end(Errc::peer_stalled, "");
            } else if (!self->has_ended() && !protocol.parting()) {
                if (is_read && liveness.suspect(now)) protocol.handler()->suspected(self, true);
                protocol.beat();
            }
        }
        // What waits still leaves while the peer reads. If it takes no byte for handshake_timeout, the session ends.
        std::optional<std::uint64_t> left;
        while (!self->has_ended() && (!left || (protocol.is_open() && *left != self->writer_.bytes()))) {
            left = self->writer_.bytes();
            co_await detail::pause(self->link_->timer, settings.handshake_timeout);
        }
        if (!self->has_ended()) self->end(protocol.parting()->reason, protocol.parting()->detail);
    }

    // The end

    /// An unexpected exception: an allocation failure, or a hook of the application threw.
    void end(const std::exception_ptr& error) noexcept {
        if (!error) return;
        std::string why;
        static_cast<void>(exception_of([&] { why = what_of(error); }));
        end(Errc::session_failed, why);
    }

    void end(std::error_code reason, const std::string& detail) noexcept {
        const auto handler = protocol_.end();
        if (!handler) return;
        if (reason && writer_.is_partly_written()) DISTWORK_MARK(partial_write_then_reset);
        link_->timer.cancel();
        link_->room.cancel();
        std::error_code ignored;
        static_cast<void>(link_->socket.close(ignored));
        if (const auto works = handler->works()) works->forget(*this);
        protocol_.end_all_children(*handler);
        handler->closed(this->shared_from_this(), reason, detail, multiplexer().close());
    }

    /// The destruction of an execution context destroys its coroutines, so no loop is left that could end the session.
    /// Its members must not keep it alive then.
    struct Released {
        Session& session;
        ~Released() {
            session.protocol_.end();
            session.multiplexer().close();
            std::unique_ptr<Link> dropped;  // outlives the lock
            const std::lock_guard lock{session.link_mutex_};
            dropped.swap(session.link_);
        }
    };

    /// The objects that need the execution context.
    struct Link {
        explicit Link(Socket from)
            : strand{from.get_executor()}, socket{std::move(from)}, timer{strand}, room{strand} {}

        typename Transport::Strand strand;
        Socket socket;
        typename Transport::Timer timer;
        typename Transport::Timer room;  // cancelled when the outbox is no longer overfull
    };

    /// Posts a function to the strand, from any thread. Does nothing when `run` has ended. An exception of the function
    /// ends the session.
    template <class Function>
    void post(const Function& function) noexcept {
        const std::lock_guard lock{link_mutex_};
        if (!link_) return;
        post_surely(link_->strand, [self = this->shared_from_this(), function] { self->guarded(function); });
    }

    Transport transport_;
    SessionProtocol<Transport> protocol_;  // session strand

    std::mutex link_mutex_;       // guards the pointer link_ for threads that do not run on the strand
    std::unique_ptr<Link> link_;  // session strand; null when `run` has ended
    SessionWriter<Socket> writer_;
};

}  // namespace distwork::detail
