#include "distwork/execution/work_reply.hpp"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <stdexcept>
#include <vector>

#include "distwork/calls/answer.hpp"
#include "distwork/no_retry.hpp"
#include "support/calls.hpp"
#include "support/catch.hpp"
#include "support/queue.hpp"

namespace work_reply_test {

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;
using namespace support;

TEST_CASE("a work whose answer finds no memory ends its session, and leaves its slot to the next", "[unit]") {
    const bool immediate = GENERATE(false, true);
    const WorkType& type = GENERATE(false, true) ? coroutine() : scripted();
    Queue queue{1, immediate};
    on_await = [&queue](int id, Context&) -> asio::awaitable<void> {
        queue.begun.push_back(id);
        co_return;
    };
    queue.peer->on_reply = [](std::uint64_t id) {
        if (id == 2) throw std::bad_alloc{};
    };
    queue.push({1, 2, 3}, type);
    queue.run();
    CHECK(queue.begun == count_to(3));
    CHECK(queue.peer->failed == 1);
    CHECK(queue.queue->state().running == 0);
    CHECK(queue.idle());
}

TEST_CASE("what a work throws is answered by its type and text", "[unit]") {
    Queue queue{1};
    const bool waits = GENERATE(false, true);
    const auto throw_it = [](int id) {
        if (id == 1) throw std::out_of_range{"index 7"};
        if (id == 2) throw 7;
        if (id == 3) throw Error{Errc::no_slave, "of its own"};
    };
    on_execute = [&](int id, Context&) { throw_it(id); };
    on_await = [&](int id, Context&) -> asio::awaitable<void> {
        throw_it(id);
        co_return;
    };
    queue.push({1, 2, 3, 4}, waits ? coroutine() : scripted());
    queue.run();
    REQUIRE(queue.answered() == count_to(4));
    for (int i = 0; i < 3; ++i) {
        CHECK(queue.peer->replies[static_cast<std::size_t>(i)].kind == FrameKind::error);
        CHECK(queue.peer->replies[static_cast<std::size_t>(i)].read().error == Errc::work_failed);
    }
    CHECK(queue.peer->replies[0].read().exception_type == "std::out_of_range");
    CHECK(queue.peer->replies[0].read().text == "index 7");
    CHECK(queue.peer->replies[1].read().exception_type == "int");
    CHECK(queue.peer->replies[2].read().exception_type == "distwork::Error");
    CHECK(queue.peer->replies[3].kind == FrameKind::answer);
}

TEST_CASE("a body that does not decode fails its own work", "[unit]") {
    Queue queue{1};
    const bool waits = GENERATE(false, true);
    const WorkType& type = waits ? coroutine() : scripted();
    on_await = [](int, Context&) -> asio::awaitable<void> { co_return; };
    const std::byte id{2};
    queue.queue->push(
        WorkBatch::copy(queue.peer, std::vector<WorkBatch::Item>{{.id = 1, .type = &type, .body = {}},
                                                                 {.id = 2, .type = &type, .body = {&id, 1}}}));
    queue.run();
    REQUIRE(queue.answered() == count_to(2));
    const Reply reply = queue.peer->replies[0].read();
    CHECK(reply.error == Errc::malformed);
    CHECK(reply.exception_type.empty());
    CHECK(reply.text.starts_with(type.name + ": "));
    CHECK(queue.peer->replies[1].kind == FrameKind::answer);
}

TEST_CASE("an exception that is not to be retried is answered so", "[unit]") {
    struct Hopeless : std::range_error, NoRetry {
        using std::range_error::range_error;
    };
    Queue queue{1};
    on_execute = [](int id, Context&) {
        if (id == 1) throw Hopeless{"never"};
        if (id == 2) throw NoRetryError{"for good"};
        throw NoRetry{};
    };
    queue.push({1, 2, 3});
    queue.run();
    REQUIRE(queue.answered() == count_to(3));
    for (const auto& reply : queue.peer->replies) CHECK(reply.read().error == Errc::failed_no_retry);
    CHECK(queue.peer->replies[0].read().text == "never");
    CHECK(queue.peer->replies[1].read().exception_type == "distwork::NoRetryError");
    CHECK(queue.peer->replies[2].read().exception_type == "distwork::NoRetry");

    // Its caller sees a work that failed.
    const auto error = to_exception(queue.peer->replies[1].read(), *plain(), "somewhere");
    CHECK(code_of(error) == Errc::work_failed);
    CHECK_THROWS_AS(std::rethrow_exception(error), RemoteError);
}

}  // namespace work_reply_test
