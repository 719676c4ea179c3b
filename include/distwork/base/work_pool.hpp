#pragma once

#include <cstddef>
#include <memory>
#include <thread>
#include <utility>

#include "asio.hpp"

namespace distwork::detail {

/// The threads of a role's own pool. `join` blocks until running works have returned; works that wait are dropped. A
/// work that destroys its own role does not wait for itself.
///
/// *Lifetime*: as long as the role's core. Calls of its works may complete on its executor after `join`; they are
/// dropped.
class WorkPool {
public:
    explicit WorkPool(std::size_t threads) : pool_{std::make_unique<asio::thread_pool>(threads)} {}
    WorkPool(const WorkPool&) = delete;
    WorkPool& operator=(const WorkPool&) = delete;

    ~WorkPool() {
        join();
        if (pool_->get_executor().running_in_this_thread())
            std::thread{[pool = std::move(pool_)] { pool->join(); }}.detach();
    }

    void join() {
        pool_->stop();
        if (!pool_->get_executor().running_in_this_thread()) pool_->join();
    }

    asio::thread_pool::executor_type get_executor() const { return pool_->get_executor(); }

private:
    std::unique_ptr<asio::thread_pool> pool_;
};

}  // namespace distwork::detail
