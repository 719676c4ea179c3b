// Coroutine works that nobody resumes any more: what they await is destroyed, or the pool that would run them.

#include <asio/io_context.hpp>
#include <atomic>
#include <chrono>
#include <distwork.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "support/catch.hpp"
#include "support/run.hpp"

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;

namespace {

/// An operation that neither completes nor is cancelled by itself: it is kept here.
class KeptWait {
public:
    static KeptWait& here() {
        static KeptWait kept;
        return kept;
    }

    asio::awaitable<void> async_wait() {
        auto keep = [this](auto handler) {
            const auto kept = std::make_shared<decltype(handler)>(std::move(handler));
            const std::lock_guard lock{mutex_};
            complete_ = [kept] { asio::post(std::move(*kept)); };  // on the executor of who awaits
        };
        return asio::async_initiate<const asio::use_awaitable_t<>&, void()>(std::move(keep), asio::use_awaitable);
    }

    bool is_awaited() const {
        const std::lock_guard lock{mutex_};
        return complete_ != nullptr;
    }
    void complete() { take()(); }
    void destroy() { take(); }

private:
    std::function<void()> take() {
        const std::lock_guard lock{mutex_};
        return std::exchange(complete_, nullptr);
    }

    mutable std::mutex mutex_;
    std::function<void()> complete_;  // guarded by mutex_
};

std::atomic<int> executions{0};
std::atomic<int> alive{0};

/// Its first execution awaits what is kept; the others return at once which of them they are.
class Awaits : public CoroutineWork<int> {
public:
    asio::awaitable<int> execute_work(Context&) override {
        const Life life;
        const int execution = ++executions;
        if (execution == 1) co_await KeptWait::here().async_wait();
        co_return execution;
    }
    template <class Archive>
    void serialize(Archive&) {}

private:
    struct Life {
        Life() { ++alive; }
        Life(const Life&) = delete;
        ~Life() { --alive; }
    };
};

int add(int a, int b) {
    return a + b;
}

/// What came of a call.
struct Ended {
    auto handler() {
        return [this](const std::exception_ptr& thrown, int result) {
            error = thrown;
            value = result;
            ++completions;
        };
    }
    std::exception_ptr error;
    int value = 0;
    int completions = 0;
};

struct Scene {
    Scene() { executions = 0; }

    SlaveOptions slave(WorkExecutor work_executor) {
        SlaveOptions options;
        options.slots = 1;
        options.work_executor = std::move(work_executor);
        options.reconnect_after = options.reconnect_at_most = 10ms;
        options.log = [this](LogLevel, std::string_view line) {
            const std::lock_guard lock{mutex};
            log.append(line).push_back('\n');
        };
        return options;
    }

    /// Each slave executes one: none has lost its slot.
    bool all_slaves_work(Cluster<>& cluster) {
        const std::size_t count = cluster.slaves.size();
        if (!run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == count; })) return false;
        std::size_t right = 0;
        for (std::size_t i = 0; i < count; ++i)
            cluster.master.async_call<add>(1, 2, [&](const std::exception_ptr&, int sum) { right += sum == 3; });
        return run_until(cluster.io, [&] { return right == count; });
    }

    std::mutex mutex;
    std::string log;  // guarded by mutex
};

}  // namespace

DISTWORK_REGISTER_WORK(Awaits)
DISTWORK_REGISTER_FUNCTION(add)

TEST_CASE("a coroutine work whose awaited operation is destroyed ends its session, and goes elsewhere",
          "[integration]") {
    const int slaves = GENERATE(1, 2);
    const bool in_place = GENERATE(false, true);
    INFO(slaves << " slaves" << (in_place ? ", in place" : ""));
    Scene scene;
    Cluster<> cluster{slaves, scene.slave(in_place ? WorkExecutor::in_place() : WorkExecutor::own_pool())};
    Ended outcome;
    cluster.master.async_call(Awaits{}, outcome.handler());
    REQUIRE(run_until(cluster.io, [] { return KeptWait::here().is_awaited(); }));
    CHECK(alive == 1);
    KeptWait::here().destroy();
    REQUIRE(run_until(cluster.io, [&] { return outcome.completions != 0; }));
    CHECK(outcome.value == 2);
    CHECK(alive == 0);
    CHECK(scene.all_slaves_work(cluster));
    const Statistics statistics = cluster.master.statistics();
    CHECK(statistics.requeued == 1);
    CHECK(statistics.freed == 0);  // it had begun
    CHECK(outcome.completions == 1);
    const std::lock_guard lock{scene.mutex};
    INFO(scene.log);
    CHECK(scene.log.find("a work was destroyed before it ended") != std::string::npos);
}

