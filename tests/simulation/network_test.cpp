// The simulation itself: time, the network and its faults, hosts; then roles on it.

#include <algorithm>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/buffer.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "distwork.hpp"
#include "distwork/sim/simulation.hpp"
#include "simulation/roles.hpp"
#include "support/catch.hpp"
#include "support/works.hpp"

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;

namespace {

/// What one end of a connection has read and written so far.
struct End {
    std::optional<sim::Socket> socket;
    std::string heard;
    std::size_t said = 0;
    std::size_t reads = 0;
    std::size_t partial_writes = 0;
    std::error_code read_error;
    std::error_code write_error;

    bool is_over() const { return static_cast<bool>(read_error); }
};

asio::awaitable<void> hear(End& end, std::size_t most_at_once = 4096) {
    std::string space(most_at_once, '\0');
    while (!end.read_error) {
        auto token = asio::redirect_error(asio::use_awaitable, end.read_error);
        const std::size_t count = co_await end.socket->async_read_some(asio::buffer(space), token);
        end.heard.append(space, 0, count);
        if (!end.read_error) ++end.reads;
    }
}

asio::awaitable<void> say(End& end, std::string text) {
    std::size_t done = 0;
    while (done != text.size() && !end.write_error) {
        const std::vector<asio::const_buffer> buffers{
            asio::buffer(text.data() + done, (text.size() - done) / 2),
            asio::buffer(text.data() + done + (text.size() - done) / 2, text.size() - done - (text.size() - done) / 2)};
        auto token = asio::redirect_error(asio::use_awaitable, end.write_error);
        const std::size_t count =
            co_await end.socket->async_write_some(std::span<const asio::const_buffer>{buffers}, token);
        if (count != text.size() - done) ++end.partial_writes;
        done += count;
        end.said += count;
    }
}

/// Two hosts with a connection between them.
struct Pair {
    explicit Pair(std::uint64_t seed = 1, sim::NetworkOptions options = {})
        : simulation{seed, {.network = options}},
          server{simulation.add_host("server")},
          client{simulation.add_host("client")},
          acceptor{server.transport().listen(server.transport().make_strand(), server.address(), 80)} {
        spawn(server, accept());
        spawn(client, connect());
        REQUIRE(simulation.run_until([&] { return at_server.socket && at_client.socket; }, 60s));
    }

    asio::awaitable<void> accept() { at_server.socket.emplace(co_await server.transport().accept(acceptor)); }
    asio::awaitable<void> connect() {
        auto transport = client.transport();
        at_client.socket.emplace(co_await transport.connect(transport.make_strand(), "server", 80));
    }

    static void spawn(sim::Host& host, asio::awaitable<void> body) {
        asio::co_spawn(host.get_executor(), std::move(body), [](const std::exception_ptr& error) {
            if (error) std::rethrow_exception(error);
        });
    }

    sim::Simulation simulation;
    sim::Host& server;
    sim::Host& client;
    sim::Acceptor acceptor;
    End at_server;
    End at_client;
};

std::string numbers(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += std::to_string(i) + ' ';
    return text;
}

/// How an attempt to connect ended.
struct Attempt {
    bool done = false;
    std::error_code error;

    void begin(sim::Host& host, std::uint16_t port, asio::cancellation_slot slot = {}) {
        asio::co_spawn(host.get_executor(), connect(host, port),
                       asio::bind_cancellation_slot(slot, [this](const std::exception_ptr& thrown) {
                           done = true;
                           try {
                               if (thrown) std::rethrow_exception(thrown);
                           } catch (const std::system_error& caught) {
                               error = caught.code();
                           }
                       }));
    }

    static asio::awaitable<void> connect(sim::Host& host, std::uint16_t port) {
        auto transport = host.transport();
        const auto socket = co_await transport.connect(transport.make_strand(), "server", port);
    }
};

}  // namespace

