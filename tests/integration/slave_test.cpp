#include <algorithm>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/read.hpp>
#include <asio/thread_pool.hpp>
#include <optional>
#include <utility>

#include "distwork/wire/slave_state_body.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "support/stranger.hpp"
#include "support/works.hpp"

// The slave's half of the promises: how long works may take, where it finds a master, how it leaves.

using distwork::Errc;
using distwork::SubmitOptions;
using distwork::detail::FrameKind;

namespace {

using Milliseconds = std::chrono::milliseconds;

/// Returns when so many milliseconds have passed, whatever is asked of it.
class Takes : public distwork::RpcWork<int> {
public:
    Takes() = default;
    explicit Takes(int milliseconds) : milliseconds_{milliseconds} {}
    int execute_work(distwork::Context&) override {
        const auto until = std::chrono::steady_clock::now() + Milliseconds{milliseconds_};
        while (std::chrono::steady_clock::now() < until) std::this_thread::yield();
        return milliseconds_;
    }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(milliseconds_);
    }

private:
    int milliseconds_ = 0;
};

/// Waits without a thread until it is asked to stop, and returns all the same.
class Stubborn : public distwork::CoroutineWork<int> {
public:
    asio::awaitable<int> execute_work(distwork::Context& peer) override {
        const auto token = peer.stop_token();
        ++Seen::here().begun;
        asio::steady_timer timer{co_await asio::this_coro::executor};
        while (!token.stop_requested()) {
            timer.expires_after(Milliseconds{1});
            co_await timer.async_wait(asio::use_awaitable);
        }
        ++Seen::here().stopped;
        co_return 7;
    }
    template <class Archive>
    void serialize(Archive&) {}
};

class Hopeless : public distwork::RpcWork<int> {
public:
    int execute_work(distwork::Context&) override {
        ++Seen::here().begun;
        throw distwork::NoRetryError{"it will never do"};
    }
    template <class Archive>
    void serialize(Archive&) {}
};

/// Runs what is ready there.
void go_on(asio::io_context& held) {
    held.restart();
    held.poll();
}

distwork::SlaveOptions with_slots(std::size_t slots) {
    distwork::SlaveOptions options;
    options.slots = slots;
    return options;
}

distwork::SlaveOptions impatient() {
    auto options = with_slots(1);
    options.reconnect_after = Milliseconds{1};
    options.reconnect_at_most = Milliseconds{20};
    return options;
}

distwork::MasterAddress here(std::uint16_t port) {
    return {"127.0.0.1", port};
}

std::unique_ptr<distwork::Master<>> make_master(asio::io_context& io, std::uint16_t port = 0) {
    auto master = std::make_unique<distwork::Master<>>(io.get_executor(), port);
    master->start();
    return master;
}

/// A port on which nobody listens, for now.
std::uint16_t free_port(asio::io_context& io) {
    return asio::ip::tcp::acceptor{io, {asio::ip::address_v4::loopback(), 0}}.local_endpoint().port();
}

/// Listens, and says to everyone who connects what no master says.
struct Babel {
    explicit Babel(asio::io_context& io) : acceptor{io, {asio::ip::address_v4::loopback(), 0}} { accept(); }
    void accept() {
        acceptor.async_accept([this](std::error_code error, asio::ip::tcp::socket socket) {
            if (error) return;
            ++met;
            std::error_code ignored;
            asio::write(socket, asio::buffer("SSH-2.0-something else\r\n and more", 34), ignored);
            sockets.push_back(std::move(socket));
            accept();
        });
    }
    std::uint16_t port() const { return acceptor.local_endpoint().port(); }

    asio::ip::tcp::acceptor acceptor;
    std::vector<asio::ip::tcp::socket> sockets;
    int met = 0;
};

/// A master whose every frame the test decides.
struct FakeMaster {
    explicit FakeMaster(asio::io_context& io) : acceptor{io, {asio::ip::address_v4::loopback(), 0}}, socket{io} {}

    std::uint16_t port() const { return acceptor.local_endpoint().port(); }

