#pragma once

#include <algorithm>
#include <any>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/probe.hpp"
#include "../calls/call.hpp"
#include "../calls/deliver.hpp"
#include "../dispatch/socket_container.hpp"
#include "../dispatch/submission.hpp"
#include "../error.hpp"
#include "../execution/work_queue.hpp"
#include "../link/session.hpp"
#include "../role_options.hpp"
#include "../types/registry.hpp"
#include "../work_executor.hpp"
#include "accepted_types.hpp"
#include "checked_options.hpp"
#include "listener.hpp"
#include "nested_submission.hpp"
#include "scheduler.hpp"
#include "session_set.hpp"
#include "shutdown.hpp"
#include "slave_waiters.hpp"

namespace distwork::detail {

/// The implementation of a Master: its connections, its start and its shutdown.
///
/// *Thread-safety*: functions under "Any thread" and "The life cycle". *Lifetime*: shared by the Master, by its
/// coroutines and by its sessions: it may outlive the Master until the last session has ended.
template <class Selector, class Transport>
class MasterCore final : public SessionHandler<Transport>,
                         public Scheduler<Selector, Transport>,
                         public RegistryObserver {
    using typename SessionHandler<Transport>::SessionPtr;
    using Works = Scheduler<Selector, Transport>;
    using TimePoint = std::chrono::steady_clock::time_point;
    using Works::container_;
    using Works::executor_;
    using Works::notice;
    using Works::once_;
    using Works::options_;
    using Works::settings_;
    using Works::strand_;
    using Works::transport_;

public:
    using Works::log;

    MasterCore(Transport transport, MasterOptions options, Selector selector)
        : Works{std::move(transport), std::move(options), std::move(selector)},
          listener_{transport_, strand_, options_.address, options_.port, !options_.insecure_plaintext},
          shutdown_{transport_, strand_},
          accepted_{transport_, options_.work_executor, options_.slots} {}

    // Any thread

    asio::ip::tcp::endpoint local_endpoint() const noexcept override { return listener_.local_endpoint(); }

    void accept_work(const WorkType& type) override { accepted_.accept(this->registry().own(type)); }
    void accept_submission(const WorkType& type) override { submitted_.insert(this->registry().own(type)); }

    /// From now on until the end, tells slaves about types that libraries register.
    void observe_registry() { settings_->types->observe(*this); }

    void types_grew() override {
        for (const auto& session : sessions_.all()) session->types_grew();
    }

    void wait_for_slaves(const std::shared_ptr<SlaveWaiters::AnyWaiter>& waiter) noexcept override {
        post_surely(strand_, [self = self(), waiter] {
            self->slave_waiters_.add(waiter);
            self->slave_waiters_.wake(self->container_.size());
        });
    }
    void stop_waiting(const std::shared_ptr<SlaveWaiters::AnyWaiter>& waiter) noexcept override {
        post_surely(strand_, [self = self(), waiter] { self->slave_waiters_.cancel(waiter); });
    }

    /// The works that wait for slaves, and the works of slaves that wait for a slot of this master.
    std::vector<Waiting> waiting() override {
        std::vector<Waiting> all = this->container().waiting();
        if (const auto queue = this->works())
            for (const auto& [type, count] : queue->waiting_types())
                all.push_back({WaitReason::master_slots, type->name, {}, 0, count});
        return all;
    }

    // The life cycle

    void start() override {
        once_.begin("this master");
        log(LogLevel::info, [this] { return "Listening on: " + to_string(local_endpoint()); });
        asio::co_spawn(strand_, run_begun(self()), [self = self()](const std::exception_ptr& error) {
            if (error) self->log(LogLevel::error, [&] { return "Master ended: " + what_of(error); });
            else self->log(LogLevel::info, "Master ended");
        });
    }
    void ask_to_run() noexcept override { once_.ask(); }

    asio::awaitable<void> run() override { return run(self()); }
    asio::awaitable<void> stop(std::chrono::milliseconds timeout) override { return stop(self(), timeout); }

    void end() noexcept override {
        settings_->types->forget(*this);
        abort();
        accepted_.join();
    }

    // SessionHandler: session strands

    std::error_code admit(const Greeting&, std::string& text) override {
        if (++seats_ <= options_.max_slaves) return {};
        --seats_;
        text = "max_slaves is " + std::to_string(options_.max_slaves);
        return Errc::too_many_slaves;
    }

    void opened(const SessionPtr& session, const Introduction& peer, const PeerTypes& types) override {
        SocketInformation information;
        information.name = session->name();
        information.endpoint = session->remote_endpoint();
        information.labels = peer.labels;
        std::sort(information.labels.begin(), information.labels.end());
        information.slots = std::clamp<std::size_t>(peer.slots, 1, std::min(peer.window, slave_window));
        information.connected_since = transport_.now();
        information.last_heard = information.connected_since;
        session->tag = container_.add_socket(session, std::move(information), types.known(), peer.window,
                                             peer.max_frame_bytes, peer.held_slots);
        log(LogLevel::info, [&] { return "Connected from: " + session->description(); });
        notice();
        post_surely(strand_, [self = self()] { self->slave_waiters_.wake(self->container_.size()); });
    }

    void types_changed(const SessionPtr& session, const PeerTypes& types) override {
        container_.know_types(session->tag, types.known());
        notice();
    }

    void answered(const SessionPtr& session, std::span<Answer> answers) noexcept override {
        this->begin_settling();
        this->go_again(container_.answered(session->tag, answers, session->traffic(), transport_.now()));
    }

    void deliver(std::vector<std::shared_ptr<Call>> settled) noexcept override {
        this->deliver_settled(std::move(settled));
        this->end_settling();
        notice();
    }

    bool accepts(const WorkType& type) const override { return accepted_.contains(type); }
    std::shared_ptr<WorkQueue<Transport>> works() noexcept override { return accepted_.queue(); }

    void slot_freed(const SessionPtr& session) override {
        container_.slot_freed(session->tag);
        notice();
    }

    std::shared_ptr<Call> distribute(const SessionPtr& session, const WorkType& type, std::span<const std::byte> body,
                                     std::uint64_t id, const std::shared_ptr<Call>& parent) override {
        std::shared_ptr<NestedSubmission> child;
        const auto refused = exception_of([&] {
            if (!submitted_.contains(type))
                throw Error::with_text(Errc::not_accepted,
                                       "the master does not distribute works of that type (accept_submission)");
            // A parent that is claimed later has its children cancelled on this strand, after this function.
            if (!parent || parent->claimed())
                throw Error::with_text(Errc::cancelled, "the work that submitted it has ended");
            child = std::make_shared<NestedSubmission>(type, type.decode(body, this->limits()), session, id, *parent);
        });
        if (!refused) return this->submit(child, false), child;
        session->reply({.kind = FrameKind::error, .id = id}, error_body({}, refused, type.name));
        return nullptr;
    }

    void cancel_work(const std::shared_ptr<Call>& work) noexcept override {
        this->cancel(std::static_pointer_cast<Submission>(work));
    }

    void has_room(const SessionPtr& session) override {
        container_.has_room_again(session->tag);
        notice();
    }

    void suspected(const SessionPtr& session, bool is) override {
        container_.suspect(session->tag, is);
        notice();
    }

    void round_trip(const SessionPtr& session, std::chrono::nanoseconds time, const SlaveState& peer) override {
        container_.round_trip(session->tag, time, session->traffic(), peer);
        notice();
    }

    void peer_drains(const SessionPtr& session) override {
        container_.drain(session->tag);
        notice();
        log(LogLevel::info, [&] { return "Draining: " + session->description(); });
    }

    void closed(const SessionPtr& session, std::error_code reason, const std::string& detail,
                std::vector<std::shared_ptr<Call>> unanswered) noexcept override {
        if (session->accepted()) --seats_;
        const std::string text = surely([&] { return why_ended(reason, detail); });
        const bool is_loss = session->tag && (!is_clean_end(reason) || !unanswered.empty());
        std::size_t again = 0;
        {
            const typename Works::Settling settling{*this};
            LostWorks lost;
            if (session->tag) {
                lost = container_.remove_socket(session->tag, unanswered, session->description(), session->traffic());
                surely([&] { unanswered.reserve(unanswered.size() + lost.waited.size()); });
                unanswered.insert(unanswered.end(), lost.waited.begin(), lost.waited.end());
            }
            this->fail_all(std::move(unanswered), session->description(), Errc::lost,
                           surely([&] { return "its slave was lost: " + text; }));
            this->send_elsewhere(lost.again);
            again = lost.again.size();
        }
        sessions_.remove(*session);
        notice();
        log(is_loss ? LogLevel::warning : LogLevel::info, [&] {
            return "Disconnected from: " + session->description() + ": " + text +
                   (again == 0 ? "" : "; works that go to others: " + std::to_string(again));
        });
    }

private:
    std::shared_ptr<MasterCore> self() { return std::static_pointer_cast<MasterCore>(this->shared_from_this()); }

    // The life cycle

    static asio::awaitable<void> run(std::shared_ptr<MasterCore> self) {
        self->once_.begin("this master");
        co_await surely([&self] { return run_begun(self); });
    }

    static asio::awaitable<void> run_begun(std::shared_ptr<MasterCore> self) {
        auto accepted = [&self](typename Transport::Socket socket) { self->begin_session(std::move(socket)); };
        auto failed = [&self](const std::string& text) { self->log(LogLevel::warning, "accepting failed: " + text); };
        co_await surely([&] { return self->listener_.run(accepted, failed); });
        co_await self->shutdown_.ended("a master's run");
    }

    static asio::awaitable<void> stop(std::shared_ptr<MasterCore> self, std::chrono::milliseconds timeout) {
        self->container_.close();
        self->listener_.close();
        self->slave_waiters_.end();
        if (self->shutdown_.begin(timeout)) {
            const auto ended = [self](const std::exception_ptr& failed) {
                if (failed) self->finish();
            };
            ended(exception_of([&] { asio::co_spawn(self->strand_, drain(self), ended); }));
        }
        co_await self->shutdown_.ended("a master's stop");
    }

    static asio::awaitable<void> drain(std::shared_ptr<MasterCore> self) {
        self->watch_for_quiet();
        co_await self->shutdown_.until(
            [&self] { return self->is_quiet() && self->accepted_.are_done(self->shutdown_.looking_again(self)); });
        self->finish();
    }

    /// The drain is over: settles everything that is left, and ends all sessions.
    void finish() noexcept {
        for (const auto& session : sessions_.take()) {
            give_up(session);
            session->leave(Errc::stopped);
        }
        abandon();
        shutdown_.end();
    }

    /// Ends everything at once. When this returns, every submission is settled, and its handler is queued on its
    /// executor.
    void abort() noexcept {
        if (!once_.was_asked())
            log(LogLevel::warning, [] { return "A master ended without having run: it needs start() or async_run()"; });
        container_.close();
        for (const auto& session : sessions_.take()) {
            give_up(session);
            session->close(Errc::stopped);
        }
        abandon();
        container_.clear();
        post_surely(strand_, [self = self()] {
            self->listener_.close();
            self->slave_waiters_.end();
            // A shutdown under way has no more time. If there is none, this was the shutdown.
            if (self->shutdown_.begin(std::chrono::milliseconds{0})) self->shutdown_.end();
        });
    }

    /// Has the drain check whether it is done.
    void quiet() noexcept override {
        post_surely(strand_, [self = self()] { self->shutdown_.look_again(); });
    }

    void begin_session(typename Transport::Socket socket) {
        const auto strand = socket.get_executor();
        auto session =
            std::make_shared<Session<Transport>>(transport_, executor_, std::move(socket), settings_, self());
        if (!sessions_.add(session, options_.max_slaves + options_.max_strangers)) return;
        const auto begin = [&] {
            asio::co_spawn(strand, Session<Transport>::run(session), [session](const std::exception_ptr&) {});
        };
        const auto failed = exception_of(begin);
        if (!failed) return;
        sessions_.remove(*session);
        std::rethrow_exception(failed);
    }

    /// Settles the works in flight on a session, even if its strand never runs again.
    void give_up(const SessionPtr& session) noexcept {
        auto calls = session->give_up();
        container_.forget(calls);
        this->fail_all(std::move(calls), session->description(), Errc::stopped, "the master stopped");
    }

    /// Settles all works that wait, and stops executing works of slaves.
    void abandon() noexcept {
        this->abandon_waiting();
        if (const auto queue = this->works()) queue->stop();
    }

    // strand_
    Listener<Transport> listener_;
    Shutdown<Transport> shutdown_;
    SlaveWaiters slave_waiters_;

    AcceptedTypes<Transport> accepted_;
    TypeSet submitted_;                  // types that works on slaves may submit
    std::atomic<std::size_t> seats_{0};  // slaves that were admitted and have not left
    SessionSet<Transport> sessions_;
};

template <class Selector, class Transport, int major, int minor, int patch>
std::shared_ptr<AnyMaster> MasterFactory<Selector, Transport, major, minor, patch>::make(Transport transport,
                                                                                         MasterOptions options,
                                                                                         Selector selector) {
    auto core = std::make_shared<MasterCore<Selector, Transport>>(std::move(transport), std::move(options),
                                                                  std::move(selector));
    core->observe_registry();
    return core;
}

template <class Selector, class Transport, int major, int minor, int patch>
void MasterFactory<Selector, Transport, major, minor, patch>::socket_selector(AnyMaster& master, Selector selector) {
    static_cast<MasterCore<Selector, Transport>&>(master).socket_selector(std::move(selector));
}

}  // namespace distwork::detail
