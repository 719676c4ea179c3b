#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_future.hpp>
#include <asio/write.hpp>
#include <map>
#include <optional>
#include <sstream>
#include <thread>

#include "support/catch.hpp"
#include "support/run.hpp"
#include "support/stranger.hpp"
#include "support/works.hpp"

using distwork::Errc;
using distwork::SubmitOptions;

namespace {

distwork::SlaveOptions slave_options(std::size_t slots, std::string name = {}, std::vector<std::string> labels = {}) {
    distwork::SlaveOptions options;
    options.slots = slots;
    options.name = std::move(name);
    options.labels = std::move(labels);
    return options;
}

/// The code that constructing throws; success if it does not.
template <class Construct>
std::error_code thrown_by(Construct construct, std::string* text = nullptr) {
    try {
        construct();
    } catch (const distwork::Error& error) {
        if (text) *text = error.what();
        return error.code();
    }
    return {};
}

}  // namespace

TEST_CASE("works go round the slaves in the order in which they connected", "[integration]") {
    Cluster<> cluster{0};
    for (int i = 0; i < 10; ++i) cluster.add_slave(slave_options(1, "slave " + std::to_string(i)));
    std::vector<std::string> turns;
    run(cluster.io, [](distwork::Master<>& master, std::vector<std::string>& names) -> asio::awaitable<void> {
        for (int i = 0; i < 20; ++i) {
            std::optional<distwork::RemoteError> caught;
            try {
                co_await master.async_call(Throwing{0});
            } catch (const distwork::RemoteError& error) {
                caught = error;
            }
            names.push_back(caught->slave().substr(0, 7));
        }
    }(cluster.master, turns));
    for (std::size_t i = 0; i < 20; ++i) CHECK(turns[i] == "slave " + std::to_string(i % 10));
}

TEST_CASE("works with labels go to slaves that have them", "[integration]") {
    Cluster<> cluster{0};
    cluster.add_slave(slave_options(2, "plain"));
    cluster.add_slave(slave_options(2, "gpu", {"gpu", "big"}));
    int done = 0;
    for (int i = 0; i < 50; ++i)
        cluster.master.async_call(Throwing{0}, SubmitOptions{}.label("gpu"), [&](const std::exception_ptr& error, int) {
            try {
                std::rethrow_exception(error);
            } catch (const distwork::RemoteError& failure) {
                CHECK(failure.slave().find("gpu") == 0);
            }
            ++done;
        });
    REQUIRE(run_until(cluster.io, [&] { return done == 50; }));
    // Nobody has this one: it waits.
    cluster.master.distribute_work(Plain{}, SubmitOptions{}.label("fpga"));
    CHECK(cluster.master.backlog_size() == 1);
    Seen::here().plain = 0;
    cluster.add_slave(slave_options(1, "late", {"fpga"}));
    REQUIRE(run_until(cluster.io, [] { return Seen::here().plain == 1; }));
}

TEST_CASE("a selector pins works to one slave through a full backlog", "[integration]") {
    const auto pin = [](distwork::DistributeContext& context) -> const distwork::SocketInformation* {
        const auto* addressed = dynamic_cast<const Addressed*>(&context.work());
        for (const auto* socket : context.sockets())
            if (!addressed || socket->name == addressed->slave) return socket;
        return nullptr;
    };
    Cluster<distwork::AnySelector> cluster{0, {}, {}, pin};
    for (const char* name : {"a", "b", "c"}) cluster.add_slave(slave_options(1, name));
    int done = 0;
    std::map<std::string, int> by_slave;
    const char* const names[] = {"a", "b", "b", "c"};
    for (int i = 0; i < 2000; ++i)
        cluster.master.async_call(Addressed{names[i % 4]}, [&](std::exception_ptr error, const std::string& name) {
            REQUIRE_FALSE(error);
            ++by_slave[name];
            ++done;
        });
    CHECK(cluster.master.backlog_size() > 1900);
    REQUIRE(run_until(cluster.io, [&] { return done == 2000; }));
    CHECK(by_slave == std::map<std::string, int>{{"a", 500}, {"b", 1000}, {"c", 500}});
    // Each was executed where it was sent to, and nowhere else.
    std::map<std::string, std::uint64_t> completed;
    for (const auto& socket : cluster.master.sockets()) completed[socket.name] = socket.completed;
    CHECK(completed == std::map<std::string, std::uint64_t>{{"a", 500}, {"b", 1000}, {"c", 500}});
}

