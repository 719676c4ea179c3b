#include "distwork/calls/typed_call.hpp"

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "distwork/calls/deliver.hpp"
#include "support/calls.hpp"
#include "support/catch.hpp"
#include "support/hex.hpp"

namespace typed_call_test {

using namespace distwork;
using namespace distwork::detail;
using namespace support;

TEST_CASE("a call completes with the value that came back", "[unit]") {
    Calls calls;
    Ended<int> ended;
    const auto call = calls.make(calls::Add{1, 2}, [&](std::exception_ptr error, int value) {
        ++ended.times, ended.error = error, ended.value = value;
    });
    CHECK(call->name() == "calls::Add");
    CHECK(call->attempt() == 1);
    CHECK_FALSE(call->is_submission());
    CHECK_FALSE(call->has_own_executor());
    distwork::detail::ByteBuffer room;
    call->encode(room, {});
    CHECK(hex(call->body()) == "01 00 00 00 02 00 00 00");

    CHECK(call->claim());
    CHECK_FALSE(call->claim());
    CHECK(call->claimed());
    call->succeed(encoded(3), calls.peer);
    deliver_one(calls.executor, call);
    CHECK(ended.times == 0);  // never from inside
    calls.run();
    CHECK(ended.times == 1);
    CHECK(ended.error == nullptr);
    CHECK(ended.value == 3);
}

TEST_CASE("a value that does not decode fails the call", "[unit]") {
    Calls calls;
    Ended<int> ended;
    const auto handler = [&](std::exception_ptr error, auto... value) {
        ++ended.times, ended.error = error, ended.value = (0 + ... + value);
    };
    auto bytes = encoded(77);
    for (const std::size_t size : {0u, 3u, 5u}) {
        bytes.resize(size);
        const auto call = calls.make(calls::Add{}, handler);
        call->succeed(bytes, calls.peer);
        deliver_one(calls.executor, call);
        calls.run();
        CHECK(code_of(ended.error) == Errc::malformed);
        CHECK(ended.value == 0);
    }
    // Where nothing is expected.
    const auto silent = calls.make(calls::Silent{}, handler);
    silent->succeed(bytes, calls.peer);
    deliver_one(calls.executor, silent);
    calls.run();
    CHECK(code_of(ended.error) == Errc::malformed);
    CHECK(ended.times == 4);
}

TEST_CASE("a call that failed completes with why, and the handler finds its memory free", "[unit]") {
    Calls calls;
    std::weak_ptr<Call> weak;
    bool free = false;
    Errc reason{};
    {
        const auto call = calls.make(calls::Add{}, [&](const std::exception_ptr& error, int) {
            reason = code_of(error);
            free = weak.expired();
        });
        weak = call;
        call->fail(std::make_exception_ptr(Error{Errc::lost}));
        deliver_one(calls.executor, call);
    }
    calls.run();
    CHECK(reason == Errc::lost);
    CHECK(free);
}

TEST_CASE("what comes back is given to the original first, and what that throws is the outcome", "[unit]") {
    Calls calls;
    const calls::Returned work;
    const auto log = work.log;
    std::string text;
    const auto call = calls.make(work, [&](const std::exception_ptr& error, int value) {
        log->push_back("handler " + std::to_string(value));
        text = text_of(error);
    });

    SECTION("a value") {
        call->succeed(encoded(5), calls.peer);
        deliver_one(calls.executor, call);
        calls.run();
        CHECK(*log == std::vector<std::string>{"far away 5", "handler 5"});
        CHECK(text.empty());
    }
    SECTION("an exception") {
        call->succeed(encoded(-1), calls.peer);
        deliver_one(calls.executor, call);
        calls.run();
        CHECK(*log == std::vector<std::string>{"far away -1", "handler -1"});
        CHECK(text == "negative");
    }
    SECTION("not after a failure") {
        call->fail(std::make_exception_ptr(Error{Errc::lost}));
        deliver_one(calls.executor, call);
        calls.run();
        CHECK(*log == std::vector<std::string>{"handler 0"});
    }
    SECTION("also behind a pointer") {
        const auto behind = calls.make(std::unique_ptr<IWork>{std::make_unique<calls::Returned>(work)},
                                       [&](const std::exception_ptr& error) { text = text_of(error); });
        CHECK(behind->name() == "calls::Returned");
        behind->succeed(encoded(-3), calls.peer);
        deliver_one(calls.executor, behind);
        calls.run();
        CHECK(*log == std::vector<std::string>{"far away -3"});
        CHECK(text == "negative");
    }
}

}  // namespace typed_call_test
