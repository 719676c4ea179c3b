#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "call.hpp"

namespace distwork::detail {

/// The works that works of one slave asked the master to distribute, by parent and by id. When a parent ends, its children
/// are cancelled. This class does no I/O.
///
/// *Executor*: the session's strand.
class ChildWorks {
public:
    /// Adds a child. `id`: the id under which the slave awaits it. *Errors*: std::bad_alloc.
    void add(std::uint64_t parent, std::uint64_t id, const std::shared_ptr<Call>& child) {
        if (by_parent_.size() >= prune_at_) {
            for (auto at = by_parent_.begin(); at != by_parent_.end();) at = at->second.expired() ? remove(at) : ++at;
            prune_at_ = 2 * by_parent_.size() + 64;
        }
        const auto added = by_parent_.insert_or_assign({parent, id}, child).first;
        by_id_.insert_or_assign(id, added);
    }

    bool empty() const noexcept { return by_parent_.empty(); }

    /// Removes the children of one parent. Calls `visit(const std::shared_ptr<Call>&)` for each that still exists.
    template <class Visit>
    void take(std::uint64_t parent, Visit visit) {
        for (auto at = by_parent_.lower_bound({parent, 0}); at != by_parent_.end() && at->first.first == parent;)
            take_one(at, visit);
    }

    /// The same for the children of all parents.
    template <class Visit>
    void take_all(Visit visit) {
        for (auto at = by_parent_.begin(); at != by_parent_.end();) take_one(at, visit);
    }

    /// The child that the slave awaits under this id; null if it is done.
    std::shared_ptr<Call> find(std::uint64_t id) const {
        const auto found = by_id_.find(id);
        return found == by_id_.end() ? nullptr : found->second->second.lock();
    }

private:
    // Sorted, not hashed: the slave chooses the ids. Some of the works may be done: they are removed from time to time.
    using ByParent = std::map<std::pair<std::uint64_t, std::uint64_t>, std::weak_ptr<Call>>;

    template <class Visit>
    void take_one(ByParent::iterator& at, Visit visit) {
        const auto child = at->second.lock();
        at = remove(at);
        if (child) visit(child);
    }

    ByParent::iterator remove(ByParent::iterator at) {
        const auto same = by_id_.find(at->first.second);
        if (same != by_id_.end() && same->second == at) by_id_.erase(same);
        return by_parent_.erase(at);
    }

    ByParent by_parent_;
    std::map<std::uint64_t, ByParent::iterator> by_id_;  // the last of each id
    std::size_t prune_at_ = 64;
};

}  // namespace distwork::detail
