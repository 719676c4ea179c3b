#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>
#include <vector>

#include "detail/probe.hpp"
#include "registry.hpp"
#include "submission.hpp"

namespace distwork {

/// What one slave holds, in the order in which it was sent, and how much more it may be sent. No I/O, no clock.
///
/// A slave begins works in the order of arrival and answers each before its slot begins another: its oldest `slots`
/// unanswered works have begun. The others wait there, and credit is about them: at most (round trip + 2 ms) worth of
/// works for each slot, so that it never idles for want of works, and never hoards what another slave could do.
class InFlight {
public:
    using Duration = std::chrono::nanoseconds;
    using TimePoint = std::chrono::steady_clock::time_point;

    /// Beyond the round trip: what a slave may hold so that a late master does not starve it.
    static constexpr Duration slack = std::chrono::milliseconds{2};
    static constexpr std::size_t max_waiting_bytes = 16 * 1024 * 1024;
    static constexpr std::size_t small_bytes = least_max_frame_bytes / 2;  // every slave takes works of that size

    /// Types that the slave executes now, each with how many.
    using Running = std::vector<std::pair<const WorkType*, std::size_t>>;

    /// `running` is kept up to date.
    InFlight(std::size_t slots, std::size_t window, Running& running)
        : slots_{slots}, window_{std::max(window, slots)}, running_{running}, allowance_{slots} {}

    void push(Submission& work, Duration estimate) {
        work.older_ = newest_;
        work.newer_ = nullptr;
        work.estimate_ = estimate;
        (newest_ ? newest_->newer_ : oldest_) = &work;
        newest_ = &work;
        ++count_;
        work.begun_ = count_ <= slots_;
        if (work.begun_) return begin(work);
        if (!first_waiting_) first_waiting_ = &work;
        waiting_time_ += estimate;
        waiting_bytes_ += work.bytes();
        if (waiting() >= allowance_) limited_ = true;
    }

    void remove(Submission& work) {
        (work.older_ ? work.older_->newer_ : oldest_) = work.newer_;
        (work.newer_ ? work.newer_->older_ : newest_) = work.older_;
        if (!DISTWORK_PLANTED(leak_credit)) --count_;
        if (!work.begun_) {
            if (first_waiting_ == &work) first_waiting_ = work.newer_;
            return no_longer_waiting(work);
        }
        const auto running = std::find_if(running_.begin(), running_.end(),
                                          [&](const auto& entry) { return entry.first == &work.type(); });
        if (--running->second == 0) running_.erase(running);
        if (std::exchange(work.overran_, false)) --overrun_;
        if (Submission* next = first_waiting_) {
            first_waiting_ = next->newer_;
            no_longer_waiting(*next);
            next->begun_ = true;
            begin(*next);
        }
    }

    /// Its execution_timeout is over, and it is executed all the same: nobody knows when its slot is free again, so that
    /// nothing shall wait for that.
    void overrun(Submission& work) {
        if (!work.begun_ || std::exchange(work.overran_, true)) return;
        ++overrun_;
    }

    /// The socket goes: works that its session gave up but nobody told of yet must not look for it.
    void abandon() {
        for (Submission* work = oldest_; work; work = work->newer_) work->stage = Submission::Stage::done;
    }

    /// An answer came: the allowance may double, at most once each round trip, and only where it was what limited.
    void answered(TimePoint now) {
        if (!limited_ || now - doubled_ < round_trip_) return;
        allowance_ = std::min(allowance_ * 2, window_);
        doubled_ = now;
        limited_ = false;
    }

    void round_trip(Duration time) { round_trip_ = time; }

    std::size_t size() const noexcept { return count_; }
    /// What it may hold beyond its slots, in execution time.
    Duration worth() const noexcept { return (round_trip_ + slack) * static_cast<std::int64_t>(slots_ - overrun_); }
    bool has_free_slot() const noexcept { return count_ < slots_; }

    /// Whether it may be sent a work that is short, small and of a measured type, whatever else it is.
    bool has_credit() const noexcept {
        return has_free_slot() ||
               (count_ < window_ && waiting() < allowance_ && waiting_time_ + short_time <= worth() &&
                waiting_bytes_ + small_bytes <= max_waiting_bytes);
    }

    /// Whether it may be sent this one. An estimate of zero: its type was never measured.
    bool has_credit_for(Duration estimate, std::size_t bytes) const noexcept {
        return has_free_slot() || (count_ < window_ && waiting() < allowance_ && estimate.count() > 0 &&
                                   waiting_time_ + estimate <= worth() && waiting_bytes_ + bytes <= max_waiting_bytes);
    }

    /// Works for which has_credit is the whole answer: it has room for one of the longest and largest of these.
    static bool is_plain(Duration estimate, std::size_t bytes) noexcept {
        return estimate.count() > 0 && estimate <= short_time && bytes <= small_bytes;
    }

private:
    static constexpr Duration short_time = slack / 8;

    std::size_t waiting() const noexcept { return count_ - std::min(count_, slots_); }

    void begin(Submission& work) {
        for (auto& [type, count] : running_)
            if (type == &work.type()) {
                ++count;
                return;
            }
        running_.emplace_back(&work.type(), 1);
    }

    void no_longer_waiting(const Submission& work) {
        waiting_time_ -= work.estimate_;
        waiting_bytes_ -= work.bytes();
    }

    const std::size_t slots_;
    const std::size_t window_;
    Running& running_;
    Submission* oldest_ = nullptr;
    Submission* newest_ = nullptr;
    Submission* first_waiting_ = nullptr;
    std::size_t count_ = 0;
    std::size_t overrun_ = 0;  // of the begun ones, those whose time is over
    Duration waiting_time_{};
    std::size_t waiting_bytes_ = 0;

    Duration round_trip_{};
    std::size_t allowance_;  // works beyond the slots
    TimePoint doubled_{};
    bool limited_ = false;  // the allowance was reached since it was doubled
};

}  // namespace distwork
