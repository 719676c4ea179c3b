// What a factory decides, rule by rule.

#include "distwork/factory/plan.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"

namespace plan_test {

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;

namespace {

using Seconds = std::chrono::seconds;

/// A plan, the time, and what it is told: an engine that does what it should, unless a test answers for it.
class Bench {
public:
    explicit Bench(FactoryOptions options = {}) : plan{std::move(options)} {}

    /// So many works wait, each of so long.
    void wait(std::size_t works, Seconds each) { demand = {.works = works, .worth = each * works}; }

    /// What it does after so long.
    FactoryActions next(std::chrono::milliseconds pause = 0ms) {
        now += pause;
        FactoryActions actions = plan.next(now, demand, slaves);
        if (!actions.ask.empty()) asked = actions.ask;
        for (const auto& line : actions.log) log += std::string{to_string(line.level)} + ' ' + line.text + '\n';
        return actions;
    }

    /// The same, where a dry run succeeds.
    FactoryActions next_start(std::chrono::milliseconds pause = 0ms) {
        FactoryActions actions = next(pause);
        if (!actions.is_dry_run) return actions;
        plan.would_start();
        return next();
    }

    void start(std::vector<std::string> ids) {
        std::vector<Ticket> tickets;
        for (const std::string& id : ids) tickets.emplace_back(id);
        plan.started(now, tickets);
    }

    void tell(std::vector<std::pair<std::string, TicketState>> states, const std::string& text = {}) {
        std::vector<TicketStatus> answer;
        for (const auto& [id, state] : states) answer.push_back({Ticket{id}, state, text});
        asked.clear();
        plan.told(now, answer);
    }

    /// Goes on until the engine is asked, and has it say this of all tickets.
    void tell_when_asked(TicketState state, const std::string& text = {}) {
        for (int i = 0; i < 60 && asked.empty(); ++i) next(1s);
        REQUIRE_FALSE(asked.empty());
        std::vector<std::pair<std::string, TicketState>> states;
        for (const Ticket& ticket : asked) states.emplace_back(ticket.id(), state);
        tell(states, text);
    }

    FactorySlave& connect(const std::string& ticket, std::size_t busy = 0, std::size_t slots = 1) {
        slaves.push_back({.id = ++last_id, .ticket = ticket, .slots = slots, .busy = busy});
        return slaves.back();
    }

    /// Has a slave of this ticket.
    void have(const std::string& ticket, std::size_t busy = 0, std::size_t slots = 1) {
        const auto before = slaves;
        for (FactorySlave& slave : slaves) slave.busy = slave.slots;
        wait(1, 1h);
        REQUIRE(next_start(30s).start == 1);
        start({ticket});
        slaves = before;
        connect(ticket, busy, slots);
        wait(0, 0s);
        next();
    }

    bool has(const std::string& ticket) const { return plan.allocations().count(ticket) != 0; }
    bool said(std::string_view text) const { return log.find(text) != std::string::npos; }

