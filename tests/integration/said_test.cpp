#include <algorithm>
#include <asio/ip/host_name.hpp>
#include <chrono>
#include <cstdint>
#include <distwork.hpp>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/run.hpp"
#include "support/stranger.hpp"
#include "support/works.hpp"

#if __has_include(<catch2/generators/catch_generators.hpp>)
#include <catch2/generators/catch_generators.hpp>
#endif

using namespace std::chrono_literals;
using distwork::Errc;
using distwork::SubmitOptions;
using support::count;

// What roles say of themselves: that their ends are what they say, and that a wrong set-up is told.

namespace {

/// All that a role logs.
struct Heard {
    distwork::Log log() {
        return [this](distwork::LogLevel level, std::string_view line) {
            const std::lock_guard lock{mutex};
            all.append(to_string(level)).append(": ").append(line).push_back('\n');
        };
    }
    bool has(const std::string& part) const { return all.find(part) != std::string::npos; }
    bool has_failures() const {
        for (const std::string_view level : {"warning: ", "error: "})
            if (all.starts_with(level) || has('\n' + std::string{level})) return true;
        return false;
    }

    std::mutex mutex;
    std::string all;
};

distwork::MasterOptions heard_by(Heard& heard) {
    distwork::MasterOptions options;
    options.log = heard.log();
    return options;
}

distwork::SlaveOptions slave_heard_by(Heard& heard, std::string name = "Ada") {
    distwork::SlaveOptions options;
    options.name = std::move(name);
    options.slots = 1;
    options.log = heard.log();
    return options;
}

/// What it throws.
template <class Action>
std::optional<distwork::Error> error_of(Action action) {
    try {
        action();
    } catch (const distwork::Error& error) {
        return error;
    }
    return std::nullopt;
}

std::string text_of(const std::optional<distwork::Error>& error) {
    return error ? error->what() : "nothing was thrown";
}

}  // namespace

TEST_CASE("a master's run ends when its stop has ended, and not before", "[integration]") {
    Heard heard;
    Cluster<> cluster{1, {}, heard_by(heard)};
    auto& [io, master, slaves] = cluster;
    std::vector<std::string> events;
    const auto note = [&](const char* what) {
        return [&events, what](const std::exception_ptr& error) { events.push_back(what + text_of(error)); };
    };
    Seen::here().begun = 0;
    bool was_told = false;
    master.async_call(Sleeps{200}, [&](const std::exception_ptr& error) {
        events.push_back("work" + text_of(error));
        was_told = heard.has("Master ended");
    });
    REQUIRE(run_until(io, [&] { return master.statistics().attempts == 1; }));
    master.async_stop(deadline, note("stop"));
    io.run_for(50ms);
    CHECK(events.empty());
    CHECK_FALSE(heard.has("Master ended"));  // as it did when the stop began
    REQUIRE(run_until(io, [&] { return events.size() == 2 && heard.has("Master ended"); }));
    CHECK(events == std::vector<std::string>{"work", "stop"});
    CHECK_FALSE(was_told);
}

TEST_CASE("a master's awaited run ends with its stop, whichever came first", "[integration]") {
    const int order = GENERATE(0, 1, 2, 3);
    asio::io_context io;
    std::vector<std::string> events;
    const auto note = [&](const char* what) {
        return [&events, what](const std::exception_ptr& error) { events.push_back(what + ::text_of(error)); };
    };
    distwork::Master<> master{io.get_executor(), {.log = distwork::NoLog{}}};
    if (order == 0) master.async_stop(deadline, note("stop")), io.run(), io.restart();  // it has ended
    if (order == 1) master.async_stop(deadline, note("stop"));
    master.async_run(note("run"));
    if (order == 2) master.async_stop(deadline, note("stop"));
    if (order == 3) master.async_stop(deadline, note("stop")), master.async_stop(0ms, note("stop"));
    io.run();
    CHECK(events.size() == (order == 3 ? 3 : 2));
    CHECK(std::count(events.begin(), events.end(), "run") == 1);
    CHECK(events.front() == "stop");
}

