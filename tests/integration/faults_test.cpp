#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/fault_proxy.hpp"
#include "support/process.hpp"
#include "support/run.hpp"
#include "support/tally.hpp"
#include "support/timed_work.hpp"
#include "support/works.hpp"

// Slaves in processes of their own, behind a network that fails.

using support::FaultProxy;
using support::Tally;
using namespace std::chrono_literals;

namespace {

/// A process of slaves that find each fault within a second or so, unless told otherwise.
Process loyal(std::uint16_t port, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"port=" + std::to_string(port), "heartbeat=100", "dead_after=1000",
                                       "stalled_after=1000", "handshake_timeout=2000"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return {"loyal_process", std::move(arguments)};
}

/// Likewise.
distwork::MasterOptions watchful() {
    distwork::MasterOptions options;
    options.link.heartbeat = 100ms;
    options.link.dead_after = 1s;
    options.link.stalled_after = 1s;
    return options;
}

/// Ends a session for no silence: what ends there was ended by the fault.
distwork::MasterOptions patient_options() {
    distwork::MasterOptions options;
    options.link.heartbeat = 10s;
    options.link.dead_after = 60s;
    options.link.stalled_after = 60s;
    return options;
}
std::vector<std::string> and_patient(std::vector<std::string> more = {}) {
    for (const char* option : {"heartbeat=10000", "dead_after=60000", "stalled_after=60000"}) more.push_back(option);
    return more;
}

/// A master, and the proxy through which its slaves find it.
struct Scene {
    explicit Scene(distwork::MasterOptions options)
        : cluster{0, {}, logged(std::move(options))}, proxy{cluster.master.local_endpoint().port()} {}

    distwork::Master<>& master() { return cluster.master; }
    bool wait(const std::function<bool()>& condition) { return run_until(cluster.io, condition); }

    /// The slaves are there, and have answered their first ping: idle links are silent now until the next heartbeat.
    bool wait_for_slaves(std::size_t count) {
        return wait([&] {
            const auto sockets = master().sockets();
            return sockets.size() == count &&
                   std::all_of(sockets.begin(), sockets.end(), [](const auto& each) { return each.round_trip > 0ns; });
        });
    }

    void echo(std::size_t bytes, distwork::SubmitOptions options = {}) {
        const std::string text(bytes, 'e');
        tally.call(master(), Echo{text}, text, std::move(options));
    }
    void echo(std::size_t bytes, int times) {
        while (times-- > 0) echo(bytes);
    }
    void grow(std::size_t bytes) { tally.call(master(), Grow{bytes}, std::string(bytes, 'g')); }

    /// The network is well again: what was asked for ends, and what is asked for now succeeds.
    void heal_and_finish() {
        proxy.heal();
        INFO(log);
        REQUIRE(wait([&] { return tally.pending() == 0; }));
        Tally anew;
        for (std::uint64_t i = 0; i < 50; ++i) anew.call(master(), Timed{i, 0ms}, Timed::value_of(i));
        REQUIRE(wait([&] { return anew.pending() == 0; }));
        CHECK(anew.right() == 50);
        run(cluster.io, [](distwork::Master<>& stopping) -> asio::awaitable<void> {
            co_await stopping.async_stop(deadline);
        }(master()));
        tally.check();
        anew.check();
        const auto counted = master().statistics();
        CHECK(counted.admitted == tally.begun() + anew.begun());
        CHECK(counted.succeeded == counted.admitted);
        CHECK(counted.completed() == counted.admitted);
    }

    bool logged_that(const std::string& what) const { return log.find(what) != std::string::npos; }

    distwork::MasterOptions logged(distwork::MasterOptions options) {
        options.log = [this](distwork::LogLevel, std::string_view line) { log.append(line).push_back('\n'); };
        return options;
    }

    std::string log;
    Tally tally;
    Cluster<> cluster;
    FaultProxy proxy;
};

/// Resets the connection inside the large frame that `send` causes that way, again and again.
template <class Send>
void reset_inside(FaultProxy::Way way, Send send) {
    Scene scene{patient_options()};
    const Process slave = loyal(scene.proxy.port(), and_patient());
    std::size_t resets = 0;
    // In the header, right behind it, in the body, before its last byte.
    for (const std::size_t bytes : {1u, 15u, 16u, 17u, 50'000u, 199'999u}) {
        REQUIRE(scene.wait_for_slaves(1));
        scene.proxy.reset_after(way, bytes);
        send(scene);
        REQUIRE(scene.wait([&] { return scene.proxy.resets() > resets && scene.tally.pending() == 0; }));
        ++resets;
    }
    scene.heal_and_finish();
    CHECK(scene.proxy.accepted() == resets + 1);
}

}  // namespace