    FactoryPlan plan;
    std::chrono::steady_clock::time_point now{1h};
    FactoryDemand demand;
    std::vector<FactorySlave> slaves;
    std::vector<Ticket> asked;  // not answered yet
    std::string log;
    std::uint64_t last_id = 0;

private:
    static std::string_view to_string(LogLevel level) {
        return level == LogLevel::error ? "error" : level == LogLevel::warning ? "warning" : "info";
    }
};

std::vector<std::string> ids(const std::vector<Ticket>& tickets) {
    std::vector<std::string> all;
    for (const Ticket& ticket : tickets) all.push_back(ticket.id());
    return all;
}

FactoryOptions many_at_once() {
    FactoryOptions options;
    options.most_queued = 100;
    options.most_starts = 100;
    options.most_early_ends = 100;
    return options;
}

}  // namespace

TEST_CASE("a factory starts nothing while nothing waits that such a slave could take") {
    Bench bench;
    for (int i = 0; i < 1000; ++i) {
        const FactoryActions actions = bench.next(1s);
        CHECK(actions.start == 0);
        CHECK(actions.ask.empty());
    }
}

TEST_CASE("the first start of a factory is preceded by a dry run") {
    Bench bench;
    bench.wait(1, 1s);
    const FactoryActions first = bench.next();
    CHECK(first.start == 1);
    CHECK(first.is_dry_run);
    CHECK(bench.next(1h).start == 0);  // not answered yet
    bench.plan.refused(bench.now, "no such partition");
    CHECK(bench.next().is_dry_run);
    bench.plan.would_start();
    const FactoryActions second = bench.next();
    CHECK(second.start == 1);
    CHECK_FALSE(second.is_dry_run);
    bench.plan.refused(bench.now, "busy");
    CHECK_FALSE(bench.next(1h).is_dry_run);
}

TEST_CASE("a factory starts one slave for what is worth less than a minute, and only if none is there") {
    Bench bench{many_at_once()};
    bench.wait(1000, 0s);
    CHECK(bench.next_start().start == 1);
    bench.start({"1"});
    CHECK(bench.next(1s).start == 0);
    bench.connect("1", 1);
    CHECK(bench.next(1s).start == 0);
}

TEST_CASE("a factory starts slaves by what waits is worth in time, as many as its works could use") {
    Bench bench{many_at_once()};
    SECTION("a minute for each slot") {
        bench.wait(299, 1s);
        CHECK(bench.next_start().start == 4);
    }
    SECTION("a minute exactly") {
        bench.wait(300, 1s);
        CHECK(bench.next_start().start == 5);
    }
    SECTION("no more than works") {
        bench.wait(3, 1h);
        CHECK(bench.next_start().start == 3);
    }
    SECTION("no more than max") {
        bench.wait(1000, 1h);
        CHECK(bench.next_start().start == 16);
    }
    SECTION("works of unknown duration count ten seconds") {
        bench.demand = {.works = 18, .unknown = 18};
        CHECK(bench.next_start().start == 3);
    }
    SECTION("slots of slaves that are not its own count") {
        bench.wait(300, 1s);
        bench.demand.foreign_slots = 3;
        CHECK(bench.next_start().start == 2);
    }
    SECTION("those that are coming take works") {
        bench.wait(3, 1h);
        CHECK(bench.next_start().start == 3);
        bench.start({"1", "2"});
        CHECK(bench.next().start == 1);
    }
    SECTION("worth beyond all bounds") {
        bench.demand = {
            .works = 100, .unknown = std::numeric_limits<std::size_t>::max(), .worth = std::chrono::nanoseconds::max()};
        CHECK(bench.next_start().start == 16);
    }
}

TEST_CASE("a new slave is expected to have as many slots as the latest") {
    Bench bench{many_at_once()};
    bench.have("1", 8, 8);
    bench.wait(1000, 3s);  // 50 slots, of which there are 8
    CHECK(bench.next(30s).start == 5);
    bench.start({"2", "3", "4", "5", "6"});
    CHECK(bench.next(30s).start == 0);  // 48, and 2 are no slave
}

TEST_CASE("long works that wait behind long works get slaves, though others are there") {
    Bench bench{many_at_once()};
    bench.have("1", 1);
    bench.wait(1, 10h);
    CHECK(bench.next(30s).start == 1);
}

TEST_CASE("if what waits does not become less for a minute, one more slave is started, whatever it is worth") {
    Bench bench;
    bench.have("1", 1);
    bench.wait(2, 0s);
    CHECK(bench.next(30s).start == 0);
    CHECK(bench.next(59s).start == 0);
    SECTION("after a minute") {
        CHECK(bench.next(1s).start == 1);
        bench.start({"2"});
        CHECK(bench.next(10min).start == 0);  // one is coming
    }
    SECTION("if it becomes less, not") {
        bench.wait(1, 0s);
        CHECK(bench.next(1s).start == 0);
        CHECK(bench.next(59s).start == 0);
        bench.wait(2, 0s);
        CHECK(bench.next(1s).start == 1);  // more is not less
    }
    SECTION("if more is to come, as many as there are") {
        bench.connect("1", 3, 3);
        bench.demand.more_to_come = true;
        CHECK(bench.next(1s).start == 1);  // most_queued
    }
}

TEST_CASE("works that no free slot of a busy slave has room for get another slave") {
    Bench bench;
    bench.have("1", 1, 8);  // the only work that uses its GPU
    bench.wait(3, 10h);
    CHECK(bench.next(30s).start == 1);
}

TEST_CASE("nothing is started for works while a slave has nothing at all to do") {
    Bench bench{many_at_once()};
    bench.have("1", 0);
    bench.wait(100, 10h);
    CHECK(bench.next(30s).start == 0);
    CHECK(bench.next(1h).start == 0);
    bench.slaves.front().busy = 1;
    CHECK(bench.next().start == 15);
}

TEST_CASE("where more is to come, as many slaves more are started as are there") {
    Bench bench{many_at_once()};
    for (const char* const ticket : {"1", "2", "3"}) bench.have(ticket, 1);
    bench.wait(1, 0s);
    bench.demand.more_to_come = true;
    CHECK(bench.next(30s).start == 0);
    CHECK(bench.next(60s).start == 3);
}

TEST_CASE("before the first slave is connected there are no more allocations than may end without one") {
    FactoryOptions options = many_at_once();
    options.most_early_ends = 3;
    Bench bench{options};
    bench.wait(10, 1h);
    CHECK(bench.next_start().start == 3);
    bench.start({"1", "2", "3"});
    bench.tell_when_asked(TicketState::running);
    CHECK(bench.next(1min).start == 0);
    bench.connect("1", 1);
    CHECK(bench.next().start == 8);
}

TEST_CASE("a factory keeps its least number of slaves") {
    FactoryOptions options = many_at_once();
    options.min = 3;
    Bench bench{options};
    CHECK(bench.next_start().start == 3);
    bench.start({"1", "2", "3"});
    CHECK(bench.next(1s).start == 0);
    bench.tell_when_asked(TicketState::running);
    for (const char* const ticket : {"1", "2", "3"}) bench.connect(ticket);
    bench.next();
    const FactoryActions later = bench.next(1h);
    CHECK(later.drain.empty());
    CHECK(later.cancel.empty());
    bench.slaves.pop_back();
    CHECK(bench.next().start == 0);  // it may come back
    bench.tell_when_asked(TicketState::ended);
    CHECK(bench.next().start == 1);
}

TEST_CASE("at most so many allocations are queued in the engine") {
    Bench bench;
    bench.wait(100, 1h);
    CHECK(bench.next_start().start == 1);
    bench.start({"1"});
    CHECK(bench.next(1h).start == 0);
    SECTION("until one runs") {
        bench.tell({{"1", TicketState::running}});
        CHECK(bench.next().start == 1);
    }
    SECTION("until a slave is connected") {
        bench.connect("1", 1);
        CHECK(bench.next().start == 1);
    }
    SECTION("also if it was cancelled, until the engine says so") {
        bench.wait(0, 0s);
        bench.next();
        REQUIRE(ids(bench.next(5min).cancel) == std::vector<std::string>{"1"});
        bench.wait(100, 1h);
        CHECK(bench.next(5min).start == 0);
        bench.tell({{"1", TicketState::ended}});
        CHECK(bench.next().start == 1);
    }
}

TEST_CASE("at most five slaves are started in 30 s") {
    FactoryOptions options = many_at_once();
    options.most_starts = 5;
    Bench bench{options};
    bench.wait(2, 1h);
    CHECK(bench.next_start().start == 2);
    bench.start({"1", "2"});
    bench.wait(100, 1h);
    CHECK(bench.next(10s).start == 3);
    bench.start({"3", "4", "5"});
    CHECK(bench.next(19'999ms).start == 0);
    CHECK(bench.next(1ms).start == 2);
    bench.start({"6", "7"});
    CHECK(bench.next(9'999ms).start == 0);
    CHECK(bench.next(1ms).start == 3);
}

TEST_CASE("an idle slave leaves after five minutes, but not below the least number") {
    FactoryOptions options;
    options.min = 1;
    Bench bench{options};
    bench.have("1");
    bench.have("2");
    bench.have("3");
    bench.slaves[1].busy = 1;
    bench.slaves[2].busy = 1;
    bench.next(30s);
    bench.slaves[1].busy = 0;
    bench.next();
    CHECK(bench.next(269s).drain.empty());
    CHECK(bench.next(1s).drain == std::vector<std::uint64_t>{1});
    CHECK(bench.next(29s).drain.empty());
    CHECK(bench.next(1s).drain == std::vector<std::uint64_t>{2});
    CHECK(bench.next(1h).drain.empty());  // it is told once
    bench.slaves[2].busy = 0;
    bench.next();
    CHECK(bench.next(1h).drain.empty());  // the last one
}

TEST_CASE("a slave that did works between two looks was not idle") {
    Bench bench;
    bench.have("1");
    for (std::uint64_t i = 0; i < 100; ++i) {
        bench.slaves.front().done = i / 4;
        CHECK(bench.next(60s).drain.empty());
    }
    CHECK(bench.next(119s).drain.empty());
    CHECK_FALSE(bench.next(1s).drain.empty());
}

TEST_CASE("the last idle slave stays while something waits that it is not sent") {
    Bench bench;
    bench.have("1");
    bench.have("2");
    bench.wait(1, 0s);
    std::vector<std::uint64_t> drained;
    for (int i = 0; i < 1000; ++i) {
        const FactoryActions actions = bench.next(1s);
        drained.insert(drained.end(), actions.drain.begin(), actions.drain.end());
        CHECK(actions.start == 0);
    }
    CHECK(drained == std::vector<std::uint64_t>{1});
}

TEST_CASE("a slave that drains is none, and is no longer missed when it has left") {
    Bench bench;
    bench.have("1", 1);
    bench.slaves.front().is_draining = true;
    bench.wait(1, 0s);
    CHECK(bench.next(30s).start == 1);
    bench.start({"2"});
    bench.slaves.clear();
    bench.connect("2", 1);
    CHECK(bench.next().start == 0);
    bench.tell({{"1", TicketState::ended}});
    CHECK_FALSE(bench.has("1"));
}

TEST_CASE("a slave that connects again after it was let go is let go again") {
    Bench bench;
    bench.have("1");
    CHECK(bench.next(5min).drain == std::vector<std::uint64_t>{1});
    bench.slaves.clear();
    bench.connect("1");
    CHECK(bench.next().drain.empty());
    CHECK(bench.next(5min).drain == std::vector<std::uint64_t>{2});
}

TEST_CASE("a refused submission is tried again after growing pauses, and the tenth in a row is the last") {
    Bench bench;
    bench.wait(1, 1h);
    bench.next();
    bench.plan.would_start();
    for (const std::chrono::minutes pause : {0min, 1min, 15min, 30min, 60min, 60min, 60min, 60min, 60min}) {
        REQUIRE(bench.next().start == 1);
        bench.plan.refused(bench.now, "  sbatch: error: invalid account\n");
        CHECK_FALSE(bench.plan.is_paused());
        if (pause != 0min) {
            CHECK(bench.next().start == 0);
            CHECK(bench.next(pause - 1ms).start == 0);
            bench.now += 1ms;
        }
    }
    CHECK(
        bench.said("warning the engine refused to start a slave: \"sbatch: error: invalid account\"; it is asked again "
                   "in 15 min"));
    REQUIRE(bench.next().start == 1);
    bench.plan.refused(bench.now, "sbatch: error: the tenth");
    CHECK(bench.plan.is_paused());
    CHECK(bench.plan.why_paused() ==
          "the engine refused to start a slave: \"sbatch: error: the tenth\", 10 times in a row");
    CHECK(bench.next(1000h).start == 0);
    CHECK(bench.said("error the engine refused"));
    bench.plan.resume();
    CHECK(bench.plan.why_paused().empty());
    CHECK(bench.next().start == 1);
    bench.plan.refused(bench.now, "again");
    CHECK(bench.next().start == 1);  // as after the first
}

TEST_CASE("a submission that is accepted ends a row of refused ones") {
    Bench bench;
    bench.wait(1, 1h);
    bench.next();
    bench.plan.would_start();
    for (int i = 0; i < 9; ++i) {
        REQUIRE(bench.next(1h).start == 1);
        bench.plan.refused(bench.now, "no");
    }
    REQUIRE(bench.next(1h).start == 1);
    bench.start({"1"});
    bench.tell_when_asked(TicketState::ended);
    for (int i = 0; i < 9; ++i) {
        REQUIRE(bench.next(1h).start == 1);
        bench.plan.refused(bench.now, "no");
    }
    CHECK_FALSE(bench.plan.is_paused());
}

TEST_CASE("an engine that started nothing has refused") {
    Bench bench;
    bench.wait(1, 1h);
    bench.next_start();
    bench.start({});
    bench.next();
    CHECK(bench.said("it started nothing"));
}

TEST_CASE("three allocations in a row that end without a connected slave pause the factory") {
    Bench bench;
    bench.wait(1, 1h);
    for (const char* const ticket : {"1", "2"}) {
        REQUIRE(bench.next_start(30s).start == 1);
        bench.start({ticket});
        bench.tell_when_asked(TicketState::failed, "slave: cannot execute");
    }
    CHECK(bench.next().start == 1);
    CHECK(bench.said("warning allocation 1 failed before its slave was connected: \"slave: cannot execute\"\n"));
    bench.start({"3"});
    SECTION("by its own accord") {
        bench.tell_when_asked(TicketState::failed, "module not found");
        CHECK(bench.plan.why_paused() ==
              "allocation 3 failed before its slave was connected: \"module not found\", the last of 3 in a row");
        CHECK(bench.next(10h).start == 0);
        bench.plan.resume();
        CHECK(bench.next().start == 1);
    }
    SECTION("without an error") {
        bench.tell_when_asked(TicketState::ended);
        CHECK(bench.plan.is_paused());
    }
    SECTION("not if it was connected") {
        bench.connect("3", 1);
        bench.next();
        bench.slaves.clear();
        bench.tell_when_asked(TicketState::failed, "killed");
        CHECK_FALSE(bench.plan.is_paused());
        bench.next();
        CHECK(bench.said("warning allocation 3 failed: \"killed\""));
    }
    SECTION("not if it was cancelled") {
        bench.wait(0, 0s);
        bench.next();
        REQUIRE(bench.next(5min).cancel.size() == 1);
        bench.tell({{"3", TicketState::failed}});
        CHECK_FALSE(bench.has("3"));
        CHECK_FALSE(bench.plan.is_paused());
    }
}

TEST_CASE("a queued allocation that the engine does not know ten times in a row is over") {
    Bench bench;
    bench.wait(1, 1h);
    bench.next_start();
    bench.start({"1"});
    for (int i = 0; i < 9; ++i) bench.tell_when_asked(TicketState::unknown);
    bench.tell_when_asked(TicketState::queued);
    for (int i = 0; i < 9; ++i) bench.tell_when_asked(TicketState::unknown);
    CHECK(bench.has("1"));
    bench.next();
    SECTION("it says nothing about it") {
        bench.now += 30s;
        REQUIRE(ids(bench.next().ask) == std::vector<std::string>{"1"});
        bench.plan.told(bench.now, {});
    }
    SECTION("it says so") {
        bench.tell_when_asked(TicketState::unknown);
    }
    CHECK_FALSE(bench.has("1"));
    CHECK(ids(bench.next().cancel) == std::vector<std::string>{"1"});  // to be sure
    CHECK(bench.said("allocation 1 is over, since the engine no longer knows it"));
}

TEST_CASE("an allocation that ran is over when the engine does not know it twenty times in a row") {
    Bench bench;
    bench.have("1", 1);
    bench.slaves.clear();
    bench.next();
    bench.tell({});
    for (int i = 1; i < 19; ++i) bench.tell_when_asked(TicketState::unknown);
    CHECK(bench.has("1"));
    bench.tell_when_asked(TicketState::unknown);
    CHECK_FALSE(bench.has("1"));
}

TEST_CASE("an engine that cannot be reached is asked every 30 s, and that counts nowhere") {
    Bench bench;
    bench.wait(1, 1h);
    bench.next();
    for (int i = 0; i < 100; ++i) {
        bench.plan.start_unreachable(bench.now, "timed out");
        CHECK(bench.next().start == 0);
        CHECK(bench.next(29'999ms).start == 0);
        CHECK(bench.next(1ms).start == 1);
    }
    bench.plan.would_start();
    REQUIRE(bench.next().start == 1);
    bench.start({"1"});
    REQUIRE(bench.next().ask.size() == 1);
    for (int i = 0; i < 100; ++i) {
        bench.plan.status_unreachable(bench.now, "timed out");
        CHECK(bench.next(29'999ms).ask.empty());
        CHECK(bench.next(1ms).ask.size() == 1);
    }
    CHECK(bench.has("1"));
    CHECK_FALSE(bench.plan.is_paused());
    bench.tell({{"1", TicketState::running}});
    bench.next();
    CHECK(std::count(bench.log.begin(), bench.log.end(), '\n') == 5);
    CHECK(bench.said("warning the engine cannot be reached: \"timed out\"; it is tried again every 30 s"));
    CHECK(bench.said("info the engine answers again"));
}

TEST_CASE("an allocation whose slave is connected is alive, whatever the engine says") {
    Bench bench;
    bench.wait(1, 1h);
    bench.next_start();
    bench.start({"1"});
    REQUIRE(bench.next().ask.size() == 1);
    bench.connect("1", 1);
    bench.next();
    bench.tell({{"1", TicketState::failed}});
    CHECK(bench.has("1"));
    CHECK(bench.next(1h).ask.empty());  // nor is it asked
    bench.slaves.clear();
    CHECK(bench.next(1s).ask.size() == 1);  // at once
}

TEST_CASE("when slaves are lost again and again, the engine is asked every 3 s at most") {
    Bench bench;
    bench.have("1", 1);
    bench.wait(1, 1h);
    std::size_t questions = 0;
    const FactorySlave slave = bench.slaves.front();
    for (int i = 0; i < 60; ++i) {
        bench.slaves.clear();
        const FactoryActions actions = bench.next(500ms);
        if (!actions.ask.empty()) ++questions, bench.tell({{"1", TicketState::running}});
        bench.slaves = {slave};
        bench.next(500ms);
    }
    CHECK(questions >= 18);
    CHECK(questions <= 20);
}

TEST_CASE("two connections of one slave, of which one was lost, are one slave") {
    FactoryOptions options;
    options.min = GENERATE(0u, 1u);
    Bench bench{options};
    bench.have("1");
    bench.connect("1");
    bench.next();
    CHECK(bench.next(5min).drain ==
          (options.min == 0 ? std::vector<std::uint64_t>{1, 2} : std::vector<std::uint64_t>{}));
    bench.slaves.erase(bench.slaves.begin());
    CHECK(bench.next().ask.empty());
}

TEST_CASE("an allocation that was taken for over is not when its slave connects") {
    Bench bench;
    bench.wait(1, 1h);
    bench.next_start();
    bench.start({"1"});
    bench.tell_when_asked(TicketState::ended);
    REQUIRE_FALSE(bench.has("1"));
    bench.connect("1", 1);
    CHECK(bench.next(30s).start == 1);
    CHECK(bench.has("1"));
    CHECK(bench.plan.stop().size() == 1);
}

TEST_CASE("a slave with a ticket that the engine never gave means nothing") {
    Bench bench;
    bench.connect("4711");
    bench.next();
    CHECK(bench.next(1h).drain.empty());
    CHECK(bench.plan.stop().empty());
}

TEST_CASE("an allocation that runs without a connected slave for five minutes is cancelled, until it is over") {
    Bench bench;
    bench.wait(1, 1h);
    bench.next_start();
    bench.start({"1"});
    bench.tell_when_asked(TicketState::queued);
    bench.next(1h);
    bench.tell({{"1", TicketState::running}});
    CHECK(bench.next(299s).cancel.empty());
    bench.tell({{"1", TicketState::running}});
    const FactoryActions actions = bench.next(1s);
    CHECK(ids(actions.cancel) == std::vector<std::string>{"1"});
    CHECK(actions.start == 1);  // another takes its place
    bench.start({"2"});
    CHECK(bench.next(29s).cancel.empty());
    bench.tell_when_asked(TicketState::running);
    CHECK(ids(bench.next().cancel) == std::vector<std::string>{"1"});
    CHECK(bench.said("warning allocation 1 ran for 5 min without a connected slave, and is cancelled"));
}

TEST_CASE("allocations that never bring a slave pause the factory") {
    FactoryOptions options;
    options.most_early_ends = 1;
    Bench bench{options};
    bench.wait(1, 1h);
    bench.next_start();
    bench.start({"1"});
    bench.tell_when_asked(TicketState::running);
    bench.next(5min);
    CHECK(bench.plan.is_paused());
}

TEST_CASE("a queued allocation for which no work is left is cancelled after five minutes") {
    Bench bench{many_at_once()};
    bench.wait(3, 1h);
    REQUIRE(bench.next_start().start == 3);
    bench.start({"1", "2", "3"});
    bench.next();
    bench.tell({{"1", TicketState::queued}, {"2", TicketState::queued}, {"3", TicketState::queued}});
    bench.wait(1, 1h);
    CHECK(bench.next().cancel.empty());
    SECTION("the latest first") {
        CHECK(bench.next(299s).cancel.empty());
        CHECK(ids(bench.next(1s).cancel) == std::vector<std::string>{"2", "3"});
        CHECK(bench.said("info allocation 3 is still queued, and not needed: it is cancelled"));
    }
    SECTION("unless works came again") {
        bench.next(299s);
        bench.wait(3, 1h);
        bench.next();
        bench.wait(1, 1h);
        CHECK(bench.next(299s).cancel.empty());
    }
    SECTION("unless more works are to come") {
        bench.demand.more_to_come = true;
        bench.next();
        CHECK(bench.next(1h).cancel.empty());
    }
}

TEST_CASE("a slave of a cancelled allocation that connects nevertheless drains, and is not cut off") {
    Bench bench;
    bench.wait(1, 1h);
    bench.next_start();
    bench.start({"1"});
    bench.wait(0, 0s);
    bench.next();
    REQUIRE(bench.next(5min).cancel.size() == 1);
    bench.connect("1", 1);
    const FactoryActions actions = bench.next();
    CHECK(actions.drain == std::vector<std::uint64_t>{1});
    CHECK(actions.cancel.empty());
}

TEST_CASE("no allocation is counted twice if the engine gives a ticket twice") {
    Bench bench;
    bench.wait(1, 1h);
    bench.next_start();
    bench.start({"1", "1"});
    bench.next();
    CHECK(bench.plan.allocations().size() == 1);
    CHECK(bench.said("warning the engine gave the ticket 1 twice"));
}

TEST_CASE("a stopped plan gives all tickets back, also those that come later, and cancels until they are over") {
    Bench bench;
    bench.have("1", 1);
    bench.have("2", 1);
    bench.wait(100, 1h);
    REQUIRE(bench.next(30s).start == 1);
    CHECK(ids(bench.plan.stop()) == std::vector<std::string>{"1", "2"});
    bench.start({"3"});
    const FactoryActions actions = bench.next(1h);
    CHECK(ids(actions.cancel) == std::vector<std::string>{"3"});
    CHECK(actions.start == 0);
    REQUIRE(actions.ask.size() == 3);  // also about those whose slaves are still connected
    bench.tell({{"1", TicketState::ended}, {"2", TicketState::running}, {"3", TicketState::ended}});
    CHECK_FALSE(bench.plan.is_over());
    CHECK(ids(bench.next().cancel) == std::vector<std::string>{"2"});
    bench.tell_when_asked(TicketState::ended);
    CHECK(bench.plan.is_over());
    CHECK_FALSE(bench.plan.is_paused());
}

TEST_CASE("a stopped plan is not over before the engine has answered a request to start") {
    Bench bench;
    bench.wait(1, 1h);
    bench.next_start();
    CHECK(bench.plan.stop().empty());
    CHECK_FALSE(bench.plan.is_over());
    bench.plan.refused(bench.now, "no");
    CHECK(bench.plan.is_over());
}

TEST_CASE("what an engine says is quoted without white space around it, and of a long text the end") {
    CHECK(in_quotes(" \n no such partition\n") == "\"no such partition\"");
    CHECK(in_quotes("") == "(no text)");
    CHECK(in_quotes(" \n") == "(no text)");
    CHECK(in_quotes(std::string(1000, 'x')) == '"' + std::string(1000, 'x') + '"');
    CHECK(in_quotes("first" + std::string(1000, 'x')) == "\"…" + std::string(1000, 'x') + '"');
    CHECK(in_words(90s) == "90 s");
    CHECK(in_words(120s) == "2 min");
    CHECK(in_words(1500ms) == "1500 ms");
    CHECK(in_words(0ms) == "0 s");
}

}  // namespace plan_test
