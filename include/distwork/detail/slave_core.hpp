#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../call.hpp"
#include "../error.hpp"
#include "../role_options.hpp"
#include "../session.hpp"
#include "../work_executor.hpp"
#include "../work_queue.hpp"
#include "asio.hpp"
#include "drain.hpp"
#include "probe.hpp"

namespace distwork::detail {

/// What stands behind a Slave: it lives until its last session has ended, whatever becomes of the handle.
template <class Transport>
class SlaveCore final : public SessionHost<Transport>, public std::enable_shared_from_this<SlaveCore<Transport>> {
    using typename SessionHost<Transport>::SessionPtr;
    using Timer = typename Transport::Timer;
    using Milliseconds = std::chrono::milliseconds;

public:
    SlaveCore(Transport transport, std::string host, std::uint16_t port, SlaveOptions options)
        : options_{checked(host, port, std::move(options))},
          host_{std::move(host)},
          port_{port},
          executor_{transport.get_executor()},
          transport_{std::move(transport)},
          strand_{transport_.make_strand()},
          settings_{settings_of(options_)},
          timer_{strand_},
          drain_{transport_, strand_} {
        const WorkExecutor& where = options_.work_executor;
        if (where.is_own_pool()) pool_ = transport_.make_work_pool(where.threads_for(options_.slots));
        asio::any_io_executor works = where.executor();
        if (where.is_in_place()) works = strand_;
        if (pool_) works = pool_->get_executor();
        works_ = std::make_shared<WorkQueue<Transport>>(transport_, works, where.is_in_place(), options_.slots);
    }

    const typename Transport::Strand& strand() const noexcept { return strand_; }
    const asio::any_io_executor& executor() const noexcept { return executor_; }

    void log(LogLevel level, std::string_view line) const {
        if (options_.log) options_.log(level, line);
    }

    bool is_connected() const noexcept { return connected_; }

    /// Connects, and connects again; throws what no further attempt would change.
    static asio::awaitable<void> run(std::shared_ptr<SlaveCore> self) {
        if (std::exchange(self->running_, true)) throw Error{Errc::already_running, "slave"};
        co_await self->run();
    }

    /// Takes nothing new, finishes what it has, for at most `timeout`, and leaves.
    static asio::awaitable<void> stop(std::shared_ptr<SlaveCore> self, Milliseconds timeout) {
        self->stop_running();
        if (self->drain_.begin(timeout))
            asio::co_spawn(self->strand_, drain(self), [self](const std::exception_ptr&) {});
        co_await self->drain_.ended();
    }

    static asio::awaitable<void> drain(std::shared_ptr<SlaveCore> self) {
        const auto session = self->current_session();
        if (session && self->connected_) {
            session->send_drain();
            if (!self->works_->is_idle()) DISTWORK_MARK(drain_with_works);
            if (DISTWORK_PLANTED(drain_at_once)) self->master_drained_ = true, self->works_->stop();
            co_await self->drain_.until([&self, &session] {
                const bool quiet = self->master_drained_ && self->works_->is_idle() && session->awaiting() == 0;
                return quiet || self->current_session() != session;
            });
        }
        if (session) session->leave(Errc::connection_closed, "the slave left");
        self->drain_.end();
    }

    /// Ends all at once: every call of its works is settled when this returns, whether or not the strand runs again.
    void abort() {
        works_->stop();
        if (const auto session = current_session()) settle(session->give_up(), Errc::stopped, "the slave ended");
        asio::post(strand_, [self = this->shared_from_this()] {
            self->stop_running();
            if (const auto session = self->current_session()) session->close(Errc::stopped);
        });
    }

    void join() {
        if (pool_) pool_->join();
    }

    // SessionHost: session strand, which is the slave's

    std::error_code admit(const Greeting&, std::string&) override { return Errc::wrong_role; }

    void opened(const SessionPtr& session, const Introduction&, const PeerTypes&) override {
        served_ = connected_ = true;
        log(LogLevel::info, "Connected to: " + to_string(session->remote_endpoint()));
    }

    void types_changed(const SessionPtr&, const PeerTypes&) override {}
    void answered(const SessionPtr&, std::span<Answer>) override { drain_.look_again(); }
    void deliver(std::vector<std::shared_ptr<Call>> settled) override { deliver_all(executor_, std::move(settled)); }
    bool accepts(const WorkType&) const override { return true; }
    std::shared_ptr<WorkQueue<Transport>> works() override { return works_; }
    void has_room(const SessionPtr&) override {}
    void round_trip(const SessionPtr&, std::chrono::nanoseconds) override {}
    void peer_drains(const SessionPtr&) override {
        master_drained_ = true;
        works_->when_idle(
            [self = this->shared_from_this()] { asio::post(self->strand_, [self] { self->drain_.look_again(); }); });
    }