TEST_CASE("a network that is slow to deliver delays works and loses none", "[integration][chaos]") {
    Scene scene{patient_options()};
    scene.proxy.inject({.delay = 50ms});
    const Process first = loyal(scene.proxy.port(), and_patient());
    const Process second = loyal(scene.proxy.port(), and_patient());
    REQUIRE(scene.wait_for_slaves(2));
    for (const auto& socket : scene.master().sockets()) CHECK(socket.round_trip >= 100ms);
    scene.echo(10, 300);
    scene.echo(100'000, 10);
    REQUIRE(scene.wait([&] { return scene.tally.pending() == 0; }));
    CHECK(scene.tally.right() == 310);
    scene.heal_and_finish();
    CHECK(scene.proxy.accepted() == 2);
}

TEST_CASE("a body that takes longer than dead_after to arrive is a sign of life", "[integration][chaos]") {
    auto options = watchful();
    options.link.dead_after = 1500ms;
    Scene scene{options};
    const Process slave = loyal(scene.proxy.port(), {"dead_after=1500"});
    REQUIRE(scene.wait_for_slaves(1));
    scene.proxy.inject({.bytes_per_second = 300'000});
    scene.echo(600'000);
    scene.echo(10, 10);
    REQUIRE(scene.wait([&] { return scene.tally.pending() == 0; }));
    CHECK(scene.tally.right() == 11);
    scene.heal_and_finish();
    CHECK(scene.proxy.accepted() == 1);
}

TEST_CASE("frames that arrive byte by byte are put together", "[integration][chaos]") {
    const std::size_t slice = GENERATE(1u, 7u);
    Scene scene{patient_options()};
    scene.proxy.inject({.slice = slice});
    const Process slave = loyal(scene.proxy.port(), and_patient({"slots=4"}));
    REQUIRE(scene.wait_for_slaves(1));
    for (const std::size_t bytes : {0u, 1u, 7u, 15u, 16u, 17u, 255u, 4096u, 40'000u}) scene.echo(bytes, 3);
    REQUIRE(scene.wait([&] { return scene.tally.pending() == 0; }));
    CHECK(scene.tally.right() == 27);
    CHECK(scene.proxy.forwarded(FaultProxy::to_slave) > 3 * 40'000);
    scene.heal_and_finish();
    CHECK(scene.proxy.accepted() == 1);
}

TEST_CASE("a connection that is reset in the middle of a work ends nothing but itself", "[integration][chaos]") {
    reset_inside(FaultProxy::to_slave, [](Scene& scene) { scene.echo(200'000); });
}

TEST_CASE("a connection that is reset in the middle of an answer ends nothing but itself", "[integration][chaos]") {
    reset_inside(FaultProxy::to_master, [](Scene& scene) { scene.grow(200'000); });
}

TEST_CASE("a handshake may be cut off at any byte, and is begun again", "[integration][chaos]") {
    Scene scene{patient_options()};
    const Process slave = loyal(scene.proxy.port(), and_patient());
    std::size_t resets = 0;
    for (std::size_t bytes = 1; bytes < 700; bytes += bytes < 60 ? 7 : 61)
        for (const auto way : {FaultProxy::to_master, FaultProxy::to_slave}) {
            REQUIRE(scene.wait_for_slaves(1));
            scene.proxy.reset_after(way, bytes);
            scene.proxy.reset();
            scene.echo(10);
            REQUIRE(scene.wait([&] { return scene.proxy.resets() > resets && scene.tally.pending() == 0; }));
            ++resets;
        }
    REQUIRE(scene.wait_for_slaves(1));
    scene.heal_and_finish();
    CHECK(scene.proxy.accepted() > resets);
}

TEST_CASE("a master finds that a slave is gone by its silence", "[integration][chaos]") {
    Scene scene{watchful()};
    const Process slave = loyal(scene.proxy.port());
    REQUIRE(scene.wait_for_slaves(1));
    scene.tally.call(scene.master(), Timed{1, 20ms}, Timed::value_of(1));
    scene.echo(10, 5);
    scene.proxy.cut(FaultProxy::End::slave);
    // The slave comes back before its master has missed it.
    REQUIRE(scene.wait([&] { return scene.proxy.accepted() == 2; }));
    scene.echo(10, 5);
    REQUIRE(scene.wait([&] { return scene.logged_that("silent for too long"); }));
    REQUIRE(scene.wait_for_slaves(1));
    scene.heal_and_finish();
}

TEST_CASE("a slave finds that its master is gone by its silence, and comes back", "[integration][chaos]") {
    Scene scene{watchful()};
    const Process slave = loyal(scene.proxy.port());
    REQUIRE(scene.wait_for_slaves(1));
    scene.tally.call(scene.master(), Timed{1, 20ms}, Timed::value_of(1));
    scene.echo(10, 5);
    scene.proxy.cut(FaultProxy::End::master);
    REQUIRE(scene.wait([&] { return scene.master().connected_slave_count() == 0; }));
    CHECK_FALSE(scene.logged_that("silent for too long"));
    REQUIRE(scene.wait_for_slaves(1));
    CHECK(scene.proxy.accepted() == 2);
    scene.heal_and_finish();
}

TEST_CASE("a link that forwards nothing and closes nothing is found dead at both ends", "[integration][chaos]") {
    Scene scene{watchful()};
    const Process slave = loyal(scene.proxy.port());
    REQUIRE(scene.wait_for_slaves(1));
    scene.proxy.cut();
    scene.echo(1'000'000, 5);
    REQUIRE(scene.wait([&] { return scene.logged_that("silent for too long"); }));
    REQUIRE(scene.wait_for_slaves(1));
    CHECK(scene.proxy.accepted() == 2);
    scene.heal_and_finish();
}

TEST_CASE("answers that do not get through harm nobody but their slave", "[integration][chaos]") {
    Scene scene{watchful()};
    const Process stalled = loyal(scene.proxy.port(), {"slots=16", "handshake_timeout=300"});
    const Process other = loyal(scene.master().local_endpoint().port(), and_patient());
    REQUIRE(scene.wait_for_slaves(2));
    scene.proxy.inject(FaultProxy::to_master, {.stalled = true});
    // More than what the buffers on the way take.
    for (int i = 0; i < 40; ++i) scene.grow(1'000'000);
    REQUIRE(scene.wait([&] { return scene.logged_that("silent for too long") && scene.tally.pending() == 0; }));
    // It tries again, and is not heard.
    REQUIRE(scene.wait([&] { return scene.proxy.accepted() > 2; }));
    CHECK(scene.master().connected_slave_count() == 1);
    CHECK(scene.master().statistics().requeued > 0);
    scene.proxy.heal();
    REQUIRE(scene.wait_for_slaves(2));
    scene.heal_and_finish();
}

TEST_CASE("a slave that cannot be written to is dropped when its outbox was full, and harms nobody",
          "[integration][chaos]") {
    auto options = patient_options();
    options.link.heartbeat = 100ms;
    options.link.stalled_after = 500ms;
    options.link.max_outbox_bytes = 1 << 20;
    Scene scene{options};
    const Process stalled = loyal(scene.proxy.port(), {"slots=32", "dead_after=60000", "handshake_timeout=300"});
    const Process other = loyal(scene.master().local_endpoint().port(), and_patient());
    REQUIRE(scene.wait_for_slaves(2));
    scene.proxy.inject(FaultProxy::to_slave, {.stalled = true});
    scene.echo(1'000'000, 60);
    REQUIRE(scene.wait([&] { return scene.logged_that("does not read") && scene.tally.pending() == 0; }));
    CHECK(scene.master().connected_slave_count() == 1);
    CHECK(scene.master().statistics().requeued < 32);  // its slots alone would have taken as many
    scene.proxy.heal();
    REQUIRE(scene.wait_for_slaves(2));
    scene.heal_and_finish();
}

TEST_CASE("whoever answers a connection and says nothing is given up, at both ends", "[integration][chaos]") {
    auto options = patient_options();
    options.link.handshake_timeout = 300ms;
    Scene scene{options};
    scene.proxy.mute_new_links();
    const Process slave = loyal(scene.proxy.port(), and_patient({"handshake_timeout=300"}));
    scene.echo(10, 10);
    REQUIRE(scene.wait([&] { return scene.proxy.accepted() >= 3; }));
    REQUIRE(scene.wait([&] { return scene.logged_that("did not introduce itself within handshake_timeout"); }));
    CHECK(scene.tally.pending() == 10);
    scene.proxy.heal();
    REQUIRE(scene.wait([&] { return scene.tally.pending() == 0; }));
    CHECK(scene.tally.right() == 10);
    scene.heal_and_finish();
}

TEST_CASE("everything ends once the connections of all slaves no longer break every 50 ms", "[integration][chaos]") {
    Scene scene{watchful()};
    std::vector<Process> slaves;
    for (int i = 0; i < 3; ++i) slaves.push_back(loyal(scene.proxy.port(), {"slots=4"}));
    REQUIRE(scene.wait_for_slaves(3));
    const auto stubborn = distwork::SubmitOptions{}.max_attempts(1000);
    std::uint64_t number = 0;
    std::chrono::steady_clock::time_point last_reset;
    for (int i = 0; i < 40; ++i) {
        for (int k = 0; k < 20; ++k, ++number)
            scene.tally.call(scene.master(), Timed{number, std::chrono::milliseconds{k}}, Timed::value_of(number),
                             stubborn);
        for (int k = 0; k < 2; ++k) scene.echo(200'000, stubborn);
        scene.cluster.io.restart();
        scene.cluster.io.run_for(50ms);
        last_reset = std::chrono::steady_clock::now();
        scene.proxy.reset();
    }
    CHECK(scene.proxy.accepted() > 20);
    REQUIRE(scene.wait([&] {
        const auto sockets = scene.master().sockets();
        return sockets.size() == 3 && std::all_of(sockets.begin(), sockets.end(),
                                                  [&](const auto& each) { return each.connected_since > last_reset; });
    }));
    scene.heal_and_finish();
    CHECK(scene.master().statistics().requeued > 0);
}
