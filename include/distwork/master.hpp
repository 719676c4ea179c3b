#pragma once

#include <any>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/asio.hpp"
#include "calls/call_function.hpp"
#include "calls/initiation.hpp"
#include "calls/kept_work.hpp"
#include "calls/typed_call.hpp"
#include "connection_watch.hpp"
#include "context.hpp"
#include "function_work.hpp"
#include "fwd.hpp"
#include "outcome.hpp"
#include "role_options.hpp"
#include "roles/any_master.hpp"
#include "roles/any_scheduler.hpp"
#include "roles/broadcast_parts.hpp"
#include "roles/distribution.hpp"
#include "roles/make_submission.hpp"
#include "roles/parts_of.hpp"
#include "roles/role_executor.hpp"
#include "selector.hpp"
#include "submit_options.hpp"

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "roles/master_core.hpp"
#include "transport.hpp"
#endif

namespace distwork {

namespace detail {

template <class Token>
concept completion_token = !std::same_as<std::remove_cvref_t<Token>, SubmitOptions>;

}  // namespace detail

/// Accepts slaves and distributes works to them.
///
/// *Executor*: any executor or execution context. Its I/O runs there, each connection on a strand of its own.
/// *Thread-safety*: all functions. Only the constructors and the destructor may block. *Lifetime*: the context of the
/// executor must outlive the master. The destructor, like `async_stop`, settles every submission: each handler is
/// called while its executor runs.
///
/// Asynchronous functions take any completion token as their last argument, by default asio::use_awaitable. They
/// complete on the handler's executor, by default the master's. Cancelling one completes it at once with
/// Errc::cancelled.
template <class Selector, class Transport>
class Master {
    using Scheduler = detail::AnyScheduler;
    using Factory = detail::MasterFactory<Selector, Transport>;

public:
    /// Listens on loopback. *Errors*: throws Error (address_in_use, bad_address, bad_option, duplicate_type).
    Master(detail::RoleExecutor executor, std::uint16_t port, Selector selector = Selector{})
        : Master{std::move(executor), on_port(port), std::move(selector)} {}

    /// Listens on `options.address`. Blocks while the name in it is resolved. *Errors*: throws Error (address_in_use,
    /// bad_address, needs_credentials, zero_slots, bad_option, duplicate_type).
    Master(detail::RoleExecutor executor, MasterOptions options, Selector selector = Selector{})
        : core_{Factory::make(std::move(executor).take(), std::move(options), std::move(selector))},
          scheduler_{core_->scheduler()} {}

    /// With a transport other than one made from an executor alone. *Errors*: the same.
    Master(std::type_identity_t<Transport> transport, MasterOptions options, Selector selector = Selector{})
        : core_{Factory::make(std::move(transport), std::move(options), std::move(selector))},
          scheduler_{core_->scheduler()} {}

    /// A master that was moved from may only be destroyed.
    Master(Master&&) noexcept = default;
    Master& operator=(Master&&) = delete;

    /// Ends all connections. Submissions without an outcome complete with Errc::stopped. Blocks until works of slaves
    /// that run on the master's own threads have returned.
    ~Master() {
        if (core_) core_->end();
    }

    /// Begins to accept slaves, and returns at once. The master runs until it is stopped; how it ended is logged.
    /// *Errors*: throws Error (already_running).
    void start() { core_->start(); }

    /// Accepts slaves until the master is stopped. Completes when the stop does, or when the master is destroyed:
    /// `void(std::exception_ptr)`. *Errors*: Error (already_running, cancelled).
    template <detail::completion_token Token = asio::use_awaitable_t<>>
    auto async_run(Token&& token = Token{}) {
        core_->ask_to_run();
        return asio::co_spawn(core_->any_strand(), core_->run(), std::forward<Token>(token));
    }

    /// Admits nothing more, waits up to `timeout` until each admitted submission has an outcome, then ends all
    /// connections. What is left completes with Errc::stopped. `void(std::exception_ptr)`. Any `timeout` is allowed;
    /// more than a year counts as a year. Calling it again joins the same shutdown; a shorter timeout takes effect.
    /// Cancelling a waiter does not cancel the shutdown. *Errors*: Error (cancelled).
    template <detail::completion_token Token = asio::use_awaitable_t<>>
    auto async_stop(std::chrono::milliseconds timeout, Token&& token = Token{}) {
        return asio::co_spawn(core_->any_strand(), core_->stop(timeout), std::forward<Token>(token));
    }

    /// Lets the master execute works of this type that slaves send. Works of other types are answered with
    /// Errc::not_accepted. *Errors*: throws Error (unregistered_type, foreign_type).
    template <std::derived_from<IWork> Work>
    void accept_work() {
        core_->accept_work(detail::work_type<Work>());
    }
    /// The same for a registered function.
    template <auto F>
    void accept_work() {
        core_->accept_work(detail::work_type<FunctionWork<F>>());
    }

