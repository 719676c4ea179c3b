#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <typeindex>
#include <utility>

#include "../base/requirements.hpp"

namespace distwork::detail {

/// The objects that on_start functions have left at a slave for the works that come after them, one of each type.
///
/// *Thread-safety*: all functions. *Lifetime*: a member of the session; works keep that until they have returned.
class Locals {
public:
    /// Null if there is none.
    void* find(std::type_index type) const {
        const std::lock_guard lock{mutex_};
        const auto found = all_.find(type);
        return found == all_.end() ? nullptr : found->second.get();
    }

    /// Nothing is replaced: works may be using it. Returns false if there is one already. *Errors*: std::bad_alloc.
    bool add(std::type_index type, std::shared_ptr<void> object) {
        const std::lock_guard lock{mutex_};
        return all_.emplace(type, std::move(object)).second;
    }

private:
    mutable std::mutex mutex_;
    // guarded by mutex_
    std::map<std::type_index, std::shared_ptr<void>> all_;
};

}  // namespace distwork::detail
