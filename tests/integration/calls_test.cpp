#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_future.hpp>
#include <optional>
#include <set>
#include <thread>

#include "support/catch.hpp"
#include "support/run.hpp"
#include "support/works.hpp"

using distwork::Errc;
using distwork::SubmitOptions;

// g++ 12 evaluates a co_await inside REQUIRE more than once: values get a name first.

namespace {

distwork::SlaveOptions in_place() {
    distwork::SlaveOptions options;
    options.slots = 1;
    options.work_executor = distwork::WorkExecutor::in_place();
    return options;
}

distwork::SlaveOptions with_slots(std::size_t slots) {
    distwork::SlaveOptions options;
    options.slots = slots;
    return options;
}

}  // namespace

TEST_CASE("a call returns the value of each kind of work", "[integration]") {
    const bool pool = GENERATE(true, false);
    Cluster<> cluster{2, pool ? distwork::SlaveOptions{} : in_place()};
    Seen::here().returned = 0;
    Seen::here().plain = 0;
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        Sum sum{1, 2};
        const auto got1 = co_await master.async_call(sum);
        REQUIRE(got1 == 3);
        REQUIRE(Seen::here().returned == 3);
        co_await master.async_call(Nothing{});
        REQUIRE(Seen::here().returned == 4);
        const auto value = co_await master.async_call(MoveOnly{});
        REQUIRE(*value == 42);
        REQUIRE(Seen::here().returned == 46);
        co_await master.async_call(Plain{});
        REQUIRE(Seen::here().plain == 1);
        const auto got2 = co_await master.async_call<area>(3.0, 4.0);
        REQUIRE(got2 == 12.0);
        std::vector<std::string> words{"a", "b", "c"};
        const auto got3 = co_await master.async_call<join>(words, '-');
        REQUIRE(got3 == "a-b-c");
        co_await master.async_call<no_answer>();
        REQUIRE(Seen::here().plain == 2);
        const auto got4 = co_await master.async_call<overloaded_int>(1);
        REQUIRE(got4 == 2);
        std::string hello{"hello"};
        const auto got5 = co_await master.async_call<overloaded_text>(hello);
        REQUIRE(got5 == "hello!");
        Echo echo{"echo"};
        auto options = SubmitOptions{}.priority(3).name("the echo");
        const auto got6 = co_await master.async_call(echo, options);
        REQUIRE(got6 == "echo");
        std::unique_ptr<distwork::IWork> pointer = std::make_unique<Sum>(4, 5);
        co_await master.async_call(std::move(pointer));
        REQUIRE(Seen::here().returned == 55);
        co_await master.async_call(Sleeps{1});
    }(cluster.master));
}

TEST_CASE("a distributed work's value comes back to its object", "[integration]") {
    Cluster<> cluster{1};
    Seen::here().returned = 0;
    cluster.master.distribute_work(Sum{20, 3});
    cluster.master.distribute_work(std::make_unique<Sum>(1, 1));
    REQUIRE(run_until(cluster.io, [] { return Seen::here().returned == 25; }));
    run(cluster.io, cluster.master.async_distribute_work(Sum{2, 3}, asio::use_awaitable));
    REQUIRE(run_until(cluster.io, [] { return Seen::here().returned == 30; }));
}

TEST_CASE("what a work throws reaches the caller with type, text, work and slave", "[integration]") {
    Cluster<> cluster{1};
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        std::optional<distwork::RemoteError> caught;
        for (int what = 0; what < 3; ++what) {
            caught.reset();
            Throwing work{what};
            auto options = SubmitOptions{};
            if (what == 0) options.name("my work");
            try {
                co_await master.async_call(work, options);
            } catch (const distwork::RemoteError& error) {
                caught = error;
            }
            REQUIRE(caught);
            REQUIRE(caught->code() == Errc::work_failed);
            REQUIRE(caught->attempt() == 1);
            REQUIRE(caught->slave().find("slave 0 (127.0.0.1:") == 0);
            if (what == 0) {
                CHECK(caught->type() == "std::out_of_range");
                CHECK(caught->text() == "beyond the end");
                CHECK(caught->work() == "my work");
                CHECK(std::string{caught->what()}.find("beyond the end") != std::string::npos);
            } else if (what == 1) {
                CHECK(caught->type() == "int");
                CHECK(caught->work() == "Throwing");
            } else {
                CHECK(caught->type() == "distwork::Error");
                CHECK(caught->text().find("of its own") != std::string::npos);
            }
        }
        // The slave goes on.
        const auto got7 = co_await master.async_call(Sum{1, 1});
        REQUIRE(got7 == 2);
    }(cluster.master));
}