    void closed(const SessionPtr& session, std::error_code reason, const std::string& detail,
                std::vector<std::shared_ptr<Call>> unanswered) override {
        connected_ = false;
        reason_ = reason;
        detail_ = detail;
        const std::string text = reason.message() + (detail.empty() ? "" : " (" + detail + ')');
        log(LogLevel::info, "Disconnected from: " + to_string(session->remote_endpoint()) + ": " + text);
        settle(std::move(unanswered), Errc::lost, text);
        current_session({});
        drain_.look_again();
    }

private:
    asio::awaitable<void> run() {
        Milliseconds pause = options_.reconnect_after;
        while (!stopped_) {
            std::exception_ptr failed;
            reason_.clear();
            served_ = false;
            try {
                // Who cancels the run, and who stops the slave, end the attempt.
                const auto state = co_await asio::this_coro::cancellation_state;
                const Forwarded forwarded{state.slot(), connecting_};
                auto token = asio::bind_cancellation_slot(connecting_.slot(), asio::use_awaitable);
                auto socket = co_await asio::co_spawn(strand_, connect(), token);
                if (stopped_) break;
                check_peer(*socket);
                co_await serve(std::move(*socket));
            } catch (const std::system_error&) {
                failed = std::current_exception();
            }
            if (stopped_) break;
            if (failed) {
                const std::string text = describe(failed).text;
                if (!options_.reconnect || !passes(failed)) std::rethrow_exception(failed);
                log(LogLevel::info, "No connection to " + host_ + ':' + std::to_string(port_) + ": " + text);
            } else if (served_) {
                pause = options_.reconnect_after;
            }
            if (!options_.reconnect || DISTWORK_PLANTED(no_reconnect)) break;
            timer_.expires_after(jittered(pause));
            std::error_code ignored;
            co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
            pause = std::min(pause * 2, options_.reconnect_at_most);
        }
    }

    /// Passes on what a slot is told, while it lives.
    struct Forwarded {
        Forwarded(asio::cancellation_slot from, asio::cancellation_signal& to) : slot{from} {
            if (slot.is_connected()) slot.assign([&to](asio::cancellation_type type) { to.emit(type); });
        }
        Forwarded(const Forwarded&) = delete;
        ~Forwarded() {
            if (slot.is_connected()) slot.clear();
        }
        asio::cancellation_slot slot;
    };

    void stop_running() {
        stopped_ = true;
        timer_.cancel();
        connecting_.emit(asio::cancellation_type::terminal);
    }

    /// Optional: what a coroutine of its own gives must be default-constructible.
    asio::awaitable<std::optional<typename Transport::Socket>> connect() {
        co_return co_await transport_.connect(strand_, host_, port_);
    }

    /// A name may resolve to anything.
    void check_peer(const typename Transport::Socket& socket) const {
        if (!options_.insecure_plaintext && !socket.remote_endpoint().address().is_loopback())
            throw Error{Errc::needs_credentials, host_ + " is " + to_string(socket.remote_endpoint())};
    }

    asio::awaitable<void> serve(typename Transport::Socket socket) {
        const auto session = std::make_shared<Session<Transport>>(transport_, executor_, std::move(socket), settings_,
                                                                  this->shared_from_this());
        current_session(session);
        co_await Session<Transport>::run(session);
        if (!served_ || !passes(reason_)) throw Error{reason_, detail_};
    }

    SessionPtr current_session() const {
        const std::lock_guard lock{session_mutex_};
        return session_.lock();
    }
    void current_session(const SessionPtr& session) {
        const std::lock_guard lock{session_mutex_};
        session_ = session;
    }

    void settle(std::vector<std::shared_ptr<Call>> calls, Errc reason, const std::string& text) {
        std::erase_if(calls, [reason](const auto& call) { return !call->claim(reason); });
        for (const auto& call : calls)
            call->fail(std::make_exception_ptr(Error{reason, std::string{call->name()} + ": " + text}));
        deliver_all(executor_, std::move(calls));
    }

    /// Whether a later attempt may do better.
    static bool passes(std::error_code reason) noexcept {
        for (const Errc final : {Errc::version_mismatch, Errc::not_distwork, Errc::wrong_role, Errc::needs_credentials})
            if (reason == final) return false;
        return true;
    }
    static bool passes(const std::exception_ptr& failed) {
        try {
            std::rethrow_exception(failed);
        } catch (const std::system_error& error) {
            return passes(error.code());
        }
    }

    /// From half of the pause to all of it: slaves that lost one master do not all come back at once.
    Milliseconds jittered(Milliseconds pause) const {
        const auto half = static_cast<std::uint64_t>(pause.count()) / 2;
        return pause - Milliseconds{transport_.random() % (half + 1)};
    }

    const SlaveOptions options_;
    const std::string host_;
    const std::uint16_t port_;
    const asio::any_io_executor executor_;
    Transport transport_;
    const typename Transport::Strand strand_;
    const std::shared_ptr<const SessionSettings> settings_;
    std::unique_ptr<typename Transport::WorkPool> pool_;
    std::shared_ptr<WorkQueue<Transport>> works_;
    std::atomic<bool> connected_{false};

    // strand_
    Timer timer_;                           // until the next attempt to connect
    asio::cancellation_signal connecting_;  // the attempt under way
    Drain<Transport> drain_;
    bool master_drained_ = false;  // it sends nothing more
    std::error_code reason_;       // why the last session ended
    std::string detail_;
    bool running_ = false;
    bool stopped_ = false;
    bool served_ = false;  // the last session was opened

    mutable std::mutex session_mutex_;
    // guarded by session_mutex_
    std::weak_ptr<Session<Transport>> session_;  // held by serve()
};

}  // namespace distwork::detail
