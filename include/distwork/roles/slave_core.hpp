#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/pause.hpp"
#include "../base/probe.hpp"
#include "../base/run_once.hpp"
#include "../base/surely.hpp"
#include "../base/type_name.hpp"
#include "../calls/call.hpp"
#include "../calls/deliver.hpp"
#include "../error.hpp"
#include "../execution/work_queue.hpp"
#include "../link/session.hpp"
#include "../role_options.hpp"
#include "../types/registry.hpp"
#include "../work_executor.hpp"
#include "any_slave.hpp"
#include "checked_options.hpp"
#include "connector.hpp"
#include "reconnect_policy.hpp"
#include "role_log.hpp"
#include "shutdown.hpp"

namespace distwork::detail {

/// The implementation of a Slave. *Lifetime*: shared by the Slave, by its coroutines and by its session: it may outlive
/// the Slave until its last session has ended.
template <class Transport>
class SlaveCore final : public AnySlave,
                        public SessionHandler<Transport>,
                        public RegistryObserver,
                        public std::enable_shared_from_this<SlaveCore<Transport>> {
    using typename SessionHandler<Transport>::SessionPtr;
    using Timer = typename Transport::Timer;
    using Milliseconds = std::chrono::milliseconds;

public:
    SlaveCore(Transport transport, std::vector<MasterAddress> masters, SlaveOptions options)
        : options_{checked(masters, with_leave(std::move(options)), transport.process_name(), transport.default_log())},
          executor_{transport.get_executor()},
          transport_{std::move(transport)},
          strand_{transport_.make_strand()},
          settings_{settings_of(options_, [transport = transport_] { return transport.now(); })},
          log_{options_.log},
          connector_{std::make_shared<Connector<Transport>>(transport_, strand_, options_.link.dead_after)},
          search_{std::move(masters), options_.reconnect_after, options_.reconnect_at_most},
          timer_{strand_},
          shutdown_{transport_, strand_} {
        const WorkExecutor& where = options_.work_executor;
        if (where.is_own_pool()) pool_ = transport_.make_work_pool(where.threads_for(*options_.slots));
        asio::any_io_executor works = where.executor();
        if (where.is_in_place()) works = strand_;
        if (pool_) works = pool_->get_executor();
        works_ = std::make_shared<WorkQueue<Transport>>(transport_, works, where.is_in_place(), *options_.slots,
                                                        options_.max_suspended);
    }

    asio::any_io_executor any_strand() const override { return strand_; }
    const asio::any_io_executor& executor() const noexcept override { return executor_; }

    void accept_work(const WorkType& type) override {
        settings_->accepted->insert(settings_->types->registry().own(type));
    }
    bool is_connected() const noexcept override { return connected_; }
    SlaveActivity activity() const override { return works_->activity(); }

    /// From now on until the end, tells the master about types that libraries register.
    void observe_registry() { settings_->types->observe(*this); }

    void types_grew() override {
        if (const auto session = current_session()) session->types_grew();
    }

    void start() override {
        begin();
        asio::co_spawn(strand_, run_begun(self()), [self = self()](const std::exception_ptr& error) {
            if (error) self->log_(LogLevel::error, [&] { return "Ended: " + what_of(error); });
            else self->log_(LogLevel::info, "Ended");
        });
    }
    void ask_to_run() noexcept override { once_.ask(); }

    asio::awaitable<void> run() override { return run(self()); }
    asio::awaitable<void> stop(Milliseconds timeout) override { return stop(self(), timeout); }

    void end() noexcept override {
        settings_->types->forget(*this);
        abort();
        if (pool_) pool_->join();
    }

    // SessionHandler: session strand, which is the slave's

    std::error_code admit(const Session<Transport>&, const Greeting&, std::string&) override {
        return Errc::wrong_role;
    }

    void opened(const SessionPtr& session, const Introduction&, const PeerTypes&) override {
        served_ = connected_ = true;
        is_unreachable_ = false;
        if (!search_.is_first()) DISTWORK_MARK(second_master);
        log_(LogLevel::info, [&] { return "Connected to: " + to_string(session->remote_endpoint()); });
    }

    void types_changed(const SessionPtr&, const PeerTypes&) override {}
    void answered(const SessionPtr&, std::span<Answer>) noexcept override { shutdown_.look_again(); }
    void deliver(std::vector<std::shared_ptr<Call>> settled) noexcept override {
        deliver_all(executor_, std::move(settled));
    }
    bool accepts(const WorkType& type) const override {
        return settings_->accepted->empty() || settings_->accepted->contains(type);
    }
    std::shared_ptr<WorkQueue<Transport>> works() noexcept override { return works_; }
    std::uint32_t occupied_slots(const SessionPtr& session) override { return works_->hold(session); }
    void has_room(const SessionPtr&) override {}
    void round_trip(const SessionPtr&, std::chrono::nanoseconds, const SlaveState&) override {}
    std::optional<SlaveState> own_state() override {
        SlaveState state = works_->state();
        const MachineLoad& machine = load_.at(transport_.now(), [this] { return transport_.machine_load(); });
        state.load_average = machine.load_average;
        state.free_memory = machine.free_memory;
        return state;
    }
    void peer_drains(const SessionPtr&) override {
        master_drained_ = true;
        works_->when_idle(shutdown_.looking_again(self()));
    }

    void closed(const SessionPtr& session, std::error_code reason, const std::string& detail,
                std::vector<std::shared_ptr<Call>> unanswered) noexcept override {
        connected_ = false;
        reason_ = reason;
        detail_ = surely([&] { return detail; });
        const std::string text = surely([&] { return why_ended(reason, detail); });
        // If no session was opened, after_failure() logs the reason as well.
        log_(served_ && !is_clean_end(reason) ? LogLevel::warning : LogLevel::info,
             [&] { return "Disconnected from: " + to_string(session->remote_endpoint()) + ": " + text; });
        settle(std::move(unanswered), Errc::lost, surely([&] { return "its master was lost: " + text; }));
        current_session({});
        shutdown_.look_again();
    }

private:
    std::shared_ptr<SlaveCore> self() { return this->shared_from_this(); }

    static SlaveOptions with_leave(SlaveOptions options) {
        options.insecure_plaintext |= authenticates<Transport>;  // nothing is sent in plain text
        return options;
    }

    // The life cycle

    void begin() { once_.begin("slave " + options_.name); }

    static asio::awaitable<void> run(std::shared_ptr<SlaveCore> self) {
        self->begin();
        co_await surely([&self] { return run_begun(self); });
    }
    static asio::awaitable<void> run_begun(std::shared_ptr<SlaveCore> self) {
        co_await surely([&self] { return self->connect_again_and_again(); });
    }

    static asio::awaitable<void> stop(std::shared_ptr<SlaveCore> self, Milliseconds timeout) {
        self->stop_running();
        if (self->shutdown_.begin(timeout)) {
            const auto ended = [self](const std::exception_ptr& failed) {
                if (!failed) return;
                if (const auto session = self->current_session()) session->close(Errc::stopped);
                self->shutdown_.end();
            };
            ended(exception_of([&] { asio::co_spawn(self->strand_, drain(self), ended); }));
        }
        co_await self->shutdown_.ended("a slave's stop");
    }

    static asio::awaitable<void> drain(std::shared_ptr<SlaveCore> self) {
        const auto session = self->current_session();
        if (session && self->connected_) {
            session->send_drain();
            if (!self->works_->is_idle()) DISTWORK_MARK(drain_with_works);
            if (DISTWORK_PLANTED(drain_at_once)) self->master_drained_ = true, self->works_->stop();
            co_await self->shutdown_.until([&self, &session] {
                const bool idle = self->works_->is_idle();
                // Works may still be suspended or submit children: check again when they are done.
                if (!idle && self->master_drained_) self->works_->when_idle(self->shutdown_.looking_again(self));
                const bool quiet = self->master_drained_ && idle && session->awaiting() == 0;
                return quiet || self->current_session() != session;
            });
        }
        if (session) {
            session->leave(Errc::connection_closed, "the slave left");
            co_await self->shutdown_.until([&self, &session] { return self->current_session() != session; });
        }
        self->shutdown_.end();
    }

    /// Ends everything at once. When this returns, every call of its works is settled, even if the strand never runs
    /// again.
    void abort() noexcept {
        if (!once_.was_asked())
            log_(LogLevel::warning, [] { return "It ended without having run: it needs start() or async_run()"; });
        works_->stop();
        if (const auto session = current_session()) settle(session->give_up(), Errc::stopped, "the slave ended");
        post_surely(strand_, [self = self()] {
            self->stop_running();
            if (const auto session = self->current_session()) session->close(Errc::stopped);
        });
    }

    // Its sessions

    asio::awaitable<void> connect_again_and_again() {
        while (!stopped_) {
            std::exception_ptr failed;
            try {
                co_await attempt();
            } catch (...) {
                failed =
                    exception_of([this] { rethrow_naming("No connection to " + search_.master().to_string() + ": "); });
            }
            if (stopped_ || (!failed && is_last_session()) || DISTWORK_PLANTED(no_reconnect)) break;
            const auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() != asio::cancellation_type::none) throw Error{Errc::cancelled, "a slave's run"};
            const Milliseconds pause = failed ? after_failure(failed) : search_.lost();
            if (pause.count() == 0) continue;
            co_await detail::pause(timer_, DISTWORK_PLANTED(knock_at_once) ? Milliseconds{1} : jittered(pause));
        }
    }

