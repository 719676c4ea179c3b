#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/descriptors.hpp"
#include "support/fault_proxy.hpp"
#include "support/process.hpp"
#include "support/run.hpp"
#include "support/tally.hpp"
#include "support/timed_work.hpp"

// Very many slaves that are gone at once, and come back at once.

using support::FaultProxy;
using support::Tally;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t slave_count = 1000;
constexpr std::size_t work_count = 5000;

/// The master, and two processes that hold its slaves.
struct Crowd {
    explicit Crowd(std::function<std::uint16_t(std::uint16_t)> port_for = {}) {
        port = cluster.master.local_endpoint().port();
        if (port_for) port = port_for(port);
        come();
    }

    void come() {
        for (int i = 0; i < 2; ++i)
            processes.emplace_back(
                "loyal_process",
                std::vector<std::string>{"port=" + std::to_string(port), "slaves=" + std::to_string(slave_count / 2)});
        REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == slave_count; }));
    }

    /// With the attempts of the default: slaves that are dead do not use them up.
    void call(std::size_t count) {
        for (; count != 0; --count, ++number) tally.call(cluster.master, Timed{number, 1ms}, Timed::value_of(number));
    }

    /// Works are done, and others are under way.
    void work() {
        call(work_count);
        REQUIRE(run_until(cluster.io, [&] { return tally.right() > work_count / 10; }));
        REQUIRE(tally.pending() > 0);
    }

    /// All slaves have come once more since `gone`, and works are done.
    void check_that_all_are_back(std::chrono::steady_clock::time_point gone) {
        // Each session has a socket of its own, with a greater id. They are looked at rarely: that copies all of them.
        auto looked = gone;
        REQUIRE(run_until(cluster.io, [&] {
            const auto now = std::chrono::steady_clock::now();
            if (cluster.master.connected_slave_count() != slave_count || now - looked < 100ms) return false;
            looked = now;
            const auto sockets = cluster.master.sockets();
            return std::all_of(sockets.begin(), sockets.end(), [](const auto& each) { return each.id > slave_count; });
        }));
        CHECK(std::chrono::steady_clock::now() - gone < 30s);
        REQUIRE(run_until(cluster.io, [&] { return tally.pending() == 0; }));
        const std::size_t right_before = tally.right();
        call(work_count);
        REQUIRE(run_until(cluster.io, [&] { return tally.pending() == 0; }));
        CHECK(tally.right() == right_before + work_count);
        CHECK(cluster.master.connected_slave_count() == slave_count);
        run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
            co_await master.async_stop(deadline);
        }(cluster.master));
        tally.check();
        const auto counted = cluster.master.statistics();
        CHECK(counted.succeeded == tally.begun());
        CHECK(counted.completed() == counted.admitted);
        CHECK(counted.requeued > 0);
    }

    const support::DescriptorLimit limit{20'000};
    Cluster<> cluster{0};
    std::uint16_t port = 0;
    std::vector<Process> processes;
    Tally tally;
    std::uint64_t number = 0;
};

}  // namespace

TEST_CASE("a thousand slaves whose processes are killed at once are missed at once, and others take their place",
          "[integration][chaos]") {
    Crowd crowd;
    crowd.work();
    const auto gone = std::chrono::steady_clock::now();
    crowd.processes.clear();
    // The backlog is offered to the new ones.
    crowd.come();
    crowd.check_that_all_are_back(gone);
}

TEST_CASE("a thousand slaves whose connections are reset at once all come back", "[integration][chaos]") {
    std::unique_ptr<FaultProxy> proxy;
    Crowd crowd{[&](std::uint16_t target) {
        proxy = std::make_unique<FaultProxy>(target);
        return proxy->port();
    }};
    crowd.work();
    const auto gone = std::chrono::steady_clock::now();
    proxy->reset();
    crowd.check_that_all_are_back(gone);
    CHECK(proxy->accepted() >= 2 * slave_count);
}
