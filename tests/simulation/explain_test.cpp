// What a master says of a work that waits, and of a slave that went.

#include <chrono>
#include <distwork.hpp>
#include <distwork/explanation.hpp>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "simulation/farm.hpp"
#include "support/catch.hpp"

namespace explain_test {

int work(int number) {
    return number;
}

}  // namespace explain_test

DISTWORK_REGISTER_FUNCTION(explain_test::work)

namespace explain_test {

using namespace distwork;
using namespace std::chrono_literals;
using farm::Farm;

namespace {

template <class Then = void (*)(const std::exception_ptr&, int)>
void call(
    Farm& farm, SubmitOptions options, Then then = [](const std::exception_ptr&, int) {}) {
    farm.master->async_call<work>(1, std::move(options), then);
}

Obstacle obstacle(const Explanation& explanation, std::string_view slave) {
    for (const auto& each : explanation.slaves)
        if (each.name == slave) return each.obstacle;
    throw std::runtime_error{"it is not named"};
}

}  // namespace

TEST_CASE("in simulation, a master says of a work that waits what stands between it and each slave") {
    Farm farm{0, 1};
    farm.work_time = 100s;
    CHECK(farm.master->explain("render").empty());
    call(farm, SubmitOptions{}.name("render"));
    call(farm, SubmitOptions{}.name("render"));
    auto all = farm.master->explain("render");
    REQUIRE(all.size() == 1);
    CHECK(all[0].reason == WaitReason::no_slave);
    CHECK(all[0].alike == 2);
    CHECK(all[0].slaves.empty());
    CHECK(all[0].text() == "render waits: no slave is connected");
    CHECK(farm.master->explain("another").empty());

    farm.add_slave(1);
    farm.add_slave(1, Reconnect::always, {{"gpu", 1}});
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 2; }));
    farm.run(1s);
    CHECK(farm.master->explain("render").empty());  // both are sent
    call(farm, SubmitOptions{}.name("render"));
    call(farm, SubmitOptions{}.name("train").amount("gpu", 2));
    call(farm, SubmitOptions{}.name("paint").label("printer"));
    call(farm, SubmitOptions{}.name("own").slave(1));
    farm.run(1s);
    all = farm.master->explain("render");
    REQUIRE(all.size() == 1);
    CHECK(all[0].reason == WaitReason::no_credit);
    CHECK(obstacle(all[0], "slave 0") == Obstacle::busy);
    CHECK(obstacle(all[0], "slave 1") == Obstacle::busy);
    CHECK(all[0].text() == "render waits: the slaves that can take it are busy: slave 0 is busy; slave 1 is busy");
    CHECK(all[0].text(1) == "render waits: the slaves that can take it are busy: slave 0 is busy; and 1 more");
    all = farm.master->explain("train");
    REQUIRE(all.size() == 1);
    CHECK(all[0].reason == WaitReason::no_capable);
    CHECK(obstacle(all[0], "slave 0") == Obstacle::too_little);
    CHECK(obstacle(all[0], "slave 1") == Obstacle::too_little);
    all = farm.master->explain("paint");
    REQUIRE(all.size() == 1);
    CHECK(obstacle(all[0], "slave 0") == Obstacle::label_missing);
    all = farm.master->explain("own");
    REQUIRE(all.size() == 1);
    CHECK(obstacle(all[0], "slave 0") == Obstacle::busy);
    CHECK(obstacle(all[0], "slave 1") == Obstacle::other_slave);
}

TEST_CASE("in simulation, a master says which slaves drain, and whose amounts are taken") {
    Farm farm{0, 1};
    farm.work_time = 100s;
    farm.add_slave(2, Reconnect::always, {{"gpu", 1}});
    farm.add_slave(1, Reconnect::always, {{"gpu", 1}});
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 2; }));
    const auto sockets = farm.master->sockets();
    call(farm, SubmitOptions{}.slave(sockets[0].id).amount("gpu", 1));
    call(farm, SubmitOptions{}.slave(sockets[1].id));
    farm.run(1s);
    farm.master->async_drain(sockets[1].id, [](const std::exception_ptr&) {});
    call(farm, SubmitOptions{}.name("train").amount("gpu", 0.5));
    farm.run(500ms);
    const auto all = farm.master->explain("train");
    REQUIRE(all.size() == 1);
    CHECK(all[0].reason == WaitReason::no_credit);
    CHECK(obstacle(all[0], sockets[0].name) == Obstacle::amount_taken);
    CHECK(obstacle(all[0], sockets[1].name) == Obstacle::draining);
}

TEST_CASE("in simulation, a master remembers the last slaves that went, and why") {
    Farm farm{1, 1};
    CHECK(farm.master->departures().empty());
    const auto id = farm.master->sockets().front().id;
    farm.cut(*farm.hosts.front());
    REQUIRE(farm.run_until([&] { return !farm.master->departures().empty(); }));
    const auto gone = farm.master->departures();
    REQUIRE(gone.size() == 1);
    CHECK(gone[0].id == id);
    CHECK(gone[0].name == "slave 0");
    CHECK_FALSE(gone[0].reason.empty());
    CHECK(gone[0].when <= farm.now());
    for (int i = 0; i < 150; ++i) {
        REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 1; }));
        farm.cut(*farm.hosts.front());
        REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 0; }));
    }
    CHECK(farm.master->departures().size() == 100);
    CHECK(farm.master->departures().front().id < farm.master->departures().back().id);
}

}  // namespace explain_test