TEST_CASE("a master's destructor ends its run, also in the middle of a stop", "[integration]") {
    const bool stopping = GENERATE(false, true);
    asio::io_context io;
    std::vector<std::string> events;
    const auto note = [&](const char* what) {
        return [&events, what](const std::exception_ptr& error) { events.push_back(what + ::text_of(error)); };
    };
    {
        distwork::Master<> master{io.get_executor(), {.log = distwork::NoLog{}}};
        master.async_run(note("run"));
        master.async_call(Plain{}, [](const std::exception_ptr&) {});  // no slave comes
        io.run_for(10ms);
        if (stopping) master.async_stop(deadline, note("stop"));
        io.run_for(10ms);
        CHECK(events.empty());
    }
    io.restart();
    io.run();
    std::sort(events.begin(), events.end());
    CHECK(events == (stopping ? std::vector<std::string>{"run", "stop"} : std::vector<std::string>{"run"}));
}

TEST_CASE("a master's run that is cancelled says so", "[integration]") {
    asio::io_context io;
    Heard heard;
    distwork::Master<> master{io.get_executor(), heard_by(heard)};
    asio::cancellation_signal signal;
    std::exception_ptr ended;
    bool done = false;
    master.async_run(asio::bind_cancellation_slot(signal.slot(), [&](const std::exception_ptr& error) {
        ended = error;
        done = true;
    }));
    io.run_for(10ms);
    signal.emit(asio::cancellation_type::terminal);
    REQUIRE(run_until(io, [&] { return done; }));
    CHECK(error_of([&] {
              if (ended) std::rethrow_exception(ended);
          })->code() == Errc::cancelled);
    CHECK_FALSE(heard.has("accepting failed"));
}

TEST_CASE("a slave's run that is cancelled says so, and logs no failure", "[integration]") {
    asio::io_context io;
    // A listener whose queue is full: nobody answers.
    asio::ip::tcp::acceptor full{io, {asio::ip::address_v4::loopback(), 0}, false};
    full.listen(0);
    std::vector<asio::ip::tcp::socket> others;
    for (int i = 0; i < 4; ++i)
        others.emplace_back(io).async_connect(full.local_endpoint(), [](const std::error_code&) {});
    Heard heard;
    distwork::Slave<> slave{io.get_executor(), "127.0.0.1", full.local_endpoint().port(), slave_heard_by(heard)};
    asio::cancellation_signal signal;
    std::error_code ended;
    slave.async_run(asio::bind_cancellation_slot(signal.slot(), [&](const std::exception_ptr& error) {
        const auto thrown = error_of([&] { std::rethrow_exception(error); });
        if (thrown) ended = thrown->code();
    }));
    io.run_for(50ms);
    signal.emit(asio::cancellation_type::terminal);
    REQUIRE(run_until(io, [&] { return static_cast<bool>(ended); }));
    CHECK(ended == Errc::cancelled);
    CHECK_FALSE(heard.has_failures());
}

TEST_CASE("an end that was asked for is not logged as a failure, at either side", "[integration]") {
    const bool stop = GENERATE(true, false);
    asio::io_context io;
    Heard at_master;
    Heard at_slave;
    bool ended = false;  // a stop may complete after its role
    {
        distwork::Master<> master{io.get_executor(), heard_by(at_master)};
        master.start();
        distwork::Slave<> slave{io.get_executor(), "127.0.0.1", master.local_endpoint().port(),
                                slave_heard_by(at_slave)};
        slave.start();
        REQUIRE(run_until(io, [&] { return master.connected_slave_count() == 1; }));
        master.distribute_work(UntilStopped{});
        master.distribute_work(Plain{}, SubmitOptions{}.name("the second"));
        REQUIRE(run_until(io, [&] { return master.statistics().attempts >= 1; }));
        if (stop) {
            master.async_stop(1ms, [&](const std::exception_ptr&) { ended = true; });
            REQUIRE(run_until(io, [&] { return ended && !slave.is_connected(); }));
            slave.async_stop(1ms, [&](const std::exception_ptr&) { ended = true; });
        }
    }
    io.restart();
    io.run();
    INFO("master:\n" << at_master.all << "slave:\n" << at_slave.all);
    CHECK_FALSE(at_master.has_failures());
    CHECK_FALSE(at_slave.has_failures());
    CHECK_FALSE(at_master.has("outcome was known"));
    CHECK(at_master.has("info: A distributed work did not succeed: the second"));
    CHECK(at_master.has("info: Master ended"));
    CHECK(at_slave.has(stop ? "Disconnected from: 127.0.0.1:" : "Disconnected from: "));
}

