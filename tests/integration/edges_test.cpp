#include <algorithm>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_future.hpp>
#include <cstring>
#include <map>
#include <optional>

#include "support/catch.hpp"
#include "support/run.hpp"
#include "support/stranger.hpp"
#include "support/works.hpp"

// Where promises are tried at their edges: how roles end, what peers of ill will do, and bounds that are reached.

using distwork::Errc;
using distwork::SubmitOptions;

namespace {

using Milliseconds = std::chrono::milliseconds;

distwork::SlaveOptions with_slots(std::size_t slots) {
    distwork::SlaveOptions options;
    options.slots = slots;
    return options;
}

std::uint16_t port_of(const distwork::Master<>& master) {
    return master.local_endpoint().port();
}

/// A master that executes works of slaves only when `held` runs.
struct HeldMaster {
    HeldMaster() {
        options.work_executor = distwork::WorkExecutor{held.get_executor()};
        cluster.emplace(0, distwork::SlaveOptions{}, options);
        cluster->master.accept_work<FromSlave>();
        cluster->add_slave(with_slots(1));
        Seen::here().from_slaves = 0;
    }

    /// A slave's work sends twenty works to the master, and ends.
    void have_works_sent() {
        bool sent = false;
        cluster->master.async_call(SendsMany{20}, [&](const std::exception_ptr&) { sent = true; });
        REQUIRE(run_until(cluster->io, [&] { return sent; }));
    }

    asio::io_context held;
    distwork::MasterOptions options;
    std::optional<Cluster<>> cluster;
};

}  // namespace

TEST_CASE("what cannot be asked is refused where it is asked, also in a coroutine", "[integration]") {
    Cluster<> cluster{1};
    cluster.master.accept_work<FromSlave>();
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        int refused = 0;
        const auto note = [&](Errc expected, const distwork::Error& error) { refused += error.code() == expected; };
        try {
            std::unique_ptr<distwork::IWork> nothing;
            co_await master.async_call(std::move(nothing));
        } catch (const distwork::Error& error) {
            note(Errc::null_work, error);
        }
        try {
            std::unique_ptr<distwork::IWork> nothing;
            co_await master.async_distribute_work(std::move(nothing));
        } catch (const distwork::Error& error) {
            note(Errc::null_work, error);
        }
        try {
            std::unique_ptr<distwork::IWork> nothing;
            co_await master.async_broadcast_work(std::move(nothing));
        } catch (const distwork::Error& error) {
            note(Errc::null_work, error);
        }
        try {
            Unregistered unregistered;
            co_await master.async_call(unregistered);
        } catch (const distwork::Error& error) {
            note(Errc::unregistered_type, error);
        }
        CHECK(refused == 4);
        const int by_slave = co_await master.async_call(AsksInVain{});
        CHECK(by_slave == 2);
    }(cluster.master));
}

TEST_CASE("a role may end before what it was asked to do begins", "[integration]") {
    asio::io_context io;
    int ended = 0;
    const auto count = [&](const std::exception_ptr&) { ++ended; };
    {
        distwork::Master master{io.get_executor(), 0};
        distwork::Slave slave{io.get_executor(), "127.0.0.1", port_of(master)};
        asio::co_spawn(io, master.async_run(), count);
        asio::co_spawn(io, master.async_stop(deadline), count);
        asio::co_spawn(io, slave.async_run(), count);
        asio::co_spawn(io, slave.async_stop(deadline), count);
    }
    io.run();
    CHECK(ended == 4);
}

TEST_CASE("a slave that stops waits for what its works sent to the master", "[integration]") {
    HeldMaster master;
    master.have_works_sent();
    bool stopped = false;
    master.cluster->slaves[0]->async_stop(deadline, [&](const std::exception_ptr&) { stopped = true; });
    master.cluster->io.run_for(Milliseconds{20});
    CHECK_FALSE(stopped);
    REQUIRE(run_until(master.cluster->io, [&] { return master.held.poll(), stopped; }));
    CHECK(Seen::here().from_slaves == 20);
}

TEST_CASE("a master that stops executes what slaves sent", "[integration]") {
    HeldMaster master;
    master.have_works_sent();
    bool stopped = false;
    master.cluster->master.async_stop(deadline, [&](const std::exception_ptr&) { stopped = true; });
    master.cluster->io.run_for(Milliseconds{20});
    CHECK_FALSE(stopped);
    REQUIRE(run_until(master.cluster->io, [&] { return master.held.poll(), stopped; }));
    CHECK(Seen::here().from_slaves == 20);
}

