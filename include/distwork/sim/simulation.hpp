#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "host.hpp"
#include "network.hpp"
#include "random.hpp"
#include "timeline.hpp"
#include "transport.hpp"

namespace distwork::sim {

struct SimulationOptions {
    NetworkOptions network{};
    bool shuffle = true;         ///< tasks of one host that are ready together run in any order, as on several threads
    Duration least_work_time{};  ///< of works, unless their host says otherwise; zero: they run at once
    Duration most_work_time{};
    std::size_t log_size = 0;  ///< records of the trace that are kept to be read
};

/// Processes on machines, a network between them, and one virtual clock. Everything runs in the thread that calls
/// `run_until`; equal seeds give equal runs.
///
///     sim::Simulation simulation{seed, {.network = sim::NetworkOptions::faulty(seed)}};
///     auto& master = simulation.add_host("master").make<…>(…);
///
/// *Lifetime*: of all hosts and of what they own. Whatever else uses a host, such as roles that the test owns, must end
/// before. At its end the hosts' objects are destroyed first, host by host and each one's last first; then, without
/// calling them, the handlers that wait, with the coroutines that they would resume.
class Simulation {
public:
    explicit Simulation(std::uint64_t seed, SimulationOptions options = {})
        : options_{std::move(options)},
          seeds_{seed},
          timeline_{options_.log_size},
          network_{timeline_, seeds_.next(), options_.network} {}
    Simulation(const Simulation&) = delete;
    Simulation& operator=(const Simulation&) = delete;

    ~Simulation() {
        for (Host& host : hosts_) host.destroy_owned();
        drop_all();
        for (Host& host : hosts_) host.end_services();  // what waits in strands
        drop_all();
    }

    /// Begins a process; its machine is that of an earlier process of this name, which must have ended, or a new one.
    /// The first machine's address is 127.0.0.1, the second one's 127.0.0.2, …
    Host& add_host(const std::string& name) {
        const std::size_t machine = network_.machine(name);
        network_.up(machine);
        Host& host =
            hosts_.emplace_back(timeline_, network_, name, hosts_.size(), machine, seeds_.next(), options_.shuffle);
        if (options_.most_work_time > Duration{})
            host.work_time([least = options_.least_work_time, most = options_.most_work_time](
                               std::string_view, Random& random) { return random.between(least, most); });
        return host;
    }

    Network& network() noexcept { return network_; }
    TimePoint now() const noexcept { return timeline_.now(); }
    /// For what a test draws itself.
    Random& random() noexcept { return seeds_; }

    /// Has something happen at a time, or after one: a fault, as a rule. On no host.
    void at(TimePoint time, std::function<void()> action) { timeline_.schedule(time, std::move(action)); }
    void after(Duration time, std::function<void()> action) { at(now() + time, std::move(action)); }

    /// Runs until the condition holds, which is looked at after each event; false if it does not within that time.
    /// *Errors*: what a handler throws; std::runtime_error when a host runs tasks without end.
    template <class Condition>
    bool run_until(Condition condition, Duration limit) {
        const TimePoint end = now() + limit;
        while (true) {
            while (run_hosts()) {
            }
            if (condition()) return true;
            if (timeline_.advance(end)) continue;
            timeline_.skip_to(end);
            return false;
        }
    }

    void run_for(Duration time) {
        run_until([] { return false; }, time);
    }

    /// Of everything that happened, in its order: two runs of one seed that differ in this differed.
    std::uint64_t trace_hash() const noexcept { return timeline_.hash(); }
    const Timeline& timeline() const noexcept { return timeline_; }

private:
    bool run_hosts() {
        bool any = false;
        for (Host& host : hosts_) any |= host.run_ready();
        return any;
    }

    void drop_all() {
        bool any = true;
        while (any) {
            any = timeline_.drop_actions();
            any |= network_.drop();
            for (Host& host : hosts_) any |= host.drop_tasks();
        }
    }

    const SimulationOptions options_;
    Random seeds_;
    Timeline timeline_;
    Network network_;
    std::deque<Host> hosts_;
};

}  // namespace distwork::sim
