// A factory with a whole master, in virtual time: its slaves come, work, and leave.

#include <chrono>
#include <cstddef>
#include <distwork.hpp>
#include <distwork/factory.hpp>
#include <distwork/sim/simulation.hpp>
#include <distwork/work_group.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "simulation/roles.hpp"
#include "support/catch.hpp"

namespace factory_farm_test {

int work(int number) {
    return number;
}

}  // namespace factory_farm_test

DISTWORK_REGISTER_FUNCTION(factory_farm_test::work)

namespace factory_farm_test {

using namespace distwork;
using namespace std::chrono_literals;

namespace {

using SimMaster = Master<RoundRobin, sim::Transport>;

/// Places each slave on a machine of its own, after a while.
class Cluster final : public Engine {
public:
    explicit Cluster(sim::Simulation& simulation) : simulation_{simulation} {}

    std::vector<Ticket> start(std::size_t count) override {
        if (refuses) throw SubmissionRefused{"you are not of the account \"physics\""};
        std::vector<Ticket> tickets;
        for (std::size_t i = 0; i < count; ++i) {
            const std::string id = std::to_string(++last_);
            jobs_[id] = {};
            tickets.emplace_back(id);
            simulation_.after(wait, [this, id] { place(id); });
        }
        most = std::max(most, jobs_.size());
        return tickets;
    }
    std::vector<TicketStatus> status(const std::vector<Ticket>& tickets) override {
        std::vector<TicketStatus> answer;
        for (const Ticket& ticket : tickets)
            if (const auto job = jobs_.find(ticket.id()); job != jobs_.end())
                answer.push_back({ticket, job->second ? TicketState::running : TicketState::queued});
            else answer.push_back({ticket, TicketState::ended});
        return answer;
    }
    void cancel(const Ticket& ticket) override { end(ticket.id()); }

    /// The machine of one of them fails.
    void kill_one() {
        for (const auto& [id, host] : jobs_)
            if (host) return host->crash(), end(id);
    }

    std::size_t left() const { return jobs_.size(); }
    std::uint64_t started() const { return last_; }

    sim::Duration wait = 5s;
    sim::Duration work_time = 10s;
    std::uint16_t port = 0;
    std::string master;
    bool refuses = false;
    std::size_t most = 0;

private:
    void place(const std::string& id) {
        const auto job = jobs_.find(id);
        if (job == jobs_.end()) return;  // it was cancelled
        sim::Host& host = simulation_.add_host("node" + id);
        host.work_time([this](std::string_view, sim::Random&) { return work_time; });
        job->second = &host;
        SlaveOptions options;
        options.name = id + "@node";
        options.slots = 2;
        options.reconnect = Reconnect::until_bye;
        auto& slave = host.make<Slave<sim::Transport>>(host.transport(), master, port, options);
        slave.async_run([this, id](const std::exception_ptr&) { end(id); });
    }
    void end(const std::string& id) { jobs_.erase(id); }

    sim::Simulation& simulation_;
    std::map<std::string, sim::Host*> jobs_;  // null: it is queued
    std::uint64_t last_ = 0;
};

struct Scene {
    explicit Scene(FactoryOptions options = {}) {
        sim::Host& host = simulation.add_host("master");
        MasterOptions listens;
        listens.address = host.address();
        listens.log = NoLog{};
        master = &host.make<SimMaster>(host.transport(), listens);
        master->start();
        engine->master = host.address();
        engine->port = master->local_endpoint().port();
        options.log = [this](LogLevel, std::string_view line) { log.append(line).push_back('\n'); };
        core.emplace(detail::PartsOf::core(*master), engine, std::move(options));
        step();
    }
    void step() {
        while (core->step()) {
        }
        simulation.after(1s, [this] { step(); });
    }
    template <class Condition>
    bool run_until(Condition condition, sim::Duration within = 100'000s) {
        return simulation.run_until(condition, within);
    }