TEST_CASE("who stops a role again waits for the same end, and may shorten it", "[integration]") {
    Cluster<> cluster{1, with_slots(1)};
    Seen::here().begun = 0;
    std::vector<std::string> events;
    const auto note = [&](const char* what) {
        return [&events, what](const std::exception_ptr& error) { events.push_back(what + text_of(error)); };
    };
    cluster.master.async_call(UntilStopped{}, note("call: "));
    REQUIRE(run_until(cluster.io, [] { return Seen::here().begun == 1; }));
    cluster.master.async_stop(deadline, note("first"));
    cluster.io.run_for(Milliseconds{10});
    cluster.master.async_stop(deadline, note("second"));
    cluster.slaves[0]->async_stop(deadline, note("slave"));
    cluster.slaves[0]->async_stop(deadline, note("slave again"));
    cluster.master.async_stop(Milliseconds::max(), note("third"));
    CHECK(cluster.io.run_for(Milliseconds{20}) < 100);  // they wait, and do nothing else
    CHECK(events.empty());
    cluster.master.async_stop(Milliseconds{1}, note("fourth"));
    REQUIRE(run_until(cluster.io, [&] { return events.size() == 7; }));
    std::sort(events.begin(), events.end());
    CHECK(events[0].find("call: ") == 0);
    CHECK(events[0].size() > 6);
    CHECK(std::vector<std::string>{events.begin() + 1, events.end()} ==
          std::vector<std::string>{"first", "fourth", "second", "slave", "slave again", "third"});
}

TEST_CASE("who is cancelled while a role stops waits no longer, and the role stops all the same", "[integration]") {
    Cluster<> cluster{0};
    bool settled = false;
    bool cancelled = false;
    cluster.master.async_call(Sum{1, 1}, [&](const std::exception_ptr&, int) { settled = true; });
    asio::cancellation_signal signal;
    cluster.master.async_stop(
        deadline, asio::bind_cancellation_slot(signal.slot(), [&](const std::exception_ptr&) { cancelled = true; }));
    cluster.io.run_for(Milliseconds{5});
    signal.emit(asio::cancellation_type::terminal);
    REQUIRE(run_until(cluster.io, [&] { return cancelled; }));
    CHECK_FALSE(settled);
    bool stopped = false;
    cluster.master.async_stop(Milliseconds{1}, [&](const std::exception_ptr&) { stopped = true; });
    REQUIRE(run_until(cluster.io, [&] { return stopped; }));
    CHECK(run_until(cluster.io, [&] { return settled; }));
}

TEST_CASE("a role that ends while it drains is drained", "[integration]") {
    asio::io_context io;
    auto master = std::make_unique<distwork::Master<>>(io.get_executor(), std::uint16_t{0});
    int ended = 0;
    master->async_call(Sum{1, 1}, [&](const std::exception_ptr&, int) { ++ended; });
    master->async_stop(std::chrono::hours{1}, [&](const std::exception_ptr&) { ++ended; });
    io.run_for(Milliseconds{5});
    CHECK(ended == 0);
    master.reset();
    CHECK(run_until(io, [&] { return ended == 2; }));
}

TEST_CASE("an answer that makes no sense settles no call", "[integration]") {
    Cluster<> cluster{0};
    Stranger stranger{cluster.io, port_of(cluster.master)};
    stranger.join(10, {&distwork::detail::work_type<Plain>()});
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == 1; }));
    std::string how;
    cluster.master.async_call(Plain{}, distwork::SubmitOptions{}.max_attempts(1),
                              [&](const std::exception_ptr& error) { how = error ? text_of(error) : "value"; });
    // The first call of a session has the first id, of the first place.
    auto reply = Stranger::frame(distwork::detail::FrameKind::error, std::vector<std::byte>(9));
    const std::uint64_t id = std::uint64_t{1} << 24;
    std::memcpy(reply.data() + 8, &id, sizeof id);
    stranger.say(reply);
    REQUIRE(run_until(cluster.io, [&] { return !how.empty(); }));
    CHECK(how != "value");
}