    /// Lets works that run on slaves submit works of this type: see Context::async_submit. Other types are answered
    /// with Errc::not_accepted. *Errors*: throws Error (unregistered_type, foreign_type).
    template <std::derived_from<IWork> Work>
    void accept_submission() {
        core_->accept_submission(detail::work_type<Work>());
    }
    /// The same for a registered function.
    template <auto F>
    void accept_submission() {
        core_->accept_submission(detail::work_type<FunctionWork<F>>());
    }

    /// Admits a work without waiting for its outcome, and returns at once. A failure is logged.
    ///
    /// *Errors*: throws Error (backlog_full, no_slave, stopped, too_large, shared_pointer, malformed, null_work,
    /// unregistered_type, foreign_type), and what moving or saving the work throws.
    template <detail::work_argument W>
    void distribute_work(W&& work, SubmitOptions options = SubmitOptions{}) {
        detail::require_registered(work);
        using Kept = detail::kept_t<W>;
        detail::LogFailure<Scheduler> report{scheduler_};
        scheduler_->submit_now(detail::make_submission<detail::Submission>(scheduler_, Kept(std::forward<W>(work)),
                                                                           report, std::move(options)));
    }

    /// The same, but waits for room if the backlog is full. Completes when the work is admitted:
    /// `void(std::exception_ptr)`.
    ///
    /// *Errors*: throws Error (null_work, unregistered_type, foreign_type). Completes with Error: too_many_waiting,
    /// no_slave, stopped, too_large, shared_pointer, malformed, foreign_type; cancelled, queue_timeout or deadline
    /// while it waits. Or with what moving or saving the work throws.
    template <detail::work_argument W, detail::completion_token Token = asio::use_awaitable_t<>>
    auto async_distribute_work(W&& work, SubmitOptions options, Token&& token = Token{}) {
        detail::require_registered(work);
        return asio::async_initiate<Token, void(std::exception_ptr)>(
            [scheduler = scheduler_](auto handler, auto&& kept, auto&& how) {
                detail::begin_or_fail<void>(handler, scheduler->executor(), [&](auto& taken) {
                    using Base = detail::Distribution<std::remove_reference_t<decltype(taken)>>;
                    const auto slot = asio::get_associated_cancellation_slot(taken);
                    detail::LogFailure<Scheduler> report{scheduler};
                    using Kept = detail::kept_t<W>;
                    const auto call =
                        detail::make_submission<Base>(scheduler, Kept(std::forward<decltype(kept)>(kept)), report,
                                                      SubmitOptions(std::forward<decltype(how)>(how)));
                    call->on_admission(taken, scheduler->executor());
                    detail::cancel_through(scheduler, slot, call);
                    scheduler->submit(call);
                });
            },
            token, detail::kept_t<W>(std::forward<W>(work)), std::move(options));
    }
    /// The same with the default options.
    template <detail::work_argument W, detail::completion_token Token = asio::use_awaitable_t<>>
    auto async_distribute_work(W&& work, Token&& token = Token{}) {
        return async_distribute_work(std::forward<W>(work), SubmitOptions{}, std::forward<Token>(token));
    }

    /// The compiler refuses this order: the options come before the token.
    template <detail::work_argument W, detail::completion_token Token>
    auto async_distribute_work(W&&, Token&&, SubmitOptions) {
        static_cast<void>(detail::OptionsBehindToken<Token>{});
    }

    /// Has a slave execute a work, and completes with its value: `void(std::exception_ptr, R)`. Without a value
    /// (`void(std::exception_ptr)`) if R is void, or if the work is passed as a `std::unique_ptr<IWork>`, whose class
    /// is unknown.
    ///
    /// *Errors*: throws Error (null_work, unregistered_type, foreign_type). Completes with RemoteError if the work
    /// threw. Or with Error: too_many_waiting, no_slave (not admitted); lost, stopped, cancelled, queue_timeout,
    /// execution_timeout, deadline; malformed, too_large, shared_pointer (the work, or its answer); foreign_type. Or
    /// with what moving or saving the work, or `execute_return`, throws.
    template <detail::work_argument W, detail::completion_token Token = asio::use_awaitable_t<>>
    auto async_call(W&& work, SubmitOptions options, Token&& token = Token{}) {
        using Kept = detail::kept_t<W>;
        static_cast<void>(detail::TokenOfCall<Token, detail::kept_result_t<Kept>>{});
        detail::require_registered(work);
        using Result = detail::kept_result_t<Kept>;
        using Delivered = detail::delivered_t<Token, Result>;
        auto initiated = [scheduler = scheduler_](auto handler, auto&& kept, auto&& how) {
            detail::begin_or_fail<Delivered>(handler, scheduler->executor(), [&](auto& taken) {
                const auto slot = asio::get_associated_cancellation_slot(taken);
                const auto call = detail::make_submission<detail::Submission, Delivered>(
                    scheduler, Kept(std::forward<decltype(kept)>(kept)), taken,
                    SubmitOptions(std::forward<decltype(how)>(how)));
                detail::cancel_through(scheduler, slot, call);
                scheduler->submit(call);
            });
        };
        return detail::initiate_call<Result>(std::move(initiated), token, Kept(std::forward<W>(work)),
                                             std::move(options));
    }
    /// The same with the default options.
    template <detail::work_argument W, detail::completion_token Token = asio::use_awaitable_t<>>
    auto async_call(W&& work, Token&& token = Token{}) {
        return async_call(std::forward<W>(work), SubmitOptions{}, std::forward<Token>(token));
    }

