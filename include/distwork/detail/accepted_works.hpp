#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "../registry.hpp"
#include "../work_executor.hpp"
#include "../work_queue.hpp"

namespace distwork::detail {

/// The types that a master executes when slaves send them, and where. Threads are begun with the first of them.
///
/// *Thread-safety*: all functions.
template <class Transport>
class AcceptedWorks {
public:
    AcceptedWorks(Transport transport, WorkExecutor executor, std::size_t slots)
        : transport_{std::move(transport)}, executor_{std::move(executor)}, slots_{slots} {}

    void accept(const WorkType& type) {
        const std::lock_guard lock{mutex_};
        if (accepted_.size() <= type.number) accepted_.resize(type.number + std::size_t{1});
        accepted_[type.number] = true;
        if (queue_) return;
        asio::any_io_executor works = executor_.executor();
        if (executor_.is_own_pool()) {
            pool_ = transport_.make_work_pool(executor_.threads_for(slots_));
            works = pool_->get_executor();
        }
        queue_ = std::make_shared<WorkQueue<Transport>>(transport_, std::move(works), false, slots_);
    }

    bool contains(const WorkType& type) const {
        const std::shared_lock lock{mutex_};
        return type.number < accepted_.size() && accepted_[type.number];
    }

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

    mutable std::shared_mutex mutex_;
    // guarded by mutex_
    std::vector<bool> accepted_;                          // by number of the type
    std::unique_ptr<typename Transport::WorkPool> pool_;  // once made, until the end
    std::shared_ptr<WorkQueue<Transport>> queue_;
};

}  // namespace distwork::detail
