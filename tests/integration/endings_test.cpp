#include <any>
#include <asio/steady_timer.hpp>
#include <asio/thread_pool.hpp>
#include <atomic>
#include <cereal/types/string.hpp>
#include <chrono>
#include <cstddef>
#include <distwork.hpp>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "distwork/link/session.hpp"
#include "distwork/roles/checked_options.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "support/works.hpp"

// How calls end when roles end, when hooks throw, and when values cannot be used: each once, and counted.

using namespace std::chrono_literals;
using namespace distwork;
using namespace distwork::detail;

namespace {

/// Throws where it is executed, and cannot be encoded a second time.
class Once : public RpcWork<int> {
public:
    int execute_work(Context&) override { throw std::runtime_error{"as planned"}; }
    template <class Archive>
    void save(Archive& archive) const {
        if (++encoded > 1) throw std::runtime_error{"it changed"};
        archive(value_);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(value_);
    }
    inline static std::atomic<int> encoded{0};

private:
    int value_ = 0;
};

struct Unreadable {
    int value = 0;
    template <class Archive>
    void save(Archive& archive) const {
        archive(value);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(value);
        throw std::runtime_error{"cannot be read"};
    }
};

class GivesUnreadable : public RpcWork<Unreadable> {
public:
    Unreadable execute_work(Context&) override { return {}; }
    template <class Archive>
    void serialize(Archive&) {}
};

constexpr std::size_t large = 256 * 1024;

class Large : public RpcWork<std::string> {
public:
    std::string execute_work(Context&) override { return std::string(large, 'l'); }
    template <class Archive>
    void serialize(Archive&) {}
};

/// Gives what its master gave it: large values go both ways.
class PassedOn : public CoroutineWork<std::string> {
public:
    asio::awaitable<std::string> execute_work(Context& peer) override {
        std::string value = co_await peer.async_call(Large{});
        co_return value;
    }
    template <class Archive>
    void serialize(Archive&) {}
};

MasterOptions without_room() {
    MasterOptions options;
    options.waiting.max_backlog = 1;
    return options;
}

/// A slave that cannot answer: it finds no memory as soon as it is connected.
class Forgetful final : public SessionHandler<Tcp> {
public:
    std::error_code admit(const Session<Tcp>&, const Greeting&, std::string&) noexcept override {
        return Errc::wrong_role;
    }
    void opened(const SessionPtr& session, const Introduction&, const PeerTypes&) noexcept override {
        session->fail(std::make_exception_ptr(std::bad_alloc{}));
    }
    void types_changed(const SessionPtr&, const PeerTypes&) noexcept override {}
    void answered(const SessionPtr&, std::span<Answer>) noexcept override {}
    void deliver(std::vector<std::shared_ptr<Call>>) noexcept override {}
    bool accepts(const WorkType&) const override { return true; }
    std::shared_ptr<WorkQueue<Tcp>> works() noexcept override { return nullptr; }
    void has_room(const SessionPtr&) noexcept override {}
    void round_trip(const SessionPtr&, std::chrono::nanoseconds, const SlaveState&) noexcept override {}
    void peer_drains(const SessionPtr&) noexcept override {}
    void closed(const SessionPtr&, std::error_code reason, const std::string& detail,
                std::vector<std::shared_ptr<Call>>) noexcept override {
        ended = reason;
        why = detail;
    }

    std::error_code ended;
    std::string why;
};

}  // namespace

DISTWORK_REGISTER_WORK(Once)
DISTWORK_REGISTER_WORK(GivesUnreadable)
DISTWORK_REGISTER_WORK(Large)
DISTWORK_REGISTER_WORK(PassedOn)

TEST_CASE("who waits for room is told that the master stopped, or is gone", "[integration]") {
    for (const bool stops : {true, false}) {
        asio::io_context io{1};
        std::optional<Master<>> master{std::in_place, io.get_executor(), without_room()};
        master->start();
        std::vector<std::string> told;
        const auto note = [&](const std::exception_ptr& error) { told.push_back(text_of(error)); };
        master->async_distribute_work(Plain{}, note);
        master->async_distribute_work(Plain{}, note);
        if (stops) {
            run(io, [](Master<>& stopped) -> asio::awaitable<void> { co_await stopped.async_stop(0ms); }(*master));
            const auto counted = master->statistics();
            CHECK(counted.admitted == 1);
            CHECK(counted.completed() == 1);
            CHECK(counted.refused == 1);
        }
        master.reset();
        CHECK(run_until(io, [&] { return told.size() == 2; }));
        CHECK(told[0].empty());
        CHECK(told[1].find("Plain") != std::string::npos);
    }
}

