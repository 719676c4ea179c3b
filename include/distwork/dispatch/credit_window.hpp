#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "../types/registry.hpp"
#include "../wire/frame.hpp"
#include "submission.hpp"

namespace distwork::detail {

/// The unanswered works of one slave, in the order in which they were sent, and how many more it may be sent. No I/O,
/// no clock.
///
/// A slave begins works in the order of arrival, and answers each work before its slot begins another. So of its
/// unanswered works, as many of the oldest have begun as it has slots. The others wait at the slave. Credit limits what
/// waits there to (round trip + 2 ms) worth of works for each slot that is not blocked. So the slave never idles for
/// lack of works, and never holds many works that another slave could execute.
///
/// A slot is *blocked* if its work has no estimate or a long one, has exceeded its estimate by far, or has exceeded its
/// execution_timeout. A blocked slot adds no credit.
///
/// Nothing here throws.
class CreditWindow {
public:
    using Duration = std::chrono::nanoseconds;
    using TimePoint = std::chrono::steady_clock::time_point;

    /// Credit beyond the round trip, for each slot, so that a slave has works while its master is late.
    static constexpr Duration slack = std::chrono::milliseconds{2};
    /// A work is overlong after 4 times its estimate, but not before this time.
    static constexpr Duration least_overlong = std::chrono::milliseconds{5};
    static constexpr std::size_t max_waiting_bytes = 16 * 1024 * 1024;
    static constexpr std::size_t small_bytes = least_max_frame_bytes / 2;  // each slave accepts works up to this size

    /// The types of the works that the slave executes now, each with the number of these works.
    using Running = std::vector<std::pair<const WorkType*, std::size_t>>;

    /// `running` is kept up to date. `held`: slots that works of an earlier session still occupy.
    CreditWindow(std::size_t slots, std::size_t window, Running& running, std::size_t held = 0)
        : slots_{slots},
          window_{std::max(window, slots)},
          running_{running},
          taken_{std::min(held, slots)},
          blocked_{taken_},
          held_{taken_},
          allowance_{slots} {}

    void push(Submission& work, Duration estimate, TimePoint now) noexcept {
        work.older_ = newest_;
        work.newer_ = nullptr;
        work.estimate_ = estimate;
        work.sent_ = now;
        work.recalled_ = work.suspended_ = work.has_told_ = false;
        (newest_ ? newest_->newer_ : oldest_) = &work;
        newest_ = &work;
        ++count_;
        work.begun_ = has_free_slot();
        if (work.begun_) return take_slot(work, now);
        if (!first_waiting_) first_waiting_ = &work;
        ++waiting_;
        waiting_time_ += estimate;
        waiting_bytes_ += work.bytes();
        if (waiting_ >= allowance_) limited_ = true;
    }

    void remove(Submission& work, TimePoint now) noexcept {
        if (first_waiting_ == &work) first_waiting_ = work.newer_;
        unlink(work);
        if (!DISTWORK_PLANTED(leak_credit)) --count_;
        if (!work.begun_) no_longer_waiting(work);
        else if (!work.suspended_) give_slot(work, now);
    }

    /// The work awaits its peer, and its slot is free meanwhile.
    void suspend(Submission& work, TimePoint now) noexcept {
        work.has_told_ = true;
        if (std::exchange(work.suspended_, true)) return;
        if (work.begun_) give_slot(work, now);
        else begin_without_slot(work);
    }

    /// The work continues and has a slot again. It may have the slot in which a newer work was assumed to have begun:
    /// then the newer work waits.
    void resume(Submission& work, TimePoint now) noexcept {
        if (!std::exchange(work.suspended_, false)) return;
        take_slot(work, now);
        if (taken_ <= slots_) return;
        for (Submission* newest = first_waiting_ ? first_waiting_->older_ : newest_; newest; newest = newest->older_)
            if (!newest->suspended_ && !newest->has_told_) return wait_again(*newest);
    }

    /// The work is still executed after its execution_timeout. Nobody knows when its slot becomes free, so no work
    /// shall wait for it.
    void overrun(Submission& work) noexcept {
        if (work.begun_ && !work.suspended_) block(work);
    }

    /// A slot that a work of an earlier session occupied is free.
    void release_held(TimePoint now) noexcept {
        if (held_ == 0) return;  // the slave reported more free slots than it had held
        --held_;
        --taken_;
        --blocked_;
        begin_next(now);
    }

    /// Blocks the slots of overlong works. Returns whether another slot became blocked.
    bool look(TimePoint now) noexcept {
        if (now < soonest_overlong_ || DISTWORK_PLANTED(never_stuck)) return false;
        const std::size_t before = blocked_;
        soonest_overlong_ = TimePoint::max();
        for (Submission* work = oldest_; work != first_waiting_; work = work->newer_) {
            if (work->blocks_ || work->suspended_) continue;
            const TimePoint overlong = overlong_at(*work);
            if (now > overlong) block(*work);
            else soonest_overlong_ = std::min(soonest_overlong_, overlong);
        }
        return blocked_ != before;
    }

