#pragma once

#include "../base/log_queue.hpp"

#include <httplib.h>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace distwork::detail {

/// The connections of a dashboard that wait for one of its threads, and these threads. Both are bounded.
///
/// *Lifetime*: `shutdown`, which cpp-httplib calls at its end, joins the threads; so does the destructor.
class RequestQueue final : public httplib::TaskQueue {
    /// bool in newer versions of cpp-httplib, void in older ones.
    using Accepted = decltype(std::declval<httplib::TaskQueue&>().enqueue(nullptr));

public:
    /// `refuse` is called, on the thread that accepts, for each connection that there is no room for: it runs it in a way
    /// that ends at once. *Errors*: std::system_error if there can be no more threads.
    RequestQueue(std::size_t threads, std::size_t most_waiting,
                 std::function<void(const std::function<void()>& connection)> refuse)
        : most_{threads + most_waiting}, refuse_{std::move(refuse)} {
        const NoSignals none;
        try {
            for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
        } catch (...) {
            shutdown();
            throw;
        }
    }
    ~RequestQueue() override { shutdown(); }

    Accepted enqueue(std::function<void()> connection) override {
        if (!put(connection)) refuse_(connection);
        return Accepted(true);  // also of what was refused: it is closed
    }

    void shutdown() override {
        {
            const std::lock_guard lock{mutex_};
            ending_ = true;
        }
        changed_.notify_all();
        for (std::thread& thread : threads_)
            if (thread.joinable()) thread.join();
    }

private:
    bool put(const std::function<void()>& connection) noexcept {
        try {
            const std::lock_guard lock{mutex_};
            if (waiting_.size() + busy_ >= most_) return false;
            waiting_.push_back(connection);
        } catch (...) {
            return false;  // no memory
        }
        changed_.notify_one();
        return true;
    }

    void work() {
        std::unique_lock lock{mutex_};
        for (;;) {
            changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
            if (waiting_.empty()) return;
            const std::function<void()> connection = std::move(waiting_.front());
            waiting_.pop_front();
            ++busy_;
            lock.unlock();
            connection();
            lock.lock();
            --busy_;
        }
    }

    const std::size_t most_;  ///< connections
    const std::function<void(const std::function<void()>&)> refuse_;
    std::mutex mutex_;
    std::condition_variable changed_;
    // guarded by mutex_
    std::deque<std::function<void()>> waiting_;
    std::size_t busy_ = 0;  ///< threads that have a connection
    bool ending_ = false;

    std::vector<std::thread> threads_;
};

}  // namespace distwork::detail
