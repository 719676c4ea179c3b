#pragma once

#include <any>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../archive_limits.hpp"
#include "../base/asio.hpp"
#include "../base/probe.hpp"
#include "../base/surely.hpp"
#include "../base/timer_queue.hpp"
#include "../base/type_name.hpp"
#include "../calls/call.hpp"
#include "../calls/deliver.hpp"
#include "../container_limits.hpp"
#include "../dispatch/admission.hpp"
#include "../dispatch/socket_container.hpp"
#include "../dispatch/submission.hpp"
#include "../error.hpp"
#include "../link/completion_queue.hpp"
#include "../link/session_settings.hpp"
#include "../log.hpp"
#include "../socket_information.hpp"
#include "../statistics.hpp"
#include "../types/registry.hpp"
#include "../wire/byte_buffer.hpp"
#include "any_scheduler.hpp"
#include "no_slave_alarm.hpp"
#include "outcome_counts.hpp"
#include "role_log.hpp"
#include "settling.hpp"

namespace distwork::detail {

/// What a master does with works, apart from its connections: how they are submitted, when they are sent again, and how
/// they end.
///
/// *Thread-safety*: all functions. *Lifetime*: shared by its master, and by calls under way.
template <class Selector, class Transport>
class Scheduler final : public AnyScheduler, public std::enable_shared_from_this<Scheduler<Selector, Transport>> {
public:
    using Container = SocketContainer<Selector>;

    Scheduler(Transport transport, const typename Transport::Strand& strand,
              std::shared_ptr<const SessionSettings> settings, const ContainerLimits& limits, Selector selector)
        : settings_{std::move(settings)},
          executor_{transport.get_executor()},
          transport_{std::move(transport)},
          strand_{strand},
          log_{settings_->log},
          max_backlog_{limits.max_backlog},
          container_{std::move(selector), limits, [transport = transport_] { return transport.now(); }},
          completions_{std::make_shared<CompletionQueue<Transport>>(transport_)},
          timers_{std::make_shared<TimerQueue<Transport>>(transport_, strand_)},
          no_slave_{timers_} {}

    Container& container() noexcept { return container_; }

    // AnyScheduler

    const asio::any_io_executor& executor() const noexcept override { return executor_; }
    const ArchiveLimits& limits() const noexcept override { return settings_->limits; }
    Registry& registry() const noexcept override { return settings_->types->registry(); }
    std::size_t connected_slave_count() const override { return container_.size(); }
    std::size_t backlog_size() const override { return container_.backlog_size(); }
    std::size_t max_backlog() const noexcept override { return max_backlog_; }
    std::size_t max_chunk_bytes() const override { return container_.max_chunk_bytes(); }
    std::chrono::steady_clock::time_point now() const override { return transport_.now(); }
    bool has_room_for_all(const std::vector<std::uint64_t>& sockets, const WorkType& type,
                          std::size_t bytes) const override {
        return container_.has_room_for_all(sockets, type, bytes);
    }
    bool is_closed() const override { return container_.is_closed(); }
    void enumerate_sockets(const std::function<void(const SocketInformation&)>& visit) const override {
        container_.enumerate_sockets(visit);
    }

    void log(LogLevel level, std::string_view line) const override { log_(level, line); }

    void submit(const SubmissionPtr& call) noexcept override { submit(call, true); }
    /// `may_wait`: it may wait for room in the backlog.
    void submit(const SubmissionPtr& call, bool may_wait) noexcept {
        ByteBuffer room;
        submit_as(call, may_wait, [&] { enter(call, room); });
    }
    void submit_encoded(const SubmissionPtr& call) noexcept override {
        submit_as(call, true, [] {});
    }
    void submit_now(const SubmissionPtr& call) override {
        ByteBuffer room;
        Admission admission{};
        auto error = exception_of([&] {
            enter(call, room);
            watch(call);
            admission = container_.submit(call, false);
            if (!is_admission(admission)) throw refusal_of(*call, admission);
        });
        notice();
        if (!error) return;
        if (call->claim(Errc::backlog_full)) outcomes_.count_refused();
        std::rethrow_exception(error);
    }

