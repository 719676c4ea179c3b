#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "../execution/work_queue.hpp"
#include "../types/registry.hpp"
#include "../work_executor.hpp"

namespace distwork::detail {

/// Types, by number.
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

private:
    mutable std::shared_mutex mutex_;
    std::vector<bool> types_;  // guarded by mutex_
};

/// The types that a master executes when slaves send them, and where. Threads are begun with the first of them.
///
/// *Thread-safety*: all functions.
template <class Transport>
class AcceptedTypes {
public:
    AcceptedTypes(Transport transport, WorkExecutor executor, std::size_t slots)
        : transport_{std::move(transport)}, executor_{std::move(executor)}, slots_{slots} {}

    void accept(const WorkType& type) {
        accepted_.insert(type);
        const std::lock_guard lock{mutex_};
        if (queue_) return;
        asio::any_io_executor works = executor_.executor();
        if (executor_.is_own_pool()) {
            pool_ = transport_.make_work_pool(executor_.threads_for(slots_));
            works = pool_->get_executor();
        }
        queue_ = std::make_shared<WorkQueue<Transport>>(transport_, std::move(works), false, slots_);
    }

    bool contains(const WorkType& type) const { return accepted_.contains(type); }

    /// Null until a type was accepted.
    std::shared_ptr<WorkQueue<Transport>> queue() const {
        const std::shared_lock lock{mutex_};
        return queue_;
    }

    /// Whether what came is executed; if not, `then` is called when it is.
    bool are_done(std::function<void()> then) const {
        const auto queue = this->queue();
        if (!queue || queue->is_idle()) return true;
        queue->when_idle(std::move(then));
        return false;
    }

    /// Waits for what runs on own threads.
    void join() {
        typename Transport::WorkPool* pool = nullptr;
        {
            const std::shared_lock lock{mutex_};
            pool = pool_.get();
        }
        if (pool) pool->join();
    }

private:
    Transport transport_;
    const WorkExecutor executor_;
    const std::size_t slots_;
    TypeSet accepted_;

    mutable std::shared_mutex mutex_;
    // guarded by mutex_
    std::unique_ptr<typename Transport::WorkPool> pool_;  // once made, until the end
    std::shared_ptr<WorkQueue<Transport>> queue_;
};

}  // namespace distwork::detail
