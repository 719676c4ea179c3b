#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "../base/requirements.hpp"
#include "../group_progress.hpp"

namespace distwork::detail {

class HungrySources;
class Submission;

/// What makes submissions as slaves ask for them. A submission that is sent tells its source, under the container's
/// lock, when few others still wait; the source is woken after the lock is released.
class SubmissionSource {
public:
    virtual ~SubmissionSource() = default;

    /// One of its submissions was sent for the first time. Called under the container's lock. May add itself to `hungry`.
    virtual void was_sent(const Submission& work, HungrySources& hungry) noexcept = 0;
    /// One of its submissions reports this text. On an allocation failure it is dropped.
    virtual void note_text(std::string_view) noexcept {}
    /// One of its submissions was executed, in this time. Called under the container's lock.
    virtual void note_execution(std::chrono::nanoseconds) noexcept {}
    /// Called without a lock, from any thread.
    virtual void wake() noexcept = 0;
    /// How far its submissions are. Called without a lock, from any thread. *Errors*: std::bad_alloc.
    virtual GroupProgress progress() const = 0;

protected:
    /// Keeps it alive. Not null while it has a submission.
    virtual std::shared_ptr<SubmissionSource> keep() noexcept = 0;

private:
    friend class HungrySources;
    std::shared_ptr<SubmissionSource> next_;
    std::atomic<bool> is_listed_{false};
};

/// The sources to be woken, each once: an intrusive list, since nothing may be allocated where it grows.
///
/// `add` is guarded by the container's lock. `wake_all` needs no lock: the list was taken out of the container. A source
/// is of one container.
class HungrySources {
public:
    HungrySources() = default;
    HungrySources(HungrySources&&) = default;
    HungrySources& operator=(HungrySources&&) = default;
    ~HungrySources() = default;

    void add(SubmissionSource& source) noexcept {
        if (source.is_listed_.exchange(true)) return;
        source.next_ = std::move(first_);
        first_ = source.keep();
    }
    bool empty() const noexcept { return !first_; }

    void wake_all() noexcept {
        while (first_) {
            const auto source = std::move(first_);
            first_ = std::move(source->next_);
            source->is_listed_ = false;  // from here on it may be added to another list
            source->wake();
        }
    }

private:
    std::shared_ptr<SubmissionSource> first_;
};

}  // namespace distwork::detail