    void cancel(const SubmissionPtr& call) noexcept override { end(call, Errc::cancelled); }
    void withdraw(Submission& call) noexcept override { container_.cancel(call); }
    void deliver_settled(const SubmissionPtr& call) noexcept override {
        outcomes_.count(*call);
        deliver_one(executor_, call);
        notice();
    }
    std::uint64_t idle_slave_for(const Submission& work) const override { return container_.idle_slave_for(work); }
    void set_timer(std::chrono::nanoseconds after, std::function<void()> action,
                   std::shared_ptr<void>& timer) override {
        timers_->set(after, std::move(action), timer);
    }

    void interrupt(const Error& why) noexcept override { fail_waiting(why, false); }

    std::shared_ptr<void> hold_open() override {
        begin_settling();
        const auto release = [all = this->shared_from_this()](void*) { all->end_settling(), all->notice(); };
        return {static_cast<void*>(this), release};
    }

    Statistics statistics() const override {
        // The outcomes are read first, so that each counted outcome is also counted as admitted.
        Statistics outcomes;
        outcomes_.add_to(outcomes);
        return joined(container_.statistics(), outcomes);
    }

    bool update_socket_information(std::uint64_t socket, std::any value) override {
        const bool found = container_.update_socket_information(socket, std::move(value));
        notice();
        return found;
    }

    // For the master

    void socket_selector(Selector selector) {
        container_.socket_selector(std::move(selector));
        notice();
    }

    /// The master was asked to run: it may soon have slaves.
    void master_runs() noexcept { no_slave_.master_runs(); }

    /// From now on calls `quiet` when nothing waits and nothing is in flight: from any thread, possibly repeatedly.
    /// Called once. *Errors*: std::bad_alloc; then nothing has changed.
    void watch_for_quiet(std::function<void()> quiet) {
        quiet_ = std::move(quiet);
        stopping_ = true;
    }

    /// Sends works again that threw or were recalled.
    void go_again(const AgainWorks& works) noexcept {
        for (const SubmissionPtr& work : works.recalled)
            post_surely(strand_, [self = this->shared_from_this(), work] { self->send_again(work); });
        for (const SubmissionPtr& work : works.retries)
            send_later(work, work->options.retry_on_error().pause(work->retries(), transport_.random()));
    }

    /// Sends works of a lost slave again, each after its pause.
    void send_elsewhere(const std::list<SubmissionPtr>& works) noexcept {
        for (const SubmissionPtr& work : works) send_later(work, work->pause_after_loss(transport_.random()));
    }

    /// Claims and fails those works of a session that were not claimed before.
    void fail_all(std::vector<std::shared_ptr<Call>> calls, const std::string& slave, Errc reason,
                  std::string_view why) noexcept {
        fail_unclaimed(calls, reason, [&](const Call& call) { return (attempts_of(call, slave) + ": ").append(why); });
        outcomes_.count(calls);
        deliver_all(executor_, std::move(calls));
    }

    /// While it exists, the scheduler is not quiet. The owner must call `notice` afterwards.
    Settling settle() noexcept { return Settling{settling_}; }
    void begin_settling() noexcept { ++settling_; }
    void end_settling() noexcept { --settling_; }

    bool is_quiet() const { return container_.quiet() && settling_ == 0; }

    /// Completes calls that answers settled.
    void deliver(std::vector<std::shared_ptr<Call>> settled) noexcept {
        outcomes_.count(settled);
        completions_->deliver(std::move(settled));
    }

    /// Settles all works that wait. From now on no work is sent again.
    void abandon_waiting() noexcept {
        timers_->stop();
        fail_waiting(surely([] { return Error::with_text(Errc::stopped, "the master stopped"); }), true);
    }