TEST_CASE("the selector is exchanged while works wait, and sees the host's own values", "[integration]") {
    Cluster<distwork::AnySelector> cluster{
        2, slave_options(1), {}, [](distwork::DistributeContext&) -> const distwork::SocketInformation* {
            return nullptr;
        }};
    Seen::here().plain = 0;
    for (int i = 0; i < 10; ++i) cluster.master.distribute_work(Plain{});
    REQUIRE(cluster.master.backlog_size() == 10);
    cluster.master.socket_selector([](distwork::DistributeContext& context) -> const distwork::SocketInformation* {
        for (const auto* socket : context.sockets())
            if (std::any_cast<std::string>(&socket->value)) return socket;
        return nullptr;
    });
    REQUIRE(cluster.master.backlog_size() == 10);
    const auto id = cluster.master.sockets()[1].id;
    REQUIRE(cluster.master.update_socket_information(id, std::string{"mine"}));
    REQUIRE_FALSE(cluster.master.update_socket_information(77777, 1));
    REQUIRE(run_until(cluster.io, [] { return Seen::here().plain == 10; }));
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.sockets()[1].completed == 10; }));
    CHECK(cluster.master.sockets()[0].completed == 0);
}

TEST_CASE("every selector of the library spreads works over all slaves", "[integration]") {
    const auto spread = [](auto selector) {
        Cluster<decltype(selector)> cluster{4, slave_options(1), {}, selector};
        int done = 0;
        for (int i = 0; i < 400; ++i) cluster.master.async_call(Sum{i, 1}, [&](std::exception_ptr, int) { ++done; });
        REQUIRE(run_until(cluster.io, [&] { return done == 400; }));
        for (const auto& socket : cluster.master.sockets()) CHECK(socket.completed > 0);
    };
    spread(distwork::RoundRobin{});
    spread(distwork::LeastLoaded{});
    spread(distwork::PowerOfTwoChoices{});
}

TEST_CASE("sockets tell what is known of each slave", "[integration]") {
    Cluster<> cluster{0};
    cluster.add_slave(slave_options(3, "worker", {"b", "a"}));
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        for (int i = 0; i < 5; ++i) co_await master.async_call(Sum{i, i});
        const auto failed = co_await error_of(master.async_call(Throwing{0}));
        REQUIRE(failed == Errc::work_failed);
    }(cluster.master));
    asio::cancellation_signal stop;
    cluster.master.async_call(UntilStopped{}, asio::bind_cancellation_slot(stop.slot(), [](std::exception_ptr) {}));
    const auto socket = cluster.master.sockets().at(0);
    CHECK(socket.name == "worker");
    CHECK(socket.labels == std::vector<std::string>{"a", "b"});
    CHECK(socket.slots == 3);
    CHECK(socket.completed == 5);
    CHECK(socket.failed == 1);
    CHECK(socket.in_flight == 1);
    REQUIRE(socket.running.size() == 1);
    CHECK(socket.running[0].first->name == "UntilStopped");
    CHECK(socket.last_finished->name == "Throwing");
    CHECK(socket.mean_execution_time.count() > 0);
    CHECK(socket.bytes_sent > 0);
    CHECK(socket.bytes_received > 0);
    CHECK(socket.last_heard >= socket.connected_since);
    CHECK(socket.endpoint.address().is_loopback());
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.sockets().at(0).round_trip.count() > 0; }));
    stop.emit(asio::cancellation_type::all);
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.sockets().at(0).in_flight == 0; }));
}

