#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "../dispatch/submission_source.hpp"
#include "../group_progress.hpp"

namespace distwork::detail {

/// The groups and maps of a master, for who wants to know what is still to come.
///
/// *Thread-safety*: all functions.
class LiveGroups {
public:
    /// *Errors*: std::bad_alloc.
    void add(std::weak_ptr<const SubmissionSource> group) {
        const std::lock_guard lock{mutex_};
        if (groups_.size() >= look_at_) {
            std::erase_if(groups_, [](const auto& known) { return known.expired(); });
            look_at_ = 2 * groups_.size() + 64;
        }
        groups_.push_back(std::move(group));
    }

    /// How far each of them is that has not ended, the oldest first. *Errors*: std::bad_alloc.
    std::vector<GroupProgress> progress() const {
        std::vector<std::weak_ptr<const SubmissionSource>> groups;
        {
            const std::lock_guard lock{mutex_};
            groups = groups_;
        }
        std::vector<GroupProgress> all;
        for (const auto& known : groups) {
            const auto group = known.lock();
            if (!group) continue;
            auto progress = group->progress();
            if (progress.may_grow || progress.done < progress.total) all.push_back(std::move(progress));
        }
        return all;
    }

private:
    mutable std::mutex mutex_;
    // guarded by mutex_
    std::vector<std::weak_ptr<const SubmissionSource>> groups_;
    std::size_t look_at_ = 64;  // so many, for those that are gone
};

}  // namespace distwork::detail
