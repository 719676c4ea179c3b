// One slave among others: works for it alone, and how it is let go. In virtual time.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <distwork/on_start.hpp>
#include <distwork/work_group.hpp>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "simulation/farm.hpp"

namespace slaves_test {

using namespace distwork;
using namespace std::chrono_literals;
using farm::code_of;
using farm::Farm;

int throws_left = 0;
int next_of(int x) {
    if (throws_left != 0 && throws_left-- != 0) throw std::runtime_error{"once more"};
    return x + 1;
}

}  // namespace slaves_test

DISTWORK_REGISTER_FUNCTION(slaves_test::next_of)

namespace slaves_test {

/// Calls under way, and what became of them.
struct Calls {
    explicit Calls(Farm& of) : farm{of} {}

    void begin(int count, const SubmitOptions& options = SubmitOptions{}) {
        for (int i = 0; i < count; ++i)
            farm.master->async_call<next_of>(i, options, [this](const std::exception_ptr& error, int) {
                ++(error ? failed : succeeded);
                if (error) failure = error;
            });
    }
    bool run(int count) {
        return farm.run_until([&] { return succeeded + failed == count; });
    }

    Farm& farm;
    int succeeded = 0;
    int failed = 0;
    std::exception_ptr failure;
};

TEST_CASE("in simulation, a work for one slave goes to it alone, and waits for it") {
    Farm farm{3, 1};
    farm.work_time = 10ms;
    const auto chosen = farm.master->sockets()[1].id;
    Calls calls{farm};
    calls.begin(20, SubmitOptions{}.slave(chosen));
    REQUIRE(calls.run(20));
    CHECK(calls.succeeded == 20);
    for (const auto& socket : farm.master->sockets()) CHECK(socket.completed == (socket.id == chosen ? 20u : 0u));
    farm.check_counts();
}

TEST_CASE("in simulation, a work for a slave that is not there is lost, and so is one whose slave leaves") {
    Farm farm{2, 1};
    Calls calls{farm};
    calls.begin(1, SubmitOptions{}.slave(4711));
    REQUIRE(calls.run(1));
    CHECK(code_of(calls.failure) == Errc::lost);

    farm.work_time = 1s;
    const auto chosen = farm.master->sockets()[0].id;
    calls.begin(5, SubmitOptions{}.slave(chosen));
    farm.run(1500ms);
    CHECK(calls.succeeded == 1);
    farm.hosts[0]->crash();
    REQUIRE(calls.run(6));
    CHECK(calls.succeeded == 1);
    CHECK(code_of(calls.failure) == Errc::lost);
    farm.check_counts();
}

TEST_CASE("in simulation, a work for one slave is retried there, and is lost if that leaves during the pause") {
    Farm farm{2, 1};
    const auto chosen = farm.master->sockets()[0].id;
    const auto options = SubmitOptions{}.slave(chosen).retry_on_error(
        RetryPolicy{5, std::chrono::milliseconds{10'000}, std::chrono::milliseconds{10'000}});
    throws_left = 1;
    Calls calls{farm};
    calls.begin(1, options);
    REQUIRE(calls.run(1));
    CHECK(calls.succeeded == 1);
    CHECK(farm.master->statistics().retries == 1);

    throws_left = 1;
    calls.begin(1, options);
    REQUIRE(farm.run_until([&] { return farm.master->statistics().retries == 2; }));
    farm.hosts[0]->crash();
    REQUIRE(calls.run(2));
    throws_left = 0;
    CHECK(code_of(calls.failure) == Errc::lost);
    farm.check_counts();
}

TEST_CASE("in simulation, a broadcast to one slave has one outcome") {
    Farm farm{3, 1};
    const auto chosen = farm.master->sockets()[2].id;
    std::optional<std::vector<Outcome<int>>> outcomes;
    farm.master->async_broadcast_work(
        FunctionWork<next_of>{{1}}, SubmitOptions{}.slave(chosen),
        [&](const std::exception_ptr&, std::vector<Outcome<int>> all) { outcomes = all; });
    REQUIRE(farm.run_until([&] { return outcomes.has_value(); }));
    REQUIRE(outcomes->size() == 1);
    CHECK(outcomes->front().socket == chosen);
}

TEST_CASE("in simulation, a slave that is drained finishes what it holds, and leaves for good") {
    Farm farm{1, 2};
    farm.add_slave(2, Reconnect::until_bye);
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 2; }));
    farm.work_time = 1s;
    Calls calls{farm};
    calls.begin(40);
    farm.run(500ms);
    const auto leaving = farm.master->sockets()[1].id;
    int left = 0;
    for (int i = 0; i < 2; ++i)
        farm.master->async_drain(leaving, [&](const std::exception_ptr& error) { left += !error; });
    farm.run(100ms);
    CHECK(left == 0);
    CHECK(farm.master->sockets()[1].draining);
    REQUIRE(farm.run_until([&] { return left == 2; }));
    CHECK(calls.succeeded == 4);
    CHECK(farm.master->connected_slave_count() == 1);
    REQUIRE(farm.run_until([&] { return farm.ended == 1; }));
    CHECK(farm.failed == 0);
    REQUIRE(calls.run(40));
    CHECK(calls.failed == 0);
    CHECK(farm.master->statistics().requeued == 0);
    CHECK(farm.master->statistics().attempts == 40);
    farm.master->async_drain(leaving, [&](const std::exception_ptr& error) { left += !error; });
    REQUIRE(farm.run_until([&] { return left == 3; }));
    farm.check_counts();
}