TEST_CASE("the inline executor with one slot keeps the order of arrival", "[integration]") {
    auto options = slave_options(1);
    options.work_executor = distwork::WorkExecutor::in_place();
    Cluster<> cluster{1, options};
    Seen::here().forget_order();
    for (int i = 0; i < 5000; ++i) cluster.master.distribute_work(Ordered{i});
    REQUIRE(run_until(cluster.io, [] { return Seen::here().order_now().size() == 5000; }));
    const auto order = Seen::here().order_now();
    for (int i = 0; i < 5000; ++i) REQUIRE(order[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("a slave executes on the host's executor", "[integration]") {
    asio::thread_pool host{2};
    auto options = slave_options(2);
    options.work_executor = distwork::WorkExecutor{host.get_executor()};
    {
        Cluster<> cluster{1, options};
        run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
            const int three = co_await master.async_call(Sum{1, 2});
            REQUIRE(three == 3);
        }(cluster.master));
    }
    host.join();
}

TEST_CASE("a higher priority leaves the backlog first", "[integration]") {
    auto options = slave_options(1);
    options.work_executor = distwork::WorkExecutor::in_place();
    Cluster<> cluster{0};
    Seen::here().forget_order();
    for (int i = 0; i < 100; ++i) cluster.master.distribute_work(Ordered{i}, SubmitOptions{}.priority(i % 3));
    cluster.add_slave(options);
    REQUIRE(run_until(cluster.io, [] { return Seen::here().order_now().size() == 100; }));
    std::vector<int> expected;
    for (int priority : {2, 1, 0})
        for (int i = 0; i < 100; ++i)
            if (i % 3 == priority) expected.push_back(i);
    CHECK(Seen::here().order_now() == expected);
}

TEST_CASE("the backlog and the line for it are bounded, and who waits is admitted in order", "[integration]") {
    distwork::MasterOptions options;
    options.waiting.max_backlog = 3;
    options.waiting.max_waiting = 2;
    Cluster<> cluster{0, {}, options};
    auto& master = cluster.master;
    Seen::here().forget_order();
    for (int i = 0; i < 3; ++i) master.distribute_work(Ordered{i});
    REQUIRE(thrown_by([&] { master.distribute_work(Ordered{99}); }) == Errc::backlog_full);
    std::vector<std::string> events;
    const auto note = [&](const char* what) {
        return [&events, what](const std::exception_ptr& error) {
            events.push_back(std::string{what} + (error ? " refused" : " admitted"));
        };
    };
    master.async_distribute_work(Ordered{3}, note("three"));
    master.async_distribute_work(Ordered{4}, note("four"));
    master.async_distribute_work(Ordered{5}, note("five"));
    REQUIRE(run_until(cluster.io, [&] { return events.size() == 1; }));
    CHECK(events[0] == "five refused");
    REQUIRE(thrown_by([&] { master.broadcast_work(Plain{}); }) == std::error_code{});
    cluster.add_slave(slave_options(1));
    REQUIRE(run_until(cluster.io, [&] { return events.size() == 3 && Seen::here().order_now().size() == 5; }));
    CHECK(events == std::vector<std::string>{"five refused", "three admitted", "four admitted"});
    CHECK(Seen::here().order_now() == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE("bad arguments throw at once and name the value", "[integration]") {
    asio::io_context io;
    distwork::Master first{io.get_executor(), 0};
    const std::uint16_t port = first.local_endpoint().port();
    std::string text;
    CHECK(thrown_by([&] { distwork::Master<>{io.get_executor(), port}; }, &text) == Errc::address_in_use);
    CHECK(text.find(std::to_string(port)) != std::string::npos);
    const auto master_at = [&](const std::string& address) {
        return [&io, address] {
            distwork::MasterOptions options;
            options.address = address;
            distwork::Master<> master{io.get_executor(), options};
        };
    };
    CHECK(thrown_by(master_at("not an address"), &text) == Errc::bad_address);
    CHECK(text.find("not an address") != std::string::npos);
    CHECK(thrown_by(master_at("300.1.2.3")) == Errc::bad_address);
    CHECK(thrown_by(master_at("0.0.0.0"), &text) == Errc::needs_credentials);
    CHECK(text.find("0.0.0.0") != std::string::npos);
    distwork::MasterOptions open;
    open.address = "0.0.0.0";
    open.insecure_plaintext = true;
    CHECK(thrown_by([&] { distwork::Master<>{io.get_executor(), open}; }) == std::error_code{});

    const auto slave_to = [&](const std::string& host, std::size_t slots = 1) {
        return [&io, host, slots] { distwork::Slave<>{io.get_executor(), host, 12345, slave_options(slots)}; };
    };
    CHECK(thrown_by(slave_to("127.0.0.1", 0)) == Errc::zero_slots);
    CHECK(thrown_by(slave_to("")) == Errc::bad_address);
    CHECK(thrown_by(slave_to("1.2.3")) == Errc::bad_address);
    CHECK(thrown_by(slave_to("a b")) == Errc::bad_address);
    CHECK(thrown_by(slave_to("192.0.2.1"), &text) == Errc::needs_credentials);
    CHECK(text.find("192.0.2.1") != std::string::npos);
    CHECK(thrown_by(slave_to("example.org")) == std::error_code{});  // what it leads to is known when it connects
    CHECK(thrown_by(slave_to("localhost")) == std::error_code{});
    CHECK(thrown_by(slave_to("::1")) == std::error_code{});
    distwork::MasterOptions zero;
    zero.slots = 0;
    CHECK(thrown_by([&] { distwork::Master<>{io.get_executor(), zero}; }) == Errc::zero_slots);
    zero.slots = 1;
    zero.max_slave_works = 0;
    CHECK(thrown_by([&] { distwork::Master<>{io.get_executor(), zero}; }) == Errc::bad_option);
    zero.max_slave_works = 1;
    zero.work_executor = distwork::WorkExecutor::in_place();
    CHECK(thrown_by([&] { distwork::Master<>{io.get_executor(), zero}; }) == Errc::bad_option);
}

TEST_CASE("a master and a slave that run already do not run twice", "[integration]") {
    Cluster<> cluster{1};
    run(cluster.io, [](Cluster<>& roles) -> asio::awaitable<void> {
        const auto master = co_await error_of(roles.master.async_run());
        CHECK(master == Errc::already_running);
        const auto slave = co_await error_of(roles.slaves[0]->async_run());
        CHECK(slave == Errc::already_running);
    }(cluster));
}

TEST_CASE("stopping a master waits for what is in flight, and refuses what is new", "[integration]") {
    Cluster<> cluster{1, slave_options(50)};
    int done = 0;
    int failed = 0;
    for (int i = 0; i < 50; ++i)
        cluster.master.async_call(Sleeps{100}, [&](const std::exception_ptr& error) { ++(error ? failed : done); });
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        co_await master.async_stop(deadline);
        const auto refused = co_await error_of(master.async_call(Sum{1, 2}));
        CHECK(refused == Errc::stopped);
        const auto waiting = co_await error_of(master.async_wait_for_slaves(1));
        CHECK(waiting == Errc::stopped);
    }(cluster.master));
    REQUIRE(run_until(cluster.io, [&] { return done + failed == 50; }));
    CHECK(done == 50);
    CHECK(thrown_by([&] { cluster.master.distribute_work(Plain{}); }) == Errc::stopped);
}

TEST_CASE("stopping a master settles what is left at its timeout", "[integration]") {
    Cluster<> cluster{1, slave_options(1)};
    std::vector<std::error_code> codes;
    const auto note = [&](const std::exception_ptr& error) {
        try {
            if (error) std::rethrow_exception(error);
            codes.emplace_back();
        } catch (const distwork::Error& failure) {
            codes.push_back(failure.code());
        }
    };
    cluster.master.async_call(UntilStopped{}, note);
    cluster.master.async_call(Plain{}, note);
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        co_await master.async_stop(std::chrono::milliseconds{50});
    }(cluster.master));
    REQUIRE(run_until(cluster.io, [&] { return codes.size() == 2; }));
    CHECK(codes == std::vector<std::error_code>{Errc::stopped, Errc::stopped});
}

