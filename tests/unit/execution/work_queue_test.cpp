#include "distwork/execution/work_queue.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "support/call_works.hpp"
#include "support/catch.hpp"
#include "support/hex.hpp"
#include "support/queue.hpp"

namespace work_queue_test {

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;
using namespace support;

TEST_CASE("works begin strictly in the order of arrival, and are answered with their values", "[unit]") {
    const auto slots = GENERATE(std::size_t{1}, std::size_t{3});
    Queue queue{slots};
    queue.push({1, 2, 3});
    queue.push({4}, scripted(), queue.other);
    queue.push({5, 6});
    CHECK(queue.begun.empty());  // not inside push
    queue.run();
    CHECK(queue.begun == count_to(6));
    CHECK(queue.answered() == std::vector<int>{1, 2, 3, 5, 6});
    CHECK(queue.answered(queue.other) == std::vector<int>{4});
    CHECK(queue.peer->replies[4].kind == FrameKind::answer);
    CHECK(hex(queue.peer->replies[4].read().value) == "06 00");
    CHECK(queue.idle());
}

TEST_CASE("a work's answer has its execution time, and leaves before the slot begins another", "[unit]") {
    Queue queue{1};
    std::vector<std::string> log;
    on_execute = [&](int id, Context&) {
        log.push_back("begin " + std::to_string(id));
        queue.clock.pass(id * 1ms);
    };
    queue.peer->on_reply = [&](std::uint64_t id) { log.push_back("answer " + std::to_string(id)); };
    queue.push({3, 4});
    queue.run();
    CHECK(log == std::vector<std::string>{"begin 3", "answer 3", "begin 4", "answer 4"});
    CHECK(queue.peer->replies[0].read().execution_time == 3ms);
    CHECK(queue.peer->replies[1].read().execution_time == 4ms);
}

TEST_CASE("an immediate queue executes inside push", "[unit]") {
    Queue queue{1, true};
    queue.push({1, 2});
    CHECK(queue.answered() == std::vector<int>{1, 2});
    CHECK(queue.idle());
    queue.push({3}, coroutine());
    queue.push({4});
    CHECK(queue.answered() == std::vector<int>{1, 2});  // the slot is the coroutine's
    queue.poll();
    queue.gate.open();
    queue.poll();
    CHECK(queue.answered() == std::vector<int>{1, 2, 3, 4});
}

TEST_CASE("a long turn lets others on the executor have theirs", "[unit]") {
    Queue queue{1};
    std::vector<std::string> log;
    on_execute = [&](int id, Context&) {
        log.push_back(std::to_string(id));
        queue.clock.pass(6ms);
    };
    queue.push({1, 2, 3, 4});
    asio::post(queue.io, [&] { log.push_back("other"); });
    queue.run();
    CHECK(log == std::vector<std::string>{"1", "2", "other", "3", "4"});
}

TEST_CASE("a work that is cancelled before it began never begins, and is answered so", "[unit]") {
    Queue queue{1};
    queue.push({1, 2, 3});
    queue.push({2}, scripted(), queue.other);  // of another peer, with the same id
    queue.queue->cancel(*queue.peer, 2);
    REQUIRE(queue.answered() == std::vector<int>{2});
    CHECK(queue.peer->replies[0].read().error == Errc::cancelled);
    queue.queue->cancel(*queue.peer, 2);  // once only
    queue.queue->cancel(*queue.peer, 99);
    queue.run();
    CHECK(queue.begun == std::vector<int>{1, 3, 2});
    CHECK(queue.answered() == std::vector<int>{2, 1, 3});
    CHECK(queue.answered(queue.other) == std::vector<int>{2});
    CHECK(queue.idle());

    // All of a batch.
    queue.push({4, 5});
    queue.queue->cancel(*queue.peer, 4);
    queue.queue->cancel(*queue.peer, 5);
    queue.run();
    CHECK(queue.begun.size() == 3);
    CHECK(queue.idle());
}

TEST_CASE("the works of a peer that left are dropped, those that run are asked to stop", "[unit]") {
    Queue queue{2};
    std::vector<std::stop_token> tokens;
    on_await = [&](int id, Context& context) -> asio::awaitable<void> {
        queue.begun.push_back(id);
        tokens.push_back(context.stop_token());
        co_await queue.gate.wait();
    };
    queue.push({1}, coroutine());
    queue.push({2}, coroutine(), queue.other);
    queue.push({3, 4});
    queue.push({5}, scripted(), queue.other);
    queue.poll();
    queue.queue->forget(*queue.peer);
    REQUIRE(tokens.size() == 2);
    CHECK(tokens[0].stop_requested());
    CHECK_FALSE(tokens[1].stop_requested());
    queue.gate.open();
    queue.poll();
    CHECK(queue.begun == std::vector<int>{1, 2, 5});
    CHECK(queue.answered(queue.other).size() == 2);
    CHECK(queue.idle());
}

TEST_CASE("a queue that was stopped begins nothing more, and asks what runs to stop", "[unit]") {
    Queue queue{1};
    std::stop_token token;
    on_await = [&](int, Context& context) -> asio::awaitable<void> {
        token = context.stop_token();
        co_await queue.gate.wait();
    };
    queue.push({1}, coroutine());
    queue.push({2});
    queue.poll();
    queue.queue->stop();
    CHECK(token.stop_requested());
    queue.push({3});
    CHECK(queue.idle());  // what still runs is nobody's to wait for
    queue.gate.open();
    queue.poll();
    CHECK(queue.begun.empty());
    CHECK(queue.answered() == std::vector<int>{1});
}

TEST_CASE("who waits for a queue that is stopped is told so", "[unit]") {
    Queue queue{1};
    on_await = [&](int, Context&) -> asio::awaitable<void> { co_await queue.gate.wait(); };
    queue.push({1}, coroutine());
    queue.poll();
    bool idle = false;
    queue.queue->when_idle([&] { idle = true; });
    CHECK_FALSE(idle);
    queue.queue->stop();
    CHECK(idle);
    queue.gate.open();
    queue.poll();
}

TEST_CASE("works of a peer that does not read its answers wait, and others' pass them", "[unit]") {
    const bool immediate = GENERATE(false, true);
    Queue queue{2, immediate};
    queue.peer->on_reply = [&](std::uint64_t id) { queue.peer->takes = id != 2; };
    queue.push({1, 2, 3, 4});
    queue.poll();
    CHECK(queue.answered().size() == 2);
    CHECK(queue.queue->state().queued == 2);
    CHECK_FALSE(queue.idle());
    queue.push({5}, scripted(), queue.other);
    queue.push({6});
    queue.poll();
    CHECK(queue.answered(queue.other) == std::vector<int>{5});
    CHECK(queue.answered() == std::vector<int>{1, 2});
    int told = 0;
    queue.queue->when_idle([&] { ++told; });
    queue.poll();
    CHECK(told == 0);
    queue.queue->cancel(*queue.peer, 4);
    CHECK(queue.answered() == std::vector<int>{1, 2, 4});

    const bool leaves = GENERATE(false, true);
    if (leaves) {
        queue.queue->forget(*queue.peer);
    } else {
        queue.peer->takes = true;
        queue.queue->resume();
        queue.poll();
        CHECK(queue.answered() == std::vector<int>{1, 2, 4, 3, 6});
    }
    CHECK(told == 1);
    CHECK(queue.idle());
}

TEST_CASE("who waits for a queue to be idle is told once nothing waits and nothing runs", "[unit]") {
    Queue queue{2};
    CHECK(queue.idle());
    int told = 0;
    std::size_t answered = 0;
    queue.push(count_to(5));
    queue.queue->when_idle([&] { ++told, answered = queue.answered().size(); });
    CHECK(told == 0);
    queue.run();
    CHECK(told == 1);
    CHECK(answered == 5);
    queue.push({6});
    queue.run();
    CHECK(told == 1);
}

TEST_CASE("registered works are decoded, executed and answered", "[unit]") {
    Queue queue{1};
    ByteBuffer body;
    work_type<calls::Add>().encode(calls::Add{20, 22}, body, {});
    const auto own = [&](std::size_t size) {
        auto bytes = make_large_bytes(size + 1);
        std::copy_n(body.data(), std::min(size, body.size()), bytes.get());
        return bytes;
    };
    const auto push = [&](std::uint64_t id, const WorkType& type, std::size_t size) {
        auto bytes = own(size);
        const std::span<const std::byte> view{bytes.get(), size};
        queue.queue->push(WorkBatch::single(queue.peer, {.id = id, .type = &type, .body = view}, std::move(bytes)));
    };
    push(1, work_type<calls::Add>(), body.size());
    push(2, work_type<calls::Add>(), body.size() - 1);
    push(3, work_type<calls::Add>(), body.size() + 1);
    push(4, work_type<calls::Fails>(), 0);
    push(5, work_type<calls::Silent>(), 0);
    queue.run();
    REQUIRE(queue.peer->replies.size() == 5);
    CHECK(hex(queue.peer->replies[0].read().value) == "2a 00 00 00");
    CHECK(queue.peer->replies[1].read().error == Errc::malformed);
    CHECK(queue.peer->replies[2].read().error == Errc::malformed);
    CHECK(queue.peer->replies[3].read().error == Errc::work_failed);
    CHECK(queue.peer->replies[3].read().exception_type == "std::out_of_range");
    CHECK(queue.peer->replies[4].kind == FrameKind::answer);
    CHECK(queue.peer->replies[4].read().value.empty());
}

}  // namespace work_queue_test
