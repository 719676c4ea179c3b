// What a master says of works that wait, in the time that it takes.

#include <chrono>
#include <exception>
#include <string>
#include <string_view>

#include "distwork.hpp"
#include "distwork/sim/simulation.hpp"
#include "simulation/roles.hpp"
#include "support/catch.hpp"
#include "support/works.hpp"

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;

namespace {

using SimMaster = Master<RoundRobin, sim::Transport>;
using SimSlave = Slave<sim::Transport>;

/// A master whose warnings are heard.
struct Scene {
    Scene() {
        MasterOptions options;
        options.address = host.address();
        options.log = [this](LogLevel level, std::string_view line) {
            if (level >= LogLevel::warning) warnings.append(line).push_back('\n');
        };
        master = &host.make<SimMaster>(host.transport(), options);
    }

    SimSlave& add_slave(const std::string& name) {
        sim::Host& machine = simulation.add_host(name);
        return machine.make<SimSlave>(machine.transport(), host.address(), master->local_endpoint().port());
    }

    std::string warnings;
    sim::Simulation simulation{1};
    sim::Host& host = simulation.add_host("master");
    SimMaster* master = nullptr;
};

}  // namespace

TEST_CASE("works that wait while no slave comes are told of, after a while") {
    Scene scene;
    scene.master->start();
    for (int i = 0; i < 3; ++i) scene.master->distribute_work(Plain{});
    scene.simulation.run_for(4s);
    CHECK(scene.warnings.empty());  // slaves may well come after the works
    scene.simulation.run_for(2s);
    CHECK(scene.warnings == "3 works wait: no slave is connected\n");
    scene.simulation.run_for(60s);
    CHECK(scene.warnings == "3 works wait: no slave is connected\n");
}

TEST_CASE("works that wait on a master that does not run are told of, and why") {
    Scene scene;
    scene.master->distribute_work(Plain{});
    scene.simulation.run_for(6s);
    CHECK(scene.warnings ==
          "1 work waits: no slave is connected, because this master does not run: it needs start() or async_run()\n");
}

TEST_CASE("nothing is told of works whose slave comes in time, also when all slaves were gone for a while") {
    Scene scene;
    scene.master->start();
    scene.master->distribute_work(Plain{});
    SimSlave& first = scene.add_slave("first");
    first.start();
    scene.simulation.run_for(10s);
    CHECK(scene.master->statistics().succeeded == 1);
    CHECK(scene.warnings.empty());

    // The last one leaves while works come: that is told in its turn.
    first.async_stop(1s, [](const std::exception_ptr&) {});
    scene.simulation.run_for(1s);
    scene.master->distribute_work(Plain{});
    scene.simulation.run_for(10s);
    CHECK(scene.warnings == "1 work waits: no slave is connected\n");
    scene.add_slave("second").start();
    scene.simulation.run_for(1s);
    CHECK(scene.master->statistics().succeeded == 2);
}

TEST_CASE("a simulated slave is called by its host") {
    Scene scene;
    scene.master->start();
    scene.add_slave("Ada").start();
    scene.simulation.run_for(1s);
    REQUIRE(scene.master->sockets().size() == 1);
    CHECK(scene.master->sockets().front().name == "Ada");
}