TEST_CASE("a body beyond the bound of the outbox does not stop its session from reading", "[integration]") {
    distwork::MasterOptions options;
    options.link.max_outbox_bytes = 100'000;
    options.link.heartbeat = std::chrono::hours{1};
    options.link.dead_after = std::chrono::hours{2};
    Cluster<> cluster{1, with_slots(4), options};
    int done = 0;
    for (int i = 0; i < 20; ++i) {
        cluster.master.async_call(Sum{1, 1}, [&](const std::exception_ptr& error, int) { done += !error; });
        cluster.master.async_call(Echo{std::string(3'000'000, 'x')},
                                  [&](const std::exception_ptr& error, const std::string&) { done += !error; });
    }
    CHECK(run_until(cluster.io, [&] { return done == 40; }));
}

TEST_CASE("a drain that ran out of time leaves nothing behind", "[integration]") {
    Cluster<> cluster{1, with_slots(1)};
    Seen::here().begun = 0;
    cluster.master.distribute_work(UntilStopped{});
    REQUIRE(run_until(cluster.io, [] { return Seen::here().begun == 1; }));
    bool stopped = false;
    cluster.slaves[0]->async_stop(Milliseconds{20}, [&](const std::exception_ptr&) { stopped = true; });
    REQUIRE(run_until(cluster.io, [&] { return stopped; }));
    cluster.slaves.clear();  // the leak check of the address sanitizer looks at the rest
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == 0; }));
}

TEST_CASE("a slave that is connecting ends when it is stopped", "[integration]") {
    asio::io_context io;
    // A listener whose queue is full: nobody answers.
    asio::ip::tcp::acceptor full{io};
    full.open(asio::ip::tcp::v4());
    full.bind({asio::ip::address_v4::loopback(), 0});
    full.listen(0);
    std::vector<asio::ip::tcp::socket> others;
    for (int i = 0; i < 4; ++i) {
        others.emplace_back(io).async_connect(full.local_endpoint(), [](const std::error_code&) {});
    }
    distwork::Slave slave{io.get_executor(), "127.0.0.1", full.local_endpoint().port()};
    bool ran = false;
    slave.async_run([&](const std::exception_ptr&) { ran = true; });
    io.run_for(Milliseconds{50});
    CHECK_FALSE(ran);
    slave.async_stop(deadline, [](const std::exception_ptr&) {});
    CHECK(run_until(io, [&] { return ran; }));

    // So does one whose run is cancelled.
    distwork::Slave other{io.get_executor(), "127.0.0.1", full.local_endpoint().port()};
    bool cancelled = false;
    asio::cancellation_signal signal;
    other.async_run(asio::bind_cancellation_slot(signal.slot(), [&](const std::exception_ptr&) { cancelled = true; }));
    io.restart();
    io.run_for(Milliseconds{50});
    CHECK_FALSE(cancelled);
    signal.emit(asio::cancellation_type::terminal);
    CHECK(run_until(io, [&] { return cancelled; }));
}

TEST_CASE("works that nobody can take do not hold up those that somebody can", "[integration]") {
    distwork::MasterOptions options;
    options.waiting.max_backlog = 1;
    Cluster<> cluster{1, with_slots(1), options};
    int on_gpu = 0;
    for (int i = 0; i < 3; ++i)
        cluster.master.async_call(Sum{1, 1}, SubmitOptions{}.label("gpu"),
                                  [&](const std::exception_ptr&, int) { ++on_gpu; });
    int plain = 0;
    for (int i = 0; i < 5; ++i) cluster.master.async_call(Sum{1, 1}, [&](const std::exception_ptr&, int) { ++plain; });
    REQUIRE(run_until(cluster.io, [&] { return plain == 5; }));
    cluster.master.distribute_work(Plain{});
    CHECK(on_gpu == 0);
    auto gpu = with_slots(1);
    gpu.labels = {"gpu"};
    cluster.add_slave(gpu);
    REQUIRE(run_until(cluster.io, [&] { return on_gpu == 3; }));
}

