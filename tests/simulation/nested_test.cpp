// In virtual time: works that have works distributed, and wait for them without a slot.

#include <asio/experimental/awaitable_operators.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <distwork/sim/simulation.hpp>
#include <exception>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "simulation/roles.hpp"
#include "support/catch.hpp"

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;

namespace {

/// A chain, or a tree, of calls; in what way a node waits for its children is said by `manner`.
class Fib : public CoroutineWork<std::uint64_t> {
public:
    enum Manner : std::uint32_t {
        one_by_one,
        both_at_once,
        by_callbacks,
        chain,
        forgets,
        waits_a_second,
        elsewhere,
        asks_back
    };
    Fib() = default;
    Fib(std::uint32_t n, std::uint32_t manner) : n_{n}, manner_{manner} {}
    asio::awaitable<std::uint64_t> execute_work(Context& peer) override;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(n_, manner_);
    }

    static int& executed() {
        static int count = 0;
        return count;
    }

private:
    std::uint32_t n_ = 0;
    std::uint32_t manner_ = 0;
};

std::uint64_t twice(std::uint64_t value) {
    return 2 * value;
}

}  // namespace

DISTWORK_REGISTER_WORK(Fib)
DISTWORK_REGISTER_FUNCTION(twice)

namespace {

asio::awaitable<std::uint64_t> Fib::execute_work(Context& peer) {
    ++executed();
    if (n_ < 2) co_return n_;
    const Fib left{n_ - 1, manner_};
    const Fib right{n_ - 2, manner_};
    switch (manner_) {
        case both_at_once: {
            using namespace asio::experimental::awaitable_operators;
            auto one = peer.async_submit(left);
            auto other = peer.async_submit(right);
            auto both = std::move(one) && std::move(other);
            const auto [a, b] = co_await std::move(both);
            co_return a + b;
        }
        case by_callbacks: {
            std::uint64_t sum = 0;
            int open = 2;
            sim::Timer done{sim::Transport{co_await asio::this_coro::executor}.make_strand()};
            done.expires_after(24h);
            const auto add = [&](const std::exception_ptr&, std::uint64_t value) {
                sum += value;
                if (--open == 0) done.cancel();
            };
            peer.async_submit(left, add);
            peer.async_submit(right, add);
            std::error_code ignored;
            auto token = asio::redirect_error(asio::use_awaitable, ignored);
            co_await done.async_wait(token);
            co_return sum;
        }
        case chain: co_return 1 + co_await peer.async_submit(left);
        case forgets:
            for (int i = 0; i < 5; ++i) peer.async_submit(Fib{n_ - 1, waits_a_second}, [](const auto&...) {});
            co_return n_;
        case elsewhere: {
            // It waits in a coroutine that runs on no executor of the work's.
            const auto host = sim::host_of(co_await asio::this_coro::executor).get_executor();
            auto submit = [](Context& to, Fib work) -> asio::awaitable<std::uint64_t> {
                co_return co_await to.async_submit(work);
            };
            auto there = submit(peer, left);
            co_return 1 + co_await asio::co_spawn(host, std::move(there), asio::use_awaitable);
        }
        case asks_back: {
            if (n_ == 2) co_return co_await peer.async_call<&twice>(std::uint64_t{1});
            sim::Timer done{sim::Transport{co_await asio::this_coro::executor}.make_strand()};
            done.expires_after(24h);
            std::uint32_t open = n_;
            const auto count = [&](const std::exception_ptr&, std::uint64_t) {
                if (--open == 0) done.cancel();
            };
            for (std::uint32_t i = 0; i < n_; ++i) peer.async_submit(Fib{2, asks_back}, count);
            std::error_code ignored;
            auto token = asio::redirect_error(asio::use_awaitable, ignored);
            co_await done.async_wait(token);
            co_return n_;
        }
        case waits_a_second: {
            sim::Timer timer{sim::Transport{co_await asio::this_coro::executor}.make_strand()};
            timer.expires_after(1s);
            co_await timer.async_wait(asio::use_awaitable);
            co_return n_;
        }
        default: {
            const std::uint64_t one = co_await peer.async_submit(left);
            co_return one + co_await peer.async_submit(right);
        }
    }
}

class Farm {
public:
    using Master = distwork::Master<RoundRobin, sim::Transport>;
    using Slave = distwork::Slave<sim::Transport>;