TEST_CASE("a slave that stops finishes its works, takes nothing new and leaves", "[integration]") {
    Cluster<> cluster{2, slave_options(4)};
    int done = 0;
    for (int i = 0; i < 8; ++i)
        cluster.master.async_call(Sleeps{50}, [&](const std::exception_ptr& error) {
            CHECK(text_of(error) == "");
            ++done;
        });
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.sockets()[0].in_flight == 4; }));
    run(cluster.io,
        [](Cluster<>& roles) -> asio::awaitable<void> { co_await roles.slaves[0]->async_stop(deadline); }(cluster));
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == 1 && done == 8; }));
    // The other one goes on.
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        const int two = co_await master.async_call(Sum{1, 1});
        CHECK(two == 2);
    }(cluster.master));
}

TEST_CASE("destroying roles in any order settles every call", "[integration]") {
    for (int order = 0; order < 3; ++order) {
        asio::io_context io{1};
        int settled = 0;
        auto master = std::make_unique<distwork::Master<>>(io.get_executor(), std::uint16_t{0});
        master->start();
        auto slave = std::make_unique<distwork::Slave<>>(io.get_executor(), "127.0.0.1",
                                                         master->local_endpoint().port(), slave_options(2));
        slave->start();
        REQUIRE(run_until(io, [&] { return master->connected_slave_count() == 1; }));
        for (int i = 0; i < 20; ++i)
            master->async_call(UntilStopped{}, [&](const std::exception_ptr& error) {
                CHECK(error);
                ++settled;
            });
        if (order == 0) master.reset();
        REQUIRE(run_until(io, [&] { return order != 0 || settled == 20; }));
        slave.reset();
        if (order == 1) io.run_for(std::chrono::milliseconds{20});
        master.reset();
        REQUIRE(run_until(io, [&] { return settled == 20; }));
    }
}