    void say(const distwork::detail::FrameHeader& header, const std::vector<std::byte>& body = {}) {
        std::vector<std::byte> bytes(distwork::detail::frame_header_bytes + body.size());
        distwork::detail::FrameHeader whole = header;
        whole.length = static_cast<std::uint32_t>(body.size());
        distwork::detail::write_header(bytes.data(), whole);
        std::copy(body.begin(), body.end(), bytes.begin() + distwork::detail::frame_header_bytes);
        asio::write(socket, asio::buffer(bytes));
    }

    asio::awaitable<std::pair<distwork::detail::FrameHeader, std::vector<std::byte>>> hear() {
        std::vector<std::byte> head(distwork::detail::frame_header_bytes);
        co_await asio::async_read(socket, asio::buffer(head), asio::use_awaitable);
        const auto header = distwork::detail::read_header(head.data());
        std::vector<std::byte> body(header.length);
        co_await asio::async_read(socket, asio::buffer(body), asio::use_awaitable);
        std::pair<distwork::detail::FrameHeader, std::vector<std::byte>> frame{header, std::move(body)};
        co_return frame;
    }

    /// Leaves out what comes before.
    asio::awaitable<std::pair<distwork::detail::FrameHeader, std::vector<std::byte>>> hear(FrameKind kind) {
        for (;;) {
            auto frame = co_await hear();
            if (frame.first.kind == kind) co_return frame;
        }
    }

    asio::awaitable<void> accept() {
        socket = co_await acceptor.async_accept(asio::use_awaitable);
        co_await hear(FrameKind::hello);
        say({.kind = FrameKind::welcome}, distwork::detail::encode(distwork::detail::Greeting{
                                              .role = distwork::detail::Role::master, .name = "fake"}));
        distwork::detail::ByteBuffer types;
        distwork::detail::encode_value(distwork::detail::Introduction{1, 10, 1 << 20, {}, {}}, types, {});
        say({.kind = FrameKind::types}, {types.data(), types.data() + types.size()});
        co_await hear(FrameKind::types);
    }

    /// Why the slave leaves.
    asio::awaitable<Errc> farewell() {
        const auto frame = co_await hear(FrameKind::bye);
        distwork::detail::Refusal refusal;
        if (decode(frame.second, refusal)) co_return Errc::malformed;
        co_return refusal.reason;
    }

    asio::ip::tcp::acceptor acceptor;
    asio::ip::tcp::socket socket;
};

std::vector<std::byte> bytes(std::initializer_list<int> values) {
    std::vector<std::byte> all;
    for (const int value : values) all.push_back(static_cast<std::byte>(value));
    return all;
}

}  // namespace

DISTWORK_REGISTER_WORK(Takes)
DISTWORK_REGISTER_WORK(Stubborn)
DISTWORK_REGISTER_WORK(Hopeless)

// How long works may take

TEST_CASE("a work that takes too long fails its caller at once, and is asked to stop", "[integration]") {
    Cluster<> cluster{1, with_slots(2)};
    Seen::here().begun = Seen::here().stopped = 0;
    const auto options = SubmitOptions{}.execution_timeout(Milliseconds{20});
    run(cluster.io, [](distwork::Master<>& master, SubmitOptions timeout) -> asio::awaitable<void> {
        const auto waits = co_await error_of(master.async_call(Stubborn{}, timeout));
        CHECK(waits == Errc::execution_timeout);
        const auto computes = co_await error_of(master.async_call(UntilStopped{}, timeout));
        CHECK(computes == Errc::execution_timeout);
        // The slots are free again.
        const auto hour = SubmitOptions{}.execution_timeout(std::chrono::hours{1});
        for (int i = 0; i < 10; ++i) {
            const int two = co_await master.async_call(Sum{1, 1}, hour);
            CHECK(two == 2);
        }
    }(cluster.master, options));
    CHECK(Seen::here().begun == 2);
    CHECK(run_until(cluster.io, [] { return Seen::here().stopped == 2; }));
}

TEST_CASE("a work that is executed in place and returns late has taken too long", "[integration]") {
    auto in_place = with_slots(1);
    in_place.work_executor = distwork::WorkExecutor::in_place();
    Cluster<> cluster{1, in_place};
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        const auto short_time = SubmitOptions{}.execution_timeout(Milliseconds{2});
        const auto late = co_await error_of(master.async_call(Takes{10}, short_time));
        CHECK(late == Errc::execution_timeout);
        const auto hour = SubmitOptions{}.execution_timeout(std::chrono::hours{1});
        const int in_time = co_await master.async_call(Takes{3}, hour);
        CHECK(in_time == 3);
    }(cluster.master));
}