    sim::Simulation simulation{1};
    std::shared_ptr<Cluster> engine = std::make_shared<Cluster>(simulation);
    SimMaster* master = nullptr;
    std::string log;
    std::optional<detail::FactoryCore> core;
};

}  // namespace

TEST_CASE("in simulation, a factory's slaves come for what waits, and leave when nothing does") {
    Scene scene{{.max = 10, .most_starts = 100}};
    scene.simulation.run_for(600s);
    CHECK(scene.engine->started() == 0);
    std::size_t done = 0;
    for (int i = 0; i < 1000; ++i) scene.master->async_call<work>(i, [&](const std::exception_ptr&, int) { ++done; });
    REQUIRE(scene.run_until([&] { return done == 1000; }));
    CHECK(scene.engine->most <= 10);
    CHECK(scene.engine->most >= 8);
    CHECK(scene.master->statistics().attempts == 1000);
    REQUIRE(scene.run_until([&] { return scene.engine->left() == 0; }));
    CHECK(scene.engine->started() <= 10);
    CHECK(scene.master->connected_slave_count() == 0);
    scene.simulation.run_for(2s);
    CHECK(scene.core->state().connected == 0);
}

TEST_CASE("in simulation, a factory counts what a group has not made yet, and replaces what dies") {
    Scene scene{{.max = 20, .most_starts = 100}};
    std::vector<int> numbers(5000);
    WorkGroup<int> group{*scene.master};
    group.add_all<work>(numbers);
    group.close();
    std::size_t read = 0;
    std::function<void()> next = [&] {
        group.async_next([&](const std::exception_ptr&, std::optional<Outcome<int>> outcome) {
            if (!outcome) return;
            CHECK_FALSE(outcome->error);
            ++read;
            next();
        });
    };
    next();
    for (int i = 1; i <= 20; ++i) scene.simulation.after(100s * i, [&] { scene.engine->kill_one(); });
    REQUIRE(scene.run_until([&] { return read == 5000; }));
    CHECK(scene.engine->most <= 20);
    CHECK(scene.engine->most >= 18);
    REQUIRE(scene.run_until([&] { return scene.engine->left() == 0; }));
}

TEST_CASE("in simulation, nothing is started for works that the factory's slaves could not take") {
    Scene scene{{.labels = {"cpu"}, .amounts = {{"memory_mb", 4000.0}}}};
    const auto call = [&](SubmitOptions options) {
        scene.master->async_call<work>(1, std::move(options), [](const std::exception_ptr&, int) {});
    };
    call(SubmitOptions{}.label("gpu"));
    call(SubmitOptions{}.amount("memory_mb", 5000));
    call(SubmitOptions{}.amount("gpu", 1));
    scene.simulation.run_for(3600s);
    CHECK(scene.engine->started() == 0);
    call(SubmitOptions{}.label("cpu").amount("memory_mb", 4000));
    scene.simulation.run_for(10s);
    CHECK(scene.engine->started() == 1);
}

TEST_CASE("in simulation, a factory that is refused says so in the engine's words, and pauses") {
    Scene scene;
    scene.engine->refuses = true;
    scene.master->async_call<work>(1, [](const std::exception_ptr&, int) {});
    REQUIRE(scene.run_until([&] { return !scene.core->state().why_paused.empty(); }));
    CHECK(scene.core->state().why_paused.find("you are not of the account") != std::string::npos);
    CHECK(scene.log.find("you are not of the account") != std::string::npos);
    scene.engine->refuses = false;
    scene.simulation.run_for(7200s);
    CHECK(scene.engine->started() == 0);
    scene.core->resume();
    REQUIRE(scene.run_until([&] { return scene.master->statistics().succeeded == 1; }));
}

TEST_CASE("in simulation, a factory that ends cancels what it has") {
    Scene scene{{.min = 3, .most_queued = 3}};
    REQUIRE(scene.run_until([&] { return scene.master->connected_slave_count() == 3; }));
    scene.core->end();
    CHECK(scene.engine->left() == 0);
}

}  // namespace factory_farm_test
