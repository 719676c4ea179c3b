#pragma once

#include <cstddef>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/asio.hpp"
#include "calls/call_function.hpp"
#include "calls/initiation.hpp"
#include "calls/kept_work.hpp"
#include "error.hpp"
#include "group_progress.hpp"
#include "groups/group_core.hpp"
#include "groups/group_readers.hpp"
#include "groups/lazy_works.hpp"
#include "groups/map_source.hpp"
#include "groups/value_store.hpp"
#include "master.hpp"
#include "outcome.hpp"
#include "submit_options.hpp"

namespace distwork {

/// Options of a group.
struct GroupOptions {
    /// Works under way and outcomes that were not read, at most: beyond it `async_add` completes with
    /// Errc::too_many_unread. Any value. The elements of ranges wait instead, so they do not need it.
    std::size_t max_unread = std::numeric_limits<std::size_t>::max();
    /// Where ranges are evaluated, and where completions run whose handlers have no executor. Empty: the master's. Its
    /// context must live until the group was destroyed and its works have ended.
    asio::any_io_executor executor{};
    /// A Journal (journal.hpp): values that it has are not computed again, and others are kept in it before the outcome is
    /// read. The group fails if it fails. Empty: none.
    std::shared_ptr<detail::ValueStore> journal{};
    /// A work that takes longer than this multiple of the median of the group's latest execution times, and 20 ms, is also
    /// sent to another slave that has nothing to do: the first value of the two counts, and the other is cancelled. Not for
    /// works with max_attempts(1) or slave(id). In such a group short calls do not share works, and statistics count a second
    /// copy as a submission of its own. More than 1, such as 3; default 0: never.
    double straggler_factor = 0;
};

/// Many works of one job, and their outcomes as they complete.
///
/// Works are made and submitted as slaves ask for them: as many as the slaves have credit for, and a few that wait for
/// the next credit. So a range of ten million elements never exists as works at once, and nobody tunes how many are
/// under way. Works may be added while outcomes are read.
///
/// *Executor*: completions run on the handler's executor, else on the group's; ranges and generators are evaluated on
/// the group's, one element at a time. *Thread-safety*: all functions but the destructor and moving. None blocks.
/// *Lifetime*: the group may outlive the master: its works then complete with Errc::stopped. The context of the master's
/// executor must outlive the group. The destructor cancels what the group still has, at the slaves too; whoever still
/// reads gets Errc::cancelled. With a journal it waits until that has kept what it was given.
///
/// An R is moved without exceptions; else put it behind a std::unique_ptr.
template <class R>
class WorkGroup {
    static_assert(std::is_nothrow_move_constructible_v<detail::Value<R>> &&
                      std::is_nothrow_move_assignable_v<detail::Value<R>>,
                  "distwork: the results of a group must move without exceptions: put them behind a std::unique_ptr");
    using Core = detail::GroupCore<R>;

public:
    /// A group of works of this master. *Errors*: throws Error (bad_option), std::bad_alloc.
    template <class Selector, class Transport>
    explicit WorkGroup(Master<Selector, Transport>& master, GroupOptions options = GroupOptions{})
        : core_{Core::make(detail::PartsOf::scheduler(master), std::move(options.executor), options.max_unread,
                           std::move(options.journal), checked(options.straggler_factor))} {}

    /// A group that was moved from may only be destroyed or assigned to.
    ///@{
    WorkGroup(WorkGroup&&) noexcept = default;
    WorkGroup& operator=(WorkGroup&& other) noexcept {
        if (core_) core_->abandon();
        core_ = std::move(other.core_);
        return *this;
    }
    ///@}

    ~WorkGroup() {
        if (core_) core_->abandon();
    }

    // Adding works

    /// Adds a work. Waits while the slaves ask for no more, then submits it, and completes with its number in the group:
    /// `void(std::exception_ptr, std::size_t)`. What becomes of the work is its Outcome.
    ///
    /// *Cancellation*: completes with Errc::cancelled if the work still waits to be added.
    ///
    /// *Errors*: throws Error (null_work, unregistered_type, foreign_type). Completes with Error: stopped (the group is
    /// closed), too_many_unread, cancelled; or with what moving the work throws.
    template <detail::work_argument W, detail::completion_token Token = asio::use_awaitable_t<>>
    auto async_add(W&& work, SubmitOptions options, Token&& token = Token{}) {
        using Kept = detail::kept_t<W>;
        detail::check_result<R, Kept>();
        detail::require_registered(work);
        return asio::async_initiate<Token, void(std::exception_ptr, std::size_t)>(
            [core = core_](auto handler, auto&& kept, auto&& how) {
                detail::begin_or_fail<std::size_t>(handler, core->executor(), [&](auto& taken) {
                    using Added = detail::GroupAddition<R, Kept, std::remove_reference_t<decltype(taken)>>;
                    const auto slot = asio::get_associated_cancellation_slot(taken);
                    const auto addition =
                        std::make_shared<Added>(core, Kept(std::forward<decltype(kept)>(kept)),
                                                SubmitOptions(std::forward<decltype(how)>(how)), taken);
                    detail::cancel_through(slot, [weak = std::weak_ptr{addition}, core] {
                        detail::post_surely(core->executor(), [weak, core] {
                            if (const auto still = weak.lock()) core->flow().cancel(still);
                        });
                    });
                    core->flow().add(addition);
                });
            },
            token, Kept(std::forward<W>(work)), std::move(options));
    }
    /// The same with the default options.
    template <detail::work_argument W, detail::completion_token Token = asio::use_awaitable_t<>>
    auto async_add(W&& work, Token&& token = Token{}) {
        return async_add(std::forward<W>(work), SubmitOptions{}, std::forward<Token>(token));
    }
    /// Adds a call of a registered function: its arguments, then optionally SubmitOptions, then optionally the token.
    template <auto F, class... Rest>
    auto async_add(Rest&&... rest) {
        return detail::call_function<F, true, std::size_t>(
            [this](FunctionWork<F> work, auto&&... more) {
                return this->async_add(std::move(work), std::forward<decltype(more)>(more)...);
            },
            std::forward<Rest>(rest)...);
    }

