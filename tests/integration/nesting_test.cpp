#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <distwork.hpp>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "support/catch.hpp"
#include "support/run.hpp"

// Works that have functions distributed; who may not, and what it is told.

using distwork::Context;
using distwork::Errc;
using namespace std::chrono_literals;

namespace nesting {

int twice(int value) {
    return 2 * value;
}

asio::awaitable<int> submits(Context& peer, int value) {
    co_return co_await peer.async_submit<twice>(value);
}

/// On the master: it calls the slave's.
asio::awaitable<int> calls_back(Context& peer, int value) {
    co_return co_await peer.async_call<submits>(value);
}

asio::awaitable<int> has_master_call_back(Context& peer, int value) {
    co_return co_await peer.async_call<calls_back>(value);
}

asio::awaitable<int> has_master_submit(Context& peer, int value) {
    co_return co_await peer.async_call<submits>(value);
}

int submits_and_blocks(Context& peer, int value) {
    return peer.async_submit<twice>(value, asio::use_future).get();
}

/// Throws what the first of them fails with.
asio::awaitable<int> submits_many(Context& peer, int count) {
    auto refused = std::make_shared<std::string>();  // those that have no outcome when this ends are cancelled
    for (int i = 0; i < count; ++i)
        peer.async_submit<twice>(i, [refused](const std::exception_ptr& error, int) {
            if (refused->empty()) *refused = text_of(error);
        });
    asio::steady_timer timer{co_await asio::this_coro::executor};
    const auto until = std::chrono::steady_clock::now() + deadline;
    while (refused->empty() && std::chrono::steady_clock::now() < until) {
        timer.expires_after(1ms);
        co_await timer.async_wait(asio::use_awaitable);
    }
    throw std::runtime_error{*refused};
}

}  // namespace nesting

DISTWORK_REGISTER_FUNCTION(nesting::twice)
DISTWORK_REGISTER_FUNCTION(nesting::submits)
DISTWORK_REGISTER_FUNCTION(nesting::calls_back)
DISTWORK_REGISTER_FUNCTION(nesting::has_master_call_back)
DISTWORK_REGISTER_FUNCTION(nesting::has_master_submit)
DISTWORK_REGISTER_FUNCTION(nesting::submits_and_blocks)
DISTWORK_REGISTER_FUNCTION(nesting::submits_many)

namespace {

struct Nest : Cluster<> {
    explicit Nest(distwork::MasterOptions options = {}) : Cluster<>{1, one_slot(), std::move(options)} {
        master.accept_submission<nesting::twice>();
        master.accept_work<nesting::calls_back>();
        master.accept_work<nesting::submits>();
    }

    static distwork::SlaveOptions one_slot() {
        distwork::SlaveOptions options;
        options.slots = 1;
        return options;
    }

    /// What a call of F with 4 fails with; its value, if it does not.
    template <auto F>
    std::string ask(int value = 4) {
        std::string text;
        run(io, call<F>(master, value, text));
        return text;
    }

    template <auto F>
    static asio::awaitable<void> call(distwork::Master<>& master, int value, std::string& text) {
        try {
            text = std::to_string(co_await master.async_call<F>(value));
        } catch (const distwork::Error& error) {
            text = error.what();
        }
    }

    bool is_whole() const { return master.connected_slave_count() == 1 && master.statistics().lost == 0; }
};

bool says(const std::string& text, const std::string& what) {
    return text.find(what) != std::string::npos;
}

}  // namespace

TEST_CASE("A work has a registered function distributed") {
    Nest nest;
    CHECK(nest.ask<nesting::submits>() == "8");
}

TEST_CASE("A work that the master's own work called may have works distributed, too") {
    Nest nest;
    CHECK(nest.ask<nesting::has_master_call_back>() == "8");
    CHECK(nest.master.statistics().admitted == 2);
}

TEST_CASE("A work on the master that asks to have one distributed is told that it may not, and no session ends") {
    Nest nest;
    const std::string text = nest.ask<nesting::has_master_submit>();
    INFO(text);
    CHECK(says(text, "only a coroutine work on a slave may have works distributed"));
    CHECK(nest.is_whole());
    CHECK(nest.ask<nesting::submits>() == "8");
}

TEST_CASE("A work that is no coroutine is told so, and of nothing else") {
    Nest nest;
    const std::string text = nest.ask<nesting::submits_and_blocks>();
    INFO(text);
    CHECK(says(text, "only a coroutine work on a slave may have works distributed"));
    CHECK(!says(text, "accept"));
}

TEST_CASE("What the master does not distribute is refused by the name of the function that allows it") {
    Cluster<> cluster{1, Nest::one_slot()};
    std::string text;
    run(cluster.io, Nest::call<nesting::submits>(cluster.master, 4, text));
    INFO(text);
    CHECK(says(text, "accept_submission"));
    CHECK(!says(text, "accept_work"));
}

TEST_CASE("More children at once than a slave may have at its master are refused by the name of the option") {
    distwork::MasterOptions options;
    options.max_slave_works = 20;
    Nest nest{std::move(options)};
    const std::string text = nest.ask<nesting::submits_many>(30);
    INFO(text);
    CHECK(says(text, "nesting::twice"));
    CHECK(says(text, "MasterOptions::max_slave_works"));
    CHECK(!says(text, "backlog"));
    // Those that were not refused are cancelled with their parent, and answered in their time.
    std::string eight;
    for (int i = 0; i < 1000 && eight != "8"; ++i) eight = nest.ask<nesting::submits>();
    CHECK(eight == "8");
}
