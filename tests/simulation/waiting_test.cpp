// In virtual time: nothing waits behind a busy slave while another is free.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <distwork/sim/simulation.hpp>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "simulation/roles.hpp"
#include "support/catch.hpp"

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;

namespace {

/// Takes the time that it is told to, in virtual time.
class Take : public RpcWork<int> {
public:
    Take() = default;
    explicit Take(std::chrono::microseconds time) : time_{time.count()} {}
    int execute_work(Context&) override { return 1; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(time_);
    }

private:
    std::int64_t time_ = 0;
};

/// The same, of another type: what one is known to take says nothing of the other.
class TakeLong : public Take {
public:
    using Take::Take;
    template <class Archive>
    void serialize(Archive& archive) {
        Take::serialize(archive);
    }
};

/// A master and slaves; works take the times that they were submitted with, one after the other.
template <class Selector = RoundRobin>
class Farm {
public:
    using Master = distwork::Master<Selector, sim::Transport>;

    explicit Farm(std::size_t slaves, std::size_t slots = 1) : simulation_{1} {
        sim::Host& host = simulation_.add_host("master");
        MasterOptions options;
        options.port = 12345;
        master = &host.make<Master>(host.transport(), options);
        master->start();
        for (std::size_t i = 0; i < slaves; ++i) add_slave(slots);
        REQUIRE(simulation_.run_until([&] { return master->connected_slave_count() == slaves; }, 10s));
    }

    sim::Host& add_slave(std::size_t slots) {
        sim::Host& host = simulation_.add_host("slave" + std::to_string(simulation_.random().next()));
        SlaveOptions options;
        options.slots = slots;
        host.work_time([](std::string_view type, sim::Random&) -> sim::Duration {
            return type.find("TakeLong") != type.npos ? sim::Duration{2s} : sim::Duration{20us};
        });
        host.make<Slave<sim::Transport>>(host.transport(), std::string{"127.0.0.1"}, std::uint16_t{12345}, options)
            .start();
        hosts.push_back(&host);
        return host;
    }

    template <class Work>
    void call(
        Work work, std::function<void()> then = [] {}) {
        ++submitted;
        master->async_call(std::move(work),
                           [this, begun = simulation_.now(), then](const std::exception_ptr& error, int) {
                               if (error) ++failed;
                               ++completed;
                               worst = std::max(worst, simulation_.now() - begun);
                               then();
                           });
    }

    void run(sim::Duration time) { simulation_.run_for(time); }
    bool run_until_done(sim::Duration within) {
        return simulation_.run_until([&] { return completed == submitted; }, within);
    }
    sim::Simulation& simulation() { return simulation_; }

    /// So that both types are measured, and slaves may hold many short ones.
    void warm_up() {
        for (int round = 0; round < 10; ++round) {
            for (int i = 0; i < 100; ++i) call(Take{});
            REQUIRE(run_until_done(10s));
        }
        worst = {};
    }

private:
    sim::Simulation simulation_;

public:
    Master* master = nullptr;
    std::vector<sim::Host*> hosts;
    std::size_t submitted = 0;
    std::size_t completed = 0;
    std::size_t failed = 0;
    sim::Duration worst{};
};

}  // namespace

DISTWORK_REGISTER_WORK(Take)
DISTWORK_REGISTER_WORK(TakeLong)

TEMPLATE_TEST_CASE("short calls one after the other wait for no long one while a slot is free", "[simulation]",
                   RoundRobin, PowerOfTwoChoices, LeastLoaded) {
    for (const bool is_measured : {false, true}) {
        Farm<TestType> farm{4};
        farm.warm_up();
        if (is_measured) farm.call(TakeLong{});
        REQUIRE(farm.run_until_done(10s));
        farm.worst = {};
        farm.call(TakeLong{});
        farm.run(10ms);
        const std::size_t long_one = farm.submitted - farm.completed;
        REQUIRE(long_one == 1);
        int left = 500;
        std::function<void()> next = [&] {
            if (--left > 0) farm.call(Take{}, next);
        };
        farm.call(Take{}, next);
        farm.run(1s);
        CHECK(left == 0);
        CHECK(farm.worst <= 20ms);
        UNSCOPED_INFO("worst: " << std::chrono::duration_cast<std::chrono::microseconds>(farm.worst).count() << " us");
    }
}

TEMPLATE_TEST_CASE("short works that wait behind one that turns out to be long go elsewhere once a slave is free",
                   "[simulation]", RoundRobin, PowerOfTwoChoices, LeastLoaded) {
    for (int round = 0; round < 20; ++round) {
        Farm<TestType> farm{4};
        farm.warm_up();
        // One of the short ones takes two seconds this time; nobody knows which.
        int seen = 0;
        const int which = 1 + round * 2;
        for (sim::Host* host : farm.hosts)
            host->work_time([&](std::string_view, sim::Random&) -> sim::Duration {
                return ++seen == which ? sim::Duration{2s} : sim::Duration{20us};
            });
        for (int i = 0; i < 100; ++i) farm.call(Take{});
        farm.run(50ms);
        INFO("round " << round);
        CHECK(farm.completed == farm.submitted - 1);
        CHECK(farm.worst <= 50ms);
        CHECK(farm.run_until_done(10s));
        CHECK(farm.failed == 0);
        CHECK(seen == 100);  // each was executed once
    }
}

TEST_CASE("works that a slave got for its only slot are taken back for a slave that comes", "[simulation]") {
    Farm<> farm{1};
    farm.warm_up();
    farm.hosts[0]->work_time([](std::string_view, sim::Random&) -> sim::Duration { return 3s; });
    for (int i = 0; i < 20; ++i) farm.call(Take{});
    farm.run(1s);
    CHECK(farm.master->statistics().recalled == 0);  // nobody else is there
    farm.add_slave(4);
    farm.run(500ms);
    CHECK(farm.completed == farm.submitted - 1);
    CHECK(farm.master->statistics().recalled > 0);
    CHECK(farm.run_until_done(10s));
    CHECK(farm.failed == 0);
    CHECK(farm.master->statistics().attempts == farm.submitted + farm.master->statistics().recalled);
}

TEST_CASE("slots that works of an earlier session occupy are not offered to the next", "[simulation]") {
    Farm<> farm{1, 2};
    farm.warm_up();
    bool is_long = true;
    farm.hosts[0]->work_time([&](std::string_view, sim::Random&) -> sim::Duration {
        return is_long ? sim::Duration{5s} : sim::Duration{20us};
    });
    ++farm.submitted;
    farm.master->async_call(TakeLong{}, SubmitOptions{}.max_attempts(1), [&](const std::exception_ptr& error, int) {
        CHECK(error);
        ++farm.completed;
    });
    farm.run(100ms);
    const auto executor = farm.master->get_executor();  // named: g++ 14 takes the reference for one into a temporary
    const auto& master_host = sim::host_of(executor);
    farm.simulation().network().reset(master_host, *farm.hosts[0]);
    REQUIRE(farm.simulation().run_until([&] { return farm.completed == farm.submitted; }, 1s));
    farm.run(500ms);
    REQUIRE(farm.master->connected_slave_count() == 1);
    CHECK(farm.master->sockets()[0].slots == 2);
    CHECK(farm.master->sockets()[0].free_slots == 1);
    is_long = false;
    for (int i = 0; i < 10; ++i) farm.call(Take{});
    CHECK(farm.run_until_done(1s));
    CHECK(farm.worst < 100ms);
    farm.run(5s);
    CHECK(farm.master->sockets()[0].free_slots == 2);
}
