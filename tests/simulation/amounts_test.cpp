// Works that ask for amounts of what slaves have, in virtual time.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <distwork/sim/simulation.hpp>
#include <distwork/work_group.hpp>
#include <exception>
#include <functional>
#include <limits>
#include <map>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include "simulation/farm.hpp"
#include "support/catch.hpp"

using namespace distwork;
using namespace std::chrono_literals;

namespace amounts_test {

int same(int x) {
    return x;
}
std::vector<unsigned> gpus_of(Context& peer, int) {
    return peer.indices("gpu");
}

}  // namespace amounts_test

DISTWORK_REGISTER_FUNCTION(amounts_test::same)
DISTWORK_REGISTER_FUNCTION(amounts_test::gpus_of)

namespace amounts_test {

using farm::code_of;
using farm::Farm;

const std::map<std::string, double> two_gpus{{"gpu", 2}, {"memory_mb", 16'000}};

/// How long so many works take, in milliseconds.
double time_of(Farm& farm, int works, const SubmitOptions& how) {
    const auto begin = farm.now();
    WorkGroup<int> group{*farm.master};
    for (int i = 0; i != works; ++i)
        group.async_add<same>(i, how, [](const std::exception_ptr& error, std::size_t) { REQUIRE_FALSE(error); });
    group.close();
    for (const auto& outcome : farm.read_all(group)) REQUIRE(outcome);
    return std::chrono::duration<double, std::milli>(farm.now() - begin).count();
}

bool is_about(double time, double expected) {
    return time >= expected && time < expected + 60;
}

TEST_CASE("in simulation, works take no more at a time than their slave has") {
    Farm farm{0, 0};
    farm.work_time = 100ms;
    farm.add_slave(8, Reconnect::always, two_gpus);
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 1; }));
    CHECK(farm.master->sockets().front().amounts == two_gpus);

    CHECK(is_about(time_of(farm, 16, {}), 200));                                 // 8 slots
    CHECK(is_about(time_of(farm, 8, SubmitOptions{}.amount("gpu", 1)), 400));    // 2 at a time
    CHECK(is_about(time_of(farm, 8, SubmitOptions{}.amount("gpu", 0.5)), 200));  // 4
    CHECK(is_about(time_of(farm, 6, SubmitOptions{}.amount("gpu", 0.7)), 300));  // 2: 0.6 are left
    CHECK(is_about(time_of(farm, 8, SubmitOptions{}.amount("memory_mb", 4000)), 200));
    CHECK(is_about(time_of(farm, 8, SubmitOptions{}.amount("memory_mb", 100).amount("gpu", 2)), 800));
    CHECK(is_about(time_of(farm, 32, SubmitOptions{}.amount("gpu", 0.0001)), 400));  // slots limit it
    farm.check_counts();
}

TEST_CASE("in simulation, works that ask for more than any slave has wait, and say why") {
    Farm farm{0, 0};
    farm.add_slave(2, Reconnect::always, two_gpus);
    farm.add_slave(2);
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 2; }));
    std::exception_ptr failure;
    const auto call = [&](const SubmitOptions& how) {
        failure = nullptr;
        farm.master->async_call<same>(1, how, [&](const std::exception_ptr& error, int) { failure = error; });
    };
    call(SubmitOptions{}.amount("gpu", 2.5).queue_timeout(1s));
    REQUIRE(farm.run_until([&] { return failure != nullptr; }));
    CHECK(code_of(failure) == Errc::queue_timeout);
    try {
        std::rethrow_exception(failure);
    } catch (const Error& error) {
        CHECK(std::string{error.what()}.find("not so much of gpu at slave 0") != std::string::npos);
    }
    call(SubmitOptions{}.amount("tpu", 1).when_unavailable(WhenUnavailable::refuse));
    REQUIRE(farm.run_until([&] { return failure != nullptr; }));
    CHECK(code_of(failure) == Errc::no_slave);
    // It gets what it waits for when such a slave comes.
    int done = 0;
    farm.master->async_call<same>(1, SubmitOptions{}.amount("gpu", 2.5), [&](const std::exception_ptr& error, int) {
        REQUIRE_FALSE(error);
        ++done;
    });
    farm.run(2s);
    CHECK(done == 0);
    farm.add_slave(1, Reconnect::always, {{"gpu", 4}});
    CHECK(farm.run_until([&] { return done == 1; }, 5s));
}

TEST_CASE("in simulation, a work that asks for much is not kept waiting by works that ask for little") {
    Farm farm{0, 0};
    farm.add_slave(4, Reconnect::always, two_gpus);
    sim::Random random{5};
    farm.draw = [&] { return random.between(100ms, 300ms); };
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 1; }));
    bool goes_on = true;
    int little = 0;
    std::function<void()> add = [&] {
        farm.master->async_call<same>(1, SubmitOptions{}.amount("gpu", 0.5), [&](const std::exception_ptr&, int) {
            ++little;
            if (goes_on) add();
        });
    };
    for (int i = 0; i != 8; ++i) add();
    farm.run(1s);
    bool is_done = false;
    farm.master->async_call<same>(1, SubmitOptions{}.amount("gpu", 2), [&](const std::exception_ptr& error, int) {
        REQUIRE_FALSE(error);
        is_done = true;
    });
    CHECK(farm.run_until([&] { return is_done; }, 3s));
    const int before = little;
    farm.run(2s);
    CHECK(little > before + 20);  // and they go on then
    goes_on = false;
    farm.check_counts();
}

