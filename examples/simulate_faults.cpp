// A work of one's own, under faults: slaves crash and come back, the network clogs and resets, on a virtual clock. The
// same seed gives the same run: `simulate_faults SEED`.
#include <cstdlib>
#include <distwork.hpp>
#include <distwork/sim/simulation.hpp>
#include <iostream>

using namespace std::chrono_literals;
namespace sim = distwork::sim;

int square(int x) {
    return x * x;
}
DISTWORK_REGISTER_FUNCTION(square)

int main(int argc, char** argv) {
    const std::uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
    sim::Simulation simulation{seed, {.network = sim::NetworkOptions::faulty(seed), .most_work_time = 100ms}};

    sim::Host& here = simulation.add_host("master");
    auto& master = here.make<distwork::Master<distwork::RoundRobin, sim::Transport>>(
        here.transport(), distwork::MasterOptions{.address = here.address()});
    master.start();
    const auto begin_slave = [&](const std::string& name) -> sim::Host& {
        sim::Host& host = simulation.add_host(name);
        const auto port = master.local_endpoint().port();
        host.make<distwork::Slave<sim::Transport>>(host.transport(), here.address(), port).start();
        return host;
    };
    begin_slave("Ada");
    sim::Host& grace = begin_slave("Grace");
    simulation.after(2s, [&] { grace.crash(); });
    simulation.after(5s, [&] { begin_slave("Grace"); });

    int done = 0, wrong = 0;
    const auto submit = [&](int i) {
        master.async_call<square>(i, [&, i](const std::exception_ptr& error, int value) {
            wrong += !error && value != i * i;
            ++done;
        });
    };
    for (int i = 0; i < 1000; ++i) simulation.after(i * 5ms, [&, i] { submit(i); });
    simulation.run_until([&] { return done == 1000; }, 1h);
    const distwork::Statistics counted = master.statistics();
    std::cout << counted.succeeded << " of 1000 succeeded, " << counted.requeued << " went again\n";
    return done == 1000 && wrong == 0 && counted.admitted == counted.completed() ? 0 : 1;
}