TEST_CASE("types that are registered later are exchanged, whoever learns of them first", "[integration]") {
    // Registered by both at once here, and told by each with its next heartbeat.
    class LateForSlave : public Sum {};
    class LateForMaster : public Sum {};
    const bool slave_first = GENERATE(true, false);
    distwork::MasterOptions options;
    auto slave = with_slots(1);
    options.link.heartbeat = Milliseconds{slave_first ? 200 : 20};
    slave.link.heartbeat = Milliseconds{slave_first ? 20 : 200};
    Cluster<> cluster{1, slave, options};
    bool done = false;
    const auto call = [&](auto work) {
        const char* const name = slave_first ? "LateForMaster" : "LateForSlave";
        const distwork::detail::Registration<decltype(work)> registration{name};
        cluster.master.async_call(work, [&](const std::exception_ptr& error, int) { done = !error; });
    };
    if (slave_first) call(LateForMaster{});
    else call(LateForSlave{});
    CHECK(run_until(cluster.io, [&] { return done; }));
}

TEST_CASE("a peer that sends and does not read is not read from, then dropped", "[integration]") {
    distwork::MasterOptions options;
    options.link.max_outbox_bytes = 1 << 20;
    options.link.heartbeat = Milliseconds{50};
    options.link.stalled_after = Milliseconds{300};
    std::string log;
    options.log = [&](distwork::LogLevel, std::string_view line) { log.append(line).push_back('\n'); };
    Cluster<> cluster{1, with_slots(1), options};
    cluster.master.accept_work<Echo>();
    Stranger stranger{cluster.io, port_of(cluster.master)};
    stranger.join();
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == 2; }));
    // More works than any buffer takes, and none of the answers, which are as large, is read.
    const auto& types = distwork::detail::Registry::instance().types();
    const auto number = std::find(types.begin(), types.end(), &distwork::detail::work_type<Echo>()) - types.begin();
    distwork::detail::ByteBuffer body;
    distwork::detail::encode_value(Echo{std::string(100'000, 'x')}, body, {});
    std::vector<std::byte> works(distwork::detail::frame_header_bytes);
    distwork::detail::write_header(works.data(), {.length = static_cast<std::uint32_t>(body.view().size()),
                                                  .kind = distwork::detail::FrameKind::work,
                                                  .type = static_cast<std::uint16_t>(number),
                                                  .id = 1});
    works.insert(works.end(), body.view().begin(), body.view().end());
    stranger.socket.non_blocking(true);
    std::size_t sent = 0;
    std::error_code error;
    const auto flood = [&] {
        const std::size_t at = sent % works.size();
        sent += stranger.socket.write_some(asio::buffer(works.data() + at, works.size() - at), error);
        return cluster.master.connected_slave_count() == 1;
    };
    REQUIRE(run_until(cluster.io, flood));
    CHECK(sent < 64u << 20);
    CHECK(log.find("stranger") != std::string::npos);
    CHECK(log.find("does not read") != std::string::npos);
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        const int two = co_await master.async_call(Sum{1, 1});
        CHECK(two == 2);
    }(cluster.master));
}

TEST_CASE("a slave that takes no works is no slave", "[integration]") {
    Cluster<> cluster{0};
    Stranger stranger{cluster.io, port_of(cluster.master)};
    stranger.join(0);
    run(cluster.io, [](Stranger& speaker) -> asio::awaitable<void> { co_await hear(speaker.socket); }(stranger));
    CHECK(cluster.master.connected_slave_count() == 0);
}