TEST_CASE("roles that are destroyed before they started, or whose context never ran, leave nothing behind",
          "[integration]") {
    bool called = false;
    {
        asio::io_context io;
        distwork::Master master{io.get_executor(), 0};
        distwork::Slave slave{io.get_executor(), "127.0.0.1", master.local_endpoint().port()};
        master.async_call(Sum{1, 2}, [&](const std::exception_ptr&, int) { called = true; });
    }
    CHECK_FALSE(called);
    asio::io_context io;
    {
        distwork::Master master{io.get_executor(), 0};
        master.start();
        distwork::Slave slave{io.get_executor(), "127.0.0.1", master.local_endpoint().port()};
        slave.start();
        master.async_call(Sum{1, 2}, [&](const std::exception_ptr& error, int) { called = error != nullptr; });
    }
    io.run();
    CHECK(called);
}

TEST_CASE("a slave that ends settles what its works asked of a master that does not answer", "[integration]") {
    asio::thread_pool host{1};
    asio::io_context never_run;
    distwork::MasterOptions options;
    options.work_executor = distwork::WorkExecutor{never_run.get_executor()};
    const bool own_pool = GENERATE(false, true);
    Cluster<> cluster{0, {}, options};
    cluster.master.accept_work<FromSlave>();
    auto how = slave_options(2);
    if (!own_pool) how.work_executor = distwork::WorkExecutor{host.get_executor()};
    cluster.add_slave(how);
    Seen::here().plain = 0;
    Seen::here().noted = -1;
    bool sent = false;
    cluster.master.distribute_work(Notes{});
    cluster.master.async_call(SendsBack{1}, [&](const std::exception_ptr&) { sent = true; });
    REQUIRE(run_until(cluster.io, [&] { return sent && Seen::here().plain == 1; }));
    // Nothing runs the context any more: neither the call nor the session may outlive it.
    cluster.slaves.clear();
    host.join();
    if (!own_pool) CHECK(Seen::here().noted == static_cast<int>(Errc::stopped));
}

