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
#include "../error.hpp"
#include "../transport.hpp"
#include "deferred_flushes.hpp"
#include "session_handler.hpp"
#include "session_protocol.hpp"
#include "session_settings.hpp"
#include "session_writer.hpp"

namespace distwork::detail {

/// One connection between two peers; both ends use this class. This file has the socket and the timers: the writer, the
/// reader, the watch for silence, and the end. SessionSender has what is sent, SessionProtocol has what frames mean.
///
/// *Executor*: its socket's strand. *Thread-safety*: the functions of SessionSender, `leave`, `close`, `fail` and
/// `types_grew`. *Lifetime*: shared by its role, by operations under way, and by the works that it received. It keeps
/// its role alive until it ends. Works on an executor of the application may keep the session for longer than its
/// execution context exists. So everything that needs the context is destroyed when `run` ends.
template <class Transport>
class Session final : public SessionProtocol<Transport> {
    using Socket = typename Transport::Socket;
    using typename SessionProtocol<Transport>::TimePoint;

public:
    /// `executor`: where calls complete whose handlers have no associated executor.
    Session(Transport transport, asio::any_io_executor executor, Socket socket,
            std::shared_ptr<const SessionSettings> settings, std::shared_ptr<SessionHandler<Transport>> handler)
        : SessionProtocol<Transport>{std::move(executor), std::move(settings), remote_endpoint_of(socket),
                                     std::move(handler)},
          transport_{std::move(transport)},
          link_{std::make_unique<Link>(std::move(socket))},
          writer_{link_->socket, multiplexer_} {}

    // Any thread

    /// Tells the peer the reason, and ends the session when everything that waits has left. `text`, which must be a
    /// literal, explains the reason.
    void leave(Errc reason, const char* text = "") noexcept {
        post([this, reason, text] {
            this->part(reason, text);
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
            this->tell_types();
            flush();
        });
    }

    /// At a master, also cancels the works that the cancelled work submitted.
    void cancel(const Call& call) override {
        SessionSender::cancel(call);
        if (settings_->role != Role::master) return;
        post([this, id = call.id] {
            if (!ended_) this->end_children(id);
        });
    }