    /// The socket is being removed. Works that its session gave up, but that the container has not been told of yet,
    /// must no longer refer to the socket.
    void abandon() noexcept {
        for (Submission* work = oldest_; work; work = work->newer_) work->stage = Submission::Stage::done;
    }

    /// An answer came. The allowance doubles, at most once each round trip, and only if it was the limit.
    void answered(TimePoint now) noexcept {
        if (!limited_ || now - doubled_ < round_trip_) return;
        allowance_ = std::min(allowance_ * 2, window_);
        doubled_ = now;
        limited_ = false;
    }

    void round_trip(Duration time) noexcept {
        round_trip_ = time;
        longest_ = 4 * horizon();
        soonest_overlong_ = TimePoint::min();  // it was computed with the previous round trip
    }

    std::size_t size() const noexcept { return count_; }
    /// The longest time for which works may wait at the slave.
    Duration horizon() const noexcept { return round_trip_ + slack; }
    /// How much execution time the works that wait at the slave may add up to.
    Duration worth() const noexcept {
        return horizon() * static_cast<std::int64_t>(slots_ - std::min(slots_, blocked_));
    }
    std::size_t free_slots() const noexcept { return slots_ - std::min(slots_, taken_); }
    bool has_free_slot() const noexcept { return taken_ < slots_; }
    bool has_waiting() const noexcept { return waiting_ != 0; }
    /// Whether works of an earlier session occupy slots.
    bool has_held() const noexcept { return held_ != 0; }
    /// Whether every slot is blocked. Then nobody knows how long the waiting works will wait.
    bool is_stuck() const noexcept { return blocked_ >= slots_; }

    /// Whether the slave may be sent a work that is short, small and of a measured type.
    bool has_credit() const noexcept {
        return has_free_slot() || (count_ < window_ && waiting_ < allowance_ && waiting_time_ + short_time <= worth() &&
                                   waiting_bytes_ + small_bytes <= max_waiting_bytes);
    }

    /// Whether the slave may be sent a work of this estimate and size. An estimate of zero: its type was never
    /// measured.
    bool has_credit_for(Duration estimate, std::size_t bytes) const noexcept {
        return has_free_slot() || (count_ < window_ && waiting_ < allowance_ && estimate.count() > 0 &&
                                   waiting_time_ + estimate <= worth() && waiting_bytes_ + bytes <= max_waiting_bytes);
    }

    /// Whether the slave may be sent a work that another work waits for. At most one work for each slot waits at the
    /// slave then: a slave begins works in the order of arrival, so deeper works, which come later, would wait for
    /// works that wait for them.
    bool has_credit_for_child() const noexcept { return has_free_slot() || waiting_ < slots_; }

    /// Whether a work is so short and small that `has_credit` decides alone whether it may be sent.
    static bool is_plain(Duration estimate, std::size_t bytes) noexcept {
        return estimate.count() > 0 && estimate <= short_time && bytes <= small_bytes;
    }

    /// Whether a type of that mean time can be plain; also if it was never measured.
    static bool is_short(Duration mean) noexcept { return mean <= short_time; }

    /// The longest time that the work can have been executed.
    static Duration longest_time(const Submission& work, TimePoint now) noexcept { return now - work.sent_; }

    /// Calls `recall(Submission&, Duration estimate) -> bool` for works that wait at the slave and were not recalled
    /// before, the oldest first: for all of them if the slave is stuck, else for those that will wait longer than a
    /// round trip. Stops when `recall` returns false. `recall` must not change this object.
    template <class Recall>
    void for_each_late(TimePoint now, Recall recall) {
        Duration wait = is_stuck() ? Duration::max() / 2 : next_free(now);
        const Duration most = round_trip_ + least_wait;
        for (Submission* work = first_waiting_; work; work = work->newer_) {
            if (wait > most && !work->recalled_ && !recall(*work, work->estimate_)) return;
            wait += work->estimate_ / static_cast<std::int64_t>(slots_);
        }
    }
    void note_recalled(Submission& work) noexcept { work.recalled_ = true; }

private:
    static constexpr Duration short_time = slack / 8;
    static constexpr Duration least_wait = std::chrono::microseconds{500};  // a shorter wait costs less than a recall

    TimePoint overlong_at(const Submission& work) const noexcept {
        return work.began_ + std::max(4 * work.estimate_, least_overlong) + round_trip_;
    }

