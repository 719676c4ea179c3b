#pragma once

#include <algorithm>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "../base/surely.hpp"
#include "../error.hpp"
#include "../groups/group_flow.hpp"

namespace distwork::detail {

DISTWORK_DECL GroupFlow::GroupFlow(std::shared_ptr<AnyScheduler> scheduler, asio::any_io_executor executor,
                                   std::size_t max_unread, std::function<void()> changed, double straggler_factor)
    : scheduler_{std::move(scheduler)},
      executor_{executor ? std::move(executor) : scheduler_->executor()},
      max_unread_{max_unread},
      changed_{std::move(changed)},
      // So many always fit into the backlog, which others use, too.
      most_wanted_{std::clamp<std::size_t>(scheduler_->max_backlog() / 2, 1, 4096)},
      stragglers_{scheduler_, straggler_factor},
      wanted_{std::min<std::size_t>(8, most_wanted_)} {}

DISTWORK_DECL std::shared_ptr<GroupFlow> GroupFlow::self() noexcept {
    auto owner = owner_.lock();
    return owner ? std::shared_ptr<GroupFlow>{std::move(owner), this} : nullptr;
}

DISTWORK_DECL void GroupFlow::add(const std::shared_ptr<Addition>& addition) noexcept {
    bool begins = false;
    auto error = exception_of([&] {
        const std::lock_guard lock{mutex_};
        if (is_closed_) throw Error::with_text(Errc::stopped, "the group is closed: nothing is added to it any more");
        const auto unread = static_cast<std::size_t>(std::max<std::ptrdiff_t>(unread_, 0));
        const std::size_t at_store = looked_for_.elements + being_kept_.elements;
        if (unsettled_ + at_store + unread + additions_.size() + beginning_ >= max_unread_)
            throw Error::with_text(Errc::too_many_unread,
                                   "the group holds as many works and outcomes as GroupOptions::max_unread allows");
        ++expected_;
        begins = additions_.empty() && elements_.empty() && missing_.empty() && has_room() &&
                 looked_for_.has_room(most_looked_for);
        if (begins) return void(++beginning_);
        DISTWORK_MARK(group_addition_waited);
        additions_.push_back(addition);
        is_hungry_ = true;
    });
    if (error) addition->fail(std::move(error));
    else if (begins) begin(*addition);
    else begin_to_pump();  // there may be room since the look at it
}

DISTWORK_DECL void GroupFlow::cancel(const std::shared_ptr<Addition>& addition) noexcept {
    {
        const std::lock_guard lock{mutex_};
        const auto found = std::find(additions_.begin(), additions_.end(), addition);
        if (found == additions_.end()) return;
        additions_.erase(found);
        --expected_;
    }
    addition->fail(exception_of([] { throw Error{Errc::cancelled, "adding a work to a group"}; }));
    tell_of_end();
}

DISTWORK_DECL void GroupFlow::add(std::unique_ptr<LazyWorks> elements, std::size_t size) {
    {
        const std::lock_guard lock{mutex_};
        if (is_closed_) throw Error::with_text(Errc::stopped, "the group is closed: nothing is added to it any more");
        elements_.push_back(std::move(elements));
        is_hungry_ = true;
        expected_ += size;
        if (size == 0) has_unsized_ = true;
    }
    begin_to_pump();
}

DISTWORK_DECL void GroupFlow::add_again(std::unique_ptr<LazyWorks> elements, std::size_t size) noexcept {
    std::list<std::unique_ptr<LazyWorks>> one = surely([] { return std::list<std::unique_ptr<LazyWorks>>(1); });
    one.front() = std::move(elements);
    {
        const std::lock_guard lock{mutex_};
        under_way_elements_ -= std::min(size, under_way_elements_);
        if (is_cancelled_) return;
        elements_.splice(elements_.begin(), one);
        is_hungry_ = true;
    }
    begin_to_pump();
}

DISTWORK_DECL void GroupFlow::close() noexcept {
    {
        const std::lock_guard lock{mutex_};
        is_closed_ = true;
    }
    tell_of_end();
}

DISTWORK_DECL void GroupFlow::drop_elements(bool here) noexcept {
    std::list<std::unique_ptr<LazyWorks>> elements;  // a user's: destroyed without the lock
    {
        const std::lock_guard lock{mutex_};
        is_closed_ = is_cancelled_ = true;
        // Else the pump, which may be using them, drops them.
        if (here && !is_pumping_) elements.swap(elements_);
    }
    if (!here) begin_to_pump();
    tell_of_end();
}

DISTWORK_DECL void GroupFlow::cancel(bool here) noexcept {
    drop_elements(here);
    std::list<std::shared_ptr<Addition>> additions;
    std::list<std::shared_ptr<Addition>> missing;
    std::vector<std::weak_ptr<GroupSubmission>> works;
    {
        const std::lock_guard lock{mutex_};
        additions.swap(additions_);
        missing.swap(missing_);
        surely([&] { works = under_way_; });
    }
    for (const auto& addition : additions)
        addition->fail(exception_of([] { throw Error{Errc::cancelled, "adding a work to a group"}; }));
    for (const auto& addition : missing) addition->fail(exception_of([] { throw Error{Errc::cancelled}; }));
    for (const auto& weak : works)
        if (const auto work = weak.lock()) {
            DISTWORK_MARK(group_cancelled);
            scheduler_->cancel(work);
        }
    tell_of_end();
}

DISTWORK_DECL void GroupFlow::submit(const std::shared_ptr<GroupSubmission>& work, bool is_encoded) {
    if (stragglers_.is_on()) is_encoded = stragglers_.prepare(*work) || is_encoded;
    bool is_cancelled = false;
    {
        const std::lock_guard lock{mutex_};
        if (free_positions_.empty()) {
            under_way_.emplace_back();
            free_positions_.reserve(under_way_.capacity());  // so that `release` does not allocate
            free_positions_.push_back(under_way_.size() - 1);
        }
        work->source = self();
        if (work->index == GroupSubmission::no_index) work->index = numbered_++;
        if (begun_ == std::chrono::steady_clock::time_point{}) begun_ = scheduler_->now();
        under_way_elements_ += work->elements();
        work->position = free_positions_.back();
        free_positions_.pop_back();
        under_way_[work->position] = work;
        ++unsettled_;
        is_cancelled = is_cancelled_;
    }
    ++unsent_;
    unsent_elements_ += work->elements();
    unsent_bytes_ += chunk_bytes(*work);
    if (is_encoded) scheduler_->submit_encoded(work);
    else scheduler_->submit(work);
    if (is_cancelled) scheduler_->cancel(work);
    if (stragglers_.is_on())
        stragglers_.begin(owner_, [this] {
            const std::lock_guard lock{mutex_};
            return under_way_;
        });
}

DISTWORK_DECL std::size_t GroupFlow::take_numbers(std::size_t count) noexcept {
    const std::lock_guard lock{mutex_};
    return std::exchange(numbered_, numbered_ + count);
}

DISTWORK_DECL void GroupFlow::look_for(std::size_t elements, std::size_t bytes) noexcept {
    const std::lock_guard lock{mutex_};
    looked_for_.elements += elements;
    looked_for_.bytes += bytes;
}

DISTWORK_DECL void GroupFlow::looked_for(std::size_t elements, std::size_t bytes) noexcept {
    {
        const std::lock_guard lock{mutex_};
        looked_for_.elements -= elements;
        looked_for_.bytes -= bytes;
    }
    begin_to_pump();
    tell_of_end();
}

DISTWORK_DECL void GroupFlow::add_missing(const std::shared_ptr<Addition>& addition) noexcept {
    auto one = surely([&] { return std::list<std::shared_ptr<Addition>>{addition}; });
    {
        const std::lock_guard lock{mutex_};
        if (!is_cancelled_) {
            missing_.splice(missing_.end(), one);
            is_hungry_ = true;
        }
    }
    if (one.empty()) begin_to_pump();
    else addition->fail(exception_of([] { throw Error{Errc::cancelled}; }));
}

DISTWORK_DECL void GroupFlow::keep(std::size_t elements, std::size_t bytes) noexcept {
    const std::lock_guard lock{mutex_};
    being_kept_.elements += elements;
    being_kept_.bytes += bytes;
}

DISTWORK_DECL void GroupFlow::kept(std::size_t elements, std::size_t bytes) noexcept {
    {
        const std::lock_guard lock{mutex_};
        being_kept_.elements -= elements;
        being_kept_.bytes -= bytes;
    }
    begin_to_pump();
    tell_of_end();
}

DISTWORK_DECL void GroupFlow::release(GroupSubmission& work) noexcept {
    stragglers_.release(work);
    {
        const std::lock_guard lock{mutex_};
        under_way_[work.position].reset();
        free_positions_.push_back(work.position);
    }
    if (work.was_sent || DISTWORK_PLANTED(forget_what_was_unsent)) return;
    if (no_longer_unsent(work)) begin_to_pump();
}

DISTWORK_DECL void GroupFlow::note_text(std::string_view text) noexcept {
    const std::lock_guard lock{mutex_};
    static_cast<void>(exception_of([&] { text_.assign(text); }));
}

DISTWORK_DECL GroupProgress GroupFlow::progress() const {
    GroupProgress all;
    all.doubled = stragglers_.doubled();
    std::vector<std::weak_ptr<GroupSubmission>> works;
    const auto now = scheduler_->now();
    {
        const std::lock_guard lock{mutex_};
        const bool has_ended = is_over() && unsettled_ == 0;
        all.done = done_;
        all.failed = failed_;
        all.kept = found_;
        all.executed = executed_;
        all.waiting = std::min<std::size_t>(unsent_elements_, under_way_elements_);
        all.running = under_way_elements_ - all.waiting;
        all.total = has_ended ? done_ : std::max(expected_, done_ + under_way_elements_);
        all.has_unsized = !has_ended && has_unsized_ && !elements_.empty();
        all.may_grow = !has_ended && (!is_closed_ || all.has_unsized);
        all.text = text_;
        if (begun_ != std::chrono::steady_clock::time_point{}) all.elapsed = now - begun_;
        works = under_way_;
    }
    for (const auto& weak : works)
        if (const auto work = weak.lock()) all.reported += work->reported();
    all.reported = std::min(all.reported, static_cast<double>(all.running));
    return all;
}

DISTWORK_DECL void GroupFlow::settled() noexcept {
    {
        const std::lock_guard lock{mutex_};
        --unsettled_;
    }
    tell_of_end();
}

DISTWORK_DECL void GroupFlow::were_read(std::size_t outcomes) noexcept {
    {
        const std::lock_guard lock{mutex_};
        unread_ -= static_cast<std::ptrdiff_t>(outcomes);
        if (elements_.empty() || unread_ > most_unread_of_elements / 2) return;
    }
    begin_to_pump();
}

DISTWORK_DECL std::exception_ptr GroupFlow::take_failure() noexcept {
    const std::lock_guard lock{mutex_};
    return std::exchange(failure_, nullptr);
}

DISTWORK_DECL bool GroupFlow::has_ended() const noexcept {
    const std::lock_guard lock{mutex_};
    return is_over() && beginning_ == 0 && (unsettled_ == 0 || DISTWORK_PLANTED(end_a_group_early));
}

/// Nothing is a work any more that is none yet, and nothing is with the store.
DISTWORK_DECL bool GroupFlow::is_over() const noexcept {
    return is_closed_ && additions_.empty() && missing_.empty() && elements_.empty() && looked_for_.elements == 0 &&
           being_kept_.elements == 0;
}

DISTWORK_DECL void GroupFlow::tell_of_end() noexcept {
    if (has_ended()) changed_();
}

DISTWORK_DECL void GroupFlow::begin(Addition& addition) noexcept {
    addition.begin();
    {
        const std::lock_guard lock{mutex_};
        --beginning_;
    }
    tell_of_end();
}

DISTWORK_DECL void GroupFlow::wake() noexcept {
    if (unsent_ == 0) {
        DISTWORK_MARK(group_ran_dry);
        wanted_ = std::min<std::size_t>(2 * wanted_, most_wanted_);
    }
    begin_to_pump();
}

/// Posts with the lock: once `cancel` has returned, nothing more is posted to the executor.
DISTWORK_DECL void GroupFlow::begin_to_pump() noexcept {
    const std::lock_guard lock{mutex_};
    if (is_pumping_ || !may_go_on()) return;
    is_pumping_ = true;
    post_surely(executor(), [self = self()] { self->pump(); });
}

DISTWORK_DECL void GroupFlow::was_sent(const Submission& work, HungrySources& hungry) noexcept {
    if (no_longer_unsent(work) && !DISTWORK_PLANTED(let_a_group_sleep)) hungry.add(*this);
}

DISTWORK_DECL bool GroupFlow::no_longer_unsent(const Submission& work) noexcept {
    // `pump_one` sets is_hungry_ before it reads these, so that one of the two sees what the other did.
    unsent_elements_ -= work.elements();
    unsent_bytes_ -= chunk_bytes(work);
    return --unsent_ <= wanted_ / 2 && is_hungry_;
}

DISTWORK_DECL bool GroupFlow::may_go_on() const noexcept {
    if (!has_room()) return false;
    if (!missing_.empty()) return true;
    if (!looked_for_.has_room(most_looked_for)) return false;
    if (!additions_.empty()) return true;
    return !elements_.empty() &&
           (is_cancelled_ || (unread_ < most_unread_of_elements && being_kept_.has_room(most_being_kept)));
}

/// Others that share the executor have their turn in between.
DISTWORK_DECL void GroupFlow::pump() noexcept {
    constexpr int most_at_once = 16;
    for (int i = 0; i < most_at_once; ++i)
        if (!pump_one()) return;
    post_surely(executor(), [self = self()] { self->pump(); });
}

DISTWORK_DECL bool GroupFlow::pump_one() noexcept {
    std::shared_ptr<Addition> addition;
    std::list<std::unique_ptr<LazyWorks>>::iterator elements;
    bool has_elements = false;
    std::list<std::unique_ptr<LazyWorks>> dropped;  // a user's: destroyed without the lock
    {
        const std::lock_guard lock{mutex_};
        if (is_cancelled_ && !DISTWORK_PLANTED(keep_the_elements)) dropped.swap(elements_);
        is_hungry_ = !missing_.empty() || !additions_.empty() || !elements_.empty();
        is_pumping_ = may_go_on();
        if (is_hungry_ && !is_pumping_) DISTWORK_MARK(group_waited);
        auto& waiting = missing_.empty() ? additions_ : missing_;
        if (is_pumping_ && !waiting.empty()) {
            addition = std::move(waiting.front());
            waiting.pop_front();
            ++beginning_;
        } else if (is_pumping_) {
            elements = elements_.begin();
            has_elements = true;
        }
    }
    if (addition) return begin(*addition), true;
    if (!has_elements) return dropped.clear(), tell_of_end(), false;
    bool has_more = false;
    auto failure = exception_of([&] { has_more = (*elements)->add_next(); });
    if (has_more) return true;
    // Told while the elements are still there: the group cannot have ended before.
    if (failure) {
        {
            const std::lock_guard lock{mutex_};
            failure_ = failure;
        }
        changed_();
    }
    const std::lock_guard lock{mutex_};
    dropped.splice(dropped.end(), elements_, elements);
    return true;
}

}  // namespace distwork::detail