TEST_CASE("in simulation, an idle slave that is drained leaves at once, and one that always connects comes back") {
    Farm farm{2, 1};
    const auto leaving = farm.master->sockets()[0].id;
    bool left = false;
    farm.master->async_drain(leaving, [&](const std::exception_ptr& error) { left = !error; });
    REQUIRE(farm.run_until([&] { return left; }, 1s));
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 2; }));
    CHECK(farm.ended == 0);
    for (const auto& socket : farm.master->sockets()) CHECK(socket.id != leaving);
}

TEST_CASE("in simulation, a slave that is disconnected leaves at once, and its works go elsewhere") {
    Farm farm{1, 1};
    farm.add_slave(1, Reconnect::until_bye);
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 2; }));
    farm.work_time = 1s;
    Calls calls{farm};
    calls.begin(4);
    farm.run(500ms);
    CHECK_FALSE(farm.master->disconnect(4711));
    CHECK(farm.master->disconnect(farm.master->sockets()[1].id));
    REQUIRE(farm.run_until([&] { return farm.ended == 1; }, 1s));
    CHECK(farm.failed == 0);
    REQUIRE(calls.run(4));
    CHECK(calls.succeeded == 4);
    CHECK(farm.master->statistics().requeued == 1);
    farm.check_counts();
}

}  // namespace slaves_test

namespace slaves_test {

/// What an on_start function leaves at a slave. It can be neither copied nor sent.
struct Model {
    explicit Model(int given) : value{given} { ++alive; }
    Model(const Model&) = delete;
    ~Model() { --alive; }
    static inline int alive = 0;
    int value;
};

int starts = 0;
int failing_starts = 0;
std::vector<std::string> order;

Model load(int value) {
    ++starts;
    if (failing_starts != 0 && failing_starts-- != 0) throw std::runtime_error{"no such model"};
    order.push_back("load");
    return Model{value};
}
void warm_up(Context& peer, const std::string& how) {
    order.push_back(how + std::to_string(peer.local<Model>().value));
}
int model_value(Context& peer) {
    order.push_back("work");
    return peer.local<Model>().value;
}

}  // namespace slaves_test

DISTWORK_REGISTER_START(slaves_test::load)
DISTWORK_REGISTER_START(slaves_test::warm_up)
DISTWORK_REGISTER_FUNCTION(slaves_test::model_value)

namespace slaves_test {

/// How many calls of model_value have this outcome: a value, or an error if it is 0.
int count_values(Farm& farm, int calls, int value) {
    int done = 0;
    int right = 0;
    for (int i = 0; i < calls; ++i)
        farm.master->async_call<model_value>([&](const std::exception_ptr& error, int got) {
            ++done;
            right += error ? value == 0 : got == value;
        });
    REQUIRE(farm.run_until([&] { return done == calls; }));
    return right;
}

TEST_CASE("in simulation, each slave starts before it gets works, also one that connects later, or again") {
    starts = 0;
    order.clear();
    Farm farm{2, 2};
    farm.work_time = 10ms;
    on_start<load>(*farm.master, 42);
    on_start<warm_up>(*farm.master, "warm");
    CHECK(count_values(farm, 20, 42) == 20);
    CHECK(starts == 2);
    CHECK(Model::alive == 2);
    farm.add_slave(1);
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 3; }));
    CHECK(count_values(farm, 30, 42) == 30);
    CHECK(starts == 3);
    for (const auto& socket : farm.master->sockets()) CHECK(socket.completed > 2);
    CHECK(std::count(order.begin(), order.end(), "warm42") == 3);

    CHECK(farm.master->disconnect(farm.master->sockets()[0].id));
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 2; }));
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 3; }));
    CHECK(count_values(farm, 30, 42) == 30);
    CHECK(starts == 4);
    CHECK(Model::alive == 3);
}