TEST_CASE("slaves come and go on threads while works ask their master", "[integration]") {
    asio::thread_pool io{3};
    distwork::Master master{io.get_executor(), 0};
    master.accept_work<FromSlave>();
    master.start();
    std::atomic<int> settled{0};
    int asked = 0;
    for (int round = 0; round < 30; ++round) {
        distwork::Slave slave{io.get_executor(), "127.0.0.1", master.local_endpoint().port(), slave_options(8)};
        slave.start();
        master.async_wait_for_slaves(1, asio::use_future).get();
        for (int i = 0; i < 100; ++i, ++asked)
            master.async_call(Asks{i, false}, [&](const std::exception_ptr&, int) { ++settled; });
        const auto until = std::chrono::steady_clock::now() + deadline;
        while (settled < asked - 90 + round && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    }
    master.async_stop(std::chrono::milliseconds{0}, asio::use_future).get();
    const auto until = std::chrono::steady_clock::now() + deadline;
    while (settled < asked && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    CHECK(settled == asked);
}

TEST_CASE("a handler may destroy the master it was called by", "[integration]") {
    asio::io_context io{1};
    auto master = std::make_unique<distwork::Master<>>(io.get_executor(), std::uint16_t{0});
    master->start();
    distwork::Slave slave{io.get_executor(), "127.0.0.1", master->local_endpoint().port()};
    slave.start();
    int settled = 0;
    for (int i = 0; i < 10; ++i)
        master->async_call(Sum{i, 1}, [&](const std::exception_ptr&, int) {
            ++settled;
            master.reset();
        });
    REQUIRE(run_until(io, [&] { return settled == 10; }));
}

TEST_CASE("a handler that throws does not keep others from being called", "[integration]") {
    Cluster<> cluster{1};
    int called = 0;
    for (int i = 0; i < 20; ++i)
        cluster.master.async_call(Sum{i, 1}, [&, i](const std::exception_ptr&, int) {
            ++called;
            if (i % 5 == 0) throw std::runtime_error{"from a handler"};
        });
    int thrown = 0;
    while (called < 20) {
        try {
            run_until(cluster.io, [&] { return called == 20; });
        } catch (const std::runtime_error&) {
            ++thrown;
        }
    }
    CHECK(thrown == 4);
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        const int two = co_await master.async_call(Sum{1, 1});
        CHECK(two == 2);
    }(cluster.master));
}

TEST_CASE("a slave finds a master that comes back on the same port", "[integration]") {
    asio::io_context io{1};
    auto master = std::make_unique<distwork::Master<>>(io.get_executor(), std::uint16_t{0});
    const std::uint16_t port = master->local_endpoint().port();
    master->start();
    auto options = slave_options(1);
    options.reconnect_after = std::chrono::milliseconds{10};
    options.reconnect_at_most = std::chrono::milliseconds{20};
    distwork::Slave slave{io.get_executor(), "127.0.0.1", port, options};
    slave.start();
    REQUIRE(run_until(io, [&] { return master->connected_slave_count() == 1; }));
    master.reset();
    REQUIRE(run_until(io, [&] { return !slave.is_connected(); }));
    master = std::make_unique<distwork::Master<>>(io.get_executor(), port);
    master->start();
    REQUIRE(run_until(io, [&] { return master->connected_slave_count() == 1; }));
    run(io, [](distwork::Master<>& again) -> asio::awaitable<void> {
        const int two = co_await again.async_call(Sum{1, 1});
        CHECK(two == 2);
    }(*master));
}

TEST_CASE("several masters and slaves live in one process on several threads", "[integration]") {
    asio::thread_pool io{3};
    struct Host {
        explicit Host(const asio::any_io_executor& executor)
            : master{executor, 0}, slave{executor, "127.0.0.1", master.local_endpoint().port()} {
            master.accept_work<FromSlave>();
            master.start();
            slave.start();
        }
        distwork::Master<> master;
        distwork::Slave<> slave;
    };
    std::vector<std::unique_ptr<Host>> hosts;
    for (int i = 0; i < 4; ++i) hosts.push_back(std::make_unique<Host>(io.get_executor()));
    std::vector<std::future<int>> answers;
    for (int round = 0; round < 50; ++round)
        for (const auto& host : hosts) {
            answers.push_back(host->master.async_call(Asks{round, false}, asio::use_future));
            answers.push_back(host->master.async_call(Sum{2 * round, 1}, asio::use_future));
        }
    for (std::size_t i = 0; i < answers.size(); ++i) {
        REQUIRE(answers[i].wait_for(deadline) == std::future_status::ready);
        CHECK(answers[i].get() == static_cast<int>(2 * (i / 8) + 1));
    }
}

