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

#include "../call.hpp"
#include "../error.hpp"
#include "../role_options.hpp"
#include "../session.hpp"
#include "../socket_container.hpp"
#include "../submission.hpp"
#include "../work_executor.hpp"
#include "../work_queue.hpp"
#include "accepted_works.hpp"
#include "alarms.hpp"
#include "asio.hpp"
#include "drain.hpp"
#include "listener.hpp"
#include "outcomes.hpp"
#include "probe.hpp"
#include "session_set.hpp"
#include "slave_waiters.hpp"

namespace distwork::detail {

/// What stands behind a Master: it lives until the last session that it began has ended, whatever becomes of the
/// handle.
template <class Selector, class Transport>
class MasterCore final : public SessionHost<Transport>,
                         public std::enable_shared_from_this<MasterCore<Selector, Transport>> {
    using typename SessionHost<Transport>::SessionPtr;
    using Container = SocketContainer<Selector>;
    using TimePoint = std::chrono::steady_clock::time_point;

public:
    MasterCore(Transport transport, MasterOptions options, Selector selector)
        : options_{checked(std::move(options))},
          executor_{transport.get_executor()},
          transport_{std::move(transport)},
          strand_{transport_.make_strand()},
          settings_{settings_of(options_)},
          listener_{transport_, strand_, options_.address, options_.port},
          drain_{transport_, strand_},
          outcomes_{executor_},
          alarms_{std::make_shared<Alarms<Transport>>(transport_, strand_)},
          container_{std::move(selector), options_.waiting},
          accepted_{transport_, options_.work_executor, options_.slots} {}

    // Any thread

    Container& container() noexcept { return container_; }
    const typename Transport::Strand& strand() const noexcept { return strand_; }
    const asio::any_io_executor& executor() const noexcept { return executor_; }
    const ArchiveLimits& limits() const noexcept { return settings_->limits; }
    asio::ip::tcp::endpoint local_endpoint() const noexcept { return listener_.local_endpoint(); }

    void log(LogLevel level, std::string_view line) const {
        if (options_.log) options_.log(level, line);
    }

    /// Encodes and submits; what is refused completes with the reason.
    void submit(const SubmissionPtr& call) {
        ByteBuffer room;
        if (auto error = exception_of([&] { call->encode(room, limits()); })) return refuse(call, std::move(error));
        submit_encoded(call);
    }

    void submit_encoded(const SubmissionPtr& call) {
        watch(call);
        const Admission admission = container_.submit(call, true);
        if (admission == Admission::sent || admission == Admission::queued) call->admitted();
        else if (admission != Admission::waiting)
            refuse(call, std::make_exception_ptr(refusal(admission, call->name())));
        notice();
    }

    /// The same at once, or not at all. Throws Error (backlog_full, no_slave, too_large, …).
    void submit_now(const SubmissionPtr& call) {
        ByteBuffer room;
        call->encode(room, limits());
        watch(call);
        const Admission admission = container_.submit(call, false);
        notice();
        if (admission == Admission::sent || admission == Admission::queued) return;
        outcomes_.count_refused();
        throw refusal(admission, call->name());
    }

    void cancel(const SubmissionPtr& call) { end(call, Errc::cancelled); }

    Statistics statistics() const {
        Statistics all = container_.statistics();
        outcomes_.add_to(all);
        return all;
    }

    bool update_socket_information(std::uint64_t socket, std::any value) {
        const bool found = container_.update_socket_information(socket, std::move(value));
        notice();
        return found;
    }

    void socket_selector(Selector selector) {
        container_.socket_selector(std::move(selector));
        notice();
    }

    void accept_work(const WorkType& type) { accepted_.accept(type); }

    /// Completes once that many slaves are connected.
    template <class Handler>
    void wait_for_slaves(std::size_t count, Handler handler) {
        const auto slot = asio::get_associated_cancellation_slot(handler);
        auto waiter = std::make_shared<SlaveWaiters::Waiter<Handler>>(count, std::move(handler), executor_);
        cancel_through(slot, [core = this->weak_from_this(), waiting = std::weak_ptr{waiter}] {
            const auto there = core.lock();
            if (!there) return;
            asio::post(there->strand_, [there, waiting] {
                if (const auto still = waiting.lock()) there->slave_waiters_.cancel(still);
            });
        });
        asio::post(strand_, [self = this->shared_from_this(), waiter = std::move(waiter)]() mutable {
            self->slave_waiters_.add(std::move(waiter));
            self->slave_waiters_.wake(self->container_.size());
        });
    }

    // The life cycle

    static asio::awaitable<void> run(std::shared_ptr<MasterCore> self) {
        if (std::exchange(self->running_, true)) throw Error{Errc::already_running, "master"};
        auto accepted = [&self](typename Transport::Socket socket) { self->begin_session(std::move(socket)); };
        auto failed = [&self](const std::string& text) { self->log(LogLevel::warning, "accepting failed: " + text); };
        co_await self->listener_.run(accepted, failed);
    }

    /// Admits nothing more, waits for what was admitted and for works of slaves, for at most `timeout`, then ends all.
    static asio::awaitable<void> stop(std::shared_ptr<MasterCore> self, std::chrono::milliseconds timeout) {
        self->container_.close();
        self->listener_.close();
        self->slave_waiters_.end();
        if (self->drain_.begin(timeout))
            asio::co_spawn(self->strand_, drain(self), [self](const std::exception_ptr&) {});
        co_await self->drain_.ended();
    }

    static asio::awaitable<void> drain(std::shared_ptr<MasterCore> self) {
        self->stopping_ = true;
        co_await self->drain_.until(
            [&self] { return self->container_.quiet() && self->accepted_.are_done(self->drain_.looking_again(self)); });
        for (const auto& session : self->sessions_.take()) {
            self->give_up(session);
            session->leave(Errc::stopped, "the master stopped");
        }
        self->abandon();
        self->drain_.end();
    }

    /// Ends all at once: every submission is settled when this returns, its handler called by its executor.
    void abort() {
        container_.close();
        for (const auto& session : sessions_.take()) {
            give_up(session);
            session->close(Errc::stopped);
        }
        abandon();
        container_.clear();
        asio::post(strand_, [self = this->shared_from_this()] {
            self->listener_.close();
            self->slave_waiters_.end();
            self->drain_.look_again();
        });
    }

    /// Waits for the works of slaves that run on the master's own threads.
    void join() { accepted_.join(); }

    // SessionHost: session strands

    std::error_code admit(const Greeting&, std::string& text) override {
        if (++seats_ <= options_.max_slaves) return {};
        --seats_;
        text = "this master holds " + std::to_string(options_.max_slaves) + " slaves, as many as it may";
        return Errc::too_many_slaves;
    }

    void opened(const SessionPtr& session, const Introduction& peer, const PeerTypes& types) override {
        SocketInformation information;
        information.name = session->name();
        information.endpoint = session->remote_endpoint();
        information.labels = peer.labels;
        std::sort(information.labels.begin(), information.labels.end());
        information.slots = std::max<std::size_t>(peer.slots, 1);
        information.connected_since = transport_.now();
        information.last_heard = information.connected_since;
        session->tag =
            container_.add_socket(session, std::move(information), types.known(), peer.window, peer.max_frame_bytes);
        log(LogLevel::info, "Connected from: " + to_string(session->remote_endpoint()));
        notice();
        asio::post(strand_, [self = this->shared_from_this()] { self->slave_waiters_.wake(self->container_.size()); });
    }

    void types_changed(const SessionPtr& session, const PeerTypes& types) override {
        container_.know_types(session->tag, types.known());
        notice();
    }

    void answered(const SessionPtr& session, std::span<Answer> answers) override {
        const TimePoint now = transport_.now();
        for (const auto& work : container_.answered(session->tag, answers, session->traffic(), now)) {
            const auto pause = work->options.retry_on_error().pause(work->retries(), transport_.random());
            at(pause, work, &MasterCore::send_again);
        }
        notice();
    }

    void deliver(std::vector<std::shared_ptr<Call>> settled) override { outcomes_.deliver(std::move(settled)); }

    bool accepts(const WorkType& type) const override { return accepted_.contains(type); }
    std::shared_ptr<WorkQueue<Transport>> works() override { return accepted_.queue(); }

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
        log(LogLevel::info, "Draining: " + to_string(session->remote_endpoint()));
    }