    bool is_last_session() const noexcept {
        return options_.reconnect == Reconnect::never ||
               (options_.reconnect == Reconnect::until_bye && (reason_ == Errc::stopped || reason_ == Errc::draining));
    }

    /// One connection to one master, from its beginning to its end. Throws if no session was opened, if no later
    /// attempt can succeed, or if a peer broke the protocol.
    asio::awaitable<void> attempt() {
        reason_.clear();
        served_ = false;
        auto socket = co_await connector_->connect(search_.master());
        if (stopped_) co_return;
        check_peer(socket);
        co_await serve(std::move(socket));
    }

    /// The pause before the next attempt. Throws `failed` if there is no further attempt.
    Milliseconds after_failure(const std::exception_ptr& failed) {
        const auto pause = passes(failed) ? search_.failed() : search_.strike();
        if (!pause || (options_.reconnect == Reconnect::never && pause->count() != 0)) std::rethrow_exception(failed);
        // Attempts go on. Only failures of the first round are warnings.
        log_(is_unreachable_ && passes(failed) ? LogLevel::info : LogLevel::warning,
             [&] { return what_of(failed) + (passes(failed) ? "" : "; this master is not tried again"); });
        if (pause->count() != 0) is_unreachable_ = true;
        return *pause;
    }

    void stop_running() {
        stopped_ = true;
        timer_.cancel();
        connector_->stop();
    }

