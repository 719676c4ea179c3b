#pragma once

#include <cstddef>
#include <memory>
#include <thread>
#include <utility>

#include "asio.hpp"

namespace distwork::detail {

/// A role's own threads. `join` waits for works that run, and for nothing else; a work that ends its own role does not
/// wait for itself.
///
/// *Lifetime*: until the role's core ends, for calls of its works may complete there after `join`; they are dropped.
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
