#include "distwork/execution/execution_limits.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <stop_token>
#include <vector>

#include "support/call_works.hpp"
#include "support/catch.hpp"
#include "support/queue.hpp"

namespace execution_limits_test {

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;
using namespace support;

TEST_CASE("a work whose time is over is answered at once and asked to stop, and keeps its slot until it returns",
          "[unit]") {
    const bool immediate = GENERATE(false, true);
    Queue queue{1, immediate};
    std::vector<std::stop_token> tokens;
    note_tokens(queue, tokens);
    queue.push({1}, coroutine(), nullptr, 50ms);
    queue.push({2}, coroutine());
    queue.poll();
    REQUIRE(tokens.size() == 1);
    queue.clock.pass(49ms);
    queue.poll();
    CHECK(queue.peer->replies.empty());
    CHECK_FALSE(tokens[0].stop_requested());

    bool stopped_before_answer = false;
    queue.peer->on_reply = [&](std::uint64_t) { stopped_before_answer |= tokens[0].stop_requested(); };
    queue.clock.pass(1ms);
    queue.poll();
    REQUIRE(queue.answered() == std::vector<int>{1});
    const Reply reply = queue.peer->replies[0].read();
    CHECK(reply.error == Errc::execution_timeout);
    CHECK(reply.execution_time == 50ms);
    CHECK(reply.text == "after 50 ms");
    CHECK(queue.peer->replies[0].flags == flag_goes_on);
    CHECK_FALSE(stopped_before_answer);
    CHECK(tokens[0].stop_requested());
    CHECK(queue.begun == std::vector<int>{1});
    CHECK_FALSE(queue.queue->is_idle());

    // What it returns is dropped; that it did is told.
    queue.clock.pass(10ms);
    queue.gate.open();
    queue.poll();
    CHECK(queue.begun == std::vector<int>{1, 2});
    REQUIRE(queue.answered() == std::vector<int>{1, 1});
    CHECK(queue.peer->replies[1].flags == 0);
    CHECK(queue.peer->replies[1].read().error == Errc::execution_timeout);
    CHECK(queue.peer->replies[1].read().execution_time == 60ms);
    queue.gate.open();
    queue.poll();
    CHECK(queue.answered() == std::vector<int>{1, 1, 2});
    CHECK(queue.peer->replies[2].kind == FrameKind::answer);
    CHECK(queue.idle());
}

TEST_CASE("a work that returns in time is answered as ever, and nobody waits for its time any more", "[unit]") {
    Queue queue{2};
    std::vector<std::stop_token> tokens;
    note_tokens(queue, tokens);
    queue.push({1, 2}, coroutine(), nullptr, 50ms);
    queue.poll();
    CHECK(queue.clock.waiting() == 1);  // one timer for all
    queue.clock.pass(49ms);
    queue.gate.open();
    queue.poll();
    CHECK(queue.answered() == std::vector<int>{1, 2});
    CHECK(queue.peer->replies[0].kind == FrameKind::answer);
    CHECK(queue.idle());
    CHECK(queue.clock.waiting() == 0);
    queue.clock.pass(1h);
    queue.run();  // returns: nothing keeps the context
    CHECK(queue.peer->replies.size() == 2);
    CHECK_FALSE(tokens[0].stop_requested());
}

TEST_CASE("each work has its own time, by the clock of its own beginning", "[unit]") {
    Queue queue{3};
    std::vector<std::stop_token> tokens;
    note_tokens(queue, tokens);
    queue.push({1}, coroutine(), nullptr, 100ms);
    queue.push({2}, coroutine(), nullptr, 30ms);
    queue.poll();
    queue.clock.pass(20ms);
    queue.push({3}, coroutine(), queue.other, 30ms);
    queue.push({4}, coroutine(), nullptr, 1ms);  // waits: its time does not run yet
    queue.poll();
    queue.clock.pass(10ms);
    queue.poll();
    CHECK(queue.answered() == std::vector<int>{2});
    queue.clock.pass(19ms);
    queue.poll();
    CHECK(queue.answered(queue.other).empty());
    queue.clock.pass(1ms);
    queue.poll();
    CHECK(queue.answered(queue.other) == std::vector<int>{3});
    queue.clock.pass(50ms);
    queue.poll();
    CHECK(queue.answered() == std::vector<int>{2, 1});
    CHECK(queue.begun == count_to(3));
    queue.gate.open();
    queue.poll();
    queue.gate.open();
    queue.poll();
    auto answered = queue.answered();
    REQUIRE(answered.size() == 5);
    CHECK(answered.back() == 4);
    CHECK(queue.peer->replies.back().kind == FrameKind::answer);
    std::sort(answered.begin(), answered.end());
    CHECK(answered == std::vector<int>{1, 1, 2, 2, 4});  // those that were late said when they returned
    CHECK(queue.answered(queue.other) == std::vector<int>{3, 3});
    CHECK(queue.idle());
}

TEST_CASE("a work that returns late before anybody noticed is answered as late, by the time that was measured",
          "[unit]") {
    const bool immediate = GENERATE(false, true);
    Queue queue{1, immediate};
    on_execute = [&](int id, Context&) {
        queue.clock.pass(id * 10ms);
        if (id == 9) throw std::out_of_range{"also late"};
    };
    queue.push({4, 5, 9, 3}, scripted(), nullptr, 50ms);
    queue.push({8});
    queue.run();
    REQUIRE(queue.answered() == std::vector<int>{4, 5, 9, 3, 8});
    CHECK(queue.peer->replies[0].kind == FrameKind::answer);
    CHECK(queue.peer->replies[1].read().error == Errc::execution_timeout);
    CHECK(queue.peer->replies[1].flags == 0);  // it is the only answer
    CHECK(queue.peer->replies[2].read().error == Errc::execution_timeout);
    CHECK(queue.peer->replies[2].read().execution_time == 90ms);
    CHECK(queue.peer->replies[3].kind == FrameKind::answer);
    CHECK(queue.peer->replies[4].kind == FrameKind::answer);
    CHECK(queue.clock.waiting() == 0);
}

TEST_CASE("a queue that was stopped, or is gone, waits for no work's time", "[unit]") {
    Queue queue{1};
    std::vector<std::stop_token> tokens;
    note_tokens(queue, tokens);
    queue.push({1}, coroutine(), nullptr, 50ms);
    queue.poll();
    const bool by_stop = GENERATE(true, false);
    if (by_stop) {
        queue.queue->stop();
        queue.poll();
        CHECK(queue.clock.waiting() == 0);
        CHECK(tokens[0].stop_requested());
    }
    queue.queue.reset();
    queue.gate.open();
    queue.clock.pass(1h);
    queue.run();
    CHECK(queue.clock.waiting() == 0);
    CHECK(queue.peer->replies.size() == 1);
}

TEST_CASE("the time of a work that is suspended goes on when another work has come and gone", "[unit]") {
    Queue queue{1};
    on_await = [&queue](int id, Context& context) -> asio::awaitable<void> {
        queue.begun.push_back(id);
        static_cast<void>(co_await context.async_call(calls::Add{}));
    };
    queue.push({1}, coroutine(), nullptr, 50ms);
    queue.poll();
    REQUIRE(queue.peer->sent.size() == 1);  // the peer never answers
    queue.push({2});
    queue.poll();
    REQUIRE(queue.answered() == std::vector<int>{2});
    queue.clock.pass(50ms);
    queue.poll();
    REQUIRE(queue.answered() == std::vector<int>{2, 1});
    CHECK(queue.peer->replies[1].read().error == Errc::execution_timeout);
    CHECK(queue.peer->replies[1].flags == flag_goes_on);
    queue.queue->stop();
    queue.peer->sent.clear();
    queue.poll();
}

}  // namespace execution_limits_test