TEST_CASE("large works have their time too", "[integration]") {
    Cluster<> cluster{1, with_slots(2)};
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        const auto hour = SubmitOptions{}.execution_timeout(std::chrono::hours{1});
        for (const std::size_t size :
             {std::size_t{1000}, distwork::detail::large_body_bytes - 10, std::size_t{3'000'000}}) {
            Echo echo{std::string(size, 'x')};
            const std::string text = co_await master.async_call(std::move(echo), hour);
            CHECK(text == std::string(size, 'x'));
        }
    }(cluster.master));
}

TEST_CASE("works whose time is over are answered once, whatever happens at that time", "[integration]") {
    asio::thread_pool io{2};
    std::atomic<int> values{0};
    std::atomic<int> late{0};
    std::atomic<int> ended{0};
    {
        distwork::Master master{io.get_executor(), 0};
        master.start();
        distwork::Slave slave{io.get_executor(), "127.0.0.1", master.local_endpoint().port(), with_slots(4)};
        slave.start();
        constexpr int works = 300;
        for (int i = 0; i < works; ++i)
            master.async_call(Takes{i % 3}, SubmitOptions{}.execution_timeout(Milliseconds{1}),
                              [&](const std::exception_ptr& error, int) {
                                  ++(error ? late : values);
                                  ++ended;
                              });
        const auto until = std::chrono::steady_clock::now() + deadline;
        while (ended < works && std::chrono::steady_clock::now() < until) std::this_thread::yield();
        CHECK(ended == works);
        CHECK(late >= works / 3 * 2);  // those of one and two milliseconds
    }
    io.join();
    CHECK(values + late == ended);
}

TEST_CASE("flags that mean nothing end the session", "[integration]") {
    asio::io_context io{1};
    FakeMaster master{io};
    distwork::Slave slave{io.get_executor(), "127.0.0.1", master.port(), impatient()};
    slave.start();
    const auto reason_for = [&](distwork::detail::FrameHeader header, const std::vector<std::byte>& body) {
        Errc reason{};
        run(io,
            [](FakeMaster& fake, distwork::detail::FrameHeader head, const std::vector<std::byte>& content,
               Errc& result) -> asio::awaitable<void> {
                co_await fake.accept();
                fake.say(head, content);
                result = co_await fake.farewell();
            }(master, header, body, reason));
        return reason;
    };
    const std::uint16_t type = distwork::detail::work_type<Plain>().number;
    CHECK(reason_for({.kind = FrameKind::work, .flags = 2, .type = type, .id = 1}, bytes({1, 0, 0, 0})) ==
          Errc::protocol_violation);
    CHECK(reason_for({.kind = FrameKind::work, .flags = 3, .type = type, .id = 1}, bytes({1, 0, 0, 0})) ==
          Errc::protocol_violation);
    CHECK(reason_for({.kind = FrameKind::work, .flags = 1, .type = type, .id = 1}, bytes({1, 0, 0})) ==
          Errc::protocol_violation);
    CHECK(reason_for({.kind = FrameKind::cancel, .flags = 1, .id = 1}, bytes({1, 0, 0, 0})) ==
          Errc::protocol_violation);
    // Only a work whose time is over goes on when it was answered: 9, not 1.
    CHECK(reason_for({.kind = FrameKind::error, .flags = 1, .id = 1}, bytes({0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0})) ==
          Errc::protocol_violation);
    // And one that does: 0x00ffffff ms are enough.
    run(io, [](FakeMaster& fake, std::uint16_t number) -> asio::awaitable<void> {
        co_await fake.accept();
        fake.say({.kind = FrameKind::work, .flags = 1, .type = number, .id = 77}, bytes({255, 255, 255, 0}));
        const auto frame = co_await fake.hear(FrameKind::answer);
        CHECK(frame.first.id == 77);
    }(master, type));
}