TEST_CASE("a simulated stream arrives whole and in order, in pieces and through a small window") {
    const std::string text = numbers(2000);
    std::size_t reads[2] = {};
    for (const bool split : {false, true}) {
        sim::NetworkOptions options;
        options.split = split ? 0.9 : 0;
        options.window = split ? 500 : 64 * 1024;
        options.bytes_per_second = 1'000'000;
        Pair pair{7, options};
        const auto begun = pair.simulation.now();
        pair.spawn(pair.client, say(pair.at_client, text));
        pair.spawn(pair.server, hear(pair.at_server));
        CHECK(pair.simulation.run_until([&] { return pair.at_server.heard.size() == text.size(); }, 60s));
        CHECK(pair.at_server.heard == text);
        CHECK(pair.simulation.now() - begun > std::chrono::microseconds{text.size()});
        reads[split] = pair.at_server.reads;
        CHECK((pair.at_client.partial_writes != 0) == split);
        pair.at_client.socket->close();
        CHECK(pair.simulation.run_until([&] { return pair.at_server.is_over(); }, 1s));
        CHECK(pair.at_server.read_error == asio::error::eof);
    }
    CHECK(reads[1] > 10 * reads[0]);
}

TEST_CASE("a simulated writer waits for a reader that does not read") {
    sim::NetworkOptions options;
    options.window = 1000;
    Pair pair{1, options};
    pair.spawn(pair.client, say(pair.at_client, std::string(5000, 'x')));
    pair.simulation.run_for(10s);
    CHECK(pair.at_client.said == 1000);
    pair.spawn(pair.server, hear(pair.at_server, 10));
    CHECK(pair.simulation.run_until([&] { return pair.at_server.heard.size() == 5000; }, 10s));
}

TEST_CASE("a simulated slow reader takes its time") {
    sim::NetworkOptions options;
    options.slow_readers = 1;
    options.slow_pause = 10ms;
    Pair pair{1, options};
    pair.spawn(pair.client, say(pair.at_client, std::string(1000, 'x')));
    pair.spawn(pair.server, hear(pair.at_server, 10));
    const auto begun = pair.simulation.now();
    CHECK(pair.simulation.run_until([&] { return pair.at_server.heard.size() == 1000; }, 10s));
    CHECK(pair.simulation.now() - begun > 300ms);
}

TEST_CASE("a simulated close is a reset where bytes were left unread") {
    Pair pair;
    pair.spawn(pair.client, say(pair.at_client, "never read"));
    pair.spawn(pair.client, hear(pair.at_client));
    pair.simulation.run_for(1s);
    std::error_code error;
    CHECK(pair.at_server.socket->available(error) == 10);
    pair.at_server.socket->close();
    CHECK(pair.simulation.run_until([&] { return pair.at_client.is_over(); }, 1s));
    CHECK(pair.at_client.read_error == asio::error::connection_reset);
}

TEST_CASE("a simulated close ends what is pending there, and who writes on is told") {
    Pair pair;
    pair.spawn(pair.server, hear(pair.at_server));
    pair.simulation.run_for(1s);
    pair.at_server.socket->close();
    CHECK_FALSE(pair.at_server.is_over());  // never inside the call
    pair.simulation.run_for(1s);
    CHECK(pair.at_server.read_error == asio::error::operation_aborted);
    pair.spawn(pair.client, say(pair.at_client, "into the void"));
    pair.simulation.run_for(1s);
    CHECK_FALSE(pair.at_client.write_error);
    pair.spawn(pair.client, say(pair.at_client, "again"));
    pair.simulation.run_for(1s);
    CHECK(pair.at_client.write_error == asio::error::connection_reset);
}

TEST_CASE("a simulated reset loses some of what is on its way, at both ends") {
    std::set<std::size_t> arrived;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        sim::NetworkOptions options;
        options.split = 0.9;
        Pair pair{seed, options};
        const std::string text = numbers(20);
        pair.spawn(pair.client, say(pair.at_client, text));
        pair.spawn(pair.client, hear(pair.at_client));
        pair.spawn(pair.server, hear(pair.at_server));
        pair.simulation.run_until([&] { return pair.at_client.said == text.size(); }, 1s);
        pair.simulation.network().reset(pair.client, pair.server);
        CHECK(pair.simulation.run_until([&] { return pair.at_server.is_over() && pair.at_client.is_over(); }, 1s));
        CHECK(pair.at_server.read_error == asio::error::connection_reset);
        CHECK(pair.at_client.read_error == asio::error::connection_reset);
        CHECK(pair.at_server.heard == text.substr(0, pair.at_server.heard.size()));
        arrived.insert(pair.at_server.heard.size());
    }
    CHECK(arrived.size() > 3);
}