TEST_CASE("strangers are turned away and others do not notice", "[integration]") {
    distwork::MasterOptions options;
    options.link.handshake_timeout = std::chrono::milliseconds{100};
    Cluster<> cluster{1, slave_options(1), options};
    const auto port = cluster.master.local_endpoint().port();
    using distwork::detail::FrameKind;
    const auto hello = [](std::uint16_t oldest, std::uint16_t newest, distwork::detail::Role role) {
        return distwork::detail::encode(
            distwork::detail::Greeting{.oldest = oldest, .newest = newest, .role = role, .name = "x"});
    };
    const auto reason_for = [&](const std::vector<std::byte>& said) {
        Stranger stranger{cluster.io, port};
        if (!said.empty()) stranger.say(said);
        std::vector<std::byte> heard;
        run(cluster.io, [](Stranger& speaker, std::vector<std::byte>& all) -> asio::awaitable<void> {
            all = co_await hear(speaker.socket);
        }(stranger, heard));
        distwork::detail::Refusal refusal;
        if (heard.size() <= distwork::detail::frame_header_bytes) return Errc{};
        CHECK(distwork::detail::read_header(heard.data()).kind == FrameKind::refuse);
        CHECK_FALSE(decode(std::span{heard}.subspan(distwork::detail::frame_header_bytes), refusal));
        return refusal.reason;
    };
    CHECK(reason_for(Stranger::frame(FrameKind::hello, hello(9, 12, distwork::detail::Role::slave))) ==
          Errc::version_mismatch);
    CHECK(reason_for(Stranger::frame(FrameKind::hello, hello(1, 1, distwork::detail::Role::master))) ==
          Errc::wrong_role);
    CHECK(reason_for(Stranger::frame(FrameKind::hello, std::vector<std::byte>(30, std::byte{'x'}))) ==
          Errc::not_distwork);
    auto flagged = Stranger::frame(FrameKind::hello, hello(1, 1, distwork::detail::Role::slave));
    flagged[5] = std::byte{4};
    CHECK(reason_for(flagged) == Errc::protocol_violation);
    // No distwork at all, a frame out of turn, one that is too long, and silence: closed without a word.
    CHECK(reason_for(std::vector<std::byte>(100, std::byte{'G'})) == Errc{});
    CHECK(reason_for(Stranger::frame(FrameKind::work, {})) == Errc{});
    CHECK(reason_for(Stranger::frame(FrameKind::hello, {}, 5000)) == Errc{});
    CHECK(reason_for({}) == Errc{});
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        const int two = co_await master.async_call(Sum{1, 1});
        CHECK(two == 2);
        CHECK(master.connected_slave_count() == 1);
    }(cluster.master));
}

