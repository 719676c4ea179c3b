#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/separate.hpp"
#include "../dispatch/submission_source.hpp"
#include "../group_progress.hpp"
#include "../roles/any_scheduler.hpp"
#include "group_submission.hpp"
#include "straggler_watch.hpp"

namespace distwork::detail {

/// One work that is added to a group, and its caller, which waits until there is room for it.
class Addition {
public:
    virtual ~Addition() = default;
    /// Submits the work, and completes.
    virtual void begin() noexcept = 0;
    /// Completes with an error. The work is not submitted.
    virtual void fail(std::exception_ptr error) noexcept = 0;
};

/// The elements of a range, or of a generator, that become works when there is room for them.
class LazyWorks {
public:
    virtual ~LazyWorks() = default;
    /// Submits the next work, of one or of several elements. Returns false if there is none. Throws what the range throws.
    virtual bool add_next() = 0;
};

/// When the works of a group are made and submitted: as many as the slaves ask for, and a few more.
///
/// A work waits at the master from its submission until it is sent for the first time. While fewer works of the group
/// wait than `wanted_`, there is room for another. Slaves that have credit take works at once, so that they never count;
/// and the works that wait are there for the next credit. `wanted_` doubles when the slaves took all before others came.
///
/// *Thread-safety*: all functions. LazyWorks are made one at a time, on the group's executor.
/// *Lifetime*: a member of its owner, which is shared by the group and by its works under way.
class GroupFlow final : public SubmissionSource {
public:
    /// `changed`: called, from any thread and possibly repeatedly, when a range has thrown, and when all works that the
    /// group will ever have were submitted and have ended. The owner lives then.
    /// `straggler_factor`: see GroupOptions.
    GroupFlow(std::shared_ptr<AnyScheduler> scheduler, asio::any_io_executor executor, std::size_t max_unread,
              std::function<void()> changed, double straggler_factor = 0);
    /// To be called once, before all others. From then on the master knows of the group. *Errors*: std::bad_alloc.
    void owned_by(std::weak_ptr<void> owner) {
        owner_ = std::move(owner);
        scheduler_->groups().add(self());
    }

    /// Elements that may be sent to a second slave travel alone.
    bool looks_for_stragglers() const noexcept { return stragglers_.is_on(); }

    const std::shared_ptr<AnyScheduler>& scheduler() const noexcept { return scheduler_; }
    const asio::any_io_executor& executor() const noexcept { return executor_; }

    /// Begins the addition as soon as there is room. It fails with Error (stopped) if the group is closed, with Error
    /// (too_many_unread) if max_unread outcomes were not read.
    void add(const std::shared_ptr<Addition>& addition) noexcept;
    /// Fails an addition that waits for room with Errc::cancelled.
    void cancel(const std::shared_ptr<Addition>& addition) noexcept;

    /// Submits the elements, after those that were added before. `size`: how many there are; 0: nobody knows. *Errors*:
    /// throws Error (stopped) if the group is closed.
    void add(std::unique_ptr<LazyWorks> elements, std::size_t size);

    /// Submits these elements before all others, also if the group is closed: they were works already. If it is
    /// cancelled, drops them.
    void add_again(std::unique_ptr<LazyWorks> elements, std::size_t size) noexcept;

    /// Nothing is added any more.
    void close() noexcept;
    /// Drops the elements that are no works yet, and closes the group: the master admits nothing more.
    void drop_elements(bool here = true) noexcept;
    /// The same, and cancels all works. `here`: elements may be destroyed in this thread; else on the executor.
    void cancel(bool here = true) noexcept;

    /// For Addition and LazyWorks: submits a work, and numbers it unless it has a number. `is_encoded`: it has its body.
    /// *Errors*: std::bad_alloc.
    void submit(const std::shared_ptr<GroupSubmission>& work, bool is_encoded = false);

    /// The number of the next of `count` elements or works.
    std::size_t take_numbers(std::size_t count) noexcept;

    // With a journal, elements are looked for before they are works, and their values are kept before they are outcomes.

    /// Elements whose bodies have so many bytes are looked for.
    void look_for(std::size_t elements, std::size_t bytes) noexcept;
    /// They are no longer: they have outcomes, or were submitted.
    void looked_for(std::size_t elements, std::size_t bytes) noexcept;
    /// Begins the addition of elements that were not found as soon as there is room, before all others. It fails if the
    /// group is cancelled. They count as looked for until the addition says that they are not.
    void add_missing(const std::shared_ptr<Addition>& addition) noexcept;
    /// Values of so many bytes are being kept.
    void keep(std::size_t elements, std::size_t bytes) noexcept;
    /// Their outcomes were handed over to the readers.
    void kept(std::size_t elements, std::size_t bytes) noexcept;

    // How works end