TEST_CASE("a simulated partition holds bytes until it heals, one way or both") {
    Pair pair;
    pair.spawn(pair.server, hear(pair.at_server));
    pair.spawn(pair.client, hear(pair.at_client));
    pair.simulation.network().partition_one_way(pair.client, pair.server);
    pair.spawn(pair.client, say(pair.at_client, "held"));
    pair.spawn(pair.server, say(pair.at_server, "passes"));
    pair.simulation.run_for(1h);
    CHECK(pair.at_server.heard.empty());
    CHECK(pair.at_client.heard == "passes");
    pair.simulation.network().partition(pair.client, pair.server);
    pair.at_server.socket->close();
    pair.simulation.run_for(1h);
    CHECK_FALSE(pair.at_client.is_over());
    pair.simulation.network().heal(pair.client, pair.server);
    pair.simulation.run_for(1s);
    CHECK(pair.at_client.is_over());
}

TEST_CASE("a simulated clog ends by itself") {
    Pair pair;
    pair.spawn(pair.server, hear(pair.at_server));
    pair.simulation.network().clog(pair.client, pair.server, 300ms);
    pair.simulation.network().clog(pair.client, pair.server, 500ms);
    pair.spawn(pair.client, say(pair.at_client, "late"));
    pair.simulation.run_for(499ms);
    CHECK(pair.at_server.heard.empty());
    pair.simulation.run_for(10ms);
    CHECK(pair.at_server.heard == "late");
}

TEST_CASE("a simulated host that is frozen goes on where it was") {
    Pair pair;
    pair.spawn(pair.server, hear(pair.at_server));
    sim::Timer timer{pair.server.get_executor()};
    bool expired = false;
    timer.expires_after(1s);
    timer.async_wait([&](std::error_code) { expired = true; });
    pair.simulation.run_for(10ms);
    pair.server.freeze();
    pair.spawn(pair.client, say(pair.at_client, "hello"));
    pair.simulation.run_for(1h);
    CHECK(pair.at_server.heard.empty());
    CHECK_FALSE(expired);
    pair.server.wake();
    pair.simulation.run_for(0s);
    CHECK(pair.at_server.heard == "hello");
    CHECK(expired);
}

TEST_CASE("a simulated host that crashes calls nobody, and its peers see the end, or nothing when the power fails") {
    for (const sim::Crash how : {sim::Crash::killed, sim::Crash::power_loss}) {
        Pair pair;
        pair.spawn(pair.server, hear(pair.at_server));
        pair.spawn(pair.client, hear(pair.at_client));
        pair.spawn(pair.server, say(pair.at_server, "last words"));
        pair.simulation.run_until([&] { return pair.at_server.said == 10; }, 1s);
        pair.server.crash(how);
        pair.simulation.run_for(1h);
        CHECK_FALSE(pair.at_server.is_over());
        CHECK(pair.at_client.heard == "last words");
        CHECK(pair.at_client.is_over() == (how == sim::Crash::killed));

        Attempt attempt;
        attempt.begin(pair.client, 80);
        const auto begun = pair.simulation.now();
        CHECK(pair.simulation.run_until([&] { return attempt.done; }, 1h));
        if (how == sim::Crash::killed) {
            CHECK(attempt.error == asio::error::connection_refused);
            continue;
        }
        CHECK(attempt.error == asio::error::timed_out);
        CHECK(pair.simulation.now() - begun > 60s);
        // Another process there knows nothing of the connection.
        sim::Host& again = pair.simulation.add_host("server");
        CHECK(again.address() == pair.server.address());
        pair.spawn(pair.client, say(pair.at_client, "still there?"));
        pair.simulation.run_for(1s);
        CHECK(pair.at_client.read_error == asio::error::connection_reset);
    }
}

