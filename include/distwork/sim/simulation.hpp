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
    bool shuffle = true;  ///< tasks of one host that are ready together run in random order, as on several threads
    Duration
        least_work_time{};      ///< works take a random time from this to the next, unless Host::work_time sets another
    Duration most_work_time{};  ///< zero: works run at once
    std::size_t log_size = 0;   ///< how many of the last records of the trace are kept for Timeline::log and print
};

/// Simulates processes on machines, a network between them, and one virtual clock. Everything runs in the thread that
/// calls `run_until`. Equal seeds give equal runs.
///
///     sim::Simulation simulation{seed, {.network = sim::NetworkOptions::faulty(seed)}};
///     auto& master = simulation.add_host("master").make<…>(…);
///
/// *Lifetime*: it owns all hosts and their objects. Everything else that uses a host, such as roles that the test owns,
/// must be destroyed before. The destructor first destroys the objects of the hosts, host by host, each one's last
/// object first. Then it destroys the waiting handlers without calling them, with the coroutines that they would
/// resume.
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
        for (Host& host : hosts_) host.end_services();  // destroys what waits in Asio's strands
        drop_all();
    }

    /// Begins a process. It runs on the machine of an earlier process of this name, which must have ended; else on a
    /// new machine. The address of the first machine is 127.0.0.1, that of the second is 127.0.0.2, and so on.
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
    const SimulationOptions& options() const noexcept { return options_; }
    /// Random numbers for the test itself.
    Random& random() noexcept { return seeds_; }

    /// Calls `action` at a time, or after a duration, on no host. This is how a test causes faults.
    void at(TimePoint time, std::function<void()> action) { timeline_.schedule(time, std::move(action)); }
    void after(Duration time, std::function<void()> action) { at(now() + time, std::move(action)); }

    /// Runs until the condition holds; it is checked after each event. Returns false if it does not hold within `limit`
    /// of virtual time. Blocks meanwhile. *Errors*: what a handler throws; std::runtime_error if a host runs tasks
    /// without end.
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

    /// Runs for `time` of virtual time. Blocks meanwhile. *Errors*: as run_until.
    void run_for(Duration time) {
        run_until([] { return false; }, time);
    }

    /// A hash of everything that happened, in order. If it differs between two runs of one seed, the runs differed.
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
