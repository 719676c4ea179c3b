#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <chrono>
#include <distwork.hpp>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>

#include "support/catch.hpp"
#include "support/run.hpp"
#include "support/works.hpp"

// Who waits for a stop and is cancelled waits no longer, and is not told that the stop had ended.

using distwork::Errc;
using namespace std::chrono_literals;

namespace {

/// What a stop completes with that is cancelled while a work is under way.
template <class Role>
std::error_code cancelled_stop(asio::io_context& io, Role& role) {
    std::optional<std::exception_ptr> ended;
    asio::cancellation_signal signal;
    role.async_stop(
        10s, asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr error) { ended = std::move(error); }));
    io.restart();
    io.poll();
    REQUIRE(!ended);
    signal.emit(asio::cancellation_type::terminal);
    REQUIRE(run_until(io, [&] { return ended.has_value(); }));
    try {
        if (*ended) std::rethrow_exception(*ended);
    } catch (const distwork::Error& error) {
        return error.code();
    }
    return {};
}

}  // namespace

TEST_CASE("A stop whose waiting was cancelled does not say that it ended, and goes on") {
    Cluster<> cluster{1};
    Seen::here().begun = 0;
    std::optional<std::exception_ptr> called;
    const auto call = [&](std::exception_ptr error) { called = std::move(error); };
    cluster.master.async_call(UntilStopped{}, distwork::SubmitOptions{}.execution_timeout(500ms), call);
    REQUIRE(run_until(cluster.io, [&] { return Seen::here().begun != 0; }));

    SECTION("of a master") {
        CHECK(cancelled_stop(cluster.io, cluster.master) == Errc::cancelled);
        CHECK(!called);
        run(cluster.io, cluster.master.async_stop(10s, asio::use_awaitable));
        CHECK(called);
    }
    SECTION("of a slave") {
        CHECK(cancelled_stop(cluster.io, *cluster.slaves.front()) == Errc::cancelled);
        run(cluster.io, cluster.slaves.front()->async_stop(10s, asio::use_awaitable));
        CHECK(called);
    }
}