    /// Checks the address to which a host name resolved. *Errors*: Error (needs_credentials).
    void check_peer(const typename Transport::Socket& socket) {
        const auto peer = remote_endpoint_of(socket);
        if (authenticates<Transport> || peer.address().is_loopback()) return;
        if (!options_.insecure_plaintext)
            throw Error::with_text(Errc::needs_credentials, beyond_this_machine(to_string(peer)));
        if (std::exchange(has_warned_, true)) return;
        log_(LogLevel::warning, [&] {
            return "Who answers at " + to_string(peer) +
                   " decides what is executed here, in plain text (insecure_plaintext)";
        });
    }

    asio::awaitable<void> serve(typename Transport::Socket socket) {
        const auto session =
            std::make_shared<Session<Transport>>(transport_, executor_, std::move(socket), settings_, self());
        current_session(session);
        co_await Session<Transport>::run(session);
        if (!served_ || !passes(reason_) || is_broken(reason_))
            throw Error::with_text(reason_, why_ended(reason_, detail_));
    }

    SessionPtr current_session() const {
        const std::lock_guard lock{session_mutex_};
        return session_.lock();
    }
    void current_session(const SessionPtr& session) {
        const std::lock_guard lock{session_mutex_};
        session_ = session;
    }

    void settle(std::vector<std::shared_ptr<Call>> calls, Errc reason, std::string_view text) noexcept {
        fail_unclaimed(calls, reason, [&](const Call& call) { return (std::string{call.name()} + ": ").append(text); });
        deliver_all(executor_, std::move(calls));
    }