    /// Adds all works of a range, or of a generator: a function that returns a `std::optional` of a work until it
    /// returns an empty one. Returns at once; works are made when there is room for them, and outcomes that nobody reads
    /// make them wait. A range that is an lvalue must live until its last element was taken.
    ///
    /// What the range throws ends it, and the next function that reads completes with it. *Errors*: throws Error
    /// (stopped) if the group is closed; Error (bad_option) if the options have a key, which is of one work.
    template <class Works>
    void add_all(Works&& works, SubmitOptions options = SubmitOptions{}) {
        detail::check_no_key(options);
        auto elements = detail::elements_of(std::forward<Works>(works));
        using All = detail::LazyElements<R, decltype(elements)>;
        const std::size_t size = elements.size();
        core_->flow().add(std::make_unique<All>(core_, std::move(elements), std::move(options)), size);
    }
    /// The same for calls of a registered function. An element is the argument of a function that has one; or it is a
    /// tuple, pair or array, whose members are the arguments. Short calls travel together: see async_map.
    template <auto F, class Arguments>
    void add_all(Arguments&& arguments, SubmitOptions options = SubmitOptions{}) {
        static_assert(std::is_same_v<typename FunctionWork<F>::result_type, R>,
                      "distwork: the result of this function is not the result type of the group");
        detail::add_elements<F>(core_, detail::elements_of(std::forward<Arguments>(arguments)), std::move(options));
    }

    /// Nothing is added any more, apart from the elements of ranges that were added. `async_next` completes with nothing
    /// when all outcomes were read.
    void close() { core_->flow().close(); }

    // Reading outcomes

    /// Completes with the next outcome, in the order in which works end, or with nothing after the last one of a closed
    /// group: `void(std::exception_ptr, std::optional<Outcome<R>>)`.
    ///
    /// *Cancellation*: completes with Errc::cancelled; the outcome stays in the group. *Errors*: Error (cancelled), or
    /// what a range threw.
    template <class Token = asio::use_awaitable_t<>>
    auto async_next(Token&& token = Token{}) {
        return detail::async_read<std::optional<Outcome<R>>>(core_, 1, token);
    }

    /// Closes the group, and completes with the values in the order of addition: `void(std::exception_ptr,
    /// std::vector<R>)`, or `void(std::exception_ptr)` if R is void. The first error, or a cancellation, cancels all
    /// other works, and is what it completes with. *Errors*: Error (cancelled), an error of a work, or what a range threw.
    template <class Token = asio::use_awaitable_t<>>
    auto async_all(Token&& token = Token{}) {
        close();
        return asio::co_spawn(core_->executor(), detail::values_of<R>(core_), std::forward<Token>(token));
    }

    /// Closes the group, and completes with all outcomes in the order of addition, those with errors too:
    /// `void(std::exception_ptr, std::vector<Outcome<R>>)`. *Errors*: Error (cancelled), or what a range threw.
    template <class Token = asio::use_awaitable_t<>>
    auto async_all_outcomes(Token&& token = Token{}) {
        close();
        return asio::co_spawn(core_->executor(), detail::outcomes_of<R>(core_), std::forward<Token>(token));
    }

    /// Closes the group, and folds the values in the order in which works end, on the group's executor:
    /// `sum = fold(std::move(sum), value)`. Completes with the last sum: `void(std::exception_ptr, T)`. *Errors*: as
    /// async_all, or what `fold` throws, which also cancels all other works.
    template <class T, class Fold, class Token = asio::use_awaitable_t<>>
    auto async_reduce(T sum, Fold fold, Token&& token = Token{}) {
        close();
        return asio::co_spawn(core_->executor(), detail::reduced<R>(core_, std::move(sum), std::move(fold)),
                              std::forward<Token>(token));
    }

    /// How far its works are. *Errors*: throws std::bad_alloc.
    GroupProgress progress() const { return core_->flow().progress(); }

    /// Cancels all works, and closes the group. Works under way have the outcome Errc::cancelled; elements of ranges that
    /// are no works yet have none.
    void cancel() { core_->flow().cancel(); }

private:
    static double checked(double straggler_factor) {
        if (straggler_factor == 0 || straggler_factor > 1) return straggler_factor;
        throw Error::with_text(Errc::bad_option, "GroupOptions::straggler_factor must be more than 1, or 0");
    }

    friend struct detail::PartsOf;

    std::shared_ptr<Core> core_;
};

}  // namespace distwork
