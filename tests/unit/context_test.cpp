#include "distwork/context.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "distwork/calls/deliver.hpp"
#include "support/calls.hpp"
#include "support/catch.hpp"
#include "support/hex.hpp"

namespace context_test {

using namespace distwork;
using namespace distwork::detail;
using namespace support;

TEST_CASE("a work sends works to its peer without waiting, and what becomes of them is logged if they fail", "[unit]") {
    Calls calls;
    const std::shared_ptr<Peer> peer = calls.peer;
    Context context{peer};
    CHECK(context.peer_name() == "far away");
    CHECK_FALSE(context.stop_token().stop_possible());
    CHECK(context.send_work(calls::Add{1, 2}));
    CHECK(context.send_work(std::make_unique<calls::Silent>()));
    REQUIRE(calls.peer->sent.size() == 2);
    CHECK(hex(calls.peer->sent[0]->body()) == "01 00 00 00 02 00 00 00");
    CHECK(calls.peer->sent[1]->name() == "calls::Silent");

    calls.peer->sent[0]->succeed(encoded(3), peer);
    calls.peer->sent[1]->fail(std::make_exception_ptr(Error{Errc::lost, "gone"}));
    deliver_all(calls.executor, std::exchange(calls.peer->sent, {}));
    calls.run();
    REQUIRE(calls.peer->logged.size() == 1);
    CHECK(calls.peer->logged[0].find("gone") != std::string::npos);

    calls.peer->refuses = Errc::lost;
    CHECK_FALSE(context.send_work(calls::Add{}));
    CHECK_THROWS_AS(context.send_work(std::unique_ptr<IWork>{}), Error);
    CHECK_THROWS_AS(context.send_work(calls::Unregistered{}), Error);
}

TEST_CASE("a call to the peer that is cancelled completes at once, and its late answer is nobody's", "[unit]") {
    Calls calls;
    const std::shared_ptr<Peer> peer = calls.peer;
    Context context{peer};
    asio::cancellation_signal signal;
    Ended<int> ended;
    context.async_call(calls::Add{1, 2},
                       asio::bind_cancellation_slot(
                           signal.slot(), [&](std::exception_ptr error, int) { ++ended.times, ended.error = error; }));
    REQUIRE(calls.peer->sent.size() == 1);
    signal.emit(asio::cancellation_type::terminal);
    CHECK(calls.peer->cancelled == std::vector<std::uint64_t>{calls.peer->sent[0]->id});
    signal.emit(asio::cancellation_type::terminal);
    calls.run();
    CHECK(ended.times == 1);
    CHECK(code_of(ended.error) == Errc::cancelled);
    CHECK_FALSE(calls.peer->sent[0]->claim());
    CHECK(calls.peer->cancelled.size() == 1);
}

}  // namespace context_test
