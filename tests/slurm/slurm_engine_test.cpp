// SlurmEngine on the Slurm that with_slurm has started.

#include <distwork/slurm_engine.hpp>

#include <signal.h>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/use_future.hpp>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <distwork/master.hpp>
#include <functional>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/texts.hpp"
#include "where.hpp"

namespace {

using namespace distwork;
using namespace std::chrono_literals;
using support::contains;
using support::text_of;
using Clock = std::chrono::steady_clock;

/// Waits for what must come to pass.
bool comes_true(const std::function<bool()>& condition, std::chrono::seconds most = 60s) {
    for (const auto end = Clock::now() + most; Clock::now() < end; std::this_thread::sleep_for(100ms))
        if (condition()) return true;
    return false;
}

std::string in_slurm_folder(const std::string& name) {
    const char* const folder = std::getenv("DISTWORK_SLURM_FOLDER");
    REQUIRE(folder);
    return std::string{folder} + '/' + name;
}

/// Sends a signal to a daemon of Slurm: "ctld" or "munge".
void signal_daemon(const std::string& name, int number) {
    REQUIRE(::kill(std::stoi(support::contents(in_slurm_folder(name + ".pid"))), number) == 0);
}

void start_daemon(const std::string& name) {
    REQUIRE(detail::run_command({in_slurm_folder("start_" + name)}).succeeded());
}

/// The jobs that are not over, a line each.
std::string queue() {
    return detail::run_command({"squeue", "--noheader", "--format=%i %t"}).output;
}

/// A master on a thread of its own, and an engine that starts slaves for it.
class Farm {
public:
    explicit Farm(const std::function<void(SlurmOptions&)>& change = [](SlurmOptions&) {}) : engine{options(change)} {}
    ~Farm() {
        master.async_stop(0s, asio::use_future).get();
        guard_.reset();
        thread_.join();
        // The slaves leave when they are told bye; and no test begins before all is over.
        CHECK(comes_true([] { return queue().empty(); }));
    }

    std::set<std::string> names() const {
        std::set<std::string> names;
        for (const SocketInformation& socket : master.sockets()) names.insert(socket.name);
        return names;
    }

    TicketState state(const Ticket& ticket) {
        const auto answer = engine.status({ticket});
        return answer.empty() ? TicketState::unknown : answer.front().state;
    }

    bool becomes(const Ticket& ticket, TicketState wanted) {
        return comes_true([&] { return state(ticket) == wanted; });
    }

private:
    asio::io_context io_;
    asio::executor_work_guard<asio::io_context::executor_type> guard_{io_.get_executor()};

    static Master<> started(asio::io_context& io) {
        Master<> master{io.get_executor(), MasterOptions{}};
        master.start();
        return master;
    }
    SlurmOptions options(const std::function<void(SlurmOptions&)>& change) const {
        SlurmOptions options;
        options.program = {std::string{DISTWORK_TEST_BIN_DIR} + "/slurm_slave_process"};
        options.master = "127.0.0.1:" + std::to_string(master.local_endpoint().port());
        options.arguments = {"--exclusive"};
        options.output_folder = folder_.path();
        change(options);
        return options;
    }

    support::Folder folder_;

public:
    Master<> master{started(io_)};
    SlurmEngine engine;

private:
    std::thread thread_{[this] { io_.run(); }};
};

}  // namespace

TEST_CASE("slaves run as jobs, are named as their tickets, and use all processors of their nodes") {
    Farm farm;
    farm.engine.dry_run(3);
    CHECK(queue().empty());
    const auto begin = Clock::now();
    const auto tickets = farm.engine.start(3);
    REQUIRE(tickets.size() == 3);
    std::set<std::string> ids;
    for (const Ticket& ticket : tickets) ids.insert(ticket.id());
    CHECK(comes_true([&] { return farm.names() == ids; }));
    WARN("three slaves were connected after "
         << std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count() << " ms");
    for (const Ticket& ticket : tickets) CHECK(farm.state(ticket) == TicketState::running);
    for (const SocketInformation& socket : farm.master.sockets()) CHECK(socket.slots == 2);
    std::vector<std::future<std::string>> answers;
    for (int i = 0; i < 60; ++i) answers.push_back(farm.master.async_call<where>(50, asio::use_future));
    std::set<std::string> jobs;
    for (auto& answer : answers) jobs.insert("slurm-" + answer.get());
    CHECK(jobs == ids);
}