TEST_CASE("an exception that is not to be retried is not, and says what it was", "[integration]") {
    Cluster<> cluster{1, with_slots(1)};
    Seen::here().begun = 0;
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        distwork::RetryPolicy often;
        often.count = 5;
        const auto retries = SubmitOptions{}.retry_on_error(often);
        std::optional<distwork::RemoteError> thrown;
        try {
            co_await master.async_call(Hopeless{}, retries);
        } catch (const distwork::RemoteError& error) {
            thrown = error;
        }
        REQUIRE(thrown);
        CHECK(thrown->code() == Errc::work_failed);
        CHECK(thrown->type() == "distwork::NoRetryError");
        CHECK(thrown->text() == "it will never do");
        CHECK(thrown->attempt() == 1);
    }(cluster.master));
    CHECK(Seen::here().begun == 1);
}

// Where it finds a master

TEST_CASE("a slave goes down its list of masters, and begins anew when it lost one", "[integration]") {
    asio::io_context io{1};
    const std::uint16_t first_port = free_port(io);
    auto second = make_master(io);
    const auto third = make_master(io);
    distwork::Slave slave{
        io.get_executor(),
        {here(first_port), here(second->local_endpoint().port()), here(third->local_endpoint().port())},
        impatient()};
    slave.start();
    REQUIRE(run_until(io, [&] { return second->connected_slave_count() == 1; }));
    const auto first = make_master(io, first_port);
    const std::uint16_t second_port = second->local_endpoint().port();
    second.reset();
    REQUIRE(run_until(io, [&] { return first->connected_slave_count() == 1; }));
    second = make_master(io, second_port);
    run(io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        const int two = co_await master.async_call(Sum{1, 1});
        CHECK(two == 2);
    }(*first));
    CHECK(second->connected_slave_count() == 0);
    CHECK(third->connected_slave_count() == 0);
}

TEST_CASE("a slave finds whichever master of its list comes back", "[integration]") {
    asio::io_context io{1};
    const std::uint16_t ports[] = {free_port(io), free_port(io)};
    distwork::Slave slave{io.get_executor(), {here(ports[0]), here(ports[1])}, impatient()};
    slave.start();
    for (const std::uint16_t port : {ports[1], ports[0], ports[1]}) {
        auto master = make_master(io, port);
        REQUIRE(run_until(io, [&] { return master->connected_slave_count() == 1; }));
        master.reset();
        REQUIRE(run_until(io, [&] { return !slave.is_connected(); }));
    }
}

TEST_CASE("what can never be a slave's master is struck from its list", "[integration]") {
    asio::io_context io{1};
    Babel babel{io};
    auto master = make_master(io);
    const std::uint16_t port = master->local_endpoint().port();
    distwork::Slave slave{io.get_executor(), {here(babel.port()), here(port)}, impatient()};
    slave.start();
    REQUIRE(run_until(io, [&] { return master->connected_slave_count() == 1; }));
    CHECK(babel.met == 1);
    master.reset();
    REQUIRE(run_until(io, [&] { return !slave.is_connected(); }));
    master = make_master(io, port);
    REQUIRE(run_until(io, [&] { return master->connected_slave_count() == 1; }));
    CHECK(babel.met == 1);

    Babel other{io};
    distwork::Slave lost{io.get_executor(), {here(babel.port()), here(other.port())}, impatient()};
    run(io, [](distwork::Slave<>& hopeless) -> asio::awaitable<void> {
        const auto error = co_await error_of(hopeless.async_run());
        CHECK(error == Errc::not_distwork);
    }(lost));
    CHECK(babel.met == 2);
    CHECK(other.met == 1);
}

TEST_CASE("a slave that does not reconnect goes down its list once", "[integration]") {
    asio::io_context io{1};
    distwork::MasterOptions full;
    full.max_slaves = 0;
    distwork::Master none{io.get_executor(), full};
    none.start();
    auto master = make_master(io);
    auto once = impatient();
    once.reconnect = distwork::Reconnect::never;
    distwork::Slave served{
        io.get_executor(),
        {here(free_port(io)), here(none.local_endpoint().port()), here(master->local_endpoint().port())},
        once};
    std::optional<std::string> ended;
    served.async_run([&](const std::exception_ptr& error) { ended = text_of(error); });
    REQUIRE(run_until(io, [&] { return master->connected_slave_count() == 1; }));
    master.reset();
    REQUIRE(run_until(io, [&] { return ended.has_value(); }));
    CHECK(ended == "");

    distwork::Slave refused{io.get_executor(), {here(free_port(io)), here(none.local_endpoint().port())}, once};
    run(io, [](distwork::Slave<>& slave) -> asio::awaitable<void> {
        const auto error = co_await error_of(slave.async_run());
        CHECK(error == Errc::too_many_slaves);
    }(refused));
}