TEST_CASE("a work whose outcome nobody awaits is told of when it fails, once, with work, slave and reason",
          "[integration]") {
    Heard heard;
    Cluster<> cluster{1, {}, heard_by(heard)};
    cluster.master.distribute_work(Throwing{0});
    REQUIRE(run_until(cluster.io, [&] { return heard.has_failures(); }));
    CHECK(heard.has("warning: A distributed work did not succeed: Throwing on slave 0 (127.0.0.1:"));
    CHECK(heard.has(", attempt 1: std::out_of_range: beyond the end\n"));
}

TEST_CASE("a slave that is lost with works is a warning, and says how many go elsewhere", "[integration]") {
    Heard heard;
    Cluster<> cluster{0, {}, heard_by(heard)};
    {
        Stranger stranger{cluster.io, cluster.master.local_endpoint().port()};
        stranger.join(10, {&distwork::detail::work_type<Plain>()});
        REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == 1; }));
        cluster.master.distribute_work(Plain{});
        CHECK(cluster.master.statistics().attempts == 1);
        CHECK_FALSE(heard.has_failures());
    }
    REQUIRE(run_until(cluster.io, [&] { return heard.has_failures(); }));
    CHECK(heard.has("warning: Disconnected from: stranger (127.0.0.1:"));
    CHECK(heard.has("; works that go to others: 1\n"));
}

