#include "distwork/base/timer_queue.hpp"

#include <asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "distwork/sim/simulation.hpp"
#include "distwork/transport.hpp"
#include "support/catch.hpp"

namespace timer_queue_test {

using namespace distwork;
using namespace std::chrono_literals;

namespace {

/// A queue on a virtual clock, and the numbers of the actions that ran.
struct Timers {
    std::shared_ptr<void> set(std::chrono::nanoseconds after, int number) {
        std::shared_ptr<void> kept;
        set(after, number, kept);
        return kept;
    }
    void set(std::chrono::nanoseconds after, int number, std::shared_ptr<void>& kept) {
        queue->set(
            after, [this, number] { ran.push_back(number); }, kept);
    }

    sim::Simulation simulation{1};
    sim::Host& host = simulation.add_host("Ada");
    std::shared_ptr<detail::TimerQueue<sim::Transport>> queue =
        std::make_shared<detail::TimerQueue<sim::Transport>>(host.transport(), host.make_strand());
    std::vector<int> ran;
};

using Numbers = std::vector<int>;

}  // namespace

TEST_CASE("actions run at their times, those of one time in the order in which they were set", "[unit]") {
    Timers timers;
    const auto last = timers.set(31ms, 3);
    timers.simulation.run_for(1ms);  // the timer waits for that one
    const auto first = timers.set(10ms, 1);
    const auto second = timers.set(10ms, 2);
    timers.simulation.run_for(10ms - 1ns);
    CHECK(timers.ran.empty());
    timers.simulation.run_for(1ns);
    CHECK(timers.ran == Numbers{1, 2});
    timers.simulation.run_for(20ms - 1ns);
    CHECK(timers.ran == Numbers{1, 2});
    timers.simulation.run_for(1ns);
    CHECK(timers.ran == Numbers{1, 2, 3});
}

TEST_CASE("an action without a delay does not run inside set", "[unit]") {
    Timers timers;
    const auto kept = timers.set(0ns, 1);
    CHECK(timers.ran.empty());
    timers.simulation.run_for(0ns);
    CHECK(timers.ran == Numbers{1});
}

TEST_CASE("an action is called off with what keeps it, and its memory is freed", "[unit]") {
    Timers timers;
    const auto captured = std::make_shared<int>();
    std::shared_ptr<void> kept;
    timers.queue->set(
        10ms, [captured] { ++*captured; }, kept);
    const auto other = timers.set(20ms, 2);
    CHECK(captured.use_count() == 2);
    kept.reset();
    CHECK(captured.use_count() == 1);
    timers.simulation.run_for(1h);
    CHECK(*captured == 0);
    CHECK(timers.ran == Numbers{2});
}

TEST_CASE("setting anew what keeps an action calls the action off", "[unit]") {
    Timers timers;
    std::shared_ptr<void> kept;
    timers.set(10ms, 1, kept);
    timers.set(20ms, 2, kept);
    timers.simulation.run_for(1h);
    CHECK(timers.ran == Numbers{2});
}

TEST_CASE("an action may set the next one in its own place", "[unit]") {
    Timers timers;
    std::shared_ptr<void> kept;
    std::function<void()> again = [&] {
        timers.ran.push_back(static_cast<int>(timers.ran.size()));
        if (timers.ran.size() < 3) timers.queue->set(10ms, again, kept);
    };
    timers.queue->set(10ms, again, kept);
    timers.simulation.run_for(20ms);
    CHECK(timers.ran == Numbers{0, 1});
    timers.simulation.run_for(1h);
    CHECK(timers.ran == Numbers{0, 1, 2});
}

TEST_CASE("a queue that was stopped runs nothing, takes nothing, and frees its actions at once", "[unit]") {
    Timers timers;
    const auto captured = std::make_shared<int>();
    std::shared_ptr<void> kept;
    timers.queue->set(
        10ms, [captured] { ++*captured; }, kept);
    timers.simulation.run_for(1ms);  // its timer waits
    timers.queue->stop();
    CHECK(captured.use_count() == 1);
    CHECK(timers.set(0ns, 2) == nullptr);
    timers.simulation.run_for(1h);
    CHECK(*captured == 0);
    CHECK(timers.ran.empty());
}

TEST_CASE("what keeps an action may outlive the queue", "[unit]") {
    Timers timers;
    const auto kept = timers.set(10ms, 1);
    const std::weak_ptr queue = timers.queue;
    timers.queue->stop();
    timers.queue.reset();
    timers.simulation.run_for(0ns);
    CHECK(queue.expired());
}

TEST_CASE("a queue that rests lets its context run out of work, unless an action is left", "[unit]") {
    asio::io_context io{1};
    const Tcp tcp{io.get_executor()};
    const auto queue = std::make_shared<detail::TimerQueue<Tcp>>(tcp, tcp.make_strand());
    bool has_run = false;
    std::shared_ptr<void> kept;
    std::shared_ptr<void> far;
    queue->set(
        1ms, [&] { has_run = true; }, kept);
    queue->set(
        1h, [] { FAIL("an hour has not passed"); }, far);
    queue->rest();
    while (!has_run) io.run_one_for(20s);
    CHECK(io.run_for(20ms) == 0);
    CHECK_FALSE(io.stopped());  // the far one is waited for
    far.reset();
    queue->rest();
    io.run();
}

}  // namespace timer_queue_test