TEST_CASE("a body that does not decode fails its own work and nothing else", "[integration]") {
    Cluster<> cluster{1};
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        const auto got8 = co_await error_of(master.async_call(Undecodable{}));
        REQUIRE(got8 == Errc::malformed);
        const auto got9 = co_await master.async_call(Sum{1, 1});
        REQUIRE(got9 == 2);
        REQUIRE(master.connected_slave_count() == 1);
    }(cluster.master));
}

TEST_CASE("callbacks, futures and handlers with an executor of their own complete where they should", "[integration]") {
    Cluster<> cluster{1};
    auto future = cluster.master.async_call(Sum{1, 2}, asio::use_future);
    std::optional<int> called;
    cluster.master.async_call(Sum{3, 4}, [&](std::exception_ptr error, int value) {
        REQUIRE_FALSE(error);
        called = value;
    });
    asio::thread_pool elsewhere{1};
    std::promise<std::thread::id> where;
    cluster.master.async_call<area>(1.0, 2.0, SubmitOptions{}.priority(1),
                                    asio::bind_executor(elsewhere, [&](std::exception_ptr error, double value) {
                                        if (!error && value == 2.0) where.set_value(std::this_thread::get_id());
                                    }));
    auto ran = where.get_future();
    REQUIRE(run_until(cluster.io, [&] {
        return called && ran.wait_for(std::chrono::seconds{0}) == std::future_status::ready &&
               future.wait_for(std::chrono::seconds{0}) == std::future_status::ready;
    }));
    REQUIRE(future.get() == 3);
    REQUIRE(*called == 7);
    REQUIRE(ran.get() != std::this_thread::get_id());
    elsewhere.join();
}

TEST_CASE("the initiating function never calls the handler from inside", "[integration]") {
    Cluster<> cluster{0};
    bool inside = true;
    bool called = false;
    const auto refused = SubmitOptions{}.when_unavailable(distwork::WhenUnavailable::refuse);
    cluster.master.async_call(Sum{1, 2}, refused, [&](std::exception_ptr error, int) {
        REQUIRE(error);
        REQUIRE_FALSE(inside);
        called = true;
    });
    inside = false;
    REQUIRE(run_until(cluster.io, [&] { return called; }));
}

TEST_CASE("works that slaves send are executed by the master if it accepts their type", "[integration]") {
    Cluster<> cluster{3};
    cluster.master.accept_work<FromSlave>();
    Seen::here().from_slaves = 0;
    for (int i = 1; i <= 10; ++i) cluster.master.distribute_work(SendsBack{i});
    REQUIRE(run_until(cluster.io, [] { return Seen::here().from_slaves == 55; }));
}

TEST_CASE("a coroutine work asks its master and waits without a thread", "[integration]") {
    Cluster<> cluster{1, with_slots(2)};
    cluster.master.accept_work<FromSlave>();
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        Asks asks{20, false};
        const auto got10 = co_await master.async_call(asks);
        REQUIRE(got10 == 41);
        Asks unwanted{1, true};
        std::optional<distwork::RemoteError> caught;
        try {
            co_await master.async_call(unwanted);
        } catch (const distwork::RemoteError& error) {
            caught = error;
        }
        REQUIRE(caught);
        REQUIRE(caught->type() == "distwork::Error");
        REQUIRE(caught->text().find("not accept") != std::string::npos);
    }(cluster.master));
}

TEST_CASE("thousands of coroutine works wait at once on two threads", "[integration]") {
    distwork::SlaveOptions options = with_slots(4000);
    options.work_executor = distwork::WorkExecutor::own_pool(2);
    Cluster<> cluster{1, options};
    int done = 0;
    const auto begun = std::chrono::steady_clock::now();
    for (int i = 0; i < 4000; ++i)
        cluster.master.async_call(Sleeps{300}, [&](std::exception_ptr error) {
            REQUIRE_FALSE(error);
            ++done;
        });
    REQUIRE(run_until(cluster.io, [&] { return done == 4000; }));
    // One after the other, or two at a time, they would take ten minutes.
    CHECK(std::chrono::steady_clock::now() - begun < deadline);
}