TEST_CASE("in simulation, works wait for the start of a slave, and what was sent before does not") {
    starts = 0;
    order.clear();
    Farm farm{1, 2};
    CHECK(count_values(farm, 3, 0) == 3);
    order.clear();
    farm.work_time = 1s;
    on_start<load>(*farm.master, 7);
    const auto socket = farm.master->sockets().front();
    CHECK(socket.starting);
    CHECK(count_values(farm, 4, 7) == 4);
    CHECK(order.front() == "load");
    CHECK_FALSE(farm.master->sockets().front().starting);
}

TEST_CASE("in simulation, a slave that fails to start is told to leave, and tries again") {
    starts = 0;
    failing_starts = 2;
    Farm farm{1, 1};
    on_start<load>(*farm.master, 5);
    CHECK(count_values(farm, 5, 5) == 5);
    CHECK(starts == 3);
    farm.check_counts();
}

TEST_CASE("in simulation, a slave that ends with the bye of its master ends when it fails to start") {
    failing_starts = 1;
    Farm farm{0, 1};
    on_start<load>(*farm.master, 5);
    farm.add_slave(1, Reconnect::never);
    REQUIRE(farm.run_until([&] { return farm.ended == 1; }));
    CHECK(farm.master->connected_slave_count() == 0);
    failing_starts = 0;
}

TEST_CASE("in simulation, a broadcast waits for the start of a slave") {
    Farm farm{2, 1};
    farm.work_time = 10ms;
    on_start<load>(*farm.master, 3);
    std::optional<std::vector<Outcome<int>>> outcomes;
    farm.master->async_broadcast_work(
        FunctionWork<model_value>{}, [&](const std::exception_ptr&, std::vector<Outcome<int>> all) { outcomes = all; });
    REQUIRE(farm.run_until([&] { return outcomes.has_value(); }));
    REQUIRE(outcomes->size() == 2);
    for (const auto& outcome : *outcomes) CHECK(outcome.value() == 3);
}

/// How often a work with a key was executed by another slave than the work before it with this key.
int moves(Farm& farm, bool with_keys) {
    constexpr int keys = 20;
    WorkGroup<int> group{*farm.master};
    for (int i = 0; i != 1000; ++i) {
        SubmitOptions how;
        if (with_keys) how.affinity("file " + std::to_string(i % keys));
        group.async_add<next_of>(i, how, [](const std::exception_ptr& error, std::size_t) { REQUIRE_FALSE(error); });
    }
    group.close();
    auto all = farm.read_all(group);
    REQUIRE(all.size() == 1000);
    std::vector<std::uint64_t> latest(keys);
    int count = 0;
    for (const auto& outcome : all) {
        auto& before = latest[outcome.index % keys];
        if (before != 0 && before != outcome.socket) ++count;
        before = outcome.socket;
    }
    return count;
}

TEST_CASE("in simulation, works with a key go to the slave that had it last") {
    Farm with{4, 1};
    Farm without{4, 1};
    sim::Random random{3};
    with.draw = without.draw = [&] { return random.between(1ms, 20ms); };
    const int kept = moves(with, true);
    const int lost = moves(without, false);
    CHECK(kept < 150);
    CHECK(lost > 500);
}

TEST_CASE("in simulation, a key keeps no slave idle, and no other work waiting for ever") {
    Farm farm{2, 1};
    farm.work_time = 10ms;
    Calls calls{farm};
    Calls others{farm};
    // All works have one key: the slave that does not have it takes some nevertheless.
    calls.begin(100, SubmitOptions{}.affinity("one"));
    CHECK(farm.run_until([&] { return calls.succeeded == 100; }, 600ms));
    // Works with keys that are added again and again do not keep others from their turn.
    bool goes_on = true;
    std::function<void()> add = [&] {
        farm.master->async_call<next_of>(1, SubmitOptions{}.affinity("one"), [&](const std::exception_ptr&, int) {
            if (goes_on) add();
        });
    };
    for (int i = 0; i != 50; ++i) add();
    others.begin(20);
    CHECK(farm.run_until([&] { return others.succeeded == 20; }, 10s));
    goes_on = false;
    farm.check_counts();
}

}  // namespace slaves_test