#ifdef __linux__
TEST_CASE("a master that says nothing at all does not keep a slave from the next", "[integration]") {
    asio::io_context io{1};
    // Its queue of connections is full: it does not even answer the first packet of another one.
    asio::ip::tcp::acceptor deaf{io};
    deaf.open(asio::ip::tcp::v4());
    deaf.bind({asio::ip::address_v4::loopback(), 0});
    deaf.listen(0);
    std::vector<asio::ip::tcp::socket> crowd;
    int connected = 0;
    for (int i = 0; i < 8; ++i) {
        crowd.emplace_back(io);
        crowd.back().async_connect(deaf.local_endpoint(), [&](std::error_code error) { connected += !error; });
    }
    const auto master = make_master(io);
    auto options = impatient();
    options.link.heartbeat = Milliseconds{100};
    options.link.dead_after = Milliseconds{200};
    distwork::Slave slave{
        io.get_executor(), {here(deaf.local_endpoint().port()), here(master->local_endpoint().port())}, options};
    slave.start();
    REQUIRE(run_until(io, [&] { return master->connected_slave_count() == 1; }));
    CHECK(connected < 8);
    crowd.clear();
}
#endif

TEST_CASE("each master of a slave's list is checked at once", "[integration]") {
    asio::io_context io;
    const auto code = [&](const std::vector<distwork::MasterAddress>& masters) {
        try {
            distwork::Slave slave{io.get_executor(), masters};
        } catch (const distwork::Error& error) {
            return error.code();
        }
        return std::error_code{};
    };
    CHECK(code({}) == Errc::bad_address);
    CHECK(code({here(1), here(0)}) == Errc::bad_address);
    CHECK(code({here(1), {"192.0.2.1", 1}}) == Errc::needs_credentials);
    CHECK(code({here(1), here(2)}) == std::error_code{});
}

TEST_CASE("a slave that is stopped while it searches ends", "[integration]") {
    asio::io_context io{1};
    auto patient = with_slots(1);
    patient.reconnect_after = patient.reconnect_at_most = std::chrono::hours{1};
    distwork::Slave slave{io.get_executor(), {here(free_port(io)), here(free_port(io))}, patient};
    int ended = 0;
    slave.async_run([&](const std::exception_ptr& error) { ended += !error; });
    io.run_for(Milliseconds{20});
    slave.async_drain([&](const std::exception_ptr& error) { ended += !error; });
    io.restart();
    io.run();  // returns: nothing waits any more
    CHECK(ended == 2);
}

// How it leaves

TEST_CASE("a slave that drains finishes and answers all that it was sent, and leaves", "[integration]") {
    asio::io_context held;
    auto options = with_slots(20);
    options.work_executor = distwork::WorkExecutor{held.get_executor()};
    Cluster<> cluster{1, options};
    Seen::here().forget_order();
    int succeeded = 0;
    bool drained = false;
    for (int i = 0; i < 10; ++i)
        cluster.master.async_call(Ordered{i}, SubmitOptions{}.max_attempts(1),
                                  [&](const std::exception_ptr& error) { succeeded += !error; });
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.sockets()[0].in_flight == 10; }));
    cluster.slaves[0]->async_drain([&](const std::exception_ptr&) { drained = true; });
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.sockets()[0].draining; }));
    // What comes now is for others.
    std::optional<int> sum;
    cluster.master.async_call(Sum{20, 22}, [&](const std::exception_ptr&, int value) { sum = value; });
    cluster.io.run_for(Milliseconds{20});
    CHECK_FALSE(drained);
    REQUIRE(run_until(cluster.io, [&] { return go_on(held), drained; }));
    CHECK_FALSE(sum);
    REQUIRE(run_until(cluster.io, [&] { return succeeded == 10; }));
    CHECK(Seen::here().order_now().size() == 10);
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == 0; }));
    cluster.slaves.clear();
    cluster.add_slave(with_slots(1));
    REQUIRE(run_until(cluster.io, [&] { return sum.has_value(); }));
    CHECK(sum == 42);
}