    /// The expected time from now until a slot that is not blocked becomes free. A work that is late is expected to
    /// take the time by which it is late once more.
    Duration next_free(TimePoint now) const noexcept {
        Duration next = Duration::max() / 2;
        for (const Submission* work = oldest_; work != first_waiting_; work = work->newer_)
            if (!work->blocks_ && !work->suspended_)
                next = std::min(next, std::chrono::abs(work->began_ + work->estimate_ - now));
        return DISTWORK_PLANTED(never_stuck) ? Duration{} : next;
    }

    /// A slot may have become free: if so, the first work that waits has begun. Works wait only while no slot is free.
    void begin_next(TimePoint now) noexcept {
        if (!first_waiting_ || !has_free_slot()) return;
        Submission& next = *first_waiting_;
        first_waiting_ = next.newer_;
        no_longer_waiting(next);
        next.begun_ = true;
        take_slot(next, now);
    }

    void take_slot(Submission& work, TimePoint now) noexcept {
        ++taken_;
        work.began_ = now;
        if (work.estimate_.count() == 0 || work.estimate_ > longest_) block(work);
        else soonest_overlong_ = std::min(soonest_overlong_, now + least_overlong);
        const auto running = find_running(work);
        if (running != running_.end()) ++running->second;
        else add_running(work);
    }

    void give_slot(Submission& work, TimePoint now) noexcept {
        free_slot(work);
        begin_next(now);
        no_longer_running(work);  // last: the next work often has the same type, and the entry of the type remains
    }

    void free_slot(Submission& work) noexcept {
        if (std::exchange(work.blocks_, false)) --blocked_;
        if (!DISTWORK_PLANTED(leak_credit)) --taken_;
    }

    /// The slave began this work before works that arrived earlier, for example because works of its peer had to wait.
    void begin_without_slot(Submission& work) noexcept {
        no_longer_waiting(work);
        work.begun_ = true;
        if (first_waiting_ == &work) return static_cast<void>(first_waiting_ = work.newer_);
        unlink(work);
        work.newer_ = first_waiting_;
        work.older_ = first_waiting_->older_;
        (work.older_ ? work.older_->newer_ : oldest_) = &work;
        first_waiting_->older_ = &work;
    }

    /// The work was assumed to have begun, and has not. It becomes the first of those that wait.
    void wait_again(Submission& work) noexcept {
        free_slot(work);
        no_longer_running(work);
        work.begun_ = false;
        unlink(work);
        work.newer_ = first_waiting_;
        work.older_ = first_waiting_ ? first_waiting_->older_ : newest_;
        (work.older_ ? work.older_->newer_ : oldest_) = &work;
        (work.newer_ ? work.newer_->older_ : newest_) = &work;
        first_waiting_ = &work;
        ++waiting_;
        waiting_time_ += work.estimate_;
        waiting_bytes_ += work.bytes();
    }

    void unlink(Submission& work) noexcept {
        (work.older_ ? work.older_->newer_ : oldest_) = work.newer_;
        (work.newer_ ? work.newer_->older_ : newest_) = work.older_;
    }

    Running::iterator find_running(const Submission& work) const noexcept {
        auto at = running_.begin();  // the list is short: std::find_if is unrolled and would take three times as long
        while (at != running_.end() && at->first != &work.type()) ++at;
        return at;
    }

    [[gnu::cold]] void add_running(const Submission& work) noexcept {
        try {
            running_.emplace_back(&work.type(), 1);
        } catch (...) {  // allocation failure: SocketInformation::running lacks this work
        }
    }

    void no_longer_running(const Submission& work) noexcept {
        const auto running = find_running(work);
        if (running != running_.end() && --running->second == 0) running_.erase(running);
    }

    void block(Submission& work) noexcept {
        if (!std::exchange(work.blocks_, true)) ++blocked_;
    }

    void no_longer_waiting(const Submission& work) noexcept {
        --waiting_;
        waiting_time_ -= work.estimate_;
        waiting_bytes_ -= work.bytes();
    }

    const std::size_t slots_;
    const std::size_t window_;
    Running& running_;
    // A list in the order of arrival; works that have begun come before works that wait.
    Submission* oldest_ = nullptr;
    Submission* newest_ = nullptr;
    Submission* first_waiting_ = nullptr;
    std::size_t count_ = 0;
    std::size_t taken_;    // slots with a work; more than slots_ when suspended works continue
    std::size_t blocked_;  // of these, the blocked ones
    std::size_t held_;     // of these, the ones that works of an earlier session occupy
    TimePoint soonest_overlong_ = TimePoint::max();  // no work is overlong before this time
    std::size_t waiting_ = 0;
    Duration waiting_time_{};
    std::size_t waiting_bytes_ = 0;

    Duration round_trip_{};
    Duration longest_ = 4 * slack;  // the longest estimate that does not block a slot
    std::size_t allowance_;         // how many works may wait at the slave
    TimePoint doubled_{};
    bool limited_ = false;  // the allowance was reached since it was last doubled
};

}  // namespace distwork::detail