TEST_CASE("peers with different limits send each other what both take", "[integration]") {
    distwork::MasterOptions options;
    options.link.max_frame_bytes = 100'000;
    Cluster<> cluster{1, with_slots(2), options};
    Seen::here().begun = 0;
    bool lost = false;
    cluster.master.async_call(UntilStopped{}, [&](const std::exception_ptr&) { lost = true; });
    REQUIRE(run_until(cluster.io, [] { return Seen::here().begun == 1; }));
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        Grow grow{200'000};
        const auto code = co_await error_of(master.async_call(grow));
        CHECK(code == Errc::too_large);
    }(cluster.master));
    CHECK_FALSE(lost);

    // The other way round: a work that no slave would take fails at once; it goes to one that does, and holds up
    // nobody.
    auto small = with_slots(1);
    small.link.max_frame_bytes = 100'000;
    Cluster<> other{1, small};
    const Echo large{std::string(200'000, 'x')};
    run(other.io, [](distwork::Master<>& master, const Echo& echo) -> asio::awaitable<void> {
        const auto code = co_await error_of(master.async_call(echo));
        CHECK(code == Errc::too_large);
    }(other.master, large));
    other.add_slave(with_slots(1));
    int done = 0;
    for (int i = 0; i < 5; ++i) {
        other.master.async_call(large, [&](const std::exception_ptr& error, const std::string&) { done += !error; });
        other.master.async_call(Sum{1, 1}, [&](const std::exception_ptr& error, int) { done += !error; });
    }
    CHECK(run_until(other.io, [&] { return done == 10; }));
    const auto outcomes = other.master.async_broadcast_work(Echo{std::string(200'000, 'x')}, asio::use_future);
    REQUIRE(
        run_until(other.io, [&] { return outcomes.wait_for(std::chrono::seconds{0}) == std::future_status::ready; }));
}

TEST_CASE("a broadcast needs room only for what cannot leave at once", "[integration]") {
    distwork::MasterOptions options;
    options.waiting.max_backlog_bytes = 100'000;
    options.waiting.max_backlog = 1;
    Cluster<> cluster{3, with_slots(1), options};
    REQUIRE_NOTHROW(cluster.master.broadcast_work(Echo{std::string(90'000, 'x')}));
    CHECK_THROWS_AS(cluster.master.broadcast_work(Echo{std::string(90'000, 'x')}), distwork::Error);
}

TEST_CASE("a master that stopped broadcasts nothing", "[integration]") {
    Cluster<> cluster{1};
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        co_await master.async_stop(deadline);
        const auto code = co_await error_of(master.async_broadcast_work(Sum{1, 1}));
        CHECK(code == Errc::stopped);
        CHECK_THROWS_AS(master.broadcast_work(Sum{1, 1}), distwork::Error);
    }(cluster.master));
}

TEST_CASE("strangers are bounded in number, and keep no slave out", "[integration]") {
    distwork::MasterOptions options;
    options.max_slaves = 1;
    options.max_strangers = 3;
    Cluster<> cluster{0, {}, options};
    std::vector<std::unique_ptr<Stranger>> strangers;
    for (int i = 0; i < 10; ++i) strangers.push_back(std::make_unique<Stranger>(cluster.io, port_of(cluster.master)));
    // The oldest are closed at once, without a word.
    const auto closed = [&] {
        int count = 0;
        for (const auto& stranger : strangers) {
            std::byte byte{};
            std::error_code error;
            stranger->socket.non_blocking(true);
            stranger->socket.read_some(asio::buffer(&byte, 1), error);
            if (error != asio::error::would_block) ++count;
        }
        return count;
    };
    REQUIRE(run_until(cluster.io, [&] { return closed() >= 7; }));
    CHECK(closed() == 7);
    cluster.add_slave(with_slots(1));
}

TEST_CASE("a selector that names a slave without credit has declined", "[integration]") {
    std::uint64_t favourite = 0;
    std::map<std::uint64_t, const distwork::SocketInformation*> seen;
    const auto sticky = [&](distwork::DistributeContext& context) -> const distwork::SocketInformation* {
        for (const auto* socket : context.sockets()) seen[socket->id] = socket;
        if (favourite == 0) favourite = context.sockets().front()->id;
        return seen[favourite];
    };
    Cluster<distwork::AnySelector> cluster{2, with_slots(1), {}, sticky};
    Seen::here().begun = 0;
    for (int i = 0; i < 5; ++i) cluster.master.distribute_work(UntilStopped{});
    CHECK(cluster.master.backlog_size() == 4);
    for (const auto& socket : cluster.master.sockets()) CHECK(socket.in_flight <= socket.slots);
    cluster.io.run_for(Milliseconds{1});
}

TEST_CASE("a master listens on an address of this machine, or says what is wrong with it", "[integration]") {
    asio::io_context io;
    distwork::MasterOptions options;
    options.address = "localhost";
    distwork::Master<> master{io.get_executor(), options};
    CHECK(master.local_endpoint().address().is_loopback());
    options.address = "master.example";
    options.insecure_plaintext = true;
    try {
        distwork::Master<> other{io.get_executor(), options};
        FAIL("it listens");
    } catch (const distwork::Error& error) {
        CHECK(error.code() == Errc::bad_address);
        CHECK(std::string{error.what()}.find("master.example") != std::string::npos);
    }
    try {
        distwork::Slave<> slave{io.get_executor(), "127.0.0.1", 0};
        FAIL("it connects");
    } catch (const distwork::Error& error) {
        CHECK(error.code() == Errc::bad_address);
    }
}
