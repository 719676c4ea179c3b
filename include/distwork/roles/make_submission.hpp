#pragma once

#include <memory>
#include <utility>

#include "../base/asio.hpp"
#include "../base/completion.hpp"
#include "../base/surely.hpp"
#include "../calls/kept_work.hpp"
#include "../calls/typed_call.hpp"
#include "../dispatch/submission.hpp"
#include "../submit_options.hpp"
#include "any_scheduler.hpp"

namespace distwork::detail {

/// Makes a submission of class Base of a work and a handler. Moves the handler last: see TypedCall. *Errors*:
/// std::bad_alloc; then the handler is unchanged.
template <class Base, class Delivered, class Kept, class Handler>
std::shared_ptr<Base> make_submission(const std::shared_ptr<AnyScheduler>& scheduler, Kept&& work, Handler& handler,
                                      SubmitOptions&& options) {
    std::shared_ptr<Base> call = std::make_shared<TypedCall<Base, Kept, Handler, Delivered>>(
        std::forward<Kept>(work), handler, scheduler->executor(), scheduler->executor());
    call->options = std::move(options);
    call->pinned = call->options.slave();
    return call;
}
template <class Base, class Kept, class Handler>
auto make_submission(const std::shared_ptr<AnyScheduler>& scheduler, Kept&& work, Handler& handler,
                     SubmitOptions&& options) {
    return make_submission<Base, kept_result_t<Kept>>(scheduler, std::forward<Kept>(work), handler, std::move(options));
}

/// When the slot's signal is emitted, cancels the submissions to which `each(cancel)` applies the function `cancel`. The
/// slot does not keep them alive. Its handler only posts: settling a call there could clear its own slot.
template <class Slot, class Each>
void cancel_each_through(const std::shared_ptr<AnyScheduler>& scheduler, Slot slot, Each each) noexcept {
    if (!slot.is_connected()) return;
    cancel_through(slot, [scheduler = std::weak_ptr{scheduler}, each = std::move(each)] {
        const auto there = scheduler.lock();
        if (!there) return;
        post_surely(there->executor(),
                    [there, each] { each([&](const SubmissionPtr& call) { there->cancel(call); }); });
    });
}

/// The same for one submission.
template <class Slot>
void cancel_through(const std::shared_ptr<AnyScheduler>& scheduler, Slot slot, const SubmissionPtr& call) noexcept {
    if (!slot.is_connected()) return;
    cancel_each_through(scheduler, slot, [weak = std::weak_ptr{call}](auto cancel) {
        if (const auto still = weak.lock()) cancel(still);
    });
}

}  // namespace distwork::detail
