// Works that are sent to a second slave, and works that take amounts, with many threads.

#include <array>
#include <asio/io_context.hpp>
#include <asio/use_future.hpp>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <distwork.hpp>
#include <distwork/work_group.hpp>
#include <memory>
#include <ranges>
#include <thread>
#include <vector>

#include "support/catch.hpp"

namespace stragglers_test {

using namespace distwork;
using namespace std::chrono_literals;

constexpr std::size_t works = 400;
std::array<std::atomic<int>, works> executions{};

/// Every twentieth takes long where it is executed first.
int sometimes_slow(int x) {
    const int before = executions[static_cast<std::size_t>(x)]++;
    std::this_thread::sleep_for(x % 20 == 7 && before == 0 ? 300ms : 3ms);
    return 2 * x;
}

std::atomic<int> running{0};
std::atomic<int> most_running{0};

int with_a_gpu(int x) {
    const int now = ++running;
    for (int most = most_running; now > most && !most_running.compare_exchange_weak(most, now);) {
    }
    std::this_thread::sleep_for(1ms);
    --running;
    return x;
}

}  // namespace stragglers_test

DISTWORK_REGISTER_FUNCTION(stragglers_test::sometimes_slow)
DISTWORK_REGISTER_FUNCTION(stragglers_test::with_a_gpu)

namespace stragglers_test {

/// A master and three slaves on four threads.
class Site {
public:
    explicit Site(SlaveOptions options) {
        master.start();
        for (int i = 0; i != 3; ++i) {
            slaves.push_back(
                std::make_unique<Slave<>>(io.get_executor(), "127.0.0.1", master.local_endpoint().port(), options));
            slaves.back()->start();
        }
        for (int i = 0; i != 4; ++i) threads.emplace_back([this] { io.run(); });
        master.async_wait_for_slaves(3, asio::use_future).get();
    }
    ~Site() {
        for (const auto& slave : slaves) slave->async_stop(0s, asio::use_future).get();
        master.async_stop(0s, asio::use_future).get();
        for (auto& thread : threads) thread.join();
    }

    asio::io_context io;
    Master<> master{io, MasterOptions{.port = 0}};
    std::vector<std::unique_ptr<Slave<>>> slaves;
    std::vector<std::thread> threads;
};

TEST_CASE("second copies of works race with the first, and each work has one outcome") {
    for (auto& count : executions) count = 0;
    SlaveOptions options;
    options.slots = 4;
    options.work_executor = WorkExecutor::own_pool(4);
    Site site{options};
    GroupOptions how;
    how.straggler_factor = 2;
    WorkGroup<int> group{site.master, how};
    group.add_all<sometimes_slow>(std::views::iota(0, static_cast<int>(works)));
    const auto outcomes = group.async_all_outcomes(asio::use_future).get();
    REQUIRE(outcomes.size() == works);
    for (std::size_t i = 0; i != works; ++i) {
        REQUIRE(outcomes[i].index == i);
        REQUIRE(outcomes[i].value() == static_cast<int>(2 * i));
    }
    CHECK(group.progress().done == works);
}

TEST_CASE("no more works run at a time than their slaves have GPUs") {
    running = most_running = 0;
    SlaveOptions options;
    options.slots = 8;
    options.work_executor = WorkExecutor::own_pool(8);
    options.amounts = {{"gpu", 1}};
    Site site{options};
    WorkGroup<int> group{site.master};
    group.add_all<with_a_gpu>(std::views::iota(0, 300), SubmitOptions{}.amount("gpu", 0.5).max_attempts(1));
    const auto values = group.async_all(asio::use_future).get();
    CHECK(values.size() == 300);
    CHECK(most_running <= 6);
    CHECK(running == 0);
}

}  // namespace stragglers_test
