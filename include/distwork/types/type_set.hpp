#pragma once

#include "../base/requirements.hpp"

#include <cstddef>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "registry.hpp"

namespace distwork::detail {

/// A set of work types, by their numbers.
///
/// *Thread-safety*: all functions.
class TypeSet {
public:
    void insert(const WorkType& type) {
        const std::lock_guard lock{mutex_};
        if (types_.size() <= type.number) types_.resize(type.number + std::size_t{1});
        types_[type.number] = true;
    }
    bool contains(const WorkType& type) const {
        const std::shared_lock lock{mutex_};
        return type.number < types_.size() && types_[type.number];
    }
    bool empty() const {
        const std::shared_lock lock{mutex_};
        return types_.empty();
    }

private:
    mutable std::shared_mutex mutex_;
    std::vector<bool> types_;  // guarded by mutex_
};

}  // namespace distwork::detail
