// In virtual time: every allocation of the library fails once, and ten in a row from there on.

#include <cstddef>
#include <distwork/sim/simulation.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "failing_new.hpp"
#include "program.hpp"
#include "support/catch.hpp"

namespace oom_test {

using SimMaster = Master<RoundRobin, sim::Transport>;
using SimSlave = Slave<sim::Transport>;

/// One run. Returns what is wrong, or nothing.
std::string simulate() {
    Ledger ledger;
    Signals signals;
    bool has_stopped = false;
    sim::Simulation simulation{1, {.network = {}, .shuffle = false}};
    sim::Host& host = simulation.add_host("master");
    sim::Host& first = simulation.add_host("first");
    sim::Host& second = simulation.add_host("second");
    for (sim::Host* slave : {&first, &second})
        slave->work_time([](std::string_view, sim::Random& random) { return random.between(1ms, 20ms); });
    const auto slave_on = [&](sim::Host& machine) -> SimSlave* {
        SlaveOptions options;
        options.slots = 2;
        try {
            auto& slave = machine.make<SimSlave>(machine.transport(), host.address(), 5000, options);
            slave.start();
            return &slave;
        } catch (const std::exception&) {
            return nullptr;  // it was never there
        }
    };
    SimMaster* master = nullptr;
    try {
        MasterOptions options;
        options.address = host.address();
        options.port = 5000;
        options.waiting.max_backlog = 60;
        auto& made = host.make<SimMaster>(host.transport(), options);
        made.accept_work<FunctionWork<&twice>>();
        made.accept_submission<Tree>();
        made.start();
        master = &made;
    } catch (const std::exception&) {
        return {};
    }
    slave_on(first);
    slave_on(second);
    // A third comes when the second has gone, with all that it had.
    simulation.after(60ms, [&] {
        second.crash();
        slave_on(simulation.add_host("third"));
    });
    simulation.after(30ms, [&] { signals[0].emit(asio::cancellation_type::terminal); });
    simulation.after(1ms, [&] { signals[1].emit(asio::cancellation_type::terminal); });
    begin_calls(*master, ledger, signals, host.get_executor());
    if (!simulation.run_until([&] { return ledger.is_done(); }, 10min)) return "it hangs: " + ledger.complaint();
    const auto began = simulation.now();
    try {
        master->async_stop(30s, [&](const std::exception_ptr&) { has_stopped = true; });
    } catch (const std::exception&) {
        return {};
    }
    if (!simulation.run_until([&] { return has_stopped; }, 10min)) return "it does not stop";
    if (simulation.now() - began > 20s) return "it takes its whole time to stop";
    if (const std::string wrong = complaint(master->statistics()); !wrong.empty()) return wrong;
    return ledger.complaint();
}

void sweep(std::size_t in_a_row) {
    REQUIRE(simulate().empty());  // what is made once in a process
    tries = 0;
    failing_new::count();
    REQUIRE(simulate().empty());
    const std::size_t all = failing_new::counted();
    tries = 0;
    failing_new::classify(all);
    REQUIRE(simulate().empty());
    failing_new::rest();
    std::vector<std::size_t> numbers;
    std::size_t left_out = 0;
    for (std::size_t number = 1; number <= all; ++number) {
        if (failing_new::whose(number) == failing_new::Whose::library) numbers.push_back(number);
        if (failing_new::whose(number) == failing_new::Whose::asio) ++left_out;
    }
    INFO(all << " allocations, " << numbers.size() << " of the library, " << left_out << " left out for Asio");
    CHECK(numbers.size() > 1000);
    CHECK(left_out * 10 <= numbers.size() + left_out);
    CHECK(runs_that_fail(numbers, in_a_row, &simulate) == "");
}

}  // namespace oom_test

TEST_CASE("whichever allocation fails, each call completes once") {
    oom_test::sweep(1);
}

TEST_CASE("whichever ten allocations fail in a row, each call completes once") {
    oom_test::sweep(10);
}