TEST_CASE("a retry that does not encode ends its work, and a stop that waits for that", "[integration]") {
    // No heartbeat comes along and wakes what was forgotten.
    SlaveOptions slave;
    slave.link.heartbeat = 1h;
    slave.link.dead_after = 2h;
    MasterOptions options;
    options.link = slave.link;
    Cluster<> cluster{1, slave, options};
    std::string told;
    Once::encoded = 0;
    cluster.master.async_call(Once{}, SubmitOptions{}.retry_on_error(RetryPolicy{1, 50ms, 50ms}),
                              [&](const std::exception_ptr& error, int) { told = text_of(error); });
    run(cluster.io, [](Master<>& master) -> asio::awaitable<void> { co_await master.async_stop(1h); }(cluster.master));
    CHECK(told.find("it changed") != std::string::npos);
    const auto counted = cluster.master.statistics();
    CHECK(counted.failed == 1);
    CHECK(counted.admitted == counted.completed());
}

TEST_CASE("a value that cannot be decoded is no success, for nobody", "[integration]") {
    Cluster<> cluster{1};
    std::error_code code;
    cluster.master.async_call(GivesUnreadable{}, [&](const std::exception_ptr& error, const Unreadable&) {
        try {
            if (error) std::rethrow_exception(error);
        } catch (const Error& failure) {
            code = failure.code();
        }
    });
    CHECK(run_until(cluster.io, [&] { return code == Errc::malformed; }));
    CHECK(cluster.master.statistics().failed == 1);
    CHECK(cluster.master.statistics().succeeded == 0);
}

TEST_CASE("what does not encode is refused, whoever asks", "[integration]") {
    Cluster<> cluster{1};
    Once::encoded = 1;
    CHECK_THROWS(cluster.master.distribute_work(Once{}));
    bool told = false;
    cluster.master.async_call(Once{}, [&](const std::exception_ptr& error, int) { told = error != nullptr; });
    CHECK(run_until(cluster.io, [&] { return told; }));
    CHECK(cluster.master.statistics().refused == 2);
    CHECK(cluster.master.statistics().admitted == 0);
}

TEST_CASE("large values that go both ways hold nobody up for ever", "[integration]") {
    constexpr std::size_t works = 400;
    LinkOptions link;
    link.max_outbox_bytes = 1024 * 1024;
    link.stalled_after = 2s;
    link.heartbeat = 500ms;
    link.dead_after = 30s;
    SlaveOptions slave;
    slave.slots = 256;
    slave.link = link;
    MasterOptions options;
    options.link = link;
    Cluster<> cluster{1, slave, options};
    cluster.master.accept_work<Large>();
    std::size_t ended = 0;
    std::size_t right = 0;
    for (std::size_t i = 0; i < works; ++i)
        cluster.master.async_call(PassedOn{}, [&](const std::exception_ptr& error, const std::string& value) {
            ++ended;
            if (!error && value.size() == large) ++right;
        });
    CHECK(run_until(cluster.io, [&] { return ended == works; }));
    // The others found the outbox full when they called their master.
    CHECK(right > 0);
    CHECK(cluster.master.statistics().requeued == 0);
}

TEST_CASE("a session that cannot answer ends, and its work goes elsewhere", "[integration]") {
    asio::io_context io{1};
    Master<> master{io.get_executor(), MasterOptions{}};
    master.start();
    std::optional<std::exception_ptr> outcome;
    master.async_call(Plain{}, [&](const std::exception_ptr& error, auto&&...) { outcome = error; });

    const auto host = std::make_shared<Forgetful>();
    run(io, [](Master<>& to, std::shared_ptr<Forgetful> at) -> asio::awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        const Tcp tcp{executor};
        auto socket = co_await tcp.connect(tcp.make_strand(), "127.0.0.1", to.local_endpoint().port());
        const auto strand = socket.get_executor();
        const auto session = std::make_shared<Session<Tcp>>(
            tcp, executor, std::move(socket), detail::settings_of(SlaveOptions{.name = "forgetful", .slots = 1}), at);
        co_await asio::co_spawn(strand, Session<Tcp>::run(session), asio::use_awaitable);
    }(master, host));
    CHECK(host->ended == Errc::session_failed);
    CHECK(host->why.find("bad_alloc") != std::string::npos);
    CHECK(!outcome);

    Slave<> slave{io.get_executor(), "127.0.0.1", master.local_endpoint().port()};
    slave.start();
    CHECK(run_until(io, [&] { return outcome.has_value(); }));
    CHECK(text_of(outcome.value_or(std::exception_ptr{})).empty());
}

TEST_CASE("a log that throws costs its line, and nothing else", "[integration]") {
    MasterOptions options;
    std::size_t lines = 0;
    options.log = [&](LogLevel, std::string_view) {
        ++lines;
        throw std::runtime_error{"disk full"};
    };
    Cluster<> cluster{1, {}, options};
    constexpr std::size_t works = 1000;
    std::size_t ended = 0;
    for (std::size_t i = 0; i < works; ++i)
        cluster.master.async_call(Sum{1, 2}, SubmitOptions{}.max_attempts(1),
                                  [&](const std::exception_ptr&, int) { ++ended; });
    cluster.slaves.clear();
    CHECK(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == 0; }));
    run(cluster.io, [](Master<>& master) -> asio::awaitable<void> { co_await master.async_stop(0ms); }(cluster.master));
    CHECK(run_until(cluster.io, [&] { return ended == works; }));
    CHECK(lines > 0);
    CHECK(cluster.master.statistics().admitted == cluster.master.statistics().completed());
}