    explicit Farm(std::size_t count, const SlaveOptions& slave_options = one_slot(), MasterOptions options = {}) {
        sim::Host& host = simulation.add_host("master");
        options.port = 12345;
        master = &host.make<Master>(host.transport(), options);
        master->accept_submission<Fib>();
        master->accept_submission<&twice>();
        master->accept_work<FunctionWork<&twice>>();
        master->start();
        for (std::size_t i = 0; i < count; ++i) add_slave(slave_options);
        REQUIRE(simulation.run_until([&] { return master->connected_slave_count() == count; }, 10s));
        Fib::executed() = 0;
    }

    static SlaveOptions one_slot() {
        SlaveOptions options;
        options.slots = 1;
        return options;
    }

    void add_slave(const SlaveOptions& options) {
        sim::Host& host = simulation.add_host("slave" + std::to_string(hosts.size()));
        slaves.push_back(&host.make<Slave>(host.transport(), std::string{"127.0.0.1"}, std::uint16_t{12345}, options));
        slaves.back()->start();
        hosts.push_back(&host);
    }

    struct Outcome {
        bool done = false;
        std::uint64_t value = 0;
        std::string error;
    };
    Outcome ask(Fib work, sim::Duration within = 1h) {
        Outcome outcome;
        call(std::move(work), outcome);
        simulation.run_until([&] { return outcome.done; }, within);
        return outcome;
    }
    void call(Fib work, Outcome& outcome, SubmitOptions options = SubmitOptions{}) {
        master->async_call(std::move(work), options, [&outcome](const std::exception_ptr& error, std::uint64_t value) {
            outcome.done = true;
            outcome.value = value;
            try {
                if (error) std::rethrow_exception(error);
            } catch (const std::exception& failed) {
                outcome.error = failed.what();
            }
        });
    }

    std::size_t held() const {
        std::size_t count = 0;
        for (const auto& socket : master->sockets()) count += socket.in_flight;
        return count;
    }

    sim::Simulation simulation{1};
    Master* master = nullptr;
    std::vector<sim::Host*> hosts;
    std::vector<Slave*> slaves;
};

}  // namespace

TEST_CASE("a tree of works deeper than there are slots ends, however a node waits for its children", "[simulation]") {
    for (const auto manner : {Fib::one_by_one, Fib::both_at_once, Fib::by_callbacks}) {
        INFO("manner " << manner);
        Farm farm{2};
        const auto outcome = farm.ask(Fib{12, manner});
        CHECK(outcome.error.empty());
        CHECK(outcome.value == 144);
        farm.simulation.run_for(1s);
        CHECK(farm.held() == 0);
        for (const auto& socket : farm.master->sockets()) CHECK(socket.free_slots == 1);
        const auto counted = farm.master->statistics();
        CHECK(counted.admitted == counted.completed());
        CHECK(counted.succeeded == 465);
    }
}

TEST_CASE("a chain of two hundred works ends on one slot", "[simulation]") {
    SlaveOptions options = Farm::one_slot();
    const bool in_place = GENERATE(false, true);
    if (in_place) options.work_executor = WorkExecutor::in_place();
    Farm farm{1, options};
    CHECK(farm.ask(Fib{200, Fib::chain}).value == 200);
    CHECK(farm.master->sockets().at(0).free_slots == 1);
}

TEST_CASE("a work that waits in a coroutine of another executor gives its slot free, too", "[simulation]") {
    Farm farm{1};
    CHECK(farm.ask(Fib{20, Fib::elsewhere}, 60s).value == 20);
}

TEST_CASE("works that call their master beside as many as it holds of them end all the same", "[simulation]") {
    MasterOptions options;
    options.max_slave_works = 16;
    Farm farm{1, Farm::one_slot(), options};
    CHECK(farm.ask(Fib{40, Fib::asks_back}, 60s).value == 40);
    farm.simulation.run_for(1s);
    CHECK(farm.held() == 0);
}

TEST_CASE("a wide tree holds no more works than its depth asks for", "[simulation]") {
    Farm farm{2};
    std::size_t most = 0;
    Farm::Outcome outcome;
    farm.call(Fib{17, Fib::both_at_once}, outcome);
    farm.simulation.run_until(
        [&] {
            most = std::max(most, farm.held() + farm.master->backlog_size());
            return outcome.done;
        },
        1h);
    CHECK(outcome.value == 1597);
    CHECK(most < 200);  // of 5,167
}