    /// The compiler refuses this order: the options come before the token.
    template <detail::work_argument W, detail::completion_token Token>
    auto async_call(W&&, Token&&, SubmitOptions) {
        static_cast<void>(detail::OptionsBehindToken<Token>{});
    }

    /// Has a slave call a registered function: `async_call<area>(3.0, 4.0)`. Takes the function's arguments, then
    /// optionally SubmitOptions, then optionally the token. *Errors*: the same; also throws bad_option if a
    /// `const char*` is null.
    template <auto F, class... Rest>
    auto async_call(Rest&&... rest) {
        return detail::call_function<F, true>(
            [this](FunctionWork<F> work, auto&&... more) {
                return this->async_call(std::move(work), std::forward<decltype(more)>(more)...);
            },
            std::forward<Rest>(rest)...);
    }

    /// Sends a work to every slave that is connected now and has the labels, and returns at once. Failures are logged.
    ///
    /// *Errors*: as distribute_work. It throws backlog_full if the backlog has no room for all parts.
    template <detail::work_argument W>
    void broadcast_work(W&& work, SubmitOptions options = SubmitOptions{}) {
        detail::require_registered(work);
        using Kept = detail::kept_t<W>;
        auto report = [log = detail::LogFailure<Scheduler>{scheduler_}](const std::exception_ptr& error,
                                                                        const auto& outcomes) {
            log(error);
            for (const auto& outcome : outcomes) log(outcome.error);
        };
        detail::broadcast(scheduler_, Kept(std::forward<W>(work)), options, report, false);
    }

    /// The same, but completes when every part has an outcome:
    /// `void(std::exception_ptr, std::vector<Outcome<R>>)`. Parts wait for room if the backlog is full. A part
    /// is sent only once. Without a connected slave there are no outcomes.
    ///
    /// *Errors*: throws Error (null_work, unregistered_type, foreign_type). Completes with Error: no_slave, stopped,
    /// too_large, shared_pointer, malformed, foreign_type. Each Outcome::error is as of async_call, or
    /// unknown_type or shape_differs.
    template <detail::work_argument W, detail::completion_token Token = asio::use_awaitable_t<>>
    auto async_broadcast_work(W&& work, SubmitOptions options, Token&& token = Token{}) {
        using Kept = detail::kept_t<W>;
        using AllOutcomes = std::vector<Outcome<detail::kept_result_t<Kept>>>;
        detail::require_registered(work);
        return asio::async_initiate<Token, void(std::exception_ptr, AllOutcomes)>(
            [scheduler = scheduler_](auto handler, auto&& kept, auto&& how) {
                detail::begin_or_fail<AllOutcomes>(handler, scheduler->executor(), [&](auto& taken) {
                    detail::broadcast(scheduler, Kept(std::forward<decltype(kept)>(kept)), how, taken, true);
                });
            },
            token, Kept(std::forward<W>(work)), std::move(options));
    }
    /// The same with the default options.
    template <detail::work_argument W, detail::completion_token Token = asio::use_awaitable_t<>>
    auto async_broadcast_work(W&& work, Token&& token = Token{}) {
        return async_broadcast_work(std::forward<W>(work), SubmitOptions{}, std::forward<Token>(token));
    }

    /// The compiler refuses this order: the options come before the token.
    template <detail::work_argument W, detail::completion_token Token>
    auto async_broadcast_work(W&&, Token&&, SubmitOptions) {
        static_cast<void>(detail::OptionsBehindToken<Token>{});
    }

    /// Takes over a connected stream socket whose other end is a slave: one end of a socket pair, or an accepted
    /// connection. A master over Tls takes socket pairs only, and talks there without TLS. *Errors*: throws
    /// std::system_error; Error (bad_option: the transport does not take it); then the handle is closed.
    void adopt_connection(int handle, ConnectionWatch watch = ConnectionWatch{}) {
        core_->adopt(handle, std::move(watch));
    }