    void closed(const SessionPtr& session, std::error_code reason, const std::string& detail,
                std::vector<std::shared_ptr<Call>> unanswered) override {
        if (session->accepted()) --seats_;
        LostWorks lost;
        if (session->tag) {
            lost = container_.remove_socket(session->tag, unanswered, session->description(), session->traffic());
            unanswered.insert(unanswered.end(), lost.waited.begin(), lost.waited.end());
        }
        const std::string text = reason.message() + (detail.empty() ? "" : " (" + detail + ")");
        log(LogLevel::info, "Disconnected from: " + to_string(session->remote_endpoint()) + ": " + text);
        fail_all(session, std::move(unanswered), Errc::lost, text);
        for (const auto& work : lost.again)
            at(work->pause_after_loss(transport_.random()), work, &MasterCore::send_again);
        notice();
        sessions_.remove(*session);
    }

private:
    // Works that wait for a time, or for another attempt

    /// Has the submission end when its times are over.
    void watch(const SubmissionPtr& call) {
        const SubmitOptions& options = call->options;
        if (options.queue_timeout().count() != 0) at(options.queue_timeout(), call, &MasterCore::expire);
        if (options.deadline().count() != 0) at(options.deadline(), call, &MasterCore::overdue);
    }

    /// The submission does not live longer for it.
    void at(std::chrono::nanoseconds time, const SubmissionPtr& call,
            void (MasterCore::*action)(const SubmissionPtr&)) {
        const auto act = [core = this->weak_from_this(), weak = std::weak_ptr{call}, action] {
            const auto there = core.lock();
            const auto still = weak.lock();
            if (there && still) (*there.*action)(still);
        };
        alarms_->set(time, act, call->alarms());
    }

