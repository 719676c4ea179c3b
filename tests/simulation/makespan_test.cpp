// How long whole jobs take beside the ideal, in virtual time.

#include <array>
#include <chrono>
#include <cstddef>
#include <distwork.hpp>
#include <distwork/sim/simulation.hpp>
#include <distwork/work_group.hpp>
#include <iostream>
#include <numeric>
#include <ranges>
#include <string>
#include <string_view>
#include <vector>

#include "simulation/farm.hpp"
#include "support/catch.hpp"

using namespace distwork;
using namespace std::chrono_literals;

namespace makespan_test {

int same(int x) {
    return x;
}

}  // namespace makespan_test

DISTWORK_REGISTER_FUNCTION(makespan_test::same)

namespace makespan_test {

using farm::Farm;

/// The time that a group of so many works takes, in seconds.
double time_of_group(Farm& farm, std::size_t works, GroupOptions options = {}) {
    const auto begin = farm.now();
    WorkGroup<int> group{*farm.master, options};
    group.add_all<same>(std::views::iota(0, static_cast<int>(works)));
    group.close();
    const auto all = farm.read_all(group);
    REQUIRE(all.size() == works);
    for (const auto& outcome : all) REQUIRE(outcome.value() == static_cast<int>(outcome.index));
    return std::chrono::duration<double>(farm.now() - begin).count();
}

TEST_CASE("in simulation, works of mixed length on four slaves take little longer than the ideal") {
    constexpr std::size_t works = 1000;
    Farm farm{4, 1};
    sim::Random random{11};
    double sum = 0;
    double longest = 0;
    farm.draw = [&] {
        const auto time = random.chance(0.9) ? random.between(200us, 40ms) : random.between(40ms, 56ms);
        const double seconds = std::chrono::duration<double>(time).count();
        sum += seconds;
        longest = std::max(longest, seconds);
        return time;
    };
    const double took = time_of_group(farm, works);
    const double ideal = sum / 4;
    REQUIRE(longest <= 0.01 * ideal);
    std::cout << "Makespan of " << works << " works of mixed length on 4 slaves: " << took / ideal
              << " x the ideal; the longest work is " << 100 * longest / ideal << " % of it\n";
    CHECK(took <= 1.05 * ideal);
}

/// One slave of four takes ten times as long for each work.
double time_with_slow_slave(double straggler_factor, double& ideal) {
    Farm farm{4, 1};
    farm.work_time = 50ms;
    farm.hosts[1]->work_time([](std::string_view, sim::Random&) { return 500ms; });
    constexpr std::size_t works = 100;
    ideal = works * 0.050 / 3.1;
    GroupOptions options;
    options.straggler_factor = straggler_factor;
    return time_of_group(farm, works, options);
}

TEST_CASE("in simulation, a slave that is ten times slower does not hold up a group that looks for stragglers") {
    double ideal = 0;
    const double with = time_with_slow_slave(2, ideal);
    const double without = time_with_slow_slave(0, ideal);
    std::cout << "One slave of four ten times slower: " << with / ideal << " x the ideal with straggler_factor(2), "
              << without / ideal << " x without\n";
    CHECK(with <= 1.3 * ideal);
    CHECK(with < without);
}

TEST_CASE("in simulation, the second copy of a work wins, and the first is cancelled") {
    Farm farm{2, 1};
    farm.work_time = 30ms;
    farm.hosts[1]->work_time([](std::string_view, sim::Random&) { return 100s; });
    GroupOptions options;
    options.straggler_factor = 3;
    WorkGroup<int> group{*farm.master, options};
    group.add_all<same>(std::views::iota(0, 10));
    group.close();
    const auto begin = farm.now();
    const auto all = farm.read_all(group);
    CHECK(farm.now() - begin < 2s);
    REQUIRE(all.size() == 10);
    for (const auto& outcome : all) {
        CHECK(outcome.value() == static_cast<int>(outcome.index));
        CHECK(outcome.slave == "slave 0");
        CHECK(outcome.executed < 1s);
    }
    CHECK(group.progress().doubled == 1);
    farm.check_counts();  // the slow slave was told to stop: its work has ended, too
}

TEST_CASE("in simulation, works that may be executed only once, or only at one slave, have no second copy") {
    Farm farm{2, 1};
    farm.work_time = 30ms;
    farm.hosts[1]->work_time([](std::string_view, sim::Random&) { return 3s; });
    GroupOptions options;
    options.straggler_factor = 3;
    for (const bool is_pinned : {false, true}) {
        WorkGroup<int> group{*farm.master, options};
        SubmitOptions how;
        if (is_pinned) how.slave(farm.master->sockets()[1].id);
        else how.max_attempts(1);
        group.add_all<same>(std::views::iota(0, 4), how);
        group.close();
        CHECK(farm.read_all(group).size() == 4);
        CHECK(group.progress().doubled == 0);
    }
    CHECK_THROWS_AS((WorkGroup<int>{*farm.master, {.straggler_factor = 0.5}}), Error);
}

}  // namespace makespan_test