    /// It is posted, so that the frame follows the introduction, which has the number of occupied slots.
    void free_slot() noexcept override {
        post([this] {
            if (!ended_) this->send_control(FrameKind::credit);
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

    std::uint64_t tag = 0;  ///< for the role: the id of its socket
    std::size_t place = 0;  ///< for the role: its index in the SessionSet, whose mutex guards it

    Traffic traffic() const { return {writer_.bytes(), bytes_received_, liveness_.last_heard()}; }

    /// Greets the peer, then reads until the session ends. Never throws.
    static asio::awaitable<void> run(std::shared_ptr<Session> self) {
        const Released released{*self};
        try {
            self->liveness_.heard(self->now());
            asio::co_spawn(self->link_->strand, watch(self),
                           [self](const std::exception_ptr& error) { self->end(error); });
            if (self->settings_->role == Role::slave) self->say_hello();
            co_await self->read();
        } catch (...) {
            self->end(std::current_exception());
        }
    }

    // Called by the writer

    TimePoint now() const override { return transport_.now(); }

    void progressed(Multiplexer::Room room) {
        if (!opened_ || ended_) return;
        if (room.for_calls) handler_->has_room(this->shared_from_this());
        if (!room.for_answers) return;
        link_->room.cancel();
        if (const auto works = handler_->works()) works->resume();
    }

    bool has_ended() const noexcept { return ended_; }

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
        else if (parting_) end(parting_->reason, parting_->detail);
    }

private:
    using SessionProtocol<Transport>::bytes_received_;
    using SessionProtocol<Transport>::children_;
    using SessionProtocol<Transport>::ended_;
    using SessionProtocol<Transport>::handler_;
    using SessionProtocol<Transport>::liveness_;
    using SessionProtocol<Transport>::opened_;
    using SessionProtocol<Transport>::multiplexer_;
    using SessionProtocol<Transport>::parting_;
    using SessionProtocol<Transport>::reader_;
    using SessionProtocol<Transport>::settings_;

    void wake_writer() noexcept override {
        DeferredFlushes* const gathering = DeferredFlushes::current();
        if (gathering && gathering->add(this->shared_from_this())) return;
        post([this] { flush(); });
    }

    void flush() noexcept {
        if (!ended_) guarded([this] { writer_.flush(this->shared_from_this()); });
    }

    // The reader

    asio::awaitable<void> read() {
        std::error_code error;
        while (!ended_) {
            const auto space = reader_.prepare();
            auto token = asio::redirect_error(asio::use_awaitable, error);
            const std::size_t count =
                co_await link_->socket.async_read_some(asio::buffer(space.data(), space.size()), token);
            if (error == asio::error::eof) error = Errc::connection_closed;
            if (error) end(error, "");
            else if (!ended_ && !parting_) received(count);  // it may have ended after the bytes arrived
            // A slave that sends and does not read would make its master hold more and more answers. So a master stops
            // reading. A slave does not, else both might wait for each other: its credit bounds what it receives.
            while (!ended_ && settings_->role == Role::master && multiplexer_.is_overfull())
                co_await detail::pause(link_->room, std::chrono::hours{24});
        }
    }

    void received(std::size_t count) {
        this->receive(count);
        flush();  // one write of everything that the frames caused
    }

    // The watch sends a ping each heartbeat. It ends the session if the peer was silent for too long after its socket
    // was read, or if a write makes no progress for too long. After this process was stopped, it pings first and judges
    // later.

    static asio::awaitable<void> watch(std::shared_ptr<Session> self) {
        co_await detail::pause(self->link_->timer, self->settings_->handshake_timeout);
        if (!self->opened_ && !self->parting_) self->end(Errc::handshake_timeout, "");
        std::error_code error;
        while (!self->ended_ && !self->parting_) {
            const TimePoint due = self->now() + self->settings_->heartbeat;
            co_await detail::pause(self->link_->timer, self->settings_->heartbeat);
            if (self->ended_) co_return;
            const TimePoint woke = self->now();
            self->writer_.slept(self->liveness_.slept(due, woke), woke);
            // A completed read may wait for the strand: what it brought must be heard before silence is judged.
            if (self->liveness_.is_silent(self->now())) co_await asio::post(self->link_->strand, asio::use_awaitable);
            if (self->ended_) co_return;
            const TimePoint now = self->now();
            const bool is_read = self->link_->socket.available(error) == 0;
            if (is_read && self->liveness_.is_silent(now)) {
                DISTWORK_MARK(heartbeat_death);
                self->end(Errc::peer_silent, "");
            } else if (self->writer_.is_stalled(now, self->settings_->stalled_after)) {
                DISTWORK_MARK(stalled);
                self->end(Errc::peer_stalled, "");
            } else if (!self->ended_ && !self->parting_) {
                if (is_read && self->liveness_.suspect(now)) self->handler_->suspected(self, true);
                self->beat();
            }
        }
        // What waits still leaves while the peer reads. If it takes no byte for handshake_timeout, the session ends.
        std::optional<std::uint64_t> left;
        while (!self->ended_ && (!left || (self->opened_ && *left != self->writer_.bytes()))) {
            left = self->writer_.bytes();
            co_await detail::pause(self->link_->timer, self->settings_->handshake_timeout);
        }
        if (!self->ended_) self->end(self->parting_->reason, self->parting_->detail);
    }

    void stage_changed() override { link_->timer.cancel(); }

    // The end

    /// An unexpected exception: an allocation failure, or a hook of the application threw.
    void end(const std::exception_ptr& error) noexcept {
        if (!error) return;
        std::string why;
        static_cast<void>(exception_of([&] { why = what_of(error); }));
        end(Errc::session_failed, why);
    }

    void end(std::error_code reason, const std::string& detail) noexcept {
        if (ended_) return;
        ended_ = true;
        if (reason && writer_.is_partly_written()) DISTWORK_MARK(partial_write_then_reset);
        link_->timer.cancel();
        link_->room.cancel();
        std::error_code ignored;
        static_cast<void>(link_->socket.close(ignored));
        const auto handler = std::move(handler_);
        if (const auto works = handler->works()) works->forget(*this);
        children_.take_all([&](const std::shared_ptr<Call>& child) { handler->cancel_work(child); });
        handler->closed(this->shared_from_this(), reason, detail, multiplexer_.close());
    }

    /// The destruction of an execution context destroys its coroutines, so no loop is left that could end the session.
    /// Its members must not keep it alive then.
    struct Released {
        Session& session;
        ~Released() {
            session.ended_ = true;
            session.handler_.reset();
            session.multiplexer_.close();
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

    std::mutex link_mutex_;       // guards the pointer link_ for threads that do not run on the strand
    std::unique_ptr<Link> link_;  // session strand; null when `run` has ended
    SessionWriter<Socket> writer_;
};

}  // namespace distwork::detail