TEST_CASE("a simulated timer is cancelled as Asio's is") {
    sim::Simulation simulation{1};
    sim::Host& host = simulation.add_host("host");
    sim::Timer timer{host.get_executor()};
    std::vector<std::error_code> ended;
    const auto note = [&](std::error_code error) { ended.push_back(error); };
    timer.expires_after(1s);
    timer.async_wait(note);
    timer.async_wait(note);
    CHECK(timer.cancel() == 2);
    CHECK(ended.empty());
    simulation.run_for(0s);
    CHECK(ended == std::vector<std::error_code>(2, asio::error::operation_aborted));
    ended.clear();

    timer.async_wait(note);  // the expiry is still the one that was set
    CHECK(timer.expires_after(2s) == 1);
    timer.async_wait(note);
    simulation.run_for(1500ms);
    CHECK(ended == std::vector<std::error_code>{asio::error::operation_aborted});
    simulation.run_for(1s);
    CHECK(ended.size() == 2);
    CHECK_FALSE(ended.back());
    CHECK(timer.cancel() == 0);
    ended.clear();

    asio::cancellation_signal signal;
    timer.expires_after(1s);
    timer.async_wait(note);
    timer.async_wait(asio::bind_cancellation_slot(signal.slot(), note));
    signal.emit(asio::cancellation_type::terminal);
    simulation.run_for(500ms);
    CHECK(ended == std::vector<std::error_code>{asio::error::operation_aborted});
    host.jump(500ms);
    simulation.run_for(0s);
    CHECK(ended.size() == 2);
    CHECK_FALSE(ended.back());
    ended.clear();

    {
        sim::Timer dies{host.get_executor()};
        dies.expires_after(1s);
        dies.async_wait(note);
    }
    simulation.run_for(0s);
    CHECK(ended == std::vector<std::error_code>{asio::error::operation_aborted});
}

TEST_CASE("a simulated connect is refused, cancelled, or waits for a partition to end") {
    Pair pair;
    Attempt refused;
    refused.begin(pair.client, 81);
    pair.simulation.run_for(1s);
    CHECK(refused.done);
    CHECK(refused.error == asio::error::connection_refused);

    Attempt cancelled;
    asio::cancellation_signal signal;
    pair.simulation.network().partition(pair.client, pair.server);
    cancelled.begin(pair.client, 80, signal.slot());
    pair.simulation.run_for(1s);
    CHECK_FALSE(cancelled.done);
    signal.emit(asio::cancellation_type::terminal);
    pair.simulation.run_for(0s);
    CHECK(cancelled.done);
    CHECK(cancelled.error == asio::error::operation_aborted);

    Attempt patient;
    patient.begin(pair.client, 80);
    pair.simulation.run_for(30s);
    CHECK_FALSE(patient.done);
    pair.simulation.network().heal(pair.client, pair.server);
    pair.simulation.run_for(60s);
    CHECK(patient.done);
    CHECK_FALSE(patient.error);
}

TEST_CASE("a simulated acceptor that closes ends who accepts, and its address is free again") {
    Pair pair;
    std::error_code ended;
    pair.acceptor.async_accept([&](std::error_code error, sim::Endpoint*) { ended = error; });
    auto transport = pair.server.transport();
    CHECK_THROWS_AS(transport.listen(transport.make_strand(), "0.0.0.0", 80), Error);
    CHECK_THROWS_AS(transport.listen(transport.make_strand(), "127.0.0.77", 80), Error);
    std::error_code error;
    pair.acceptor.close(error);
    CHECK_FALSE(pair.acceptor.is_open());
    pair.simulation.run_for(0s);
    CHECK(ended == asio::error::operation_aborted);
    CHECK(transport.listen(transport.make_strand(), "0.0.0.0", 80).is_open());
}

TEST_CASE("a simulation refuses executors that are not its own, and tasks without end") {
    asio::io_context io;
    CHECK_THROWS_AS(sim::Timer{io.get_executor()}, std::invalid_argument);
    sim::Simulation simulation{1};
    sim::Host& host = simulation.add_host("host");
    struct Forever {
        sim::Host& host;
        void operator()() { asio::post(host.get_executor(), *this); }
    };
    asio::post(host.get_executor(), Forever{host});
    CHECK_THROWS_AS(simulation.run_for(1s), std::runtime_error);
}

// Roles