TEST_CASE("large answers have left when a slave has drained", "[integration]") {
    Cluster<> cluster{1, with_slots(4)};
    std::uint64_t received = 0;
    int failed = 0;
    for (int i = 0; i < 4; ++i)
        cluster.master.async_call(Grow{8'000'000}, SubmitOptions{}.max_attempts(1),
                                  [&](const std::exception_ptr& error, const std::string& text) {
                                      failed += !!error;
                                      received += text.size();
                                  });
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.sockets()[0].in_flight == 4; }));
    cluster.slaves[0]->async_drain([&](const std::exception_ptr&) { cluster.slaves.clear(); });
    REQUIRE(run_until(cluster.io, [&] { return cluster.slaves.empty(); }));
    REQUIRE(run_until(cluster.io, [&] { return received == 32'000'000 || failed != 0; }));
    CHECK(failed == 0);
}

TEST_CASE("a drain without end gets one from whoever stops the slave", "[integration]") {
    asio::io_context held;
    auto options = with_slots(1);
    options.work_executor = distwork::WorkExecutor{held.get_executor()};
    Cluster<> cluster{1, options};
    int ended = 0;
    cluster.master.async_call(Nothing{}, [](const std::exception_ptr&) {});
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.sockets()[0].in_flight == 1; }));
    cluster.slaves[0]->async_drain([&](const std::exception_ptr&) { ++ended; });
    cluster.io.run_for(Milliseconds{20});
    CHECK(ended == 0);
    cluster.slaves[0]->async_stop(Milliseconds{0}, [&](const std::exception_ptr&) { ++ended; });
    REQUIRE(run_until(cluster.io, [&] { return ended == 2; }));
}

// What it tells of itself

TEST_CASE("a slave tells how it is doing with its heartbeats, and selectors see it", "[integration]") {
    asio::io_context held;
    auto options = with_slots(2);
    options.work_executor = distwork::WorkExecutor{held.get_executor()};
    options.link.heartbeat = Milliseconds{10};
    distwork::MasterOptions often;
    often.link.heartbeat = Milliseconds{10};
    std::uint32_t selected_at = 99;
    const auto look = [&](const distwork::DistributeContext& context) -> const distwork::SocketInformation* {
        const auto* const slave = context.sockets().front();
        selected_at = slave->state.queued;
        return slave;
    };
    Cluster<distwork::AnySelector> cluster{1, options, often, distwork::AnySelector{look}};
    const auto state = [&] { return cluster.master.sockets()[0].state; };
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.sockets()[0].round_trip.count() != 0; }));
    CHECK(state().running == 0);
    CHECK(state().queued == 0);
#ifdef __linux__
    CHECK(state().free_memory != 0);
    CHECK(state().free_memory % 1024 == 0);
#endif
    int done = 0;
    const auto count = [&](const std::exception_ptr&) { ++done; };
    cluster.master.async_call(Plain{}, count);
    CHECK(selected_at == 0);
    REQUIRE(run_until(cluster.io, [&] { return state().queued == 1; }));
    cluster.master.async_call(Plain{}, count);
    CHECK(selected_at == 1);
    REQUIRE(run_until(cluster.io, [&] { return state().queued == 2; }));
    REQUIRE(run_until(cluster.io, [&] { return go_on(held), done == 2; }));
    REQUIRE(run_until(cluster.io, [&] { return state().queued == 0; }));

    std::optional<std::string> ended;
    Seen::here().begun = 0;
    asio::cancellation_signal cancel;
    cluster.master.async_call(
        Stubborn{}, asio::bind_cancellation_slot(
                        cancel.slot(), [&](const std::exception_ptr& error, int) { ended = text_of(error); }));
    REQUIRE(run_until(cluster.io, [&] { return go_on(held), Seen::here().begun == 1; }));
    REQUIRE(run_until(cluster.io, [&] { return state().running == 1; }));
    CHECK(state().queued == 0);
    cancel.emit(asio::cancellation_type::all);
    REQUIRE(run_until(cluster.io, [&] { return go_on(held), state().running == 0; }));
}

