#pragma once

#include <algorithm>
#include <any>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <unordered_map>
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
#include "asio.hpp"
#include "drain.hpp"
#include "slave_waiters.hpp"

namespace distwork::detail {

/// What stands behind a Master: it lives until the last session that it began has ended, whatever becomes of the
/// handle.
template <class Selector, class Transport>
class MasterCore final : public SessionHost<Transport>,
                         public std::enable_shared_from_this<MasterCore<Selector, Transport>> {
    using typename SessionHost<Transport>::SessionPtr;
    using Container = SocketContainer<Selector>;

public:
    MasterCore(Transport transport, MasterOptions options, Selector selector)
        : options_{checked(std::move(options))},
          executor_{transport.get_executor()},
          transport_{std::move(transport)},
          strand_{transport_.make_strand()},
          settings_{settings_of(options_)},
          acceptor_{transport_.listen(strand_, options_.address, options_.port)},
          local_endpoint_{acceptor_.local_endpoint()},
          timer_{strand_},
          drain_{transport_, strand_},
          container_{std::move(selector), options_.waiting},
          accepted_{transport_, options_.work_executor, options_.slots} {}

    // Any thread

    Container& container() noexcept { return container_; }
    const typename Transport::Strand& strand() const noexcept { return strand_; }
    const asio::any_io_executor& executor() const noexcept { return executor_; }
    const ArchiveLimits& limits() const noexcept { return settings_->limits; }
    asio::ip::tcp::endpoint local_endpoint() const noexcept { return local_endpoint_; }

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
        const Admission admission = container_.submit(call, false);
        notice();
        if (admission != Admission::sent && admission != Admission::queued) throw refusal(admission, call->name());
    }

    void cancel(const SubmissionPtr& call) {
        if (!call->claim()) return;
        container_.cancel(*call);
        auto error = std::make_exception_ptr(Error{Errc::cancelled, std::string{call->name()}});
        if (!call->take_refusal(error)) settle(call, std::move(error));
        notice();
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
        co_await self->accept();
    }

    /// Admits nothing more, waits for what was admitted and for works of slaves, for at most `timeout`, then ends all.
    static asio::awaitable<void> stop(std::shared_ptr<MasterCore> self, std::chrono::milliseconds timeout) {
        self->container_.close();
        self->close_acceptor();
        self->slave_waiters_.end();
        if (self->drain_.begin(timeout))
            asio::co_spawn(self->strand_, drain(self), [self](const std::exception_ptr&) {});
        co_await self->drain_.ended();
    }

    static asio::awaitable<void> drain(std::shared_ptr<MasterCore> self) {
        self->stopping_ = true;
        co_await self->drain_.until([&self] { return self->container_.quiet() && self->works_are_done(); });
        for (const auto& session : self->take_sessions()) {
            self->give_up(session);
            session->leave(Errc::stopped, "the master stopped");
        }
        self->abandon();
        self->drain_.end();
    }

