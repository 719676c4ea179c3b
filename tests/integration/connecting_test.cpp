// How a slave reaches its master: names of several addresses, name servers that do not answer.

#include <sys/socket.h>

#include <asio/ip/tcp.hpp>
#include <asio/use_future.hpp>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <distwork/transport.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/run.hpp"
#include "support/works.hpp"

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

namespace {

/// An address that neither takes a connection nor refuses it: nobody accepts there, and its queue is full.
class DeadAddress {
public:
    explicit DeadAddress(asio::io_context& io) : acceptor_{io, tcp::v4()} {
        acceptor_.bind({asio::ip::address_v4::loopback(), 0});
        acceptor_.listen(0);
        for (int i = 0; i < 8; ++i) {
            waiting_.emplace_back(io);
            waiting_.back().open(tcp::v4());
            waiting_.back().native_non_blocking(true);
            const auto address = endpoint();
            static_cast<void>(
                ::connect(waiting_.back().native_handle(), address.data(), static_cast<socklen_t>(address.size())));
        }
    }

    tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }

private:
    tcp::acceptor acceptor_;
    std::vector<tcp::socket> waiting_;
};

SlaveOptions short_lived(std::chrono::milliseconds time) {
    SlaveOptions options;
    options.insecure_plaintext = true;  // for a name
    options.link.heartbeat = 100ms;
    options.link.dead_after = time;
    options.reconnect_after = options.reconnect_at_most = 1ms;
    return options;
}