TEST_CASE("an answer that is too long is told of once", "[integration]") {
    distwork::SlaveOptions slave;
    slave.link.max_frame_bytes = 64 * 1024;
    Cluster<> cluster{1, slave};
    std::string text;
    cluster.master.async_call(Grow{100'000}, [&](const std::exception_ptr& error, auto&&) { text = text_of(error); });
    REQUIRE(run_until(cluster.io, [&] { return !text.empty(); }));
    INFO(text);
    CHECK(text.find("Grow on slave 0 (127.0.0.1:") == 0);
    CHECK(count(text, "max_frame_bytes") == 1);
    CHECK(count(text, "Grow") == 1);
    CHECK(count(text, "too large") + count(text, "larger") == 0);
    // And what does not decode there.
    text.clear();
    cluster.master.async_call(Undecodable{}, [&](const std::exception_ptr& error) { text = text_of(error); });
    REQUIRE(run_until(cluster.io, [&] { return !text.empty(); }));
    INFO(text);
    CHECK(text.find("Undecodable on slave 0 (127.0.0.1:") == 0);
    CHECK(count(text, "Undecodable") == 1);
}

TEST_CASE("a role that is started twice says so at once, and one that never was at its end", "[integration]") {
    asio::io_context io;
    Heard heard;
    {
        distwork::Master<> master{io.get_executor(), heard_by(heard)};
        const std::uint16_t port = master.local_endpoint().port();
        master.start();
        CHECK(error_of([&] { master.start(); })->code() == Errc::already_running);
        distwork::Slave<> slave{io.get_executor(), "127.0.0.1", port, slave_heard_by(heard)};
        slave.start();
        CHECK(text_of(error_of([&] { slave.start(); })) == "slave Ada was started before: a role runs once");
        // They run all the same.
        REQUIRE(run_until(io, [&] { return master.connected_slave_count() == 1; }));
    }
    CHECK_FALSE(heard.has_failures());
    {
        const distwork::Master<> master{io.get_executor(), heard_by(heard)};
        distwork::Master<> asked{io.get_executor(), heard_by(heard)};
        asked.async_run([](const std::exception_ptr&) {});
    }
    CHECK(count(heard.all, "warning: A master ended without having run: it needs start() or async_run()\n") == 1);
    { const distwork::Slave<> slave{io.get_executor(), "127.0.0.1", 1, slave_heard_by(heard)}; }
    CHECK(count(heard.all, "warning: Slave Ada: It ended without having run: it needs start() or async_run()\n") == 1);
    io.restart();
    io.run();
}

TEST_CASE("a host that does not resolve is told so, and not asked for credentials", "[integration]") {
    asio::io_context io;
    for (const bool insecure : {false, true}) {
        const auto refused = error_of([&] {
            distwork::Master<> master{
                io.get_executor(),
                {.address = "no-such..host", .insecure_plaintext = insecure, .log = distwork::NoLog{}}};
        });
        INFO(text_of(refused));
        CHECK((refused && refused->code() == Errc::bad_address));
        CHECK(text_of(refused).find("no-such..host:0 does not resolve: ") == 0);
        CHECK(text_of(refused).find("credentials") == std::string::npos);
    }
    Heard heard;
    auto options = slave_heard_by(heard);
    options.reconnect = distwork::Reconnect::never;
    distwork::Slave<> slave{io.get_executor(), "no-such..host", 15210, options};
    std::string ended;
    slave.async_run([&](const std::exception_ptr& error) { ended = text_of(error); });
    REQUIRE(run_until(io, [&] { return !ended.empty(); }));
    INFO(ended);
    CHECK(ended.find("No connection to no-such..host:15210: ") == 0);
    CHECK(ended.find("credentials") == std::string::npos);
}

TEST_CASE("who leaves the machine in plain text is warned", "[integration]") {
    asio::io_context io;
    for (const char* address : {"127.0.0.1", "0.0.0.0"}) {
        Heard heard;
        distwork::MasterOptions options;
        options.address = address;
        options.insecure_plaintext = true;
        options.log = heard.log();
        distwork::Master<> master{io.get_executor(), options};
        master.start();
        CHECK(count(heard.all, "warning: 0.0.0.0:") == (options.address == "0.0.0.0" ? 1u : 0u));
        CHECK(count(heard.all, "is open to everyone who reaches it") == (options.address == "0.0.0.0" ? 1u : 0u));
    }
    // Where this machine has an address of a network, a slave that connects to it is warned, once.
    asio::ip::tcp::resolver resolver{io};
    std::error_code error;
    for (const auto& entry : resolver.resolve(asio::ip::host_name(), "", error)) {
        if (!entry.endpoint().address().is_v4() || entry.endpoint().address().is_loopback()) continue;
        distwork::Master<> master{io.get_executor(),
                                  {.address = "0.0.0.0", .insecure_plaintext = true, .log = distwork::NoLog{}}};
        master.start();
        Heard heard;
        auto options = slave_heard_by(heard);
        options.insecure_plaintext = true;
        distwork::Slave<> slave{io.get_executor(), entry.endpoint().address().to_string(),
                                master.local_endpoint().port(), options};
        slave.start();
        REQUIRE(run_until(io, [&] { return master.connected_slave_count() == 1; }));
        CHECK(count(heard.all, "decides what is executed here") == 1);
    }
}

TEST_CASE("a master listens where a name of this machine leads, within loopback unless told otherwise",
          "[integration]") {
    asio::io_context io;
    asio::ip::tcp::resolver resolver{io};
    int tried = 0;
    for (const std::string& name : {asio::ip::host_name(), std::string{"ip6-localhost"}, std::string{"localhost."}}) {
        std::error_code error;
        bool is_loopback = false;
        std::vector<asio::ip::address> addresses;
        for (const auto& entry : resolver.resolve(name, "", asio::ip::resolver_base::passive, error)) {
            addresses.push_back(entry.endpoint().address());
            is_loopback |= addresses.back().is_loopback();
        }
        if (error) continue;
        ++tried;
        INFO(name << " is " << addresses.front().to_string());
        const auto listen = [&](bool insecure) {
            distwork::Master<> master{io.get_executor(),
                                      {.address = name, .insecure_plaintext = insecure, .log = distwork::NoLog{}}};
            CHECK(std::find(addresses.begin(), addresses.end(), master.local_endpoint().address()) != addresses.end());
        };
        CHECK_FALSE(error_of([&] { listen(true); }));
        const auto refused = error_of([&] { listen(false); });
        CHECK((refused ? refused->code() : std::error_code{}) ==
              (is_loopback ? std::error_code{} : make_error_code(Errc::needs_credentials)));
        if (!is_loopback) CHECK(text_of(refused).find(name + ", which is " + addresses.front().to_string()) == 0);
    }
    if (tried == 0) WARN("no name of this machine resolves");
}

TEST_CASE("no connection to a master is told once, aloud, with its address in brackets", "[integration]") {
    asio::io_context io;
    std::uint16_t port = 0;
    {
        asio::ip::tcp::acceptor taken{io, {asio::ip::address_v4::loopback(), 0}};
        port = taken.local_endpoint().port();
    }
    Heard heard;
    auto options = slave_heard_by(heard);
    options.reconnect_after = options.reconnect_at_most = 1ms;
    distwork::Slave<> slave{io.get_executor(), "::1", port, options};
    slave.start();
    const std::string line = "Slave Ada: No connection to [::1]:" + std::to_string(port) + ": ";
    REQUIRE(run_until(io, [&] { return count(heard.all, line) >= 5; }));
    INFO(heard.all);
    CHECK(count(heard.all, "warning: " + line) == 1);
    const std::string first = heard.all.substr(0, heard.all.find('\n'));
    CHECK(count(first, "::1") == 1);
    CHECK(first.size() > line.size() + 9);
}

TEST_CASE("works that no connected slave can take are a warning, with the reason", "[integration]") {
    Heard heard;
    Cluster<> cluster{0, {}, heard_by(heard)};
    auto& [io, master, slaves] = cluster;
    master.distribute_work(Plain{});  // before any slave is there: that is no wrong set-up yet
    CHECK_FALSE(heard.has_failures());

    Stranger without{io, master.local_endpoint().port()};
    without.join();
    const std::string at = " at stranger (127.0.0.1:" + std::to_string(without.socket.local_endpoint().port()) + ")";
    REQUIRE(run_until(io, [&] { return heard.has("Plain waits"); }));
    REQUIRE(run_until(io, [&] { return heard.has_failures(); }));
    CHECK(heard.has("warning: Plain waits: no connected slave can take it: no type Plain is registered" + at + "\n"));

    Stranger other{io, master.local_endpoint().port()};
    other.join(10, {&distwork::detail::work_type<Sum>()});
    REQUIRE(run_until(io, [&] { return master.connected_slave_count() == 2; }));
    master.async_call(Sum{1, 2}, SubmitOptions{}.label("gpu").label("ssd"), [](const std::exception_ptr&, int) {});
    CHECK(heard.has("warning: Sum [gpu] [ssd] waits: no connected slave can take it: no type Sum is registered" + at +
                    "; not all labels of gpu ssd at stranger (127.0.0.1:"));

    // The same is told of one that ends for it.
    std::string text;
    master.async_call(Plain{}, SubmitOptions{}.queue_timeout(20ms),
                      [&](const std::exception_ptr& error) { text = text_of(error); });
    REQUIRE(run_until(io, [&] { return !text.empty(); }));
    CHECK(text.find("Plain: its queue_timeout of 20 ms is over: no connected slave can take it: no type Plain is "
                    "registered" +
                    at + " and 1 more") == 0);
    text.clear();
    master.async_call(Plain{}, SubmitOptions{}.deadline(20ms),
                      [&](const std::exception_ptr& error) { text = text_of(error); });
    REQUIRE(run_until(io, [&] { return !text.empty(); }));
    CHECK(text.find("Plain: its deadline of 20 ms is over: no connected slave can take it: ") == 0);
    // One that a slave has names that slave.
    text.clear();
    master.async_call(Sum{1, 2}, SubmitOptions{}.deadline(20ms),
                      [&](const std::exception_ptr& error, int) { text = text_of(error); });
    REQUIRE(run_until(io, [&] { return !text.empty(); }));
    CHECK(text.find("Sum: its deadline of 20 ms is over: it was sent to stranger (127.0.0.1:") == 0);
}

TEST_CASE("a type with another shape is a warning, too", "[integration]") {
    Heard heard;
    Cluster<> cluster{0, {}, heard_by(heard)};
    Stranger stranger{cluster.io, cluster.master.local_endpoint().port()};
    stranger.say(Stranger::frame(
        distwork::detail::FrameKind::hello,
        distwork::detail::encode(distwork::detail::Greeting{.role = distwork::detail::Role::slave, .name = "old"})));
    distwork::detail::ByteBuffer types;
    distwork::detail::encode_value(distwork::detail::Introduction{1, 10, 1 << 20, {}, {{"Sum", 1}}}, types, {});
    stranger.say(Stranger::frame(distwork::detail::FrameKind::types, {types.data(), types.data() + types.size()}));
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == 1; }));
    cluster.master.distribute_work(Sum{1, 2});
    CHECK(heard.has("warning: Sum waits: no connected slave can take it: the type Sum has another shape at old ("));
}

