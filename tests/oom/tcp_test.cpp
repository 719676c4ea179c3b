// Over TCP, with threads: allocations of the library drawn at random fail, once, or ten in a row.

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "failing_new.hpp"
#include "program.hpp"
#include "support/catch.hpp"

namespace oom_test {

/// Runs the context until the condition holds, and no longer than a hang takes.
template <class Condition>
bool run_until(asio::io_context& io, Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    io.restart();
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        io.run_one_for(5ms);
    }
    return true;
}

/// One run. Returns what is wrong, or nothing.
std::string run_over_tcp() {
    Ledger ledger;
    Signals signals;
    bool has_stopped = false;
    asio::io_context io{1};
    std::optional<Master<>> master;
    std::optional<Slave<>> first;
    std::optional<Slave<>> second;
    const auto slave_at = [&](std::optional<Slave<>>& slave, WorkExecutor where) {
        SlaveOptions options;
        options.slots = 2;
        options.log = NoLog{};
        options.work_executor = std::move(where);
        try {
            slave.emplace(io, "127.0.0.1", master->local_endpoint().port(), options);
            slave->start();
        } catch (const std::exception&) {
            slave.reset();
        }
    };
    try {
        MasterOptions options;
        options.log = NoLog{};
        options.waiting.max_backlog = 60;
        master.emplace(io, options);
        master->accept_work<FunctionWork<&twice>>();
        master->accept_submission<Tree>();
        master->start();
    } catch (const std::exception&) {
        return {};
    }
    slave_at(first, WorkExecutor::own_pool());
    slave_at(second, WorkExecutor::own_pool());
    begin_calls(*master, ledger, signals, io.get_executor());
    signals[1].emit(asio::cancellation_type::terminal);
    run_until(io, [&] { return master->statistics().succeeded > 20 || ledger.is_done(); });
    // One goes with all that it has, and another comes.
    second.reset();
    slave_at(second, WorkExecutor::in_place());
    if (!run_until(io, [&] { return ledger.is_done(); })) return "it hangs: " + ledger.complaint();
    try {
        master->async_stop(15s, [&](const std::exception_ptr&) { has_stopped = true; });
    } catch (const std::exception&) {
        return {};
    }
    const auto began = std::chrono::steady_clock::now();
    if (!run_until(io, [&] { return has_stopped; })) return "it does not stop";
    if (std::chrono::steady_clock::now() - began > 12s) return "it takes its whole time to stop";
    if (const std::string wrong = complaint(master->statistics()); !wrong.empty()) return wrong;
    return ledger.complaint();
}

}  // namespace oom_test

TEST_CASE("over TCP, whichever allocations fail, each call completes once", "[oom]") {
    using namespace oom_test;
    // Once, for what is made once in a process; counted in a process of its own, for threads do not survive a fork.
    const auto counted = run_forked([](const auto&) {
        if (!run_over_tcp().empty()) std::_Exit(1);
        failing_new::count();
        const std::string wrong = run_over_tcp();
        std::cout << (wrong.empty() ? failing_new::counted() : 0);
    });
    const std::size_t all = std::strtoull(counted.text.c_str(), nullptr, 10);
    INFO(counted.text);
    REQUIRE(all > 1000);
    std::mt19937_64 random{std::random_device{}()};
    std::vector<std::size_t> numbers;
    for (int i = 0; i < 200; ++i) numbers.push_back(1 + random() % all);
    const std::vector<std::size_t> once{numbers.begin(), numbers.begin() + 100};
    const std::vector<std::size_t> ten{numbers.begin() + 100, numbers.end()};
    CHECK(runs_that_fail(once, 1, &run_over_tcp) == "");
    CHECK(runs_that_fail(ten, 10, &run_over_tcp) == "");
}
