#include "distwork/roles/shutdown.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <system_error>

#include "distwork/error.hpp"
#include "distwork/sim/simulation.hpp"
#include "support/catch.hpp"

namespace shutdown_test {

using namespace distwork;
using namespace std::chrono_literals;

namespace {

/// A role that stops, on a virtual clock.
struct Role {
    /// As a role does: what waits ends the shutdown.
    void wait_until_quiet() {
        asio::co_spawn(strand, wait(), [](const std::exception_ptr& error) { CHECK_FALSE(error); });
    }
    asio::awaitable<void> wait() {
        co_await shutdown.until([this] { return quiet; });
        shutdown.end();
    }

    /// Somebody who awaits the end; `told` is what came of it.
    struct Waiter {
        bool done = false;
        std::error_code told;
        asio::cancellation_signal signal;
    };
    void await_end(Waiter& waiter) {
        asio::co_spawn(strand, shutdown.ended("Ada"),
                       asio::bind_cancellation_slot(waiter.signal.slot(), [&waiter](const std::exception_ptr& error) {
                           waiter.done = true;
                           try {
                               if (error) std::rethrow_exception(error);
                           } catch (const Error& thrown) {
                               waiter.told = thrown.code();
                           }
                       }));
    }

    void run_for(std::chrono::nanoseconds time) { simulation.run_for(time); }

    sim::Simulation simulation{1};
    sim::Host& host = simulation.add_host("Ada");
    sim::Transport::Strand strand = host.make_strand();
    detail::Shutdown<sim::Transport> shutdown{host.transport(), strand};
    bool quiet = false;
};

}  // namespace

TEST_CASE("a shutdown ends once nothing is left to do and somebody looks again", "[unit]") {
    Role role;
    Role::Waiter waiter;
    CHECK(role.shutdown.begin(1h));
    role.wait_until_quiet();
    role.await_end(waiter);
    role.run_for(1s);
    role.shutdown.look_again();
    role.run_for(1s);
    CHECK_FALSE(waiter.done);
    role.quiet = true;
    SECTION("on the strand") {
        role.shutdown.look_again();
    }
    SECTION("from elsewhere, where the owner is kept until then") {
        auto owner = std::make_shared<int>();
        const std::weak_ptr<int> alive = owner;
        auto look_again = role.shutdown.looking_again(std::move(owner));
        look_again();
        look_again = nullptr;
        CHECK_FALSE(alive.expired());
        role.run_for(0ns);
        CHECK(alive.expired());
    }
    role.run_for(0ns);
    CHECK(waiter.done);
    CHECK_FALSE(waiter.told);
}

TEST_CASE("a shutdown ends when its time is over", "[unit]") {
    Role role;
    Role::Waiter waiter;
    CHECK(role.shutdown.begin(10s));
    role.wait_until_quiet();
    role.await_end(waiter);
    role.run_for(10s - 1ns);
    CHECK_FALSE(waiter.done);
    role.run_for(1ns);
    CHECK(waiter.done);
    CHECK_FALSE(waiter.told);
}

TEST_CASE("a second call joins the shutdown: it may shorten the time, and does not lengthen it", "[unit]") {
    Role role;
    Role::Waiter waiter;
    const bool shorter = GENERATE(false, true);
    CHECK(role.shutdown.begin(10s));
    role.wait_until_quiet();
    role.await_end(waiter);
    role.run_for(1s);
    CHECK_FALSE(role.shutdown.begin(shorter ? 2s : 1h));
    role.run_for((shorter ? 2s : 9s) - 1ns);
    CHECK_FALSE(waiter.done);
    role.run_for(1ns);
    CHECK(waiter.done);
}

TEST_CASE("a shutdown may be given any time, also the longest", "[unit]") {
    Role role;
    Role::Waiter waiter;
    CHECK(role.shutdown.begin(std::chrono::milliseconds::max()));
    role.wait_until_quiet();
    role.await_end(waiter);
    role.run_for(1h);
    CHECK_FALSE(waiter.done);
}

TEST_CASE("cancelling one who awaits the end does not cancel the shutdown", "[unit]") {
    Role role;
    Role::Waiter cancelled, patient, late;
    CHECK(role.shutdown.begin(1h));
    role.wait_until_quiet();
    role.await_end(cancelled);
    role.await_end(patient);
    role.run_for(1s);
    cancelled.signal.emit(asio::cancellation_type::terminal);
    role.run_for(0ns);
    CHECK(cancelled.done);
    CHECK(cancelled.told == Errc::cancelled);
    CHECK_FALSE(patient.done);
    role.quiet = true;
    role.shutdown.look_again();
    role.run_for(0ns);
    CHECK(patient.done);
    CHECK_FALSE(patient.told);

    // It is over: nobody waits any more.
    role.await_end(late);
    role.run_for(0ns);
    CHECK(late.done);
    CHECK_FALSE(late.told);
}

}  // namespace shutdown_test