TEST_CASE("who wants to be refused where no slave can take it is, with the reason", "[integration]") {
    Cluster<> cluster{0};
    auto& master = cluster.master;
    const auto refuse = SubmitOptions{}.when_unavailable(distwork::WhenUnavailable::refuse);
    CHECK(text_of(error_of([&] { master.distribute_work(Plain{}, refuse); })) == "Plain: no slave is connected");
    cluster.add_slave([] {
        distwork::SlaveOptions options;
        options.name = "Ada";
        options.slots = 1;
        return options;
    }());
    CHECK_FALSE(error_of([&] { master.distribute_work(Plain{}, refuse); }));
    auto on_gpu = refuse;
    on_gpu.label("gpu");
    const auto refused = error_of([&] { master.distribute_work(Plain{}, on_gpu); });
    INFO(text_of(refused));
    CHECK((refused && refused->code() == Errc::no_slave));
    CHECK(text_of(refused).find("Plain: no connected slave can take it: no label gpu at Ada (127.0.0.1:") == 0);
    std::string text;
    master.async_call(Sum{1, 2}, on_gpu, [&](const std::exception_ptr& error, int) { text = text_of(error); });
    REQUIRE(run_until(cluster.io, [&] { return !text.empty(); }));
    CHECK(text.find("Sum: no connected slave can take it: no label gpu at Ada (") == 0);
}