TEST_CASE("a heartbeat has a state of its length, or none, and that of a master has none", "[integration]") {
    asio::io_context io{1};
    FakeMaster master{io};
    distwork::Slave slave{io.get_executor(), "127.0.0.1", master.port(), impatient()};
    slave.start();
    run(io, [](FakeMaster& fake) -> asio::awaitable<void> {
        co_await fake.accept();
        const auto ping = co_await fake.hear(FrameKind::ping);
        CHECK(ping.second.size() == distwork::detail::slave_state_bytes);
        fake.say({.kind = FrameKind::ping, .id = 42});
        const auto pong = co_await fake.hear(FrameKind::pong);
        CHECK(pong.first.id == 42);
        CHECK(pong.second.size() == distwork::detail::slave_state_bytes);
        fake.say({.kind = FrameKind::pong, .id = ping.first.id},
                 std::vector<std::byte>(distwork::detail::slave_state_bytes));
        const Errc reason = co_await fake.farewell();
        CHECK(reason == Errc::protocol_violation);
    }(master));

    Cluster<> cluster{0};
    const auto reason_for = [&](FrameKind kind, std::size_t bytes_of_body) {
        Stranger stranger{cluster.io, cluster.master.local_endpoint().port()};
        stranger.join();
        stranger.say(Stranger::frame(kind, std::vector<std::byte>(bytes_of_body)));
        stranger.say(Stranger::frame(FrameKind::bye,
                                     distwork::detail::encode(distwork::detail::Refusal{Errc::connection_closed, ""})));
        return farewell_of(cluster.io, stranger);
    };
    CHECK(reason_for(FrameKind::ping, 0) == Errc{});
    CHECK(reason_for(FrameKind::pong, 24) == Errc{});
    CHECK(reason_for(FrameKind::ping, 24) == Errc{});
    CHECK(reason_for(FrameKind::ping, 23) == Errc::protocol_violation);
    CHECK(reason_for(FrameKind::pong, 25) == Errc::protocol_violation);
}

TEST_CASE("a slave that was told what to accept executes nothing else, and tells of nothing else", "[integration]") {
    asio::io_context io{1};
    FakeMaster master{io};
    distwork::Slave slave{io.get_executor(), "127.0.0.1", master.port(), impatient()};
    slave.accept_work<Takes>();
    slave.start();
    run(io, [](FakeMaster& fake) -> asio::awaitable<void> {
        co_await fake.accept();
        // The numbers are those of all types: it may know them, or guess.
        const auto body = bytes({0, 0, 0, 0});
        fake.say({.kind = FrameKind::work, .type = distwork::detail::work_type<Stubborn>().number, .id = 1}, body);
        const auto refused = co_await fake.hear(FrameKind::error);
        CHECK(refused.first.id == 1);
        distwork::detail::Reply reply;
        CHECK_FALSE(decode(FrameKind::error, refused.second, reply, distwork::detail::Role::slave));
        CHECK(reply.error == Errc::not_accepted);
        fake.say({.kind = FrameKind::work, .type = distwork::detail::work_type<Takes>().number, .id = 2}, body);
        const auto done = co_await fake.hear(FrameKind::answer);
        CHECK(done.first.id == 2);
    }(master));

    Cluster<> cluster{0};
    distwork::Slave narrow{cluster.io.get_executor(), "127.0.0.1", cluster.master.local_endpoint().port(), impatient()};
    narrow.accept_work<Takes>();
    narrow.start();
    int none = 0;
    cluster.master.async_call(Takes{1}, [&](const std::exception_ptr& error, int) { none += error ? 100 : 1; });
    REQUIRE(run_until(cluster.io, [&] { return none == 1; }));
    cluster.master.distribute_work(Plain{});
    REQUIRE(run_until(cluster.io, [&] { return !cluster.master.waiting().empty(); }));
    CHECK(cluster.master.waiting().front().reason == distwork::WaitReason::no_capable);
    cluster.add_slave(with_slots(1));  // which accepts all
    CHECK(run_until(cluster.io, [&] { return cluster.master.waiting().empty(); }));
}