TEST_CASE("the host's value of a slave may look at the master when it ends", "[integration]") {
    Cluster<> cluster{2};
    std::vector<std::size_t> seen;
    const auto looking = [&](int*) { seen.push_back(cluster.master.connected_slave_count()); };
    static int nothing = 0;
    const auto put = [&] {
        cluster.master.update_socket_information(cluster.master.sockets().front().id,
                                                 std::shared_ptr<int>{&nothing, looking});
    };
    put();
    put();
    CHECK(seen.size() == 1);
    cluster.slaves.erase(cluster.slaves.begin());
    CHECK(run_until(cluster.io, [&] { return seen.size() == 2; }));
}

TEST_CASE("what a write to one slave has another sent leaves as well", "[integration]") {
    // No heartbeat comes along and wakes what was forgotten.
    SlaveOptions slave;
    slave.link.heartbeat = 1h;
    slave.link.dead_after = 2h;
    MasterOptions options;
    options.link = slave.link;
    bool first_is_gone = false;
    // Sums wait for the first slave to go.
    const auto select = [&](const DistributeContext& context) -> const SocketInformation* {
        if (context.type_name() == "Sum" && !first_is_gone) return nullptr;
        return context.sockets().front();
    };
    Cluster<AnySelector> cluster{0, {}, options, AnySelector{select}};
    slave.labels = {"second"};
    cluster.add_slave(slave);
    slave.labels = {"first"};
    std::optional<asio::io_context> first_io{std::in_place, 1};
    std::optional<Slave<>> first{std::in_place, first_io->get_executor(), "127.0.0.1",
                                 cluster.master.local_endpoint().port(), slave};
    first->start();
    CHECK(run_until(cluster.io, [&] {
        first_io->poll();
        return cluster.master.connected_slave_count() == 2;
    }));

    int sum = 0;
    cluster.master.async_call(Sum{1, 2}, [&](const std::exception_ptr&, int value) { sum = value; });
    const auto to_first = SubmitOptions{}.label("first").max_attempts(1);
    const auto ignore = [](const std::exception_ptr&) {};
    cluster.master.async_call(Plain{}, to_first, ignore);  // never read there: its end resets the connection
    cluster.master.async_call(Plain{}, SubmitOptions{}.label("second"), [&](const std::exception_ptr&) {
        first.reset();
        first_io.reset();
        first_is_gone = true;
        // Writing this finds the first slave gone: the sum goes to the second, from inside of that.
        cluster.master.async_call(Plain{}, to_first, ignore);
    });
    CHECK(run_until(cluster.io, [&] { return sum == 3; }));
}

TEST_CASE("what a handler sent leaves while another's takes its time, if there is a thread", "[integration]") {
    asio::io_context io;
    MasterOptions options;
    options.link.heartbeat = 1h;  // none comes along and wakes what was forgotten
    options.link.dead_after = 2h;
    Master<> master{io.get_executor(), options};
    master.start();
    asio::thread_pool slaves{1};
    SlaveOptions slave;
    slave.slots = 1;
    slave.link = options.link;
    const auto port = master.local_endpoint().port();
    Slave<> one{slaves.get_executor(), "127.0.0.1", port, slave};
    Slave<> other{slaves.get_executor(), "127.0.0.1", port, slave};
    one.start();
    other.start();
    REQUIRE(run_until(io, [&] { return master.connected_slave_count() == 2; }));

    // Both answers lie in the sockets when the loop runs: one task is queued behind the other.
    std::atomic<int> handlers{0};
    std::atomic<bool> successor{false};
    const auto answered = [&](const std::exception_ptr&, int) {
        if (++handlers == 1)
            return master.async_call(Sum{3, 4}, [&](const std::exception_ptr&, int) { successor = true; });
        const auto until = std::chrono::steady_clock::now() + deadline;
        while (!successor && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(1ms);
    };
    master.async_call(Sum{1, 2}, answered);
    master.async_call(Sum{1, 2}, answered);
    io.restart();
    io.poll();
    std::this_thread::sleep_for(50ms);
    const auto both = [&] {
        const auto until = std::chrono::steady_clock::now() + deadline;
        while (!(handlers == 2 && successor) && std::chrono::steady_clock::now() < until) io.run_one_for(5ms);
    };
    std::thread second{[&] {
        // Not before the other handler runs: the first thread had both tasks to do.
        while (handlers < 2) std::this_thread::sleep_for(1ms);
        both();
    }};
    both();
    second.join();
    CHECK(successor);
    CHECK(handlers == 2);
}