TEST_CASE("a broadcast is executed by every slave, with an outcome from each", "[integration]") {
    Cluster<> cluster{3};
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        Seen::here().returned = 0;
        auto outcomes = co_await master.async_broadcast_work(Sum{2, 3});
        REQUIRE(outcomes.size() == 3);
        std::set<std::string> names;
        for (const auto& outcome : outcomes) {
            REQUIRE_FALSE(outcome.error);
            REQUIRE(outcome.value() == 5);
            names.insert(outcome.slave);
        }
        REQUIRE(names == std::set<std::string>{"slave 0", "slave 1", "slave 2"});
        REQUIRE(Seen::here().returned == 15);

        auto failures = co_await master.async_broadcast_work(Throwing{0});
        REQUIRE(failures.size() == 3);
        for (const auto& failure : failures)
            REQUIRE_THROWS_AS(std::rethrow_exception(failure.error), distwork::RemoteError);

        std::unique_ptr<distwork::IWork> pointer = std::make_unique<Nothing>();
        auto nothing = co_await master.async_broadcast_work(std::move(pointer));
        REQUIRE(nothing.size() == 3);
        REQUIRE(Seen::here().returned == 18);
    }(cluster.master));
    Seen::here().plain = 0;
    cluster.master.broadcast_work(Plain{});
    REQUIRE(run_until(cluster.io, [] { return Seen::here().plain == 3; }));
}

TEST_CASE("a broadcast to nobody is an empty answer, or refused where that was asked for", "[integration]") {
    Cluster<> cluster{0};
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        const auto outcomes = co_await master.async_broadcast_work(Sum{2, 3});
        REQUIRE(outcomes.empty());
        const auto refuse = SubmitOptions{}.when_unavailable(distwork::WhenUnavailable::refuse);
        const auto got11 = co_await error_of(master.async_broadcast_work(Sum{2, 3}, refuse));
        REQUIRE(got11 == Errc::no_slave);
        const auto got12 = co_await error_of(master.async_call(Sum{2, 3}, refuse));
        REQUIRE(got12 == Errc::no_slave);
        const auto got13 = co_await error_of(master.async_distribute_work(Sum{2, 3}, refuse));
        REQUIRE(got13 == Errc::no_slave);
        REQUIRE_THROWS_AS(master.distribute_work(Sum{1, 2}, refuse), distwork::Error);
        REQUIRE_THROWS_AS(master.broadcast_work(Sum{1, 2}, refuse), distwork::Error);
    }(cluster.master));
}

TEST_CASE("works wait for the first slave", "[integration]") {
    Cluster<> cluster{0};
    auto future = cluster.master.async_call(Sum{1, 2}, asio::use_future);
    REQUIRE(cluster.master.backlog_size() == 1);
    cluster.add_slave({});
    REQUIRE(
        run_until(cluster.io, [&] { return future.wait_for(std::chrono::seconds{0}) == std::future_status::ready; }));
    REQUIRE(future.get() == 3);
}

