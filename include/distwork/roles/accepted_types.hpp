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
#include "../types/type_set.hpp"
#include "../work_executor.hpp"

namespace distwork::detail {

/// The types of works that a master executes for its slaves, and the queue that executes them. The queue, and the
/// pool's threads, are created when the first type is accepted.
///
/// *Thread-safety*: all functions.
template <class Transport>
class AcceptedTypes {
public:
    AcceptedTypes(Transport transport, WorkExecutor executor, std::size_t slots)
        : transport_{std::move(transport)}, executor_{std::move(executor)}, slots_{slots} {}

    /// *Errors*: std::bad_alloc; std::system_error if a thread cannot be created.
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

    /// The queue that executes works; null until a type was accepted.
    std::shared_ptr<WorkQueue<Transport>> queue() const {
        const std::shared_lock lock{mutex_};
        return queue_;
    }

    /// Whether all received works were executed. If not, `then` is called once they were.
    bool are_done(std::function<void()> then) const {
        const auto queue = this->queue();
        if (!queue || queue->is_idle()) return true;
        queue->when_idle(std::move(then));
        return false;
    }

    /// Blocks until the works that run on the role's own threads have returned.
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
    std::unique_ptr<typename Transport::WorkPool> pool_;  // once created, it stays until the end
    std::shared_ptr<WorkQueue<Transport>> queue_;
};

}  // namespace distwork::detail