    /// Reports what happened under the container's lock. Must be called after each function that may cause something.
    void notice() noexcept {
        if (container_.has_news() || stopping_.load(std::memory_order_relaxed)) take_notice();
    }

private:
    /// Separate, because `notice` is called for every work and seldom finds something to do.
    [[gnu::cold]] void take_notice() noexcept {
        if (container_.has_news()) tell(container_.take_news());
        if (stopping_.load(std::memory_order_acquire) && is_quiet()) quiet_();
    }

    template <class Enter>
    void submit_as(const SubmissionPtr& call, bool may_wait, Enter enter_it) noexcept {
        Admission admission = Admission::stopped;
        auto error = exception_of([&] {
            enter_it();
            watch(call);
            admission = container_.submit(call, may_wait);
            if (admission != Admission::in_line && !is_admission(admission)) throw refusal_of(*call, admission);
        });
        if (error) refuse(call, std::move(error));
        else if (admission != Admission::in_line && call->is_admitted) call->admitted();  // else it was claimed before
        notice();
    }

    void tell(News news) noexcept {
        if (news.look) look_later();
        news.hungry.wake_all();
        for (const auto& slave : news.leaving) slave->leave(Errc::draining, "the master lets it go");
        for (const auto& work : news.admitted) work->admitted();
        for (const auto& chunk : news.to_split) settle_waiting(chunk, nullptr);
        static_cast<void>(exception_of([&] { log_news(news); }));  // on allocation failure only a line is lost
    }

    void log_news(const News& news) {
        if (news.selector_error) log_(LogLevel::error, "The selector threw: " + what_of(news.selector_error));
        for (const Stranded& kind : news.stranded) {
            log_(kind.no_slave ? LogLevel::info : LogLevel::warning, kind.text);
            if (!kind.no_slave) continue;
            no_slave_.set([core = this->weak_from_this()] {
                const auto there = core.lock();
                const std::string text = there ? there->no_slave_.text(there->container_.waiting()) : "";
                if (!text.empty()) there->log_(LogLevel::warning, text);
            });
        }
    }

    // Works that wait at their slave

    void look_later() noexcept {
        const auto act = [](Scheduler& there) { there.look(); };
        const auto failed = exception_of(
            [&] { timers_->set(container_.time_between_looks(), this->weak_from_this(), act, next_look_); });
        if (failed) container_.forget_look();  // allocation failure
    }

    void look() noexcept {
        if (container_.look(transport_.now())) look_later();
        notice();
    }

    void enter(const SubmissionPtr& call, ByteBuffer& room) const {
        call->enter(registry());
        call->encode(room, limits());
    }

    // Works that wait for a time, or for another attempt

    /// Sets the timers of the submission's time limits. *Errors*: std::bad_alloc.
    void watch(const SubmissionPtr& call) {
        const SubmitOptions& options = call->options;
        if (options.queue_timeout().count() != 0)
            set(call->timers().queue_timeout, options.queue_timeout(), call, &Scheduler::expire);
        if (options.deadline().count() != 0)
            set(call->timers().deadline, options.deadline(), call, &Scheduler::overdue);
    }

    /// Sets a timer, which does not keep the submission alive. *Errors*: std::bad_alloc.
    void set(std::shared_ptr<void>& alarm, std::chrono::nanoseconds after, const SubmissionPtr& call,
             void (Scheduler::*action)(const SubmissionPtr&) noexcept) {
        const auto act = [weak = std::weak_ptr{call}, action](Scheduler& there) {
            if (const auto still = weak.lock()) (there.*action)(still);
        };
        timers_->set(after, this->weak_from_this(), act, alarm);
    }

    void expire(const SubmissionPtr& call) noexcept {
        {
            const Settling settling{settling_};
            auto error = error_of(*call, Errc::queue_timeout, [&] {
                return over("queue_timeout", call->options.queue_timeout()) + container_.why(*call);
            });
            if (!container_.expire(*call)) return;
            fail(call, std::move(error));
        }
        notice();
    }