TEST_CASE("large works and answers travel whole", "[integration]") {
    Cluster<> cluster{1};
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        for (const std::size_t bytes : {65'535u, 65'536u, 65'537u, 300'000u, 1'048'576u, 1'100'000u, 9'000'001u}) {
            std::string text(bytes, 'x');
            for (std::size_t i = 0; i < bytes; i += 997) text[i] = static_cast<char>('a' + i % 26);
            Echo echo{text};
            const std::string back = co_await master.async_call(echo);
            REQUIRE((back == text));
        }
    }(cluster.master));
    // Many at once, small ones in between.
    int done = 0;
    for (int i = 0; i < 20; ++i) {
        cluster.master.async_call(Echo{std::string(500'000u + static_cast<unsigned>(i), 'y')},
                                  [&, i](std::exception_ptr error, const std::string& back) {
                                      REQUIRE_FALSE(error);
                                      REQUIRE(back.size() == 500'000u + static_cast<unsigned>(i));
                                      ++done;
                                  });
        cluster.master.async_call(Sum{i, i}, [&, i](std::exception_ptr error, int value) {
            REQUIRE_FALSE(error);
            REQUIRE(value == 2 * i);
            ++done;
        });
    }
    REQUIRE(run_until(cluster.io, [&] { return done == 40; }));
}

TEST_CASE("a work or an answer that is too large fails at once, and says so", "[integration]") {
    distwork::MasterOptions options;
    options.link.max_frame_bytes = 100'000;
    distwork::SlaveOptions slave;
    slave.link.max_frame_bytes = 100'000;
    Cluster<> cluster{1, slave, options};
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        Echo large{std::string(200'000, 'x')};
        const auto got14 = co_await error_of(master.async_call(large));
        REQUIRE(got14 == Errc::too_large);
        const auto got15 = co_await error_of(master.async_distribute_work(large));
        REQUIRE(got15 == Errc::too_large);
        const auto got16 = co_await error_of(master.async_broadcast_work(large));
        REQUIRE(got16 == Errc::too_large);
        REQUIRE_THROWS_AS(master.distribute_work(large), distwork::Error);
        Grow grow{200'000};
        const auto got17 = co_await error_of(master.async_call(grow));
        REQUIRE(got17 == Errc::too_large);
        const auto got18 = co_await master.async_call(Sum{1, 1});
        REQUIRE(got18 == 2);
        REQUIRE(master.connected_slave_count() == 1);
    }(cluster.master));
}

TEST_CASE("no work behind the pointer is refused at once", "[integration]") {
    Cluster<> cluster{1};
    REQUIRE_THROWS_AS(cluster.master.distribute_work(std::unique_ptr<distwork::IWork>{}), distwork::Error);
    REQUIRE_THROWS_AS(cluster.master.broadcast_work(std::unique_ptr<distwork::IWork>{}), distwork::Error);
    REQUIRE_THROWS_AS(cluster.master.async_call(std::unique_ptr<distwork::IWork>{}, [](const std::exception_ptr&) {}),
                      distwork::Error);
}

TEST_CASE("cancelling completes the caller at once, wherever the work is", "[integration]") {
    Cluster<> cluster{1, with_slots(1)};
    Seen::here().begun = 0;
    Seen::here().stopped = 0;
    Seen::here().plain = 0;
    asio::cancellation_signal running;
    asio::cancellation_signal queued;
    std::vector<std::string> outcomes;
    const auto note = [&](const std::string& what) {
        return [&outcomes, what](const std::exception_ptr& error) {
            try {
                if (error) std::rethrow_exception(error);
                outcomes.push_back(what + ": succeeded");
            } catch (const distwork::Error& failure) {
                REQUIRE(failure.code() == std::errc::operation_canceled);
                REQUIRE(failure.code() == Errc::cancelled);
                outcomes.push_back(what + ": cancelled");
            }
        };
    };
    cluster.master.async_call(UntilStopped{}, asio::bind_cancellation_slot(running.slot(), note("running")));
    cluster.master.async_call(Plain{}, asio::bind_cancellation_slot(queued.slot(), note("queued")));
    REQUIRE(run_until(cluster.io, [&] { return Seen::here().begun == 1; }));
    REQUIRE(cluster.master.backlog_size() == 1);
    queued.emit(asio::cancellation_type::terminal);
    REQUIRE(run_until(cluster.io, [&] { return outcomes.size() == 1; }));
    REQUIRE(outcomes[0] == "queued: cancelled");
    REQUIRE(cluster.master.backlog_size() == 0);
    running.emit(asio::cancellation_type::total);
    REQUIRE(run_until(cluster.io, [&] { return outcomes.size() == 2; }));
    REQUIRE(outcomes[1] == "running: cancelled");
    // The slave's work sees it, and its slot comes back with its answer.
    REQUIRE(run_until(cluster.io, [&] { return Seen::here().stopped == 1; }));
    auto after = cluster.master.async_call(Sum{1, 1}, asio::use_future);
    REQUIRE(
        run_until(cluster.io, [&] { return after.wait_for(std::chrono::seconds{0}) == std::future_status::ready; }));
    REQUIRE(after.get() == 2);
    REQUIRE(Seen::here().plain == 0);
    REQUIRE(cluster.master.sockets()[0].in_flight == 0);
}

TEST_CASE("ten thousand calls from eight threads all come back", "[integration]") {
    asio::thread_pool io{4};
    distwork::Master master{io.get_executor(), 0};
    master.start();
    std::vector<std::unique_ptr<distwork::Slave<>>> slaves;
    for (int i = 0; i < 4; ++i) {
        slaves.push_back(
            std::make_unique<distwork::Slave<>>(io.get_executor(), "127.0.0.1", master.local_endpoint().port()));
        slaves.back()->start();
    }
    master.async_wait_for_slaves(4, asio::use_future).get();
    std::atomic<int> right{0};
    std::atomic<int> called{0};
    std::promise<void> all;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 1250; ++i)
                master.async_call(Sum{t * 10'000, i}, [&, t, i](std::exception_ptr error, int value) {
                    if (!error && value == t * 10'000 + i) ++right;
                    if (++called == 10'000) all.set_value();
                });
        });
    for (std::thread& thread : threads) thread.join();
    REQUIRE(all.get_future().wait_for(deadline) == std::future_status::ready);
    REQUIRE(right == 10'000);
    REQUIRE(master.backlog_size() == 0);
    for (const auto& socket : master.sockets()) CHECK(socket.in_flight == 0);
}
