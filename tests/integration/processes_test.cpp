#include <asio/use_future.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/process.hpp"
#include "support/run.hpp"
#include "support/works.hpp"

using distwork::Errc;

namespace {

std::string port_of(const distwork::Master<>& master) {
    return std::to_string(master.local_endpoint().port());
}

}  // namespace

TEST_CASE("slaves in processes of their own share the works", "[integration]") {
    Cluster<> cluster{0};
    std::vector<Process> processes;
    for (int i = 0; i < 3; ++i) processes.emplace_back("slave_process", std::vector{port_of(cluster.master)});
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == 3; }));
    int right = 0;
    for (int i = 0; i < 3000; ++i)
        cluster.master.async_call(Sum{i, 1}, [&, i](const std::exception_ptr& error, int value) {
            if (!error && value == i + 1) ++right;
        });
    REQUIRE(run_until(cluster.io, [&] { return right == 3000; }));
    for (const auto& socket : cluster.master.sockets()) CHECK(socket.completed > 0);
    // They leave with their master.
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        co_await master.async_stop(deadline);
    }(cluster.master));
    cluster.io.restart();
    cluster.io.run();
    for (Process& process : processes) CHECK(process.wait() == 0);
}

TEST_CASE("a slave that is killed loses what may be executed once only, and nothing else", "[integration]") {
    Cluster<> cluster{1};
    auto killed = std::make_unique<Process>("slave_process", std::vector<std::string>{port_of(cluster.master), "2"});
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == 2; }));
    std::vector<std::error_code> codes;
    std::string text;
    const auto note = [&](const std::exception_ptr& error) {
        try {
            if (error) std::rethrow_exception(error);
            codes.emplace_back();
        } catch (const distwork::Error& failure) {
            codes.push_back(failure.code());
            text = failure.what();
        }
    };
    const auto on_the_other = [](distwork::DistributeContext& context) -> const distwork::SocketInformation* {
        for (const auto* socket : context.sockets())
            if (socket->name == "process") return socket;
        return nullptr;
    };
    asio::io_context& io = cluster.io;
    distwork::Master<distwork::AnySelector> picky{io.get_executor(), 0, on_the_other};
    picky.start();
    Process victim{"slave_process", {std::to_string(picky.local_endpoint().port()), "2"}};
    REQUIRE(run_until(io, [&] { return picky.connected_slave_count() == 1; }));
    const auto once = distwork::SubmitOptions{}.max_attempts(1);
    picky.async_call(UntilStopped{}, once, note);
    picky.async_call(UntilStopped{}, once, note);
    picky.async_call(Sum{1, 2}, [&](const std::exception_ptr& error, int) { note(error); });
    REQUIRE(run_until(io, [&] { return picky.sockets()[0].in_flight == 2; }));
    victim.kill(SIGKILL);
    REQUIRE(run_until(io, [&] { return codes.size() == 2; }));
    CHECK(codes == std::vector<std::error_code>{Errc::lost, Errc::lost});
    CHECK(text.find("UntilStopped, 1 attempt on process (127.0.0.1:") != std::string::npos);
    CHECK(picky.connected_slave_count() == 0);
    // What had not left waits for the next.
    CHECK(picky.backlog_size() == 1);
    Process next{"slave_process", {std::to_string(picky.local_endpoint().port())}};
    REQUIRE(run_until(io, [&] { return codes.size() == 3; }));
    CHECK_FALSE(codes[2]);
    // Its neighbours on another master did not notice.
    auto future = cluster.master.async_call(Sum{1, 2}, asio::use_future);
    REQUIRE(run_until(io, [&] { return future.wait_for(std::chrono::seconds{0}) == std::future_status::ready; }));
    CHECK(future.get() == 3);
}

TEST_CASE("builds that do not match exchange what they share and name what they do not, at both ends",
          "[integration]") {
    std::string master_log;
    distwork::MasterOptions options;
    options.log = [&](distwork::LogLevel, std::string_view line) { master_log.append(line).append("\n"); };
    Cluster<> cluster{0, {}, options};
    std::FILE* output = std::tmpfile();
    Process other{"unlike_process", {port_of(cluster.master)}, output};
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == 1; }));
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        Echo echo{"shared"};
        const auto back = co_await master.async_call(echo);
        CHECK(back == "shared");
        Sum sum{1, 2};
        const auto outcomes = co_await master.async_broadcast_work(sum);
        REQUIRE(outcomes.size() == 1);
        try {
            std::rethrow_exception(outcomes[0].error);
        } catch (const distwork::Error& error) {
            CHECK(error.code() == Errc::shape_differs);
        }
        // Nobody has it in this shape: it waits for somebody who does.
        master.distribute_work(sum);
        CHECK(master.backlog_size() == 1);
        co_await master.async_stop(std::chrono::milliseconds{0});
    }(cluster.master));
    cluster.io.restart();
    cluster.io.run();
    CHECK(other.wait() == 0);
    CHECK(master_log.find("Type Sum has another shape at slave (127.0.0.1:") != std::string::npos);
    CHECK(master_log.find(" is not known at slave (127.0.0.1:") !=
          std::string::npos);  // of many, the first few are named
    std::rewind(output);
    std::string slave_log(100'000, '\0');
    slave_log.resize(std::fread(slave_log.data(), 1, slave_log.size(), output));
    std::fclose(output);
    CHECK(slave_log.find("Type Sum has another shape at master (127.0.0.1:") != std::string::npos);
    INFO(slave_log);
    CHECK(slave_log.find("warning") != std::string::npos);
}

TEST_CASE("two types of one name are thrown, by name, from the constructors of the roles", "[integration]") {
    Process process{"duplicate_process", {}};
    CHECK(process.wait() == 0);
}

TEST_CASE("a class or function under two names is thrown, by both names, from the constructors of the roles",
          "[integration]") {
    Process process{"two_names_process", {}};
    CHECK(process.wait() == 0);
}
