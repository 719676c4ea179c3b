// Processes that are begun beside a master and its slaves hold none of their connections.

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <asio/executor_work_guard.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_future.hpp>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <distwork.hpp>
#include <distwork/transport.hpp>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/run.hpp"
#include "support/works.hpp"

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;

namespace {

int exit_code_of(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// A program that is begun now inherits so many sockets.
int inherited_sockets() {
    std::string program = std::string{DISTWORK_TEST_BIN_DIR} + "/inheriting_process";
    char* const arguments[] = {program.data(), nullptr};
    pid_t child = 0;
    if (posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, environ) != 0)
        throw std::runtime_error{"posix_spawn failed"};
    return exit_code_of(child);
}

/// A fork of this process, with copies of all its sockets, that does nothing but this.
template <class Action>
pid_t fork_that(Action action) {
    const pid_t child = fork();
    if (child < 0) throw std::runtime_error{"fork failed"};
    if (child != 0) return child;
    action();
    _exit(0);
}

/// A fork that lives until the end of the scope.
class Copy {
public:
    Copy() : child_{fork_that([] { pause(); })} {}
    Copy(const Copy&) = delete;
    ~Copy() {
        kill(child_, SIGKILL);
        waitpid(child_, nullptr, 0);
    }

private:
    pid_t child_;
};

SlaveOptions patient_slave() {
    SlaveOptions options;
    options.reconnect_after = options.reconnect_at_most = 50ms;
    options.link.dead_after = 10min;
    return options;
}

MasterOptions patient_master() {
    MasterOptions options;
    options.link.dead_after = 10min;
    return options;
}

}  // namespace

TEST_CASE("programs that are begun while slaves come and go inherit no socket", "[integration]") {
    const int before = inherited_sockets();
    asio::io_context io{1};
    const auto guard = asio::make_work_guard(io);
    Master master{io.get_executor(), 0};
    master.start();
    std::thread thread{[&] { io.run(); }};

    std::atomic<bool> is_over{false};
    std::atomic<std::size_t> visits{0};
    std::thread visitors{[&] {
        asio::thread_pool pool{1};
        while (!is_over) {
            std::vector<std::unique_ptr<Slave<>>> slaves;
            for (int i = 0; i < 8; ++i) {
                slaves.push_back(
                    std::make_unique<Slave<>>(pool.get_executor(), "127.0.0.1", master.local_endpoint().port()));
                slaves.back()->start();
            }
            master.async_wait_for_slaves(1, asio::use_future).wait();
            ++visits;
        }
    }};
    std::atomic<int> heirs{0};
    std::vector<std::thread> parents;
    for (int i = 0; i < 2; ++i)
        parents.emplace_back([&] {
            for (int children = 0; children < 200; ++children)
                if (inherited_sockets() > before) ++heirs;
        });
    for (auto& parent : parents) parent.join();
    is_over = true;
    visitors.join();
    io.stop();
    thread.join();
    CHECK(heirs == 0);
    CHECK(visits > 1);
}

TEST_CASE("a slave that leaves is gone at once, though a fork holds a copy of its connection", "[integration]") {
    const bool is_stopped = GENERATE(true, false);
    asio::io_context io{1};
    Master master{io.get_executor(), patient_master()};
    master.start();
    asio::io_context slaves{1};
    auto slave =
        std::make_unique<Slave<>>(slaves.get_executor(), "127.0.0.1", master.local_endpoint().port(), patient_slave());
    slave->start();
    const auto is_there = [&] { return slaves.run_for(1ms), master.connected_slave_count() == 1; };
    REQUIRE(run_until(io, is_there));
    const Copy copy;
    const auto begun = std::chrono::steady_clock::now();
    bool stopped = !is_stopped;
    if (is_stopped) slave->async_stop(10s, [&](const std::exception_ptr&) { stopped = true; });
    else slave.reset();
    CHECK(run_until(io, [&] { return slaves.run_for(1ms), stopped && master.connected_slave_count() == 0; }));
    CHECK(std::chrono::steady_clock::now() - begun < 30s);
}

TEST_CASE("a context that is destroyed ends its connections, though a fork holds copies", "[integration]") {
    asio::io_context io{1};
    Master master{io.get_executor(), patient_master()};
    master.start();
    std::optional<asio::io_context> slaves{std::in_place, 1};
    std::optional<Slave<>> slave{std::in_place, slaves->get_executor(), "127.0.0.1", master.local_endpoint().port(),
                                 patient_slave()};
    slave->start();
    REQUIRE(run_until(io, [&] { return slaves->run_for(1ms), master.connected_slave_count() == 1; }));
    const Copy copy;
    slave.reset();
    slaves.reset();  // nothing of it ran any more
    CHECK(run_until(io, [&] { return master.connected_slave_count() == 0; }));
}

TEST_CASE("a port is free when its master is gone, though a fork holds a copy", "[integration]") {
    asio::io_context io{1};
    std::optional<Master<>> master{std::in_place, io.get_executor(), std::uint16_t{0}};
    const auto port = master->local_endpoint().port();
    master->start();
    io.run_for(1ms);
    const Copy copy;
    master.reset();
    io.restart();
    io.run();
    Master next{io.get_executor(), port};
    next.start();
    Slave slave{io.get_executor(), "127.0.0.1", port};
    slave.start();
    CHECK(run_until(io, [&] { return next.connected_slave_count() == 1; }));
}

TEST_CASE("a fork that closes its copies ends nobody's connections", "[integration]") {
    asio::io_context io{1};
    const Tcp tcp{io.get_executor()};
    auto acceptor = tcp.listen(tcp.make_strand(), "127.0.0.1", 0);
    std::optional<Tcp::Socket> here;
    std::optional<Tcp::Socket> there;
    run(io,
        [](const Tcp& transport, Tcp::Acceptor& from, std::optional<Tcp::Socket>& socket,
           std::optional<Tcp::Socket>& other) -> asio::awaitable<void> {
            socket.emplace(
                co_await transport.connect(transport.make_strand(), "127.0.0.1", from.local_endpoint().port()));
            other.emplace(co_await transport.accept(from));
        }(tcp, acceptor, here, there));

    CHECK(exit_code_of(fork_that([&] {
              std::error_code ignored;
              static_cast<void>(here->close(ignored));
              there.reset();
          })) == 0);
    const char said = 'x';
    char heard = 0;
    CHECK(here->write_some(asio::buffer(&said, 1)) == 1);
    there->non_blocking(false);
    CHECK(there->read_some(asio::buffer(&heard, 1)) == 1);
    CHECK(heard == said);
    run(io, [](const Tcp& transport, Tcp::Acceptor& from) -> asio::awaitable<void> {
        const auto again =
            co_await transport.connect(transport.make_strand(), "127.0.0.1", from.local_endpoint().port());
        const auto accepted = co_await transport.accept(from);
    }(tcp, acceptor));
}
