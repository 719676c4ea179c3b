#include "distwork/link/completion_queue.hpp"

#include <asio/post.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "distwork/link/deferred_flushes.hpp"
#include "distwork/link/session_sender.hpp"
#include "distwork/sim/simulation.hpp"
#include "support/calls.hpp"
#include "support/catch.hpp"

namespace completion_queue_test {

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;

namespace {

using Strings = std::vector<std::string>;

/// A call whose handler is the test's.
class Callback final : public Call {
public:
    explicit Callback(std::function<void()> handler) : Call{support::plain_type(0)}, handler_{std::move(handler)} {}
    const IWork& work() const noexcept override { return work_; }
    void succeed(std::span<const std::byte>, const std::shared_ptr<Peer>&) noexcept override {}
    void fail(std::exception_ptr) noexcept override {}
    void deliver(std::shared_ptr<Call>) override { handler_(); }

private:
    calls::Silent work_;
    std::function<void()> handler_;
};

/// A session without a socket, which notes when it is to write.
class Session final : public SessionSender, public std::enable_shared_from_this<Session> {
public:
    explicit Session(std::function<void()> on_write)
        : SessionSender{{}, std::make_shared<SessionSettings>(), {}}, on_write_{std::move(on_write)} {}

    /// As a session does when a handler sends something.
    void wake_writer() noexcept override {
        REQUIRE(DeferredFlushes::current());
        REQUIRE(DeferredFlushes::current()->add(shared_from_this()));
    }
    void write() noexcept override { on_write_(); }
    void fail(const std::exception_ptr&) noexcept override {}

private:
    std::function<void()> on_write_;
};

/// What handlers and writers did, in order.
struct Completions {
    std::shared_ptr<Session> session(const std::string& name) {
        return std::make_shared<Session>([this, name] { log.push_back("write " + name); });
    }
    /// A call whose handler sends something through that session.
    std::shared_ptr<Call> call(const std::string& name, std::shared_ptr<Session> through = nullptr) {
        return std::make_shared<Callback>([this, name, through] {
            log.push_back(name);
            if (through) through->wake_writer();
        });
    }
    /// One call for each of so many sessions.
    std::vector<std::shared_ptr<Call>> calls(std::size_t sessions, std::size_t for_each = 1) {
        std::vector<std::shared_ptr<Call>> all;
        for (std::size_t i = 0; i < sessions; ++i) {
            all.push_back(call("call", session(std::to_string(i))));
            for (std::size_t more = 1; more < for_each; ++more) all.push_back(call("call"));
        }
        return all;
    }
    /// Reads answers, which settle these calls.
    void read(std::vector<std::shared_ptr<Call>> settled) { queue->deliver(std::move(settled)); }
    void read_later(std::vector<std::shared_ptr<Call>> settled) {
        asio::post(host.get_executor(), [this, settled = std::move(settled)] { read(settled); });
    }

    void run() { simulation.run_for(0ns); }

    /// How much was done before a session wrote.
    std::size_t before_first_write() const {
        std::size_t at = 0;
        while (at < log.size() && !log[at].starts_with("write ")) ++at;
        return at;
    }
    std::size_t writes() const {
        std::size_t count = 0;
        for (const auto& line : log) count += line.starts_with("write ");
        return count;
    }

    sim::Simulation simulation{1, {.shuffle = false}};
    sim::Host& host = simulation.add_host("Ada");
    std::shared_ptr<CompletionQueue<sim::Transport>> queue =
        std::make_shared<CompletionQueue<sim::Transport>>(host.transport());
    Strings log;
};

}  // namespace

TEST_CASE("calls of a read complete in order, never from inside, and what their handlers sent is written behind them",
          "[unit]") {
    Completions completions;
    completions.read({completions.call("a", completions.session("1")), completions.call("b"),
                      completions.call("c", completions.session("2"))});
    CHECK(completions.log.empty());
    completions.run();
    CHECK(completions.log == Strings{"a", "b", "c", "write 1", "write 2"});
}

TEST_CASE("what handlers of several reads sent is written together", "[unit]") {
    Completions completions;
    completions.read({completions.call("a", completions.session("1"))});
    completions.read({completions.call("b", completions.session("2"))});
    completions.run();
    CHECK(completions.log == Strings{"a", "b", "write 1", "write 2"});
}

TEST_CASE("many sessions with little to write wait for what can still be read, few do not", "[unit]") {
    Completions completions;
    const auto sessions = GENERATE(std::size_t{31}, std::size_t{32});
    completions.read(completions.calls(sessions));
    completions.read_later({completions.call("later")});
    completions.run();
    CHECK(completions.writes() == sessions);
    CHECK(completions.before_first_write() == (sessions == 32 ? 33u : 31u));
}

TEST_CASE("many sessions with enough to write do not wait", "[unit]") {
    Completions completions;
    const auto for_each = GENERATE(std::size_t{7}, std::size_t{8});
    completions.read(completions.calls(32, for_each));
    completions.read_later({completions.call("later")});
    completions.run();
    CHECK(completions.writes() == 32);
    CHECK(completions.before_first_write() == (for_each == 7 ? 7u * 32 + 1 : 8u * 32));
}

TEST_CASE("many sessions wait for further reads, but for few turns and not for long", "[unit]") {
    Completions completions;
    const bool at_once = GENERATE(false, true);
    completions.read(completions.calls(32));
    int reads = 0;
    std::function<void()> again = [&] {
        completions.log.emplace_back("later");
        if (++reads == 200) return;
        if (at_once) {  // there always is a read under way: the clock ends the wait
            completions.host.jump(1ms);
            completions.read({std::make_shared<Callback>(again)});
        } else {
            completions.read_later({std::make_shared<Callback>(again)});
        }
    };
    completions.read_later({std::make_shared<Callback>(again)});
    completions.run();
    CHECK(reads == 200);
    CHECK(completions.writes() == 32);
    const std::size_t waited = completions.before_first_write() - 32;
    CHECK(waited > (at_once ? 100u : 10u));
    CHECK(waited < (at_once ? 110u : 20u));
}

TEST_CASE("handlers that take their time do not hold up what others sent", "[unit]") {
    Completions completions;
    std::vector<std::shared_ptr<Call>> slow{completions.call("first", completions.session("1"))};
    for (int i = 0; i < 300; ++i)
        slow.push_back(std::make_shared<Callback>([&] {
            completions.log.emplace_back("slow");
            completions.host.jump(10ms);
        }));
    completions.read(std::move(slow));
    completions.run();
    CHECK(completions.log.size() == 302);
    CHECK(completions.before_first_write() < 200);
}

TEST_CASE("when a handler throws, what was sent is written, and the other calls complete", "[unit]") {
    Completions completions;
    completions.read({completions.call("a", completions.session("1")),
                      std::make_shared<Callback>([] { throw std::runtime_error{"b"}; }), completions.call("c")});
    CHECK_THROWS_AS(completions.run(), std::runtime_error);
    CHECK(completions.log == Strings{"a", "write 1"});
    completions.run();
    CHECK(completions.log == Strings{"a", "write 1", "c"});
}

}  // namespace completion_queue_test
