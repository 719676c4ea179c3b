#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../base/completion.hpp"
#include "../base/surely.hpp"
#include "../calls/answer.hpp"
#include "../calls/call.hpp"
#include "../link/late_answers.hpp"
#include "../link/session.hpp"

namespace distwork::detail {

/// Settles large answers on a thread of its own, so that other sessions are served meanwhile. The thread is made for the
/// first of them. Answers are settled in the order in which they came.
///
/// *Thread-safety*: all functions. *Lifetime*: shared by its role and the tasks of its thread; what waits keeps its
/// session.
template <class Transport>
class AnswerDecoder : public std::enable_shared_from_this<AnswerDecoder<Transport>> {
public:
    using Late = LateAnswers<Session<Transport>>;
    using Calls = std::vector<std::shared_ptr<Call>>;

    /// `deliver`: completes calls that were settled; does not throw.
    AnswerDecoder(Transport transport, std::function<void(Calls)> deliver)
        : transport_{std::move(transport)}, deliver_{std::move(deliver)} {}

    /// False: it has stopped, or there is no thread. Then `late` is unchanged.
    bool push(Late& late) noexcept {
        const std::lock_guard lock{mutex_};
        if (has_stopped_ || exception_of([&] { make_pool(), waiting_.emplace_back(); })) return false;
        waiting_.back() = std::move(late);
        if (!std::exchange(is_running_, true)) post_surely(pool_->get_executor(), task());
        return true;
    }

    /// From now on nothing is settled here. Blocks until what is being decoded is delivered. Returns what waits, for the
    /// caller to settle.
    std::list<Late> stop() noexcept {
        std::list<Late> left;
        std::unique_ptr<typename Transport::WorkPool> pool;
        {
            const std::lock_guard lock{mutex_};
            has_stopped_ = true;
            left.swap(waiting_);
            pool.swap(pool_);
        }
        if (pool) pool->join();
        return left;
    }

private:
    auto task() {
        return [self = this->shared_from_this()] { self->run(); };
    }

    void make_pool() {
        if (!pool_) pool_ = transport_.make_work_pool(1);
    }

    void run() noexcept {
        Late late;
        {
            const std::lock_guard lock{mutex_};
            if (waiting_.empty()) return static_cast<void>(is_running_ = false);
            late = std::move(waiting_.front());
            waiting_.pop_front();
        }
        deliver_(settle(late.answers, late.session, late.session->description()));
        late.done();
        const std::lock_guard lock{mutex_};
        if (!has_stopped_) post_surely(pool_->get_executor(), task());
    }

    Transport transport_;
    const std::function<void(Calls)> deliver_;
    std::mutex mutex_;
    // guarded by mutex_
    std::unique_ptr<typename Transport::WorkPool> pool_;
    std::list<Late> waiting_;  // an empty std::deque would allocate, also in stop()
    bool is_running_ = false;  // a task is posted, or runs
    bool has_stopped_ = false;
};

}  // namespace distwork::detail
