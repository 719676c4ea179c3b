#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "call.hpp"

namespace distwork::detail {

/// The works that works of one slave asked the master to distribute, by parent. When a parent ends, its children are
/// cancelled. This class does no I/O.
///
/// *Executor*: the session's strand.
class ChildWorks {
public:
    /// Adds a child. `id`: the id under which the slave awaits it.
    void add(std::uint64_t parent, std::uint64_t id, const std::shared_ptr<Call>& child) {
        if (children_.size() >= prune_at_) {
            std::erase_if(children_, [](const auto& entry) { return entry.second.work.expired(); });
            prune_at_ = 2 * children_.size() + 64;
        }
        children_.emplace(parent, Child{id, child});
    }

    bool empty() const noexcept { return children_.empty(); }

    /// Removes the children of one parent. Calls `visit(const std::shared_ptr<Call>&)` for each that still exists.
    template <class Visit>
    void take(std::uint64_t parent, Visit visit) {
        const auto [first, last] = children_.equal_range(parent);
        take(first, last, visit);
    }

    /// The same for the children of all parents.
    template <class Visit>
    void take_all(Visit visit) {
        take(children_.begin(), children_.end(), visit);
    }

    /// The child that the slave awaits under this id; null if it is done.
    std::shared_ptr<Call> find(std::uint64_t id) const {
        const auto found =
            std::find_if(children_.begin(), children_.end(), [id](const auto& entry) { return entry.second.id == id; });
        return found == children_.end() ? nullptr : found->second.work.lock();
    }

private:
    struct Child {
        std::uint64_t id;
        std::weak_ptr<Call> work;
    };
    using Children = std::multimap<std::uint64_t, Child>;

    template <class Visit>
    void take(Children::iterator first, Children::iterator last, Visit visit) {
        while (first != last) {
            const auto child = first->second.work.lock();
            first = children_.erase(first);
            if (child) visit(child);
        }
    }

    Children children_;  // some of them may be done: they are removed from time to time
    std::size_t prune_at_ = 64;
};

}  // namespace distwork::detail
