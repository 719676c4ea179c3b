#include "distwork/execution/work_slots.hpp"

#include <algorithm>
#include <stop_token>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/queue.hpp"

namespace work_slots_test {

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;
using namespace support;

TEST_CASE("coroutines hold a slot each but no thread, and at most so many as there are slots run", "[unit]") {
    const bool immediate = GENERATE(false, true);
    Queue queue{3, immediate};
    queue.push(count_to(5), coroutine());
    queue.push({6}, coroutine());
    queue.poll();
    CHECK(queue.begun == count_to(3));
    CHECK(queue.gate.waiting == 3);
    CHECK(queue.answered().empty());
    CHECK_FALSE(queue.idle());
    queue.gate.open();
    queue.poll();
    CHECK(queue.begun == count_to(6));
    CHECK(queue.gate.waiting == 3);
    CHECK(queue.answered().size() == 3);
    queue.gate.open();
    queue.poll();
    auto answered = queue.answered();
    std::sort(answered.begin(), answered.end());
    CHECK(answered == count_to(6));
    CHECK(queue.idle());
}

TEST_CASE("thousands of coroutines wait at once", "[unit]") {
    Queue queue{3000};
    queue.push(count_to(4000), coroutine());
    queue.poll();
    CHECK(queue.gate.waiting == 3000);
    queue.gate.open();
    queue.poll();
    CHECK(queue.gate.waiting == 1000);
    queue.gate.open();
    queue.poll();
    CHECK(queue.answered().size() == 4000);
}

TEST_CASE("thousands of coroutines that wait for nothing follow one another", "[unit]") {
    const bool immediate = GENERATE(false, true);
    Queue queue{2, immediate};
    on_await = [&](int id, Context&) -> asio::awaitable<void> {
        queue.begun.push_back(id);
        co_return;
    };
    queue.push(count_to(20'000), coroutine());
    queue.run();
    CHECK(queue.begun == count_to(20'000));
    CHECK(queue.answered().size() == 20'000);
    CHECK(queue.idle());
}

TEST_CASE("coroutines and plain works take turns for the slots, in order", "[unit]") {
    Queue queue{2};
    queue.push({1}, coroutine());
    queue.push({2, 3}, scripted());
    queue.push({4, 5}, coroutine());
    queue.push({6}, scripted());
    queue.poll();
    CHECK(queue.begun == std::vector<int>{1, 2, 3, 4});
    CHECK(queue.answered() == std::vector<int>{2, 3});
    queue.gate.open();
    queue.poll();
    CHECK(queue.begun == count_to(6));
    queue.gate.open();
    queue.poll();
    CHECK(queue.answered().size() == 6);
}

TEST_CASE("a work that runs sees that it is to stop, and is answered by what it returns", "[unit]") {
    Queue queue{2};
    std::vector<std::string> log;
    on_execute = [&](int id, Context& context) {
        // Asked for before, asked for after, and the one that nobody cancelled.
        const auto before = context.stop_token();
        CHECK_FALSE(before.stop_requested());
        bool told = false;
        const std::stop_callback callback{before, [&] { told = true; }};
        if (id == 1) queue.queue->cancel(*queue.peer, 1);
        CHECK(told == (id == 1));
        CHECK(before.stop_requested() == (id == 1));
        CHECK(context.stop_token().stop_requested() == (id == 1));
        log.push_back(std::to_string(id));
    };
    queue.push({1, 2});
    queue.run();
    CHECK(log == std::vector<std::string>{"1", "2"});
    CHECK(queue.answered() == std::vector<int>{1, 2});
    CHECK(queue.peer->replies[0].kind == FrameKind::answer);

    on_execute = [&](int, Context& context) {
        queue.queue->cancel(*queue.peer, 3);
        log.push_back(context.stop_token().stop_requested() ? "stopped" : "not stopped");
    };
    queue.push({3});
    queue.run();
    CHECK(log.back() == "stopped");
}

TEST_CASE("a coroutine that waits sees that it is to stop", "[unit]") {
    Queue queue{2};
    std::vector<std::stop_token> tokens;
    on_await = [&](int, Context& context) -> asio::awaitable<void> {
        tokens.push_back(context.stop_token());
        co_await queue.gate.wait();
    };
    queue.push({1, 2}, coroutine());
    queue.poll();
    REQUIRE(tokens.size() == 2);
    queue.queue->cancel(*queue.peer, 2);
    CHECK_FALSE(tokens[0].stop_requested());
    CHECK(tokens[1].stop_requested());
    queue.gate.open();
    queue.poll();
    CHECK(queue.answered().size() == 2);
    // Over: there is nothing to cancel.
    queue.queue->cancel(*queue.peer, 1);
    CHECK_FALSE(tokens[0].stop_requested());
}

TEST_CASE("a queue tells how many works run, and how many wait", "[unit]") {
    Queue queue{2};
    CHECK(queue.queue->state() == SlaveState{});
    queue.push({1, 2, 3}, coroutine());
    queue.push({4}, coroutine());
    CHECK(queue.queue->state().queued == 4);
    queue.poll();
    CHECK(queue.queue->state().running == 2);
    CHECK(queue.queue->state().queued == 2);
    queue.gate.open();
    queue.poll();
    CHECK(queue.queue->state().running == 2);
    CHECK(queue.queue->state().queued == 0);
    queue.gate.open();
    queue.poll();
    CHECK(queue.queue->state() == SlaveState{});
}

}  // namespace work_slots_test