    /// Whether a later attempt may succeed.
    static bool passes(std::error_code reason) noexcept {
        for (const Errc final : {Errc::version_mismatch, Errc::not_distwork, Errc::wrong_role, Errc::needs_credentials})
            if (reason == final) return false;
        return true;
    }
    /// Whether a peer broke the protocol, or this slave could not be started. Then the attempt counts as failed, so that
    /// the other masters of the list are tried, and pauses grow.
    static bool is_broken(std::error_code reason) noexcept {
        return reason == Errc::protocol_violation || reason == Errc::frame_too_large || reason == Errc::start_failed;
    }
    /// So it may after an exception without a code, for example an allocation failure.
    static bool passes(const std::exception_ptr& failed) noexcept { return passes(error_code_of(failed)); }

    /// A random pause from half of `pause` to `pause`: slaves that lost one master do not all connect again at once.
    Milliseconds jittered(Milliseconds pause) const {
        const auto half = static_cast<std::uint64_t>(pause.count()) / 2;
        return pause - Milliseconds{transport_.random() % (half + 1)};
    }

    const SlaveOptions options_;
    const asio::any_io_executor executor_;
    Transport transport_;
    const typename Transport::Strand strand_;
    const std::shared_ptr<const SessionSettings> settings_;
    const RoleLog log_;
    std::unique_ptr<typename Transport::WorkPool> pool_;
    std::shared_ptr<WorkQueue<Transport>> works_;
    RunOnce once_;
    std::atomic<bool> connected_{false};

    // strand_
    const std::shared_ptr<Connector<Transport>> connector_;
    ReconnectPolicy search_;
    Timer timer_;  // the pause before the next attempt to connect
    Shutdown<Transport> shutdown_;
    RecentMachineLoad load_;
    bool master_drained_ = false;  // the master confirmed that it sends no more works
    std::error_code reason_;       // why the last session ended
    std::string detail_;
    bool stopped_ = false;
    bool has_warned_ = false;      // of a master beyond this machine
    bool served_ = false;          // the last session was opened
    bool is_unreachable_ = false;  // a whole round over the list has failed since the last session

    mutable std::mutex session_mutex_;
    // guarded by session_mutex_
    std::weak_ptr<Session<Transport>> session_;  // kept alive by serve()
};

template <class Transport, int major, int minor, int patch, int with_asio>
std::shared_ptr<AnySlave> SlaveFactory<Transport, major, minor, patch, with_asio>::make(
    Transport transport, std::vector<MasterAddress> masters, SlaveOptions options) {
    auto core = std::make_shared<SlaveCore<Transport>>(std::move(transport), std::move(masters), std::move(options));
    core->observe_registry();
    return core;
}

template <class Transport, int major, int minor, int patch, int with_asio>
std::shared_ptr<AnySlave> SlaveFactory<Transport, major, minor, patch, with_asio>::make(
    asio::any_io_executor executor, std::vector<MasterAddress> masters, SlaveOptions options) {
    return make(Transport{std::move(executor)}, std::move(masters), std::move(options));
}

}  // namespace distwork::detail