    void expire(const SubmissionPtr& call) {
        if (container_.expire(*call)) ended(call, Errc::queue_timeout);
    }
    void overdue(const SubmissionPtr& call) {
        if (!DISTWORK_PLANTED(ignore_deadline)) end(call, Errc::deadline);
    }

    void send_again(const SubmissionPtr& work) {
        ByteBuffer room;
        auto error = exception_of([&] { work->encode(room, limits()); });
        if (!error && container_.send_again(work)) return notice();
        // It changed since it was encoded first, and does not encode any more.
        if (!error || !work->claim(Errc::malformed)) return;
        container_.cancel(*work);
        outcomes_.fail(work, std::move(error));
    }

    // How submissions end here

    void end(const SubmissionPtr& call, Errc reason) {
        if (!call->claim(reason)) {
            DISTWORK_MARK(cancel_lost_the_race);
            return;
        }
        if (reason == Errc::deadline) DISTWORK_MARK(deadline);
        container_.cancel(*call);
        if (!DISTWORK_PLANTED(drop_on_cancel)) ended(call, reason);
    }

    /// It was claimed, and waits nowhere.
    void ended(const SubmissionPtr& call, Errc reason) {
        fail(call, std::make_exception_ptr(Error{reason, std::string{call->name()}}));
        notice();
    }

    void refuse(const SubmissionPtr& call, std::exception_ptr error) {
        if (call->claim(Errc::backlog_full)) fail(call, std::move(error));
    }

    void fail(const SubmissionPtr& call, std::exception_ptr error) {
        if (call->take_refusal(error)) outcomes_.count_refused();
        else outcomes_.fail(call, std::move(error));
    }

    void begin_session(typename Transport::Socket socket) {
        const auto strand = socket.get_executor();
        auto session = std::make_shared<Session<Transport>>(transport_, executor_, std::move(socket), settings_,
                                                            this->shared_from_this());
        if (!sessions_.add(session, options_.max_slaves + options_.max_strangers)) return;
        asio::co_spawn(strand, Session<Transport>::run(session), [session](const std::exception_ptr&) {});
    }

    /// Settles what is in flight on a session, whether or not its strand ever runs again.
    void give_up(const SessionPtr& session) {
        auto calls = session->give_up();
        container_.forget(calls);
        fail_all(session, std::move(calls), Errc::stopped, "the master stopped");
    }

    void fail_all(const SessionPtr& session, std::vector<std::shared_ptr<Call>> calls, Errc reason,
                  const std::string& why) {
        const auto text = [&](const Call& call) { return attempts_of(call, session->description()) + ": " + why; };
        outcomes_.fail_all(std::move(calls), reason, text);
    }

    /// Settles what waits, and stops executing works of slaves.
    void abandon() {
        alarms_->stop();
        const auto works = container_.take_waiting();
        const auto name = [](const Call& call) { return std::string{call.name()}; };
        outcomes_.fail_all({works.begin(), works.end()}, Errc::stopped, name);
        if (const auto queue = this->works()) queue->stop();
    }

    /// What the container did under its lock and others must hear of outside.
    void notice() {
        const News news = container_.take_news();
        for (const auto& work : news.admitted) work->admitted();
        if (news.selector_error) log(LogLevel::error, "the selector threw: " + describe(news.selector_error).text);
        for (const std::string& work : news.stranded)
            log(LogLevel::info, work + " waits: no connected slave can take it");
        if (stopping_.load(std::memory_order_relaxed) && container_.quiet())
            drain_.looking_again(this->shared_from_this())();
    }

    const MasterOptions options_;
    const asio::any_io_executor executor_;
    Transport transport_;
    const typename Transport::Strand strand_;
    const std::shared_ptr<const SessionSettings> settings_;

    // strand_
    Listener<Transport> listener_;
    Drain<Transport> drain_;
    SlaveWaiters slave_waiters_;
    bool running_ = false;

    Outcomes outcomes_;
    const std::shared_ptr<Alarms<Transport>> alarms_;
    Container container_;
    AcceptedWorks<Transport> accepted_;
    std::atomic<bool> stopping_{false};
    std::atomic<std::size_t> seats_{0};  // slaves that were admitted and are there
    SessionSet<Transport> sessions_;
};

}  // namespace distwork::detail