TEST_CASE("what a work waits for its children is not its own time", "[simulation]") {
    Farm farm{1};
    for (sim::Host* host : farm.hosts)
        host->work_time([](std::string_view, sim::Random&) -> sim::Duration { return 10ms; });
    CHECK(farm.ask(Fib{10, Fib::chain}).value == 10);
    CHECK(farm.master->sockets().at(0).mean_execution_time <= 11ms);
}

TEST_CASE("works have only what the master accepts distributed", "[simulation]") {
    sim::Simulation simulation{1};
    sim::Host& host = simulation.add_host("master");
    MasterOptions options;
    options.port = 12345;
    auto& master = host.make<Farm::Master>(host.transport(), options);
    master.start();
    sim::Host& other = simulation.add_host("slave");
    other.make<Farm::Slave>(other.transport(), std::string{"127.0.0.1"}, std::uint16_t{12345}, Farm::one_slot())
        .start();
    std::string text;
    master.async_call(Fib{2, Fib::chain}, [&](const std::exception_ptr& error, std::uint64_t) {
        try {
            std::rethrow_exception(error);
        } catch (const RemoteError& failed) {
            text = failed.text();
        }
    });
    simulation.run_for(1s);
    CHECK(text.find("accept_submission") != text.npos);
}

TEST_CASE("children that nobody waits for end with their parent", "[simulation]") {
    Farm farm{3};
    CHECK(farm.ask(Fib{5, Fib::forgets}).value == 5);
    farm.simulation.run_for(100ms);
    const auto counted = farm.master->statistics();
    CHECK(counted.cancelled == 5);
    CHECK(counted.admitted == counted.completed());
    farm.simulation.run_for(2s);
    CHECK(farm.held() == 0);
}

TEST_CASE("when a tree is cancelled all of it ends", "[simulation]") {
    Farm farm{2};
    for (sim::Host* host : farm.hosts)
        host->work_time([](std::string_view, sim::Random&) -> sim::Duration { return 1ms; });
    asio::cancellation_signal signal;
    bool cancelled = false;
    farm.master->async_call(
        Fib{18, Fib::both_at_once},
        asio::bind_cancellation_slot(signal.slot(),
                                     [&](const std::exception_ptr& error, std::uint64_t) { cancelled = bool(error); }));
    farm.simulation.run_for(300ms);
    CHECK_FALSE(cancelled);
    signal.emit(asio::cancellation_type::terminal);
    farm.simulation.run_for(500ms);
    CHECK(cancelled);
    CHECK(farm.held() == 0);
    CHECK(farm.master->backlog_size() == 0);
    const int executed = Fib::executed();
    farm.simulation.run_for(10s);
    CHECK(Fib::executed() == executed);
    const auto counted = farm.master->statistics();
    CHECK(counted.admitted == counted.completed());
}

TEST_CASE("a master that stops finishes the children of what it admitted, and so does a slave that drains",
          "[simulation]") {
    for (const bool slave_drains : {false, true}) {
        INFO("slave drains: " << slave_drains);
        Farm farm{1};
        for (sim::Host* host : farm.hosts)
            host->work_time([](std::string_view, sim::Random&) -> sim::Duration { return 1ms; });
        Farm::Outcome outcome;
        farm.call(Fib{10, Fib::one_by_one}, outcome);
        farm.simulation.run_for(20ms);
        REQUIRE_FALSE(outcome.done);
        bool stopped = false;
        const auto done = [&](const std::exception_ptr&) { stopped = true; };
        if (slave_drains) asio::post(farm.hosts[0]->get_executor(), [&] { farm.slaves[0]->async_drain(done); });
        else farm.master->async_stop(1h, done);
        farm.simulation.run_for(60s);
        CHECK(outcome.value == 55);
        CHECK(outcome.error.empty());
        CHECK(stopped);
    }
}

TEST_CASE("bounds of nested works are errors by name, never a wait", "[simulation]") {
    SlaveOptions few = Farm::one_slot();
    few.max_suspended = 10;
    Farm narrow{1, few};
    const auto deep = narrow.ask(Fib{100, Fib::chain});
    CHECK(deep.done);
    CHECK(deep.error.find("suspended") != std::string::npos);

    MasterOptions small;
    small.waiting.max_backlog = 1;
    Farm full{1, Farm::one_slot(), small};
    const auto wide = full.ask(Fib{12, Fib::both_at_once});
    CHECK(wide.done);
    CHECK_FALSE(wide.error.empty());
    full.simulation.run_for(1s);
    CHECK(full.held() == 0);
    CHECK(full.ask(Fib{10, Fib::chain}).value == 10);  // and nothing of it stays
}