/// A name server that answers when it is told to, on whatever thread asks it.
class SlowNames {
public:
    detail::LookUp look_up() {
        return [state = state_](const std::string&, std::uint16_t) {
            std::unique_lock lock{state->mutex};
            ++state->asked;
            state->changed.notify_all();
            state->changed.wait(lock, [&] { return state->answers; });
            ++state->answered;
            state->changed.notify_all();
            return state->found;
        };
    }
    bool is_asked() const {
        const std::lock_guard lock{state_->mutex};
        return state_->asked != 0;
    }
    /// Returns when all who asked were told.
    void answer(const detail::Endpoints& found) {
        std::unique_lock lock{state_->mutex};
        state_->found = found;
        state_->answers = true;
        state_->changed.notify_all();
        state_->changed.wait(lock, [&] { return state_->asked == state_->answered; });
    }

private:
    struct State {
        std::mutex mutex;
        std::condition_variable changed;
        std::size_t asked = 0;
        std::size_t answered = 0;
        bool answers = false;
        detail::Endpoints found;
    };
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace

TEST_CASE("a dead address does not hold up the next one of a name", "[integration]") {
    asio::io_context io{1};
    Master master{io.get_executor(), 0};
    master.start();
    const DeadAddress dead{io};
    const detail::Endpoints found{dead.endpoint(), master.local_endpoint()};
    const auto begun = Clock::now();
    Slave<> slave{Tcp{io.get_executor(), [&](const std::string&, std::uint16_t) { return found; }}, "master", 1,
                  short_lived(15s)};
    slave.start();
    REQUIRE(run_until(io, [&] { return master.connected_slave_count() == 1; }));
    CHECK(Clock::now() - begun < 10s);  // a quarter of a second, and less than what the dead one is given
}

TEST_CASE("an attempt that was too short for all addresses goes on with the others", "[integration]") {
    asio::io_context io{1};
    Master master{io.get_executor(), 0};
    master.start();
    std::vector<std::unique_ptr<DeadAddress>> dead;
    detail::Endpoints found;
    for (int i = 0; i < 5; ++i) {
        dead.push_back(std::make_unique<DeadAddress>(io));
        found.push_back(dead.back()->endpoint());
    }
    found.push_back(master.local_endpoint());
    std::atomic<int> asked{0};
    const auto look_up = [&](const std::string&, std::uint16_t) { return ++asked, found; };
    // Two of them in an attempt.
    Slave<> slave{Tcp{io.get_executor(), look_up}, "master", 1, short_lived(400ms)};
    slave.start();
    REQUIRE(run_until(io, [&] { return master.connected_slave_count() == 1; }));
    CHECK(asked > 1);
}

TEST_CASE("addresses that refuse are passed over at once", "[integration]") {
    asio::io_context io{1};
    Master master{io.get_executor(), 0};
    master.start();
    detail::Endpoints found;
    for (int i = 0; i < 50; ++i) {
        tcp::acceptor nobody{io, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
        found.push_back(nobody.local_endpoint());
    }
    found.push_back(master.local_endpoint());
    std::string failed;
    auto options = short_lived(10s);
    options.log = [&](LogLevel, std::string_view line) {
        if (line.starts_with("No connection")) failed += line;
    };
    Slave<> slave{Tcp{io.get_executor(), [&](const std::string&, std::uint16_t) { return found; }}, "master", 1,
                  options};
    slave.start();
    REQUIRE(run_until(io, [&] { return master.connected_slave_count() == 1; }));
    CHECK(failed == "");  // all in one attempt, which 50 quarters of a second would not fit into
}

TEST_CASE("a host none of whose addresses answers is told by its name", "[integration]") {
    asio::io_context io{1};
    tcp::acceptor nobody{io, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    const detail::Endpoints found{nobody.local_endpoint()};
    nobody.close();
    auto options = short_lived(10s);
    options.reconnect = distwork::Reconnect::never;
    for (const bool any : {true, false}) {
        const auto look_up = [&](const std::string&, std::uint16_t) { return any ? found : detail::Endpoints{}; };
        Slave<> slave{Tcp{io.get_executor(), look_up}, "master", 7, options};
        std::string text;
        slave.async_run([&](const std::exception_ptr& error) { text = text_of(error); });
        REQUIRE(run_until(io, [&] { return !text.empty(); }));
        CHECK(text.find("master:7") != std::string::npos);
        CHECK(text.find(any ? "refused" : "not found") != std::string::npos);
    }
}

TEST_CASE("a name is looked up by the system", "[integration]") {
    asio::io_context io{1};
    Master master{io.get_executor(), 0};
    master.start();
    Slave slave{io.get_executor(), "localhost", master.local_endpoint().port()};
    slave.start();
    REQUIRE(run_until(io, [&] { return master.connected_slave_count() == 1; }));

    auto options = short_lived(10s);
    options.reconnect = distwork::Reconnect::never;
    Slave lost{io.get_executor(), "no..name", 7, options};
    std::exception_ptr failed;
    lost.async_run([&](std::exception_ptr error) { failed = std::move(error); });
    CHECK(run_until(io, [&] { return failed != nullptr; }));
}

TEST_CASE("a look-up that does not end holds up neither the end of a slave nor that of its context", "[integration]") {
    SlowNames names;
    const auto begun = Clock::now();
    std::string looked_up_late;
    {
        asio::io_context io{1};
        Slave<> slave{Tcp{io.get_executor(), names.look_up()}, "master", 1, short_lived(60s)};
        bool ended = false;
        slave.async_run([&](const std::exception_ptr&) { ended = true; });
        REQUIRE(run_until(io, [&] { return names.is_asked(); }));
        CHECK_FALSE(ended);
        bool stopped = false;
        slave.async_stop(30s, [&](const std::exception_ptr&) { stopped = true; });
        CHECK(run_until(io, [&] { return ended && stopped; }));
    }
    {
        // As well when nobody stops it, and the context ends under it.
        asio::io_context io{1};
        Slave<> slave{Tcp{io.get_executor(), names.look_up()}, "master", 1, short_lived(60s)};
        slave.start();
        io.run_for(20ms);
    }
    CHECK(Clock::now() - begun < 10s);
    names.answer({});  // to nobody
}

TEST_CASE("a slow look-up that is answered is used", "[integration]") {
    SlowNames names;
    asio::io_context io{1};
    Master master{io.get_executor(), 0};
    master.start();
    Slave<> slave{Tcp{io.get_executor(), names.look_up()}, "master", 1, short_lived(60s)};
    slave.start();
    REQUIRE(run_until(io, [&] { return names.is_asked(); }));
    names.answer({master.local_endpoint()});
    CHECK(run_until(io, [&] { return master.connected_slave_count() == 1; }));
}

TEST_CASE("a look-up that takes longer than an attempt may is given up, and the next one used", "[integration]") {
    asio::io_context io{1};
    Master master{io.get_executor(), 0};
    master.start();
    SlowNames names;
    std::atomic<int> asked{0};
    const auto look_up = [&, slow = names.look_up()](const std::string& host, std::uint16_t port) {
        return ++asked == 1 ? slow(host, port) : detail::Endpoints{master.local_endpoint()};
    };
    Slave<> slave{Tcp{io.get_executor(), look_up}, "master", 1, short_lived(300ms)};
    slave.start();
    CHECK(run_until(io, [&] { return master.connected_slave_count() == 1; }));
    names.answer({});
    CHECK(asked == 2);
}
