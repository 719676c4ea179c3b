#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/run_once.hpp"
#include "../base/surely.hpp"
#include "../base/type_name.hpp"
#include "../error.hpp"
#include "../link/session_settings.hpp"
#include "../role_options.hpp"
#include "../tcp/address.hpp"
#include "any_master.hpp"
#include "checked_options.hpp"
#include "listener.hpp"
#include "role_log.hpp"
#include "scheduler.hpp"
#include "shutdown.hpp"
#include "slave_sessions.hpp"

namespace distwork::detail {

/// The implementation of a Master: how it begins, listens and ends. It joins the listener, the sessions with slaves and
/// the scheduler.
///
/// *Lifetime*: shared by the Master and by its coroutines.
template <class Selector, class Transport>
class MasterCore final : public SelectingMaster<Selector>,
                         public std::enable_shared_from_this<MasterCore<Selector, Transport>> {
    using Works = Scheduler<Selector, Transport>;
    using Sessions = SlaveSessions<Selector, Transport>;
    using WaiterPtr = std::shared_ptr<SlaveWaiters::AnyWaiter>;

public:
    MasterCore(Transport transport, MasterOptions options, Selector selector)
        : options_{checked(std::move(options), transport.default_log())},
          transport_{transport},
          settings_{settings_of(options_, [transport] { return transport.now(); })},
          strand_{transport.make_strand()},
          log_{options_.log},
          scheduler_{std::make_shared<Works>(transport, strand_, settings_, options_.waiting, std::move(selector))},
          listener_{transport, strand_, options_.address, options_.port, !options_.insecure_plaintext},
          shutdown_{transport, strand_},
          sessions_{std::make_shared<Sessions>(transport, strand_, options_, settings_, scheduler_)} {
        sessions_->observe_registry();
    }

    // Any thread

    std::shared_ptr<AnyScheduler> scheduler() const noexcept override { return scheduler_; }
    asio::any_io_executor any_strand() const override { return strand_; }
    asio::ip::tcp::endpoint local_endpoint() const noexcept override { return listener_.local_endpoint(); }

    void adopt(int handle, ConnectionWatch watch) override {
        if constexpr (requires { transport_.adopt(handle); }) {
            sessions_->adopted(transport_.adopt(handle), std::move(watch));
        } else {
            static_cast<void>(handle), static_cast<void>(watch);
            throw Error::with_text(Errc::bad_option, "this transport adopts no connections");
        }
    }

    void accept_work(const WorkType& type) override { sessions_->accept_work(type); }
    void accept_submission(const WorkType& type) override { sessions_->accept_submission(type); }
    void on_start(std::shared_ptr<const IWork> work) override { sessions_->on_start(std::move(work)); }
    void wait_for_slaves(const WaiterPtr& waiter) noexcept override { sessions_->wait_for_slaves(waiter); }
    void stop_waiting(const WaiterPtr& waiter) noexcept override { sessions_->stop_waiting(waiter); }
    void drain(std::uint64_t socket) override { sessions_->drain(socket); }
    bool disconnect(std::uint64_t socket) noexcept override {
        const auto session = scheduler_->container().peer(socket);
        if (!session) return false;
        scheduler_->container().drain(socket);  // from now on it gets nothing
        scheduler_->notice();
        session->leave(Errc::draining, "the master disconnects it");
        return true;
    }
    void socket_selector(Selector selector) override { scheduler_->socket_selector(std::move(selector)); }

    std::vector<Explanation> explain(std::string_view name) const override {
        return scheduler_->container().explain(name);
    }
    std::vector<Departure> departures() const override { return sessions_->departures().all(); }
    std::vector<Waiting> waiting() const override {
        std::vector<Waiting> all = scheduler_->container().waiting();
        for (Waiting& work : sessions_->waiting()) all.push_back(std::move(work));
        return all;
    }

    // The life cycle

    void start() override {
        begin();
        if (!options_.address.empty())
            log_(LogLevel::info, [this] { return "Listening on: " + to_string(local_endpoint()); });
        asio::co_spawn(strand_, run_begun(self()), [self = self()](const std::exception_ptr& error) {
            if (error) self->log_(LogLevel::error, [&] { return "Master ended: " + what_of(error); });
            else self->log_(LogLevel::info, "Master ended");
        });
    }
    void ask_to_run() noexcept override {
        once_.ask();
        scheduler_->master_runs();
    }

    asio::awaitable<void> run() override { return run(self()); }
    asio::awaitable<void> stop(std::chrono::milliseconds timeout) override { return stop(self(), timeout); }

    void end() noexcept override {
        sessions_->forget_registry();
        abort();
        sessions_->join();
    }

private:
    std::shared_ptr<MasterCore> self() { return this->shared_from_this(); }

    void begin() {
        scheduler_->master_runs();
        once_.begin("this master");
        if (authenticates<Transport> || options_.address.empty() || local_endpoint().address().is_loopback()) return;
        log_(LogLevel::warning, [this] {
            return to_string(local_endpoint()) +
                   " is open to everyone who reaches it, in plain text (insecure_plaintext)";
        });
    }

    static asio::awaitable<void> run(std::shared_ptr<MasterCore> self) {
        self->begin();
        co_await surely([&self] { return run_begun(self); });
    }

    static asio::awaitable<void> run_begun(std::shared_ptr<MasterCore> self) {
        auto accepted = [&self](typename Transport::Socket socket) { self->sessions_->accepted(std::move(socket)); };
        auto is_full = [&self] { return self->sessions_->has_too_many_strangers(); };
        auto failed = [&self](const std::string& text) { self->log_(LogLevel::warning, "accepting failed: " + text); };
        co_await surely([&] { return self->listener_.run(is_full, accepted, failed); });
        co_await self->shutdown_.ended("a master's run");
    }

    static asio::awaitable<void> stop(std::shared_ptr<MasterCore> self, std::chrono::milliseconds timeout) {
        self->scheduler_->container().close();
        self->listener_.close();
        self->sessions_->end_waiting();
        if (self->shutdown_.begin(timeout)) {
            const auto ended = [self](const std::exception_ptr& failed) {
                if (failed) self->finish();
            };
            ended(exception_of([&] { asio::co_spawn(self->strand_, drain(self), ended); }));
        }
        co_await self->shutdown_.ended("a master's stop");
    }

    static asio::awaitable<void> drain(std::shared_ptr<MasterCore> self) {
        const auto quiet = [core = std::weak_ptr{self}] {
            const auto there = core.lock();
            if (there) post_surely(there->strand_, [there] { there->shutdown_.look_again(); });
        };
        surely([&] { self->scheduler_->watch_for_quiet(quiet); });
        co_await self->shutdown_.until([&self] {
            return self->scheduler_->is_quiet() && self->sessions_->are_works_done(self->shutdown_.looking_again(self));
        });
        self->finish();
    }

    /// The drain is over: settles everything that is left, and ends all sessions.
    void finish() noexcept {
        sessions_->leave();
        shutdown_.end();
    }

    /// Ends everything at once. When this returns, every submission is settled, and its handler is queued on its
    /// executor.
    void abort() noexcept {
        if (!once_.was_asked())
            log_(LogLevel::warning,
                 [] { return "A master ended without having run: it needs start() or async_run()"; });
        scheduler_->container().close();
        sessions_->close();
        scheduler_->container().clear();
        post_surely(strand_, [self = self()] {
            self->listener_.close();
            self->sessions_->end_waiting();
            // A shutdown under way has no more time. If there is none, this was the shutdown.
            if (self->shutdown_.begin(std::chrono::milliseconds{0})) self->shutdown_.end();
        });
    }

    const MasterOptions options_;
    Transport transport_;
    const std::shared_ptr<const SessionSettings> settings_;
    const typename Transport::Strand strand_;
    const RoleLog log_;
    RunOnce once_;
    const std::shared_ptr<Works> scheduler_;

    // strand_
    Listener<Transport> listener_;
    Shutdown<Transport> shutdown_;

    const std::shared_ptr<Sessions> sessions_;
};

template <class Selector, class Transport, int major, int minor, int patch, int with_asio>
std::shared_ptr<SelectingMaster<Selector>> MasterFactory<Selector, Transport, major, minor, patch, with_asio>::make(
    Transport transport, MasterOptions options, Selector selector) {
    return std::make_shared<MasterCore<Selector, Transport>>(std::move(transport), std::move(options),
                                                             std::move(selector));
}

template <class Selector, class Transport, int major, int minor, int patch, int with_asio>
std::shared_ptr<SelectingMaster<Selector>> MasterFactory<Selector, Transport, major, minor, patch, with_asio>::make(
    asio::any_io_executor executor, MasterOptions options, Selector selector) {
    return make(Transport{std::move(executor)}, std::move(options), std::move(selector));
}

}  // namespace distwork::detail