TEST_CASE("a coroutine work that may be executed once only is lost when what it awaits is destroyed", "[integration]") {
    Scene scene;
    Cluster<> cluster{1, scene.slave(WorkExecutor::own_pool())};
    Ended outcome;
    cluster.master.async_call(Awaits{}, SubmitOptions{}.max_attempts(1), outcome.handler());
    REQUIRE(run_until(cluster.io, [] { return KeptWait::here().is_awaited(); }));
    KeptWait::here().destroy();
    REQUIRE(run_until(cluster.io, [&] { return outcome.completions != 0; }));
    INFO(text_of(outcome.error));
    CHECK(outcome.error != nullptr);
    CHECK(executions == 1);
    CHECK(scene.all_slaves_work(cluster));
    CHECK(cluster.master.statistics().lost == 1);
    CHECK(outcome.completions == 1);
}

TEST_CASE("works that wait behind a coroutine that is destroyed are executed", "[integration]") {
    Scene scene;
    Cluster<> cluster{1, scene.slave(WorkExecutor::own_pool())};
    Ended first;
    cluster.master.async_call(Awaits{}, first.handler());
    REQUIRE(run_until(cluster.io, [] { return KeptWait::here().is_awaited(); }));
    constexpr int count = 100;
    int right = 0;
    for (int i = 0; i < count; ++i)
        cluster.master.async_call<add>(i, 1, [&, i](const std::exception_ptr&, int sum) { right += sum == i + 1; });
    KeptWait::here().destroy();
    REQUIRE(run_until(cluster.io, [&] { return right == count && first.completions == 1; }));
    CHECK(first.value == 2);
}

TEST_CASE("what a host's pool has not run when it ends is dropped, and the coroutine with it", "[integration]") {
    const bool has_slave = GENERATE(true, false);
    INFO((has_slave ? "the slave is there until then" : "the slave was stopped before"));
    Scene scene;
    Ended outcome;
    Cluster<> cluster{0};
    {
        // It outlives its slave, as it must.
        auto pool = std::make_unique<asio::io_context>(1);
        SlaveOptions options = scene.slave(pool->get_executor());
        options.reconnect = distwork::Reconnect::never;
        cluster.add_slave(std::move(options));
        cluster.master.async_call(Awaits{}, SubmitOptions{}.max_attempts(1), outcome.handler());
        REQUIRE(run_until(cluster.io, [&] { return pool->restart(), pool->poll(), KeptWait::here().is_awaited(); }));
        CHECK(alive == 1);
        if (!has_slave) {
            bool stopped = false;
            cluster.slaves[0]->async_stop(0ms, [&](const std::exception_ptr&) { stopped = true; });
            REQUIRE(run_until(cluster.io, [&] { return stopped; }));
        }
        KeptWait::here().complete();  // the pool is to go on with it, and never does
        CHECK(alive == 1);
        cluster.slaves.clear();
    }
    CHECK(alive == 0);  // nothing that the pool was given keeps the coroutine alive
    REQUIRE(run_until(cluster.io, [&] { return outcome.completions != 0; }));
    CHECK(outcome.error != nullptr);
    CHECK(outcome.completions == 1);
}

TEST_CASE("a coroutine work that is destroyed after its slave stopped costs nobody anything", "[integration]") {
    Scene scene;
    Ended outcome;
    asio::io_context pool{1};
    Cluster<> cluster{0};
    cluster.add_slave(scene.slave(pool.get_executor()));
    cluster.master.async_call(Awaits{}, SubmitOptions{}.max_attempts(1), outcome.handler());
    REQUIRE(run_until(cluster.io, [&] { return pool.restart(), pool.poll(), KeptWait::here().is_awaited(); }));
    cluster.slaves.clear();
    REQUIRE(run_until(cluster.io, [&] { return outcome.completions != 0; }));
    CHECK(alive == 1);
    KeptWait::here().destroy();
    pool.restart();
    pool.poll();
    CHECK(alive == 0);
    CHECK(outcome.completions == 1);
}