TEST_CASE("a cancelled job's slave finishes the work that it has begun") {
    Farm farm;
    const auto tickets = farm.engine.start(1);
    REQUIRE(comes_true([&] { return farm.names().size() == 1; }));
    auto answer = farm.master.async_call<where>(3000, asio::use_future);
    REQUIRE(comes_true([&] { return farm.master.sockets().front().in_flight == 1; }));
    std::this_thread::sleep_for(500ms);  // so that it has begun; nobody tells when
    farm.engine.cancel(tickets.front());
    CHECK("slurm-" + answer.get() == tickets.front().id());
    CHECK(farm.becomes(tickets.front(), TicketState::ended));
    CHECK_NOTHROW(farm.engine.cancel(tickets.front()));
    CHECK_NOTHROW(farm.engine.cancel(Ticket{"slurm-999999"}));
    CHECK(farm.engine.status({Ticket{"slurm-999999"}}).empty());
    CHECK(farm.engine.status({Ticket{"slurm-999999"}, tickets.front()}).size() == 1);
}

TEST_CASE("a queued job can be cancelled") {
    Farm farm;
    const auto tickets = farm.engine.start(5);
    REQUIRE(tickets.size() == 5);
    CHECK(comes_true([&] { return farm.names().size() == 4; }));
    CHECK(farm.state(tickets.back()) == TicketState::queued);
    farm.engine.cancel(tickets.back());
    CHECK(farm.becomes(tickets.back(), TicketState::ended));
}

TEST_CASE("a slave leaves before its job's time limit") {
    Farm farm{[](SlurmOptions& options) {
        options.time_limit = 1min;
        options.drain_before = 55s;
    }};
    const auto tickets = farm.engine.start(1);
    REQUIRE(comes_true([&] { return farm.names().size() == 1; }));
    auto answer = farm.master.async_call<where>(1000, asio::use_future);
    CHECK("slurm-" + answer.get() == tickets.front().id());
    CHECK(comes_true([&] { return farm.names().empty(); }));
    CHECK(farm.becomes(tickets.front(), TicketState::ended));
}

TEST_CASE("Slurm's refusal is told in its words, by the dry run and by the submission") {
    Farm farm{[](SlurmOptions& options) { options.partition = "nosuch"; }};
    CHECK(contains(text_of<SubmissionRefused>([&] { farm.engine.dry_run(1); }), "invalid partition specified: nosuch"));
    CHECK(contains(text_of<SubmissionRefused>([&] { farm.engine.start(1); }), "invalid partition specified: nosuch"));
}

TEST_CASE("what a job that failed has written is told") {
    Farm farm{[](SlurmOptions& options) { options.program = {"/bin/sh", "-c", "echo no such library >&2; exit 3"}; }};
    const auto tickets = farm.engine.start(1);
    CHECK(farm.becomes(tickets.front(), TicketState::failed));
    const std::string text = farm.engine.status(tickets).front().text;
    CHECK(contains(text, "NonZeroExitCode"));
    CHECK(contains(text, "no such library"));
}

TEST_CASE("a submission that slurmctld answers too late is cancelled when it appears") {
    Farm farm;
    signal_daemon("ctld", SIGSTOP);
    CHECK(contains(text_of<EngineUnreachable>([&] { farm.engine.start(1); }), "timed out"));
    CHECK_THROWS_AS(farm.engine.status({Ticket{"slurm-1"}}), EngineUnreachable);
    signal_daemon("ctld", SIGCONT);
    REQUIRE(comes_true([] { return !queue().empty(); }));  // it had reached Slurm
    farm.engine.status({Ticket{"slurm-1"}});
    CHECK(comes_true([] { return queue().empty(); }));
}

TEST_CASE("without slurmctld or munge Slurm is unreachable, and refuses nothing") {
    Farm farm;
    const auto tickets = farm.engine.start(1);
    REQUIRE(comes_true([&] { return farm.names().size() == 1; }));
    const auto is_unreachable = [&] {
        CHECK_THROWS_AS(farm.engine.dry_run(1), EngineUnreachable);
        CHECK_THROWS_AS(farm.engine.start(1), EngineUnreachable);
        CHECK_THROWS_AS(farm.engine.status(tickets), EngineUnreachable);
        CHECK_THROWS_AS(farm.engine.cancel(tickets.front()), EngineUnreachable);
    };
    signal_daemon("munge", SIGTERM);
    REQUIRE(comes_true([] { return support::contents(in_slurm_folder("munge.pid")).empty(); }));
    is_unreachable();
    start_daemon("munge");
    CHECK(farm.state(tickets.front()) == TicketState::running);

    signal_daemon("ctld", SIGKILL);
    is_unreachable();
    start_daemon("ctld");
    CHECK(comes_true([&] { return detail::run_command({"squeue"}).succeeded(); }));
    CHECK(farm.state(tickets.front()) == TicketState::running);
    auto answer = farm.master.async_call<where>(0, asio::use_future);
    CHECK("slurm-" + answer.get() == tickets.front().id());
}