namespace {

struct Run {
    std::uint64_t hash = 0;
    int succeeded = 0;
    int failed = 0;
    int others = 0;  // neither a value nor lost
    std::uint64_t requeued = 0;
    bool twice = false;
    bool done = false;
};

/// What happens to the slaves.
enum class Plight { none, killed, power_loss, frozen };

constexpr int slave_count = 5;
constexpr int work_count = 200;

auto& add_master(sim::Simulation& simulation, MasterOptions options = {}) {
    sim::Host& host = simulation.add_host("master");
    options.port = 12345;
    auto& master = host.make<Master<RoundRobin, sim::Transport>>(host.transport(), options);
    master.start();
    return master;
}

SlaveOptions with_slots(std::size_t slots) {
    SlaveOptions options;
    options.slots = slots;
    options.reconnect_at_most = 2s;
    return options;
}

sim::Host& add_slave(sim::Simulation& simulation, int number, const SlaveOptions& options = with_slots(2)) {
    sim::Host& host = simulation.add_host("slave " + std::to_string(number));
    auto& slave =
        host.make<Slave<sim::Transport>>(host.transport(), std::string{"127.0.0.1"}, std::uint16_t{12345}, options);
    slave.start();
    return host;
}

/// One slave after the other, and then again.
void strike(sim::Simulation& simulation, std::vector<sim::Host*>& slaves, Plight plight, int times) {
    if (times == 0 || plight == Plight::none) return;
    const auto struck = static_cast<std::size_t>(simulation.random().below(slaves.size()));
    const auto pause = [&] { return simulation.random().around(20s); };
    sim::Host& host = *slaves[struck];
    if (plight == Plight::frozen) {
        host.freeze();
        simulation.after(pause(), [&host] { host.wake(); });
    } else {
        host.crash(plight == Plight::killed ? sim::Crash::killed : sim::Crash::power_loss);
        slaves[struck] = &add_slave(simulation, static_cast<int>(struck));
    }
    simulation.after(simulation.random().around(200ms),
                     [&simulation, &slaves, plight, times] { strike(simulation, slaves, plight, times - 1); });
}

Run run_roles(std::uint64_t seed, const sim::SimulationOptions& how, Plight plight = Plight::none) {
    sim::Simulation simulation{seed, how};
    auto& master = add_master(simulation);
    std::vector<sim::Host*> slaves;
    for (int i = 0; i < slave_count; ++i) slaves.push_back(&add_slave(simulation, i));
    simulation.after(100ms, [&] { strike(simulation, slaves, plight, 10); });

    Run outcome;
    std::vector<int> completed(work_count);
    const auto call = [&](int i) {
        Sum sum{i, 1};
        master.async_call(std::move(sum), [&, i](const std::exception_ptr& error, int value) {
            if (++completed[static_cast<std::size_t>(i)] > 1) outcome.twice = true;
            try {
                if (error) std::rethrow_exception(error);
                ++(value == i + 1 ? outcome.succeeded : outcome.others);
            } catch (const Error& caught) {
                ++(caught.code() == Errc::lost ? outcome.failed : outcome.others);
            }
        });
    };
    for (int i = 0; i < work_count; ++i) simulation.after(i * 5ms, [&, i] { call(i); });
    simulation.after(120s, [&] { simulation.network().calm(); });
    outcome.done =
        simulation.run_until([&] { return outcome.succeeded + outcome.failed + outcome.others == work_count; }, 600s);
    outcome.requeued = master.statistics().requeued;
    outcome.hash = simulation.trace_hash();
    return outcome;
}

sim::SimulationOptions with_work_times(sim::NetworkOptions network = {}) {
    sim::SimulationOptions options;
    options.network = network;
    options.least_work_time = 1ms;
    options.most_work_time = 20ms;
    return options;
}

void check_each_once(const Run& outcome) {
    CHECK(outcome.done);
    CHECK(outcome.others == 0);
    CHECK_FALSE(outcome.twice);
}

}  // namespace

TEST_CASE("in simulation, five slaves execute two hundred works, each once") {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        INFO("seed " << seed);
        const Run outcome = run_roles(seed, with_work_times());
        CHECK(outcome.done);
        CHECK(outcome.succeeded == work_count);
        CHECK_FALSE(outcome.twice);
    }
}

TEST_CASE("in simulation, every call completes exactly once whatever the network does") {
    std::uint64_t requeued = 0;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        INFO("seed " << seed);
        auto network = sim::NetworkOptions::faulty(seed);
        if (seed % 2 == 0) network.reset_after = 200ms;
        const Run outcome = run_roles(seed, with_work_times(network));
        check_each_once(outcome);
        requeued += outcome.requeued;
    }
    CHECK(requeued > 0);
}

TEST_CASE("in simulation, every call completes exactly once whatever becomes of the slaves") {
    for (const Plight plight : {Plight::killed, Plight::power_loss, Plight::frozen}) {
        std::uint64_t requeued = 0;
        for (std::uint64_t seed = 0; seed < 30; ++seed) {
            INFO("plight " << static_cast<int>(plight) << ", seed " << seed);
            const Run outcome = run_roles(seed, with_work_times(), plight);
            check_each_once(outcome);
            requeued += outcome.requeued;
        }
        CHECK(requeued > 0);
    }
}