TEST_CASE("in simulation, a work that was cancelled keeps nothing free any more") {
    Farm farm{0, 0};
    farm.work_time = 200ms;
    farm.add_slave(4, Reconnect::always, two_gpus);
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 1; }));
    int little = 0;
    const auto add = [&](double amount) {
        farm.master->async_call<same>(1, SubmitOptions{}.amount("gpu", amount).deadline(100s),
                                      [&](const std::exception_ptr& error, int) {
                                          if (!error) ++little;
                                      });
    };
    for (int i = 0; i != 40; ++i) add(0.5);  // 2 s
    farm.run(10ms);
    bool has_failed = false;
    farm.master->async_call<same>(1, SubmitOptions{}.amount("gpu", 2).priority(1).deadline(1500ms),
                                  [&](const std::exception_ptr& error, int) { has_failed = error != nullptr; });
    CHECK(farm.run_until([&] { return little == 40; }, 5s));
    farm.check_counts();
}

TEST_CASE("in simulation, amounts come back when a slave is lost") {
    Farm farm{0, 0};
    farm.work_time = 500ms;
    auto& host = farm.add_slave(4, Reconnect::always, two_gpus);
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 1; }));
    int done = 0;
    for (int i = 0; i != 4; ++i)
        farm.master->async_call<same>(1, SubmitOptions{}.amount("gpu", 2), [&](const std::exception_ptr& error, int) {
            REQUIRE_FALSE(error);
            ++done;
        });
    farm.run(600ms);
    host.crash();
    farm.add_slave(4, Reconnect::always, two_gpus);
    CHECK(farm.run_until([&] { return done == 4; }, 60s));
}

TEST_CASE("amounts out of range are refused") {
    CHECK_THROWS_AS(SubmitOptions{}.amount("gpu", 0), Error);
    CHECK_THROWS_AS(SubmitOptions{}.amount("gpu", -1), Error);
    CHECK_THROWS_AS(SubmitOptions{}.amount("gpu", 1e13), Error);
    CHECK_THROWS_AS(SubmitOptions{}.amount("gpu", std::numeric_limits<double>::quiet_NaN()), Error);
    CHECK(SubmitOptions{}.amount("b", 1).amount("a", 0.5).amount("b", 2).amounts() ==
          std::vector<std::pair<std::string, std::uint64_t>>{{"a", 5000}, {"b", 20'000}});
}

TEST_CASE("in simulation, a work that waits for one slave keeps no other free") {
    Farm farm{0, 0};
    farm.add_slave(1, Reconnect::always, {{"gpu", 1}});
    farm.add_slave(1, Reconnect::always, {{"gpu", 1}});
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 2; }));
    const auto first = farm.master->sockets()[0].id;
    const auto second = farm.master->sockets()[1].id;
    int done = 0;
    const auto call = [&](const SubmitOptions& how) {
        farm.master->async_call<same>(1, SubmitOptions{how}.amount("gpu", 1),
                                      [&](const std::exception_ptr& error, int) { done += !error; });
    };
    farm.work_time = 600s;
    call(SubmitOptions{}.slave(second));
    farm.run(10ms);
    farm.work_time = 300ms;
    call(SubmitOptions{}.slave(second));
    farm.run(2s);
    for (int i = 0; i != 40; ++i) call(i % 2 == 0 ? SubmitOptions{}.slave(first) : SubmitOptions{});
    CHECK(farm.run_until([&] { return done == 40; }, 60s));
}

TEST_CASE("in simulation, a slave whose work takes long is not the only one that is kept free") {
    Farm farm{0, 0};
    farm.add_slave(4, Reconnect::always, two_gpus);
    farm.add_slave(4, Reconnect::always, two_gpus);
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 2; }));
    sim::Random random{5};
    farm.work_time = 600s;
    farm.master->async_call<same>(1, SubmitOptions{}.slave(farm.master->sockets()[0].id).amount("gpu", 1),
                                  [](const std::exception_ptr&, int) {});
    farm.run(10ms);
    farm.draw = [&] { return random.between(100ms, 300ms); };
    bool goes_on = true;
    std::function<void()> add = [&] {
        farm.master->async_call<same>(1, SubmitOptions{}.amount("gpu", 0.5), [&](const std::exception_ptr&, int) {
            if (goes_on) add();
        });
    };
    for (int i = 0; i != 12; ++i) add();
    farm.run(1s);
    bool is_done = false;
    farm.master->async_call<same>(1, SubmitOptions{}.amount("gpu", 2),
                                  [&](const std::exception_ptr& error, int) { is_done = !error; });
    CHECK(farm.run_until([&] { return is_done; }, 6s));
    goes_on = false;
}

