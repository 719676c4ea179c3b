#include "distwork/base/work_pool.hpp"

#include <asio/post.hpp>
#include <atomic>
#include <chrono>
#include <future>
#include <latch>
#include <memory>
#include <thread>

#include "support/catch.hpp"

namespace work_pool_test {

using namespace std::chrono_literals;
using distwork::detail::WorkPool;

TEST_CASE("as many works run at once as the pool has threads", "[unit]") {
    for (const std::size_t count : {1u, 3u}) {
        WorkPool pool{count};
        std::latch all{static_cast<std::ptrdiff_t>(count)};
        std::latch done{static_cast<std::ptrdiff_t>(count)};
        for (std::size_t i = 0; i < count; ++i)
            asio::post(pool.get_executor(), [&] {
                all.arrive_and_wait();  // only a hang, if they run one after the other
                done.count_down();
            });
        done.wait();
    }
}

TEST_CASE("joining a pool waits for the work that runs, and drops those that wait", "[unit]") {
    WorkPool pool{1};
    std::promise<void> begun;
    std::atomic<bool> has_ended{false};
    const auto dropped = std::make_shared<int>();
    asio::post(pool.get_executor(), [&] {
        begun.set_value();
        while (!pool.get_executor().context().stopped()) std::this_thread::yield();  // until it is being joined
        has_ended = true;
    });
    begun.get_future().wait();
    asio::post(pool.get_executor(), [dropped] { FAIL("it was joined"); });
    pool.join();
    CHECK(has_ended);
    CHECK(dropped.use_count() == 2);  // destroyed with the pool
}

TEST_CASE("a pool that is destroyed by one of its own works does not wait for it", "[unit]") {
    std::promise<void> ended;
    std::latch posted{1};  // the pool must live for as long as this thread posts to it
    auto pool = std::make_unique<WorkPool>(2u);
    auto& there = *pool;
    asio::post(there.get_executor(), [&ended, &posted, own = std::move(pool)]() mutable {
        posted.wait();
        own.reset();
        ended.set_value();
    });
    posted.count_down();
    CHECK(ended.get_future().wait_for(20s) == std::future_status::ready);
}

}  // namespace work_pool_test