    void overdue(const SubmissionPtr& call) noexcept {
        if (!DISTWORK_PLANTED(ignore_deadline)) end(call, Errc::deadline);
    }

    void send_later(const SubmissionPtr& work, std::chrono::nanoseconds pause) noexcept {
        auto error = exception_of([&] { set(work->timers().next_attempt, pause, work, &Scheduler::send_again); });
        if (error) settle_waiting(work, std::move(error));
    }

    void send_again(const SubmissionPtr& work) noexcept {
        if (work->is_to_split()) return settle_waiting(work, nullptr);
        ByteBuffer room;
        auto error = exception_of([&] {
            work->encode(room, limits());
            static_cast<void>(container_.send_again(work));
        });
        // The object has changed since it was first encoded and does not encode any more; or an allocation failed. The
        // works of a chunk are tried one by one.
        if (error) settle_waiting(work, work->elements() == 1 ? std::move(error) : nullptr);
        else notice();
    }

    /// Completes a work that waits and is not to be sent. `error`: why not; null: it is a chunk, which is split.
    void settle_waiting(const SubmissionPtr& work, std::exception_ptr error) noexcept {
        if (!work->claim(error ? Errc::malformed : Errc{})) return;
        begin_settling();
        container_.cancel(*work);
        if (!error) work->split();
        fail(work, std::move(error));
        end_settling();
        notice();
    }

    // How submissions end here

    /// Admits nothing more, and fails what waits; if `is_over`, start works, too.
    void fail_waiting(const Error& why, bool is_over) noexcept {
        const Errc code = errc_of(why.code(), Errc::stopped);
        container_.close();
        begin_settling();
        for (const SubmissionPtr& work : container_.take_waiting(is_over))
            if (work->claim(Errc::stopped)) fail(work, error_of(*work, code, [&] { return std::string{why.what()}; }));
        end_settling();
        notice();
    }

    void end(const SubmissionPtr& call, Errc reason) noexcept {
        auto error = error_of(*call, reason, [&] {
            if (reason != Errc::deadline) return std::string{};
            return over("deadline", call->options.deadline()) + container_.why(*call);
        });
        if (!call->claim(reason)) {
            DISTWORK_MARK(cancel_lost_the_race);
            return;
        }
        if (reason == Errc::deadline) DISTWORK_MARK(deadline);
        begin_settling();
        container_.cancel(*call);
        if (!DISTWORK_PLANTED(drop_on_cancel)) fail(call, std::move(error));
        end_settling();
        notice();
    }

    void refuse(const SubmissionPtr& call, std::exception_ptr error) noexcept {
        if (call->claim(Errc::backlog_full)) fail(call, std::move(error));
    }

    void fail(const SubmissionPtr& call, std::exception_ptr error) noexcept {
        const bool is_told = call->take_refusal(error);
        if (!is_told) call->fail(std::move(error));
        outcomes_.count(*call);
        if (!is_told) deliver_one(executor_, call);
    }

    Error refusal_of(const Submission& call, Admission admission) const {
        return refusal(admission, call.name(), admission == Admission::no_slave ? container_.why(call) : "");
    }

    const std::shared_ptr<const SessionSettings> settings_;
    const asio::any_io_executor executor_;
    Transport transport_;
    const typename Transport::Strand strand_;
    const RoleLog log_;
    const std::size_t max_backlog_;
    Container container_;
    OutcomeCounts outcomes_;
    const std::shared_ptr<CompletionQueue<Transport>> completions_;
    const std::shared_ptr<TimerQueue<Transport>> timers_;
    std::shared_ptr<void> next_look_;
    NoSlaveAlarm<Transport> no_slave_;
    std::function<void()> quiet_;  // written before stopping_
    std::atomic<bool> stopping_{false};
    std::atomic<std::size_t> settling_{0};
};

}  // namespace distwork::detail