TEST_CASE("in simulation, a work that no slave has enough for does not hold up those that ask for less") {
    Farm farm{0, 0};
    farm.work_time = 10ms;
    farm.add_slave(2, Reconnect::always, {{"memory_mb", 5000}});
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 1; }));
    int done = 0;
    for (const double amount : {6000.0, 4500.0, 7000.0, 5000.0, 4097.0})
        farm.master->async_call<same>(1, SubmitOptions{}.amount("memory_mb", amount).deadline(10s),
                                      [&](const std::exception_ptr& error, int) { done += !error; });
    CHECK(farm.run_until([&] { return done == 3; }, 2s));
    farm.check_counts();
}

TEST_CASE("in simulation, works that each ask for another amount cost no more than others") {
    Farm farm{0, 0};
    farm.work_time = 1ms;
    farm.add_slave(8, Reconnect::always, two_gpus);
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 1; }));
    WorkGroup<int> group{*farm.master};
    int made = 0;
    for (int i = 0; i != 3000; ++i)
        group.async_add<same>(i, SubmitOptions{}.amount("memory_mb", 3000 + i * 0.01),
                              [&](const std::exception_ptr& error, std::size_t) { made += !error; });
    group.close();
    CHECK(farm.read_all(group).size() == 3000);  // within the time limit of the test
    CHECK(made == 3000);
}

TEST_CASE("in simulation, a slave that comes back with a work of before gets none that asks for amounts") {
    Farm farm{0, 0};
    farm.work_time = 60s;
    auto& host = farm.add_slave(2, Reconnect::always, {{"gpu", 1}});
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 1; }));
    int done = 0;
    const auto begin = farm.now();
    for (int i = 0; i != 2; ++i)
        farm.master->async_call<same>(1, SubmitOptions{}.amount("gpu", 1),
                                      [&](const std::exception_ptr& error, int) { done += !error; });
    farm.run(1s);
    farm.cut(host);
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 1; }));
    farm.run(20s);
    REQUIRE(farm.master->sockets().size() == 1);
    CHECK(farm.master->sockets().front().in_flight == 0);
    CHECK(farm.run_until([&] { return done == 2; }, 300s));
    CHECK(farm.now() - begin >= 179s);  // one after the other, and the first one again
}

TEST_CASE("in simulation, a work sees which GPUs it was given") {
    Farm farm{0, 0};
    farm.work_time = 100ms;
    farm.add_slave(8, Reconnect::always, {{"disk", 3}, {"gpu", 4}, {"memory_mb", 16'000}}, {"gpu", "disk"});
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 1; }));
    const auto given = [&](int works, const SubmitOptions& how) {
        WorkGroup<std::vector<unsigned>> group{*farm.master};
        for (int i = 0; i != works; ++i)
            group.async_add<gpus_of>(i, how,
                                     [](const std::exception_ptr& error, std::size_t) { REQUIRE_FALSE(error); });
        group.close();
        std::vector<std::vector<unsigned>> all;
        for (auto& outcome : farm.read_all(group)) all.push_back(outcome.value());
        std::sort(all.begin(), all.end());
        return all;
    };
    using All = std::vector<std::vector<unsigned>>;
    CHECK(given(2, SubmitOptions{}.amount("gpu", 1)) == All{{0}, {1}});
    CHECK(given(4, SubmitOptions{}.amount("gpu", 0.5)) == All{{0}, {0}, {1}, {1}});
    CHECK(given(2, SubmitOptions{}.amount("gpu", 2).amount("disk", 1)) == All{{0, 1}, {2, 3}});
    CHECK(given(1, SubmitOptions{}.amount("gpu", 1.5)) == All{{0, 1}});
    CHECK(given(1, SubmitOptions{}.amount("memory_mb", 5)) == All{{}});
    CHECK(given(1, {}) == All{{}});
    // 0.6 of each of the four; then none is whole, and no other 0.6 is free, though 1.6 are in all.
    CHECK(given(4, SubmitOptions{}.amount("gpu", 0.6)) == All{{0}, {1}, {2}, {3}});
    CHECK(is_about(time_of(farm, 6, SubmitOptions{}.amount("gpu", 0.6)), 200));
    // With a time limit, which precedes the indices in the frame; and as a chunk.
    CHECK(given(1, SubmitOptions{}.amount("gpu", 1).execution_timeout(1s)) == All{{0}});
    farm.work_time = 10us;
    WorkGroup<std::vector<unsigned>> group{*farm.master};
    group.add_all<gpus_of>(std::views::iota(0, 1000), SubmitOptions{}.amount("gpu", 1));
    group.close();
    for (auto& outcome : farm.read_all(group)) REQUIRE(outcome.value().size() == 1);
    CHECK(farm.master->statistics().succeeded < 900);
    farm.check_counts();
}

}  // namespace amounts_test