TEST_CASE("in simulation, slaves that fall silent together cost a work one attempt at most") {
    std::uint64_t requeued = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        INFO("seed " << seed);
        sim::Simulation simulation{seed, with_work_times()};
        auto& master = add_master(simulation);
        std::vector<sim::Host*> slaves;
        // Their heartbeats fall at different times.
        for (int i = 0; i < 12; ++i)
            simulation.after(simulation.random().between(0s, 5s),
                             [&, i] { slaves.push_back(&add_slave(simulation, i)); });
        simulation.after(10s, [&] {
            for (std::size_t i = 0; i < 9; ++i) slaves[i]->crash(sim::Crash::power_loss);
        });
        int succeeded = 0;
        int failed = 0;
        const auto call = [&](int i) {
            master.async_call(Sum{i, 1}, SubmitOptions{}.max_attempts(2),
                              [&](const std::exception_ptr& error, int) { ++(error ? failed : succeeded); });
        };
        // So few that each has begun where it was sent to.
        for (int i = 0; i < 20; ++i) simulation.after(10s + i * 10ms, [&, i] { call(i); });
        CHECK(simulation.run_until([&] { return succeeded + failed == 20; }, 600s));
        CHECK(failed == 0);
        requeued += master.statistics().requeued;
    }
    CHECK(requeued > 0);
}

TEST_CASE("in simulation, a run may end at any moment, and a role before it") {
    for (int events = 0; events < 300; ++events) {
        sim::Simulation simulation{1, with_work_times()};
        sim::Host& host = simulation.add_host("master");
        MasterOptions options;
        options.port = 12345;
        std::optional<Master<RoundRobin, sim::Transport>> master{std::in_place, host.transport(), options};
        master->start();
        sim::Host& slave = add_slave(simulation, 0);
        int completed = 0;
        for (int i = 0; i < 20; ++i) {
            Sum sum{i, 1};
            master->async_call(std::move(sum), [&](const std::exception_ptr&, int) { ++completed; });
        }
        int left = events;
        simulation.run_until([&] { return left-- == 0; }, 60s);
        if (events % 3 == 1) slave.crash(sim::Crash::power_loss);
        if (events % 3 == 2) slave.freeze();
        master.reset();
        simulation.run_for(0s);
        CHECK(completed == 20);
    }
}

TEST_CASE("in simulation, equal seeds give equal runs and others do not") {
    std::set<std::uint64_t> hashes;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        INFO("seed " << seed);
        const auto how = with_work_times(sim::NetworkOptions::faulty(seed));
        const Run first = run_roles(seed, how);
        // Memory that lies elsewhere must not change anything.
        const std::vector<std::unique_ptr<char[]>> between = [] {
            std::vector<std::unique_ptr<char[]>> blocks;
            for (std::size_t i = 0; i < 300; ++i) blocks.push_back(std::make_unique<char[]>(16 + 37 * i % 900));
            return blocks;
        }();
        CHECK(run_roles(seed, how).hash == first.hash);
        hashes.insert(first.hash);
    }
    CHECK(hashes.size() == 20);
}

TEST_CASE("in simulation, nothing waits behind a work that goes on beyond its execution_timeout") {
    sim::Simulation simulation{1};
    auto& master = add_master(simulation);
    for (int i = 0; i < 2; ++i) {
        sim::Host& host = add_slave(simulation, i, with_slots(1));
        host.work_time([](std::string_view type, sim::Random&) -> sim::Duration {
            if (type.find("Echo") != type.npos) return 10h;
            return 1ms;
        });
    }
    REQUIRE(simulation.run_until([&] { return master.connected_slave_count() == 2; }, 10s));
    std::error_code stuck;
    master.async_call(Echo{""}, SubmitOptions{}.execution_timeout(100ms),
                      [&](const std::exception_ptr& error, const std::string&) {
                          try {
                              if (error) std::rethrow_exception(error);
                          } catch (const Error& caught) {
                              stuck = caught.code();
                          }
                      });
    simulation.run_for(5s);
    CHECK(stuck == Errc::execution_timeout);
    int succeeded = 0;
    for (int i = 0; i < 1000; ++i)
        simulation.after(i * 5ms, [&] {
            master.async_call(Sum{1, 1}, [&](const std::exception_ptr& error, int) { succeeded += error ? 0 : 1; });
        });
    CHECK(simulation.run_until([&] { return succeeded == 1000; }, 60s));
    CHECK(master.statistics().timed_out == 1);

    // It returns, and its slot is free again.
    simulation.run_for(11h);
    for (const auto& socket : master.sockets()) {
        CHECK(socket.in_flight == 0);
        CHECK(socket.state.running == 0);
    }
    CHECK(master.statistics().late_answers == 0);
    CHECK(master.statistics().timed_out == 1);
}

