// A factory's decisions under an engine that lies, forgets, delays, refuses and cannot be reached, in virtual time.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "simulation/factory_storm.hpp"
#include "support/catch.hpp"

namespace factory_storm {

namespace {

#ifdef __OPTIMIZE__
constexpr std::uint64_t seeds = 10'000;
#else
constexpr std::uint64_t seeds = 2'500;
#endif

/// A day with an engine that says the same of each allocation until that is cancelled, and never brings a slave. Empty: it
/// refuses each. Returns how often allocations were started, or refused.
std::size_t starts_in_a_day(FactoryPlan& plan, std::optional<TicketState> state) {
    std::size_t starts = 0;
    std::set<std::string> cancelled;
    TimePoint now{1h};
    for (const auto end = now + 24h; now < end; now += 5s) {
        const FactoryActions actions = plan.next(now, {.works = 100, .worth = 100h}, {});
        for (const Ticket& ticket : actions.cancel) cancelled.insert(ticket.id());
        if (actions.is_dry_run && state) {
            plan.would_start();
        } else if (actions.start != 0) {
            starts += actions.start;
            if (state) plan.started(now, {Ticket{std::to_string(starts)}});
            else plan.refused(now, "no");
        }
        if (actions.ask.empty()) continue;
        std::vector<TicketStatus> statuses;
        for (const Ticket& ticket : actions.ask)
            statuses.push_back({ticket, cancelled.count(ticket.id()) != 0 ? TicketState::ended : *state});
        plan.told(now, statuses);
    }
    return starts;
}

/// A factory with an engine that does what it should.
struct FairWeather {
    FairWeather(std::size_t slots, std::chrono::nanoseconds duration) : engine{random, slots, duration} {}

    void step() {
        now += 1s;
        engine.step(now);
        const FactoryDemand demand{.works = engine.waiting, .worth = engine.duration() * engine.waiting};
        const FactoryActions actions = plan.next(now, demand, engine.slaves());
        for (const std::uint64_t slave : actions.drain) engine.drain(slave);
        for (const Ticket& ticket : actions.cancel) engine.cancel(now, ticket);
        if (actions.is_dry_run) plan.would_start();
        else if (actions.start != 0) plan.started(now, engine.start(now, actions.start));
        if (!actions.ask.empty()) plan.told(now, engine.status(now, actions.ask));
        most = std::max(most, engine.slaves().size());
    }

    Random random{1};
    LyingEngine engine;
    FactoryPlan plan{FactoryOptions{}};
    TimePoint now{1h};
    std::size_t most = 0;  // slaves
};

}  // namespace

TEST_CASE("a factory grows for 20,000 works, and shrinks to nothing", "[simulation]") {
    FairWeather farm{2, 5s};
    farm.engine.waiting = 20'000;
    const TimePoint begin = farm.now;
    while (farm.engine.waiting + farm.engine.under_way() != 0) farm.step();
    const auto time = farm.now - begin;
    CHECK(time < 1.3 * 20'000 * 5s / 32);
    CHECK(farm.most == 16);
    CHECK(farm.engine.jobs.size() == 16);  // none in vain
    for (int i = 0; i < 400; ++i) farm.step();
    CHECK(farm.plan.allocations().empty());
    CHECK(farm.engine.slaves().empty());
}

TEST_CASE("a factory keeps one slave for short works that come now and then", "[simulation]") {
    FairWeather farm{2, 100ms};
    for (int i = 0; i < 3'600; ++i) {
        if (i % 200 == 0) farm.engine.waiting += 100;
        farm.step();
    }
    CHECK(farm.engine.waiting == 0);
    CHECK(farm.engine.jobs.size() == 1);
}

TEST_CASE("a factory starts a slave for each long work, though others are busy for long", "[simulation]") {
    FairWeather farm{1, 2h};
    for (int i = 0; i < 3'600; ++i) {
        if (i % 300 == 0 && i < 3'000) ++farm.engine.waiting;
        farm.step();
    }
    CHECK(farm.engine.waiting == 0);
    CHECK(farm.engine.jobs.size() == 10);
}

TEST_CASE("a factory keeps its rules and has all works done for every seed", "[simulation]") {
    std::map<std::string, std::size_t> reached;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        INFO("seed " << seed);
        FactoryStorm storm{seed};
        REQUIRE(storm.run() == "");
        for (const auto& [what, count] : storm.reached()) reached[what] += count;
    }
    for (const auto& [what, count] : reached) std::cout << "  " << what << ' ' << count << '\n';
    for (const char* const what :
         {"start", "started after the stop", "paused by refusals", "paused by early ends", "unreachable",
          "told of a connected one", "forgotten, queued", "forgotten, running", "a cancelled one is over",
          "a cancelled one is connected", "taken for over, and connected", "alone for too long", "excess", "let go"}) {
        INFO("this was never reached: " << what);
        CHECK(reached[what] != 0);
    }
}

TEST_CASE("each bug that is planted into a factory's decisions is found", "[simulation]") {
    struct Unplanted {
        ~Unplanted() { test::planted = test::Bug::none; }
    } unplanted;
    for (std::size_t bug = test::first_factory_bug; bug < test::bug_names.size(); ++bug) {
        test::planted = static_cast<test::Bug>(bug);
        std::string wrong;
        std::uint64_t seed = 0;
        while (wrong.empty() && seed < seeds) wrong = FactoryStorm{++seed}.run();
        std::cout << test::bug_names[bug] << ": seed " << seed << ": " << wrong << '\n';
        INFO(test::bug_names[bug]);
        CHECK_FALSE(wrong.empty());
    }
}

TEST_CASE("a factory whose allocations never bring a slave pauses soon", "[simulation]") {
    const auto check = [](std::optional<TicketState> state, std::size_t starts, bool is_paused) {
        FactoryPlan plan{FactoryOptions{}};
        CHECK(starts_in_a_day(plan, state) == starts);
        CHECK(plan.is_paused() == is_paused);
    };
    check(std::nullopt, 10, true);
    check(TicketState::failed, 3, true);
    check(TicketState::ended, 3, true);
    check(TicketState::unknown, 3, true);
    check(TicketState::running, 5, true);  // three at a time, until three of them are late
    check(TicketState::queued, 1, false);
}

}  // namespace factory_storm
