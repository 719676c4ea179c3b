// Computes a value, and finds it in its journal when it does so again.
#include <asio/io_context.hpp>
#include <asio/use_future.hpp>
#include <chrono>
#include <cstdio>
#include <distwork.hpp>
#include <distwork/journal.hpp>
#include <distwork/work_group.hpp>
#include <future>
#include <iostream>
#include <vector>

int add(int left, int right) {
    return left + right;
}
DISTWORK_REGISTER_FUNCTION(add)

int main() {
    std::remove("consumer.db");
    asio::io_context io;
    distwork::Master master{io.get_executor(), 0};
    master.start();
    distwork::Slave slave{io.get_executor(), "127.0.0.1", master.local_endpoint().port()};
    slave.start();
    int kept = 0;
    int sum = 0;
    for (int run = 0; run != 2; ++run) {
        distwork::WorkGroup<int> group{master, {.journal = distwork::Journal{"consumer.db"}}};
        group.async_add<add>(1, 2, [](const std::exception_ptr&, std::size_t) {});
        auto all = group.async_all_outcomes(asio::use_future);
        while (all.wait_for(std::chrono::seconds{0}) != std::future_status::ready)
            io.run_one_for(std::chrono::milliseconds{10});
        const std::vector<distwork::Outcome<int>> outcomes = all.get();
        sum += outcomes.front().value();
        kept += outcomes.front().is_kept;
    }
    std::cout << "1 + 2 = " << sum / 2 << ", kept: " << kept << '\n';
    return sum == 6 && kept == 1 ? 0 : 1;
}
