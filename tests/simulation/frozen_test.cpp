// Master and slaves that are stopped together for a while, as with their machine, and go on together.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <distwork/sim/simulation.hpp>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "simulation/roles.hpp"
#include "support/catch.hpp"
#include "support/works.hpp"

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t slave_count = 3;

/// A master and slaves, each of one slot, with what the master logged of those that it lost.
struct Machine {
    explicit Machine(std::uint64_t seed) : simulation{seed, {.least_work_time = 100ms, .most_work_time = 60s}} {
        sim::Host& host = simulation.add_host("master");
        MasterOptions options;
        options.port = 12345;
        options.log = [this](LogLevel, std::string_view line) {
            if (line.starts_with("Disconnected")) losses += std::string{line} + '\n';
        };
        master = &host.make<Master<RoundRobin, sim::Transport>>(host.transport(), options);
        master->start();
        hosts.push_back(&host);
        for (std::size_t i = 0; i < slave_count; ++i) {
            sim::Host& process = simulation.add_host("slave" + std::to_string(i));
            process
                .make<Slave<sim::Transport>>(process.transport(), "127.0.0.1", std::uint16_t{12345},
                                             SlaveOptions{.slots = 1})
                .start();
            hosts.push_back(&process);
        }
        const auto all_there = [this] { return master->connected_slave_count() == slave_count; };
        REQUIRE(simulation.run_until(all_there, 10s));
    }

    /// Awake again after that time, each a little later than the other, as processes are.
    void freeze(sim::Duration time) {
        for (sim::Host* const host : hosts) {
            host->freeze();
            simulation.after(time + simulation.random().between(0ms, 20ms), [host] { host->wake(); });
        }
    }

    std::string losses;
    sim::Simulation simulation;
    Master<RoundRobin, sim::Transport>* master = nullptr;
    std::vector<sim::Host*> hosts;
};

}  // namespace

TEST_CASE("in simulation, a master and slaves that were frozen together go on together", "[simulation]") {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        INFO("seed " << seed);
        Machine machine{seed};
        std::size_t succeeded = 0;
        std::string failures;
        for (int i = 0; i < 30; ++i)
            machine.master->async_call(Sum{i, 1}, SubmitOptions{}.max_attempts(1),
                                       [&](const std::exception_ptr& error, int) {
                                           if (!error) ++succeeded;
                                           else failures += detail::describe(error).text + '\n';
                                       });
        for (int times = 0; times < 5; ++times) {
            machine.simulation.run_for(machine.simulation.random().between(1s, 20s));
            machine.freeze(machine.simulation.random().between(1s, 40s));
            machine.simulation.run_for(41s);
        }
        CHECK(machine.simulation.run_until([&] { return succeeded == 30 || !failures.empty(); }, 1h));
        CHECK(failures == "");
        CHECK(machine.losses == "");
        CHECK(machine.master->statistics().requeued == 0);
    }
}

TEST_CASE("in simulation, a peer that took nothing while this end was frozen has not stalled", "[simulation]") {
    Machine machine{1};
    // More than the link holds: a write is under way when all stop, to a slave that stopped before.
    sim::Host& slave = *machine.hosts.at(1);
    slave.freeze();
    std::size_t succeeded = 0;
    for (std::size_t i = 0; i < slave_count; ++i)
        machine.master->async_call(Echo{std::string(1'000'000, 'x')},
                                   [&](const std::exception_ptr& error, const std::string&) { succeeded += !error; });
    machine.simulation.run_for(1s);
    machine.freeze(30s);
    CHECK(machine.simulation.run_until([&] { return succeeded == slave_count; }, 1h));
    CHECK(machine.losses == "");
}

TEST_CASE("in simulation, who did not wake with its master is found after a full period", "[simulation]") {
    Machine machine{1};
    machine.freeze(30s);
    sim::Host& gone = *machine.hosts.back();
    machine.simulation.after(5s, [&] { gone.crash(sim::Crash::power_loss); });
    const auto found = [&] { return machine.master->connected_slave_count() == slave_count - 1; };
    CHECK_FALSE(machine.simulation.run_until(found, 45s));
    CHECK(machine.simulation.run_until(found, 7s));  // 15 s, as seen at the next heartbeat
    CHECK(machine.losses.find("silent") != std::string::npos);
}
