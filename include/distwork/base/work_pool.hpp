#pragma once

#include <cstddef>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "asio.hpp"

namespace distwork::detail {

/// The threads of a role's own pool. `join` blocks until running works have returned; works that wait are dropped. A
/// work that destroys its own role does not wait for itself.
///
/// It is no asio::thread_pool: the constructor of that one blocks for ever if a thread after the first cannot be made.
///
/// *Lifetime*: as long as the role's core. Calls of its works may complete on its executor after `join`; they are
/// dropped.
class WorkPool {
public:
    /// `threads` is at least 1. *Errors*: std::system_error (a thread cannot be made), std::bad_alloc.
    explicit WorkPool(std::size_t threads) : pool_{std::make_unique<Pool>(threads)} {
        try {
            for (auto& thread : pool_->threads) thread = std::thread{[pool = pool_.get()] { pool->context.run(); }};
        } catch (...) {
            join();
            throw;
        }
    }
    WorkPool(const WorkPool&) = delete;
    WorkPool& operator=(const WorkPool&) = delete;

    ~WorkPool() {
        join();
        if (get_executor().running_in_this_thread()) std::thread{[pool = std::move(pool_)] { pool->join(); }}.detach();
    }

    void join() {
        pool_->context.stop();
        if (!get_executor().running_in_this_thread()) pool_->join();
    }

    asio::io_context::executor_type get_executor() const { return pool_->context.get_executor(); }

private:
    struct Pool {
        // Hints above 1 mean locks, whatever the program defines Asio's hints 1 and default to be.
        explicit Pool(std::size_t count)
            : context{ASIO_CONCURRENCY_HINT_1 == 1 && count == 1 ? 1 : 2}, threads(count) {}

        void join() {
            for (auto& thread : threads)
                if (thread.joinable()) thread.join();
        }

        asio::io_context context;
        // It runs also while nothing waits.
        const asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
        std::vector<std::thread> threads;
    };

    std::unique_ptr<Pool> pool_;
};

}  // namespace distwork::detail