    /// Completes when at least `count` slaves are connected: `void(std::exception_ptr)`. *Errors*: Error (cancelled,
    /// stopped).
    template <detail::completion_token Token = asio::use_awaitable_t<>>
    auto async_wait_for_slaves(std::size_t count, Token&& token = Token{}) {
        return asio::async_initiate<Token, void(std::exception_ptr)>(
            [core = core_, count](auto handler) {
                detail::begin_or_fail<void>(handler, core->scheduler()->executor(),
                                            [&](auto& taken) { detail::wait_for_slaves(core, count, 0, taken); });
            },
            token);
    }

    /// Sends a slave, by SocketInformation::id, nothing new, lets it finish what it holds, and tells it to leave. Completes
    /// when it has left, at once if no slave has this id: `void(std::exception_ptr)`. A slave with Reconnect::until_bye
    /// ends then; one with Reconnect::always connects again. Costs no attempt. Works that its works have sent to the master,
    /// and that were not executed yet, are dropped. Cancelling a waiter does not cancel the drain. *Errors*: Error
    /// (cancelled, stopped).
    template <detail::completion_token Token = asio::use_awaitable_t<>>
    auto async_drain(std::uint64_t socket, Token&& token = Token{}) {
        return asio::async_initiate<Token, void(std::exception_ptr)>(
            [core = core_, socket](auto handler) {
                detail::begin_or_fail<void>(handler, core->scheduler()->executor(), [&](auto& taken) {
                    core->drain(socket);
                    detail::wait_for_slaves(core, 0, socket, taken);
                });
            },
            token);
    }

    /// Tells a slave to leave at once. What it has begun counts an attempt, and goes elsewhere. Returns false if no slave
    /// has this id.
    bool disconnect(std::uint64_t socket) noexcept { return core_->disconnect(socket); }

    /// The number of slaves that are connected now.
    std::size_t connected_slave_count() const { return scheduler_->connected_slave_count(); }

    /// The number of admitted works that wait for a slave.
    std::size_t backlog_size() const { return scheduler_->backlog_size(); }

    /// The works that wait for a slave, for room in the backlog, or for a slot of the master, and why they wait.
    std::vector<Waiting> waiting() const { return core_->waiting(); }

    /// Why works of this name wait: SubmitOptions::name, else that of their type. One Explanation for all that wait for the
    /// same reasons; none: none of them waits. Looks at each work that waits, and at each slave.
    std::vector<Explanation> explain(std::string_view name) const { return core_->explain(name); }

    /// The last hundred slaves that went, and why, the oldest first.
    std::vector<Departure> departures() const { return core_->departures(); }

    /// How far each group and map is that has not ended, the oldest first: what is waiting there, or still to come.
    std::vector<GroupProgress> groups() const { return scheduler_->groups().progress(); }

    /// Counts since the master was made.
    Statistics statistics() const { return scheduler_->statistics(); }

    /// A copy of what is known of each connected slave.
    std::vector<SocketInformation> sockets() const {
        std::vector<SocketInformation> all;
        scheduler_->enumerate_sockets([&](const SocketInformation& socket) { all.push_back(socket); });
        return all;
    }

    /// Sets the application's value of a slave, which selectors see. Returns false if no slave has this id. Selectors
    /// run under the container's lock, and `sockets()` copies the value under it: copying the value must not call the
    /// master.
    bool update_socket_information(std::uint64_t socket, std::any value) {
        return scheduler_->update_socket_information(socket, std::move(value));
    }

    /// Replaces the selector, also for the works that wait already.
    void socket_selector(Selector selector) { core_->socket_selector(std::move(selector)); }

    /// The address and port that the master listens on; the port is the one in use if the option was 0. A default
    /// endpoint if it does not listen.
    asio::ip::tcp::endpoint local_endpoint() const { return core_->local_endpoint(); }

    /// The executor that the master was made with.
    asio::any_io_executor get_executor() const { return scheduler_->executor(); }

private:
    static MasterOptions on_port(std::uint16_t port) {
        MasterOptions options;
        options.port = port;
        return options;
    }

    friend struct detail::PartsOf;

    explicit Master(std::shared_ptr<detail::SelectingMaster<Selector>> core)
        : core_{std::move(core)}, scheduler_{core_->scheduler()} {}

    std::shared_ptr<detail::SelectingMaster<Selector>> core_;
    std::shared_ptr<Scheduler> scheduler_;
};

/// `Master master{executor, port, selector}` is a `Master<Selector, Tcp>`.
template <class Selector>
Master(detail::RoleExecutor, std::uint16_t, Selector) -> Master<Selector>;
/// `Master master{executor, options, selector}` is a `Master<Selector, Tcp>`.
template <class Selector>
Master(detail::RoleExecutor, MasterOptions, Selector) -> Master<Selector>;

}  // namespace distwork
