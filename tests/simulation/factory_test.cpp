// A factory's decisions under an engine that lies, forgets, delays, refuses and cannot be reached, in virtual time.

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

}  // namespace

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