TEST_CASE("a slave is called by its host and process, and its lines name it", "[integration]") {
    asio::io_context io;
    Heard at_master;
    Heard at_slave;
    distwork::Master<> master{io.get_executor(), heard_by(at_master)};
    master.start();
    distwork::Slave<> slave{io.get_executor(), "127.0.0.1", master.local_endpoint().port(),
                            slave_heard_by(at_slave, "")};
    slave.start();
    REQUIRE(run_until(io, [&] { return master.connected_slave_count() == 1; }));
    const std::string name = asio::ip::host_name() + ':' + std::to_string(getpid());
    CHECK(master.sockets().front().name == name);
    CHECK(at_master.has("info: Connected from: " + name + " (127.0.0.1:"));
    REQUIRE(run_until(io, [&] { return at_slave.has("Connected to"); }));
    CHECK(count(at_slave.all, "\n") == count(at_slave.all, ": Slave " + name + ": "));
}

TEST_CASE("by default warnings and errors go to the standard error, and nothing else does", "[integration]") {
    const auto roles = [](distwork::Log log) {
        asio::io_context io;
        distwork::MasterOptions options;
        options.log = log;
        distwork::Master<> master{io.get_executor(), options};
        master.start();
        distwork::SlaveOptions named;
        named.name = "Ada";
        named.log = log;
        distwork::Slave<> slave{io.get_executor(), "127.0.0.1", master.local_endpoint().port(), named};
        slave.start();
        if (!run_until(io, [&] { return master.connected_slave_count() == 1; })) _exit(3);
        master.distribute_work(Throwing{0});
        if (!run_until(io, [&] { return master.statistics().failed == 1; })) _exit(4);
        io.poll();
    };
    const auto loud = support::run_child([&](const auto&) { roles({}); });
    CHECK(loud.status == 0);
    CHECK(loud.out.empty());
    INFO(loud.err);
    CHECK(count(loud.err, "\n") == 1);
    CHECK(count(loud.err, "] warning: A distributed work did not succeed: Throwing on Ada (127.0.0.1:") == 1);

    const auto quiet = support::run_child([&](const auto&) { roles(distwork::NoLog{}); });
    CHECK(quiet.status == 0);
    CHECK(quiet.out + quiet.err == "");
}
