#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/surely.hpp"
#include "../base/type_name.hpp"
#include "../calls/call.hpp"
#include "../calls/deliver.hpp"
#include "../dispatch/socket_container.hpp"
#include "../dispatch/submission.hpp"
#include "../error.hpp"
#include "../execution/work_queue.hpp"
#include "../link/session.hpp"
#include "../link/session_settings.hpp"
#include "../role_options.hpp"
#include "../statistics.hpp"
#include "../types/registry.hpp"
#include "accepted_types.hpp"
#include "answer_decoder.hpp"
#include "checked_options.hpp"
#include "departures.hpp"
#include "nested_submission.hpp"
#include "scheduler.hpp"
#include "session_set.hpp"
#include "slave_waiters.hpp"
#include "start_works.hpp"
#include "strangers.hpp"

namespace distwork::detail {

/// A master's sessions with its slaves: who is admitted, what they may send, and what becomes of their works when they
/// end. It joins the sessions (link) to the scheduler (dispatch).
///
/// *Thread-safety*: all functions but those of SessionHandler. *Lifetime*: shared by its master and by the sessions: it
/// may outlive the master until the last session has ended.
template <class Selector, class Transport>
class SlaveSessions final : public SessionHandler<Transport>,
                            public RegistryObserver,
                            public std::enable_shared_from_this<SlaveSessions<Selector, Transport>> {
    using typename SessionHandler<Transport>::SessionPtr;
    using Works = Scheduler<Selector, Transport>;

public:
    SlaveSessions(Transport transport, const typename Transport::Strand& strand, const MasterOptions& options,
                  std::shared_ptr<const SessionSettings> settings, std::shared_ptr<Works> scheduler)
        : settings_{std::move(settings)},
          transport_{std::move(transport)},
          strand_{strand},
          max_slaves_{options.max_slaves},
          may_offer_{options.may_offer},
          scheduler_{std::move(scheduler)},
          container_{scheduler_->container()},
          accepted_{transport_, options.work_executor, options.slots},
          starts_{std::make_shared<StartWorks>(scheduler_, start_actions())},
          decoder_{std::make_shared<AnswerDecoder<Transport>>(
              transport_, [to = scheduler_](auto settled) { complete(*to, std::move(settled)); })},
          strangers_{options.max_strangers} {}

    void accept_work(const WorkType& type) { accepted_.accept(settings_->types->registry().own(type)); }
    void accept_submission(const WorkType& type) { submitted_.insert(settings_->types->registry().own(type)); }

    /// Each slave executes this work before all others. *Errors*: as StartWorks::add.
    void on_start(std::shared_ptr<const IWork> work) { starts_->add(std::move(work)); }

    /// From now on until `forget_registry`, tells slaves about types that libraries register.
    void observe_registry() { settings_->types->observe(*this); }
    void forget_registry() noexcept { settings_->types->forget(*this); }

    void types_grew() override {
        for (const auto& session : sessions_.all()) session->types_grew();
    }

    void wait_for_slaves(const std::shared_ptr<SlaveWaiters::AnyWaiter>& waiter) noexcept {
        post_surely(strand_, [self = self(), waiter] {
            self->waiters_.add(waiter);
            self->wake_waiters();
        });
    }
    void stop_waiting(const std::shared_ptr<SlaveWaiters::AnyWaiter>& waiter) noexcept {
        post_surely(strand_, [self = self(), waiter] { self->waiters_.cancel(waiter); });
    }
    /// Master's strand. Completes all who wait for slaves with Errc::stopped.
    void end_waiting() noexcept { waiters_.end(); }

    /// The slave finishes what it holds, and is told to leave.
    void drain(std::uint64_t socket) {
        container_.let_leave(socket);
        scheduler_->notice();
    }

    /// The works of slaves that wait for a slot of this master.
    std::vector<Waiting> waiting() const {
        std::vector<Waiting> all;
        if (const auto queue = accepted_.queue())
            for (const auto& [type, count] : queue->waiting_types())
                all.push_back({WaitReason::master_slots, type->name, {}, 0, count, {}, {}, count});
        return all;
    }

    const Departures& departures() const noexcept { return departures_; }

    /// Whether all works of slaves were executed. If not, `then` is called once they were.
    bool are_works_done(std::function<void()> then) const { return accepted_.are_done(std::move(then)); }

    /// Nobody more should be accepted now.
    bool has_too_many_strangers() { return strangers_.is_full(transport_.now()); }

    /// A connection was accepted. *Errors*: std::bad_alloc.
    void accepted(typename Transport::Socket socket) {
        if (!strangers_.admits(remote_endpoint_of(socket).address(), transport_.now())) return;  // which closes it
        begin(std::move(socket), {}, [this](const SessionPtr& session) {
            if (const auto displaced = strangers_.add(session, transport_.now()))
                displaced->close(Errc::too_many_strangers);
        });
    }

    /// The application handed over a connection of a slave that it knows. *Errors*: std::bad_alloc.
    void adopted(typename Transport::Socket socket, ConnectionWatch watch) {
        begin(std::move(socket), std::move(watch), [](const SessionPtr&) {});
    }

    /// Settles everything, tells all slaves that the master leaves, and ends their sessions. None begins any more.
    void leave() noexcept {
        end([](Session<Transport>& session) { session.leave(Errc::stopped, ""); });
    }
    /// The same at once.
    void close() noexcept {
        end([](Session<Transport>& session) { session.close(Errc::stopped); });
    }

    /// Blocks until the works of slaves that run on the master's own threads have returned.
    void join() { accepted_.join(); }

    // SessionHandler: session strands

    std::error_code admit(const Session<Transport>& session, const Greeting&, std::string& text) override {
        if constexpr (authenticates<Transport>) strangers_.remove(session);  // else anyone can say hello
        if (++seats_ <= max_slaves_) return {};
        --seats_;
        text = "max_slaves is " + std::to_string(max_slaves_);
        return Errc::too_many_slaves;
    }

    void opened(const SessionPtr& session, const Introduction& peer, const PeerTypes& types) override {
        SocketInformation information;
        information.name = session->name();
        information.endpoint = session->remote_endpoint();
        information.certified_name = session->certified_name();
        information.labels = labels_of(*session, information.certified_name, peer.labels);
        std::sort(information.labels.begin(), information.labels.end());
        information.amounts = amounts_of_peer(peer.amounts);
        information.indexed = peer.indexed;
        information.pool = session->watched_by.pool;
        information.slots = std::clamp<std::size_t>(peer.slots, 1, std::min(peer.window, slave_window));
        information.connected_since = transport_.now();
        information.last_heard = information.connected_since;
        information.starting = true;
        strangers_.remove(*session);
        session->tag = container_.add_socket(session, std::move(information), types.known(), peer.window,
                                             peer.max_frame_bytes, peer.held_slots);
        log(*session, LogLevel::info, [&] { return "Connected from: " + session->description(); });
        scheduler_->notice();
        starts_->begin(session->tag, [watch = session->watched_by] {
            if (watch.opened) watch.opened();
        });
        post_surely(strand_, [self = self()] { self->wake_waiters(); });
    }

    void types_changed(const SessionPtr& session, const PeerTypes& types) override {
        container_.know_types(session->tag, types.known());
        scheduler_->notice();
    }

    void answered(const SessionPtr& session, std::span<Answer> answers) noexcept override {
        scheduler_->begin_settling();
        scheduler_->go_again(container_.answered(session->tag, answers, session->traffic(), transport_.now()));
    }

    void deliver(std::vector<std::shared_ptr<Call>> settled) noexcept override {
        complete(*scheduler_, std::move(settled));
    }
    bool settle_later(LateAnswers<Session<Transport>>& answers) noexcept override {
        scheduler_->begin_settling();
        if (decoder_->push(answers)) return true;
        scheduler_->end_settling();
        return false;
    }

    bool accepts(const WorkType& type) const override { return accepted_.contains(type); }
    std::shared_ptr<WorkQueue<Transport>> works() noexcept override { return accepted_.queue(); }

    void slot_freed(const SessionPtr& session) override {
        container_.slot_freed(session->tag);
        scheduler_->notice();
    }

    std::shared_ptr<Call> distribute(const SessionPtr& session, SubmittedWork work) override {
        const WorkType& type = work.type;
        const std::uint64_t id = work.id;
        std::shared_ptr<NestedSubmission> child;
        const auto refused = exception_of(
            [&] { child = NestedSubmission::make(std::move(work), submitted_, settings_->limits, session); });
        if (!refused) return scheduler_->submit(child, false), child;
        session->reply({.kind = FrameKind::error, .id = id}, error_body({}, refused, type.name));
        return nullptr;
    }

    void cancel_work(const std::shared_ptr<Call>& work) noexcept override {
        scheduler_->cancel(std::static_pointer_cast<Submission>(work));
    }

    void has_room(const SessionPtr& session) override {
        container_.has_room_again(session->tag);
        scheduler_->notice();
    }

    void suspected(const SessionPtr& session, bool is) override {
        container_.suspect(session->tag, is);
        scheduler_->notice();
    }

    void round_trip(const SessionPtr& session, std::chrono::nanoseconds time, const SlaveState& peer) override {
        container_.round_trip(session->tag, time, session->traffic(), peer);
        scheduler_->notice();
    }

    void peer_drains(const SessionPtr& session) override {
        container_.drain(session->tag);
        scheduler_->notice();
        log(*session, LogLevel::info, [&] { return "Draining: " + session->description(); });
    }

    void closed(const SessionPtr& session, std::error_code reason, const std::string& detail,
                std::vector<std::shared_ptr<Call>> unanswered) noexcept override {
        if (session->accepted()) --seats_;
        strangers_.ended(*session, session->accepted(), reason, transport_.now());
        const std::string text = surely([&] {
            const auto& how_ended = session->watched_by.how_ended;
            const bool is_asked = how_ended && (!is_clean_end(reason) || !unanswered.empty());
            const std::string more = is_asked ? how_ended() : "";
            return why_ended(reason, detail) + (more.empty() ? "" : ": ") + more;
        });
        const bool is_loss = session->tag && (!is_clean_end(reason) || !unanswered.empty());
        std::size_t again = 0;
        {
            const Settling settling = scheduler_->settle();
            LostWorks lost;
            if (session->tag) {
                lost = container_.remove_socket(session->tag, unanswered, session->description(), session->traffic());
                surely([&] { unanswered.reserve(unanswered.size() + lost.waited.size()); });
                unanswered.insert(unanswered.end(), lost.waited.begin(), lost.waited.end());
            }
            scheduler_->fail_all(std::move(unanswered), session->description(), Errc::lost,
                                 surely([&] { return "its slave was lost: " + text; }));
            scheduler_->send_elsewhere(lost.again);
            again = lost.again.size();
        }
        sessions_.remove(*session);
        if (const auto& closed = session->watched_by.closed) static_cast<void>(exception_of([&] { closed(reason); }));
        if (session->tag) {
            static_cast<void>(exception_of([&] {
                departures_.note({session->tag, session->name(), text, transport_.now()});
            }));
            starts_->forget(session->tag);
            post_surely(strand_, [self = self()] { self->wake_waiters(); });
        }
        scheduler_->notice();
        const bool is_bad = is_loss || reason == make_error_code(Errc::not_authenticated);
        log(*session, is_bad ? LogLevel::warning : LogLevel::info, [&] {
            return "Disconnected from: " + session->description() + ": " + text +
                   (again == 0 ? "" : "; works that go to others: " + std::to_string(again));
        });
    }

private:
    template <class Announce>
    void begin(typename Transport::Socket socket, ConnectionWatch watch, Announce announce) {
        const auto strand = socket.get_executor();
        const auto session = std::make_shared<Session<Transport>>(transport_, scheduler_->executor(), std::move(socket),
                                                                  settings_, self());
        session->watched_by = std::move(watch);
        if (!sessions_.add(session)) return;
        const auto failed = exception_of([&] {
            announce(session);
            asio::co_spawn(strand, Session<Transport>::run(session), [session](const std::exception_ptr&) {});
        });
        if (!failed) return;
        strangers_.remove(*session);
        sessions_.remove(*session);
        std::rethrow_exception(failed);
    }

    typename StartWorks::Actions start_actions() {
        StartWorks::Actions actions;
        actions.hold = [scheduler = scheduler_](std::uint64_t socket) { scheduler->container().start(socket); };
        actions.release = [scheduler = scheduler_](std::uint64_t socket) { scheduler->container().started(socket); };
        actions.notice = [scheduler = scheduler_] { scheduler->notice(); };
        actions.fail = [scheduler = scheduler_](std::uint64_t socket, const std::exception_ptr& error) {
            const auto slave = scheduler->container().peer(socket);
            if (!slave || error_code_of(error) == Errc::stopped) return;
            static_cast<void>(exception_of(
                [&] { slave->log(LogLevel::error, slave->name() + " could not be started: " + what_of(error)); }));
            slave->leave(Errc::start_failed, "");
        };
        return actions;
    }

    /// Completes calls that answers settled. From `answered`, or `settle_later`, until now the scheduler was not quiet.
    static void complete(Works& scheduler, std::vector<std::shared_ptr<Call>> settled) noexcept {
        scheduler.deliver(std::move(settled));
        scheduler.end_settling();
        scheduler.notice();
    }

    template <class Text>
    void log(const Session<Transport>& session, LogLevel level, Text text) noexcept {
        (*settings_->peer_log)(session.remote_endpoint().address(), level, text);
    }

    /// Those that the slave may offer.
    std::vector<std::string> labels_of(const Session<Transport>& session, const std::string& certified_name,
                                       std::vector<std::string> offered) {
        if (!may_offer_) return offered;
        std::erase_if(offered, [&](const std::string& label) {
            if (may_offer_(certified_name, label)) return false;
            log(session, LogLevel::warning,
                [&] { return session.description() + " may not offer the label " + label; });
            return true;
        });
        return offered;
    }

    /// Master's strand.
    void wake_waiters() noexcept {
        waiters_.wake(container_.size(), [this](std::uint64_t socket) { return container_.peer(socket) == nullptr; });
    }

    std::shared_ptr<SlaveSessions> self() { return this->shared_from_this(); }

    /// When this returns, every submission is settled, even if no strand ever runs again.
    template <class EndSession>
    void end(EndSession end_session) noexcept {
        for (const auto& session : sessions_.take()) {
            give_up(session);
            end_session(*session);
        }
        strangers_.clear();
        for (auto& late : decoder_->stop()) {
            std::vector<std::shared_ptr<Call>> calls;
            surely([&] { calls.reserve(late.answers.size()); });
            for (Answer& answer : late.answers) calls.push_back(std::move(answer.call));
            scheduler_->fail_all(std::move(calls), late.session->description(), Errc::stopped, "the master stopped");
            scheduler_->end_settling();
            late.done();
        }
        scheduler_->abandon_waiting();
        if (const auto queue = accepted_.queue()) queue->stop();
    }

    /// Settles the works in flight on a session, even if its strand never runs again.
    void give_up(const SessionPtr& session) noexcept {
        auto calls = session->give_up();
        container_.forget(calls);
        scheduler_->fail_all(std::move(calls), session->description(), Errc::stopped, "the master stopped");
    }

    const std::shared_ptr<const SessionSettings> settings_;
    Transport transport_;
    const typename Transport::Strand strand_;
    const std::size_t max_slaves_;
    const decltype(MasterOptions::may_offer) may_offer_;
    const std::shared_ptr<Works> scheduler_;
    SocketContainer<Selector>& container_;  // the scheduler's

    SlaveWaiters waiters_;  // strand_

    AcceptedTypes<Transport> accepted_;
    const std::shared_ptr<StartWorks> starts_;
    const std::shared_ptr<AnswerDecoder<Transport>> decoder_;
    TypeSet submitted_;                  // types that works on slaves may submit
    std::atomic<std::size_t> seats_{0};  // slaves that were admitted and have not left
    SessionSet<Transport> sessions_;
    Strangers<Session<Transport>> strangers_;
    Departures departures_;
};

}  // namespace distwork::detail