TEST_CASE("in simulation, a slave whose answers do not leave begins nothing") {
    constexpr std::size_t bound = 1024 * 1024;
    constexpr std::size_t each = 60'000;
    sim::Simulation simulation{1};
    auto& master = add_master(simulation);
    auto options = with_slots(1);
    options.link.max_outbox_bytes = bound;
    const bool in_place = GENERATE(false, true);
    if (in_place) options.work_executor = WorkExecutor::in_place();
    std::size_t executed = 0;
    sim::Host& host = add_slave(simulation, 0, options);
    host.work_time([&](std::string_view, sim::Random&) -> sim::Duration { return ++executed, 0ns; });
    std::size_t submitted = 0;
    std::size_t succeeded = 0;
    const auto call = [&](std::size_t bytes) {
        ++submitted;
        master.async_call(Grow{bytes},
                          [&](const std::exception_ptr& error, const std::string&) { succeeded += error ? 0 : 1; });
    };
    // Measured as works of a microsecond, they stream to it by the thousand.
    for (int i = 0; i < 20'000; ++i) call(1);
    REQUIRE(simulation.run_until([&] { return succeeded == submitted; }, 1h));
    simulation.network().options().bytes_per_second = 1'000'000;
    const std::size_t before = executed;
    for (int i = 0; i < 3000; ++i) call(each);
    simulation.run_for(5s);
    CHECK(executed > before + 10);
    // The bound, the last answer beyond it, and what the link holds.
    CHECK((executed - succeeded) * each < bound + 4 * each);
    CHECK(simulation.run_until([&] { return succeeded == submitted; }, 1h));
    CHECK(executed == submitted);
}

TEST_CASE("in simulation, a work that is cancelled before it left is not executed in place either") {
    sim::Simulation simulation{1};
    auto& master = add_master(simulation);
    auto options = with_slots(1);
    options.work_executor = WorkExecutor::in_place();
    std::size_t executed = 0;
    add_slave(simulation, 0, options).work_time([&](std::string_view, sim::Random&) -> sim::Duration {
        return ++executed, 0ns;
    });
    REQUIRE(simulation.run_until([&] { return master.connected_slave_count() == 1; }, 10s));
    asio::cancellation_signal cancel;
    bool cancelled = false;
    bool other = false;
    master.async_call(Sum{1, 1}, asio::bind_cancellation_slot(cancel.slot(), [&](const std::exception_ptr& error, int) {
                          cancelled = error != nullptr;
                      }));
    master.async_call(Sum{1, 2}, [&](const std::exception_ptr& error, int) { other = error == nullptr; });
    cancel.emit(asio::cancellation_type::terminal);
    simulation.run_for(10s);
    CHECK(cancelled);
    CHECK(other);
    CHECK(executed == 1);
    CHECK(master.sockets().at(0).in_flight == 0);
}

TEST_CASE("in simulation, a master holds so many works of a slave as it says") {
    sim::Simulation simulation{1, {.least_work_time = 1s, .most_work_time = 1s}};
    MasterOptions options;
    options.slots = 10;
    options.max_slave_works = 3;
    auto& master = add_master(simulation, options);
    master.accept_work<FromSlave>();
    add_slave(simulation, 0);
    REQUIRE(simulation.run_until([&] { return master.connected_slave_count() == 1; }, 10s));
    Seen::here().from_slaves = 0;
    master.distribute_work(SendsMany{10});
    simulation.run_for(2500ms);  // sent after one second, executed at the end of the next
    CHECK(Seen::here().from_slaves == 3);
    simulation.run_for(1s);
    CHECK(Seen::here().from_slaves == 6);
    simulation.run_for(2s);
    CHECK(Seen::here().from_slaves == 10);
}