    /// The work has its outcome.
    void release(GroupSubmission& work) noexcept;
    /// So many outcomes were handed over to the readers, so many of them errors; so many were found in the store. The
    /// others took this time to execute.
    void came(std::size_t outcomes, std::size_t errors, std::size_t found, std::chrono::nanoseconds executed) noexcept {
        const std::lock_guard lock{mutex_};
        unread_ += static_cast<std::ptrdiff_t>(outcomes);
        under_way_elements_ -= std::min(outcomes - found, under_way_elements_);
        done_ += outcomes;
        failed_ += errors;
        found_ += found;
        executed_ += executed;
    }
    /// Those of a work were, all of them.
    void settled() noexcept;
    /// So many outcomes were read.
    void were_read(std::size_t outcomes) noexcept;

    /// What a range threw; once.
    std::exception_ptr take_failure() noexcept;
    bool has_ended() const noexcept;

    // SubmissionSource
    void was_sent(const Submission& work, HungrySources& hungry) noexcept override;
    void note_text(std::string_view text) noexcept override;
    void note_execution(std::chrono::nanoseconds time) noexcept override {
        if (stragglers_.is_on()) stragglers_.note(time);
    }
    void wake() noexcept override;
    GroupProgress progress() const override;
    std::shared_ptr<SubmissionSource> keep() noexcept override { return self(); }

private:
    /// LazyWorks are not made while more outcomes than this were not read.
    static constexpr std::ptrdiff_t most_unread_of_elements = 1024;
    /// Nor while more elements than this wait in works that were never sent.
    static constexpr std::size_t most_unsent_elements = 65'536;
    /// Nor while chunks of more bytes do: the backlog, which others use, too, must have room for them.
    static constexpr std::size_t most_unsent_bytes = 16 * 1024 * 1024;
    /// Nor while more elements or bytes than these are with the store.
    static constexpr std::size_t most_looked_for = 8192;
    static constexpr std::size_t most_being_kept = 65'536;
    static constexpr std::size_t most_stored_bytes = 16 * 1024 * 1024;

    /// Elements that are with the store, and their bytes.
    struct AtStore {
        std::size_t elements = 0;
        std::size_t bytes = 0;
        bool has_room(std::size_t most) const noexcept { return elements < most && bytes < most_stored_bytes; }
    };

    void pump() noexcept;
    /// Begins an addition, or submits a work of the first elements. Returns false if there is none, or no room.
    bool pump_one() noexcept;
    /// Begins an addition that `add` or the pump has taken.
    void begin(Addition& addition) noexcept;
    void tell_of_end() noexcept;
    /// Begins to pump, if there is something to make, and room.
    void begin_to_pump() noexcept;
    bool has_room() const noexcept {
        return unsent_ < wanted_ && unsent_elements_ < most_unsent_elements && unsent_bytes_ < most_unsent_bytes;
    }
    bool may_go_on() const noexcept;
    bool is_over() const noexcept;
    /// Keeps the owner alive. Null if nobody does any more.
    std::shared_ptr<GroupFlow> self() noexcept;
    /// Returns whether others are to be made.
    bool no_longer_unsent(const Submission& work) noexcept;
    static std::size_t chunk_bytes(const Submission& work) noexcept { return work.elements() == 1 ? 0 : work.bytes(); }

    std::weak_ptr<void> owner_;
    const std::shared_ptr<AnyScheduler> scheduler_;
    const asio::any_io_executor executor_;
    const std::size_t max_unread_;
    const std::function<void()> changed_;

    const std::size_t most_wanted_;
    StragglerWatch stragglers_;

    std::atomic<std::size_t> wanted_;
    std::atomic<std::size_t> unsent_{0};           // works that wait for a slave, and were never sent
    std::atomic<std::size_t> unsent_elements_{0};  // of these works
    std::atomic<std::size_t> unsent_bytes_{0};     // of those works that are chunks
    std::atomic<bool> is_hungry_{false};           // additions or elements wait for room

    mutable std::mutex mutex_;
    // guarded by mutex_
    std::list<std::shared_ptr<Addition>> additions_;
    std::list<std::shared_ptr<Addition>> missing_;  // were looked for, and not found
    std::list<std::unique_ptr<LazyWorks>> elements_;
    std::vector<std::weak_ptr<GroupSubmission>> under_way_;  // by position
    std::vector<std::size_t> free_positions_;
    std::size_t numbered_ = 0;
    std::size_t unsettled_ = 0;  // works without an outcome
    std::ptrdiff_t unread_ = 0;  // outcomes; below zero while one that was read is not counted yet
    std::size_t beginning_ = 0;  // additions that were taken, and whose works are not submitted yet
    AtStore looked_for_;         // also those in missing_
    AtStore being_kept_;
    std::exception_ptr failure_;
    bool is_pumping_ = false;
    bool is_closed_ = false;
    bool is_cancelled_ = false;

    // likewise, for its progress
    std::size_t expected_ = 0;            // elements of ranges whose size is known, and works that were added
    bool has_unsized_ = false;            // the size of a range is not known
    std::size_t under_way_elements_ = 0;  // of works without an outcome
    std::size_t done_ = 0;
    std::size_t failed_ = 0;
    std::size_t found_ = 0;
    std::chrono::nanoseconds executed_{};
    std::string text_;
    std::chrono::steady_clock::time_point begun_{};
};

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/group_flow.ipp"
#endif