TEST_CASE("a peer that breaks the protocol is told so, and only its session ends", "[integration]") {
    Cluster<> cluster{1};
    using distwork::detail::FrameKind;
    const auto types_of = [](std::uint32_t window) {
        distwork::detail::ByteBuffer types;
        distwork::detail::encode_value(distwork::detail::Introduction{1, window, 1 << 20, {}, {}}, types, {});
        return Stranger::frame(FrameKind::types, {types.data(), types.data() + types.size()});
    };
    const auto farewell_at_once = [&](const std::vector<std::byte>& words) {
        Stranger stranger{cluster.io, cluster.master.local_endpoint().port()};
        stranger.say(Stranger::frame(FrameKind::hello, distwork::detail::encode(distwork::detail::Greeting{
                                                           .role = distwork::detail::Role::slave, .name = "odd"})));
        stranger.say(words);
        return farewell_of(cluster.io, stranger);
    };
    const auto farewell_to = [&](const std::vector<std::byte>& nonsense) {
        auto words = types_of(10);
        words.insert(words.end(), nonsense.begin(), nonsense.end());
        return farewell_at_once(words);
    };
    CHECK(farewell_at_once(Stranger::frame(FrameKind{99}, {})) == Errc::protocol_violation);
    CHECK(farewell_at_once(Stranger::frame(FrameKind::ping, {})) == Errc::protocol_violation);
    CHECK(farewell_at_once(types_of(0)) == Errc::protocol_violation);
    CHECK(farewell_to(Stranger::frame(FrameKind{99}, {})) == Errc::protocol_violation);
    CHECK(farewell_to(Stranger::frame(FrameKind::hello, {})) == Errc::protocol_violation);
    CHECK(farewell_to(Stranger::frame(FrameKind::answer, {})) == Errc::protocol_violation);
    CHECK(farewell_to(Stranger::frame(FrameKind::types, std::vector<std::byte>(7))) == Errc::protocol_violation);
    CHECK(farewell_to(Stranger::frame(FrameKind::work, {}, 0xffff'ffff)) == Errc::frame_too_large);
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == 1; }));
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        const int two = co_await master.async_call(Sum{1, 1});
        CHECK(two == 2);
    }(cluster.master));
}

TEST_CASE("a silent peer is found dead, a busy one is alive", "[integration]") {
    distwork::MasterOptions options;
    options.link.heartbeat = std::chrono::milliseconds{100};
    options.link.dead_after = std::chrono::milliseconds{2000};
    Cluster<> cluster{1, slave_options(1), options};
    asio::cancellation_signal stop;
    bool stopped = false;
    cluster.master.async_call(
        UntilStopped{}, asio::bind_cancellation_slot(stop.slot(), [&](const std::exception_ptr&) { stopped = true; }));
    Stranger stranger{cluster.io, cluster.master.local_endpoint().port()};
    stranger.say(Stranger::frame(
        distwork::detail::FrameKind::hello,
        distwork::detail::encode(distwork::detail::Greeting{.role = distwork::detail::Role::slave, .name = "mute"})));
    distwork::detail::ByteBuffer types;
    distwork::detail::encode_value(distwork::detail::Introduction{1, 10, 1 << 20, {}, {}}, types, {});
    stranger.say(Stranger::frame(distwork::detail::FrameKind::types, {types.data(), types.data() + types.size()}));
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == 2; }));
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == 1; }));
    CHECK(cluster.master.sockets()[0].name == "slave 0");
    CHECK_FALSE(stopped);
    stop.emit(asio::cancellation_type::all);
    REQUIRE(run_until(cluster.io, [&] { return stopped; }));
}

TEST_CASE("a slave that meets something else, or no room, ends with that", "[integration]") {
    distwork::MasterOptions options;
    options.max_slaves = 1;
    Cluster<> cluster{1, slave_options(1), options};
    auto once = slave_options(1);
    once.reconnect = distwork::Reconnect::never;
    distwork::Slave second{cluster.io.get_executor(), "127.0.0.1", cluster.master.local_endpoint().port(), once};
    std::error_code code;
    run(cluster.io, [](distwork::Slave<>& slave, std::error_code& result) -> asio::awaitable<void> {
        result = co_await error_of(slave.async_run());
    }(second, code));
    CHECK(code == Errc::too_many_slaves);

    asio::ip::tcp::acceptor acceptor{cluster.io, {asio::ip::address_v4::loopback(), 0}};
    acceptor.async_accept(
        [kept = std::make_shared<asio::ip::tcp::socket>(cluster.io)](std::error_code, asio::ip::tcp::socket socket) {
            *kept = std::move(socket);
            asio::write(*kept, asio::buffer("SSH-2.0-something else\r\n and more", 34));
            asio::post(kept->get_executor(), [kept] {});
        });
    auto again = slave_options(1);
    distwork::Slave lost{cluster.io.get_executor(), "127.0.0.1", acceptor.local_endpoint().port(), again};
    run(cluster.io, [](distwork::Slave<>& slave, std::error_code& result) -> asio::awaitable<void> {
        result = co_await error_of(slave.async_run());
    }(lost, code));
    CHECK(code == Errc::not_distwork);
}