    /// Ends all at once: every submission is settled when this returns, its handler called by its executor.
    void abort() {
        container_.close();
        for (const auto& session : take_sessions()) {
            give_up(session);
            session->close(Errc::stopped);
        }
        abandon();
        container_.clear();
        asio::post(strand_, [self = this->shared_from_this()] {
            self->close_acceptor();
            self->timer_.cancel();
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
        container_.answered(session->tag, answers, session->traffic(), transport_.now());
        notice();
    }

    bool accepts(const WorkType& type) const override { return accepted_.contains(type); }
    std::shared_ptr<WorkQueue<Transport>> works() override { return accepted_.queue(); }

    void has_room(const SessionPtr& session) override {
        container_.has_room_again(session->tag);
        notice();
    }

    void round_trip(const SessionPtr& session, std::chrono::nanoseconds time) override {
        container_.round_trip(session->tag, time, session->traffic());
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
        if (session->tag) {
            const auto waiting = container_.remove_socket(session->tag, unanswered);
            unanswered.insert(unanswered.end(), waiting.begin(), waiting.end());
        }
        const std::string text = reason.message() + (detail.empty() ? "" : " (" + detail + ")");
        log(LogLevel::info, "Disconnected from: " + to_string(session->remote_endpoint()) + ": " + text);
        settle_lost(session, std::move(unanswered), Errc::lost, text);
        notice();
        const std::lock_guard lock{sessions_mutex_};
        sessions_.erase(session);
    }

private:
    static constexpr auto shortest_pause = std::chrono::milliseconds{10};
    static constexpr auto longest_pause = std::chrono::milliseconds{500};

    asio::awaitable<void> accept() {
        auto pause = shortest_pause;
        while (acceptor_.is_open()) {
            std::exception_ptr failed;
            try {
                auto socket = co_await transport_.accept(acceptor_);
                begin_session(std::move(socket));
                pause = shortest_pause;
            } catch (const std::system_error&) {
                failed = std::current_exception();
            }
            if (!failed || !acceptor_.is_open()) continue;
            // Out of descriptors, as a rule: accepting again at once would fail again, millions of times a second.
            log(LogLevel::warning, "accepting failed: " + describe(failed).text);
            timer_.expires_after(pause);
            std::error_code ignored;
            co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
            pause = std::min(pause * 2, longest_pause);
        }
    }

    /// Whether the works of slaves are executed; if not, the drain looks again when they are.
    bool works_are_done() {
        const auto queue = works();
        if (!queue || queue->is_idle()) return true;
        queue->when_idle(
            [self = this->shared_from_this()] { asio::post(self->strand_, [self] { self->drain_.look_again(); }); });
        return false;
    }

    void refuse(const SubmissionPtr& call, std::exception_ptr error) {
        if (call->claim() && !call->take_refusal(error)) settle(call, std::move(error));
    }

    void settle(const SubmissionPtr& call, std::exception_ptr error) {
        call->fail(std::move(error));
        deliver_one(executor_, call);
    }

    void begin_session(typename Transport::Socket socket) {
        const auto strand = socket.get_executor();
        auto session = std::make_shared<Session<Transport>>(transport_, executor_, std::move(socket), settings_,
                                                            this->shared_from_this());
        {
            const std::lock_guard lock{sessions_mutex_};
            if (ended_ || sessions_.size() >= options_.max_slaves + options_.max_strangers) return;
            sessions_.emplace(session, ++begun_sessions_);
        }
        asio::co_spawn(strand, Session<Transport>::run(session), [session](const std::exception_ptr&) {});
    }

    std::vector<SessionPtr> take_sessions() {
        const std::lock_guard lock{sessions_mutex_};
        ended_ = true;
        std::vector<std::pair<std::uint64_t, SessionPtr>> in_order;
        for (const auto& [session, number] : sessions_) in_order.emplace_back(number, session);
        std::sort(in_order.begin(), in_order.end());
        sessions_.clear();
        std::vector<SessionPtr> sessions;
        for (auto& [number, session] : in_order) sessions.push_back(std::move(session));
        return sessions;
    }

    /// Settles what is in flight on a session, whether or not its strand ever runs again.
    void give_up(const SessionPtr& session) {
        auto calls = session->give_up();
        container_.forget(calls);
        settle_lost(session, std::move(calls), Errc::stopped, "the master stopped");
    }

    void settle_lost(const SessionPtr& session, std::vector<std::shared_ptr<Call>> calls, Errc reason,
                     const std::string& text) {
        std::erase_if(calls, [](const auto& call) { return !call->claim(); });
        for (const auto& call : calls)
            call->fail(
                std::make_exception_ptr(Error{reason, std::string{call->name()} + " on " + session->name() + " (" +
                                                          to_string(session->remote_endpoint()) + "), attempt " +
                                                          std::to_string(call->attempt()) + ": " + text}));
        deliver_all(executor_, std::move(calls));
    }

    /// Settles what waits, and stops executing works of slaves.
    void abandon() {
        std::vector<std::shared_ptr<Call>> calls;
        for (auto& work : container_.take_waiting())
            if (work->claim()) {
                work->fail(std::make_exception_ptr(Error{Errc::stopped, std::string{work->name()}}));
                calls.push_back(std::move(work));
            }
        deliver_all(executor_, std::move(calls));
        if (const auto queue = works()) queue->stop();
    }

    /// What the container did under its lock and others must hear of outside.
    void notice() {
        for (const auto& work : container_.take_admitted()) work->admitted();
        if (const auto error = container_.take_selector_error())
            log(LogLevel::error, "the selector threw: " + describe(error).text);
        if (stopping_.load(std::memory_order_relaxed) && container_.quiet())
            asio::post(strand_, [self = this->shared_from_this()] { self->drain_.look_again(); });
    }

    void close_acceptor() {
        std::error_code ignored;
        static_cast<void>(acceptor_.close(ignored));
    }

    const MasterOptions options_;
    const asio::any_io_executor executor_;
    Transport transport_;
    const typename Transport::Strand strand_;
    const std::shared_ptr<const SessionSettings> settings_;

    // strand_
    typename Transport::Acceptor acceptor_;
    const asio::ip::tcp::endpoint local_endpoint_;
    typename Transport::Timer timer_;
    Drain<Transport> drain_;
    SlaveWaiters slave_waiters_;
    bool running_ = false;

    Container container_;
    AcceptedWorks<Transport> accepted_;
    std::atomic<bool> stopping_{false};
    std::atomic<std::size_t> seats_{0};  // slaves that were admitted and are there

    std::mutex sessions_mutex_;
    // guarded by sessions_mutex_
    std::unordered_map<SessionPtr, std::uint64_t> sessions_;  // and their order: they end in it
    std::uint64_t begun_sessions_ = 0;
    bool ended_ = false;  // no session begins any more
};

}  // namespace distwork::detail
