#pragma once

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/asio.hpp"
#include "calls/initiation.hpp"
#include "function_work.hpp"
#include "groups/map_call.hpp"
#include "groups/map_source.hpp"
#include "master.hpp"
#include "submit_options.hpp"

namespace distwork {

/// Calls a registered function for each element of a range, on the slaves of a master, and completes with the values in
/// the order of the elements: `void(std::exception_ptr, std::vector<R>)`, or `void(std::exception_ptr)` if the function
/// returns nothing. An element is the argument of a function that has one; or it is a tuple, pair or array, whose members
/// are the arguments. Instead of a range, a generator: a function that returns a `std::optional` of an element until it
/// returns an empty one.
///
/// Elements are taken as slaves ask for them, on the master's executor. While they take less than two milliseconds,
/// several travel as one work. The options, exceptions, retries and attempts are those of each element; elements with a time
/// limit, or with max_attempts(1), travel alone. The first error, or a cancellation, cancels all others.
///
/// *Lifetime*: a range that is an lvalue must live until its last element was taken. The master may be destroyed before
/// the map has ended: it completes with Errc::stopped.
///
/// *Errors*: completes with RemoteError if the function threw; with Error (cancelled), or as Master::async_call; or with
/// what the range throws.
template <auto F, class Selector, class Transport, class Range,
          detail::completion_token Token = asio::use_awaitable_t<>>
auto async_map(Master<Selector, Transport>& master, Range&& range, SubmitOptions options, Token&& token = Token{}) {
    using R = typename FunctionWork<F>::result_type;
    using Values =
        std::conditional_t<std::is_void_v<R>, void, std::vector<std::conditional_t<std::is_void_v<R>, int, R>>>;
    static_cast<void>(detail::work_type<FunctionWork<F>>());
    return asio::async_initiate<Token, detail::signature_t<Values>>(
        [scheduler = detail::PartsOf::scheduler(master)](auto handler, auto&& elements, auto&& how) {
            detail::begin_or_fail<Values>(handler, scheduler->executor(), [&](auto& taken) {
                using Call = detail::MapCall<R, std::remove_reference_t<decltype(taken)>>;
                const auto slot = asio::get_associated_cancellation_slot(taken);
                const auto call = Call::make(scheduler, taken);
                detail::cancel_through(slot, [weak = std::weak_ptr{call}, scheduler] {
                    detail::post_surely(scheduler->executor(), [weak] {
                        if (const auto still = weak.lock())
                            still->fail(exception_of([] { throw Error{Errc::cancelled, "a map"}; }));
                    });
                });
                // From here on the call has the handler.
                auto failed = exception_of([&] {
                    call->expect(elements.size());
                    detail::add_elements<F>(call, std::forward<decltype(elements)>(elements),
                                            SubmitOptions(std::forward<decltype(how)>(how)));
                });
                if (failed) call->fail(std::move(failed));
                call->begin();
            });
        },
        token, detail::elements_of(std::forward<Range>(range)), std::move(options));
}
/// The same with the default options.
template <auto F, class Selector, class Transport, class Range,
          detail::completion_token Token = asio::use_awaitable_t<>>
auto async_map(Master<Selector, Transport>& master, Range&& range, Token&& token = Token{}) {
    return async_map<F>(master, std::forward<Range>(range), SubmitOptions{}, std::forward<Token>(token));
}

}  // namespace distwork
