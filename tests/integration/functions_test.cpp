#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/steady_timer.hpp>
#include <asio/thread_pool.hpp>
#include <atomic>
#include <chrono>
#include <cstring>
#include <distwork.hpp>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/run.hpp"

// What functions may take and return, how works may be given and registered, and on what roles run.

using namespace std::chrono_literals;

namespace functions {

std::atomic<int> saw_stop{0};

/// Runs until it is asked to stop, or for a minute.
int until_stopped(distwork::Context& peer, int answer) {
    const auto token = peer.stop_token();
    const auto until = std::chrono::steady_clock::now() + deadline;
    while (!token.stop_requested() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    if (token.stop_requested()) ++saw_stop;
    return answer;
}

std::string who_asks(distwork::Context& peer, const std::string& greeting) {
    return greeting + peer.peer_name();
}

asio::awaitable<int> later(distwork::Context&, int value, const std::string& text) {
    asio::steady_timer timer{co_await asio::this_coro::executor, 1ms};
    co_await timer.async_wait(asio::use_awaitable);
    co_return value + static_cast<int>(text.size());
}

asio::awaitable<void> later_nothing() {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

asio::awaitable<int> later_thrown(int value) {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    throw std::out_of_range{"beyond " + std::to_string(value)};
}

/// A call to its master, within.
asio::awaitable<bool> asks_back(distwork::Context& peer) {
    co_return co_await peer.async_call<&who_asks>("from the slave to ") == "from the slave to slave 0";
}

std::size_t characters(std::string_view text) {
    return text.size();
}
std::size_t wide_characters(const std::wstring_view& text) {
    return text.size();
}
std::size_t c_characters(const char* text) {
    return std::strlen(text);
}
int sum(std::span<const int> numbers) {
    return std::accumulate(numbers.begin(), numbers.end(), 0);
}
std::string_view name_of(int number) {
    return number == 1 ? "one" : "many";
}
const char* c_name_of(int number) {
    return number == 1 ? "one" : "many";
}
std::size_t taken(std::vector<int>&& numbers) {
    return std::vector<int>{std::move(numbers)}.size();
}
int pointed(std::unique_ptr<int> number) {
    return *number;
}
int truncated(int number) noexcept {
    return number;
}
int unknown(int number) {
    return number;
}
int overloaded(int number) {
    return number;
}
template <class A, class B>
std::size_t sizes(A a, B b) {
    return sizeof a + sizeof b;
}

}  // namespace functions

DISTWORK_REGISTER_FUNCTION(functions::until_stopped)
DISTWORK_REGISTER_FUNCTION(functions::who_asks)
DISTWORK_REGISTER_FUNCTION(functions::later)
DISTWORK_REGISTER_FUNCTION(functions::later_nothing)
DISTWORK_REGISTER_FUNCTION(functions::later_thrown)
DISTWORK_REGISTER_FUNCTION(functions::asks_back)
DISTWORK_REGISTER_FUNCTION(functions::characters)
DISTWORK_REGISTER_FUNCTION(functions::wide_characters)
DISTWORK_REGISTER_FUNCTION(functions::c_characters)
DISTWORK_REGISTER_FUNCTION(functions::sum)
DISTWORK_REGISTER_FUNCTION(functions::name_of)
DISTWORK_REGISTER_FUNCTION(functions::c_name_of)
DISTWORK_REGISTER_FUNCTION(functions::taken)
DISTWORK_REGISTER_FUNCTION(functions::pointed)
DISTWORK_REGISTER_FUNCTION(functions::truncated)
DISTWORK_REGISTER_FUNCTION(functions::sizes<int, double>)
DISTWORK_REGISTER_FUNCTION_AS(functions_one, static_cast<int (*)(int)>(&functions::overloaded))

namespace functions {

/// Its name has a comma.
template <class A, class B>
class Pair : public distwork::RpcWork<double> {
public:
    Pair() = default;
    Pair(A a, B b) : a_{a}, b_{b} {}
    double execute_work(distwork::Context&) override { return static_cast<double>(a_) + static_cast<double>(b_); }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(a_, b_);
    }

private:
    A a_{};
    B b_{};
};

/// Abstract: of what class an object is, only the object knows.
class Named : public distwork::RpcWork<std::string> {
public:
    std::string returned;
    void execute_return(std::string value, distwork::Context&) override { returned = std::move(value); }
};
class Renamed : public Named {
public:
    std::string execute_work(distwork::Context&) override { return "renamed"; }
    void execute_return(std::string value, distwork::Context& peer) override {
        last_returned() = value;
        Named::execute_return(std::move(value), peer);
    }
    static std::string& last_returned() {
        static std::string last;
        return last;
    }
    template <class Archive>
    void serialize(Archive&) {}
};
class Forgotten : public Named {
public:
    std::string execute_work(distwork::Context&) override { return ""; }
    template <class Archive>
    void serialize(Archive&) {}
};

}  // namespace functions

DISTWORK_REGISTER_WORK(functions::Pair<int, double>)
DISTWORK_REGISTER_WORK_AS("a name of its own", functions::Renamed)

namespace functions {

TEST_CASE("a function may take its Context first", "[integration]") {
    Cluster<> cluster{1};
    run(cluster.io, [](auto& c) -> asio::awaitable<void> {
        const auto got1 = co_await c.master.template async_call<who_asks>("hello, ");
        CHECK(got1 == "hello, master");
    }(cluster));
}

TEST_CASE("a function's Context knows of timeouts and cancellation", "[integration]") {
    Cluster<> cluster{1, {.slots = 1}};
    saw_stop = 0;
    run(cluster.io, [](auto& c) -> asio::awaitable<void> {
        const auto options = distwork::SubmitOptions{}.execution_timeout(20ms);
        const auto error = co_await error_of(c.master.template async_call<until_stopped>(1, options));
        CHECK(error == distwork::Errc::execution_timeout);
    }(cluster));
    CHECK(run_until(cluster.io, [] { return saw_stop == 1; }));

    asio::cancellation_signal signal;
    std::exception_ptr ended;
    const auto handler = [&](std::exception_ptr error, int) { ended = std::move(error); };
    cluster.master.async_call<until_stopped>(2, asio::bind_cancellation_slot(signal.slot(), handler));
    CHECK(run_until(cluster.io, [&] {
        signal.emit(asio::cancellation_type::terminal);
        return ended != nullptr;
    }));
    CHECK(text_of(ended).find("cancelled") != std::string::npos);
}

TEST_CASE("a function may be a coroutine, and call its peer", "[integration]") {
    Cluster<> cluster{1};
    cluster.master.accept_work<distwork::FunctionWork<&who_asks>>();
    run(cluster.io, [](auto& c) -> asio::awaitable<void> {
        const auto got2 = co_await c.master.template async_call<later>(40, "ab");
        CHECK(got2 == 42);
        co_await c.master.template async_call<later_nothing>();
        const auto got3 = co_await c.master.template async_call<asks_back>();
        CHECK(got3);
        std::string text;
        try {
            co_await c.master.template async_call<later_thrown>(7);
        } catch (const distwork::RemoteError& error) {
            text = error.text();
        }
        CHECK(text == "beyond 7");
    }(cluster));
}

TEST_CASE("a thousand calls of a coroutine function wait at once without a thread", "[integration]") {
    Cluster<> cluster{1, {.slots = 1000, .work_executor = distwork::WorkExecutor::own_pool(1)}};
    int sum_of_all = 0;
    int ended = 0;
    for (int i = 0; i < 1000; ++i)
        cluster.master.async_call<later>(1, "", [&](const std::exception_ptr&, int value) {
            sum_of_all += value;
            ++ended;
        });
    CHECK(run_until(cluster.io, [&] { return ended == 1000; }));
    CHECK(sum_of_all == 1000);
}

TEST_CASE("what only refers to a value travels as that value", "[integration]") {
    Cluster<> cluster{1};
    run(cluster.io, [](auto& c) -> asio::awaitable<void> {
        auto& master = c.master;
        const std::string text = "three";
        const std::string_view view = text;
        const auto got4 = co_await master.template async_call<characters>(text);
        CHECK(got4 == 5);
        const auto got5 = co_await master.template async_call<characters>(view);
        CHECK(got5 == 5);
        const auto got6 = co_await master.template async_call<characters>("two");
        CHECK(got6 == 3);
        const auto got7 = co_await master.template async_call<wide_characters>(L"wide");
        CHECK(got7 == 4);
        const auto got8 = co_await master.template async_call<c_characters>("four");
        CHECK(got8 == 4);
        const auto got9 = co_await master.template async_call<c_characters>(text.c_str());
        CHECK(got9 == 5);
        const std::vector<int> numbers{1, 2, 3};
        const int array[] = {4, 5};
        const std::span<const int> span = numbers;
        const auto got10 = co_await master.template async_call<sum>(numbers);
        CHECK(got10 == 6);
        const auto got11 = co_await master.template async_call<sum>(array);
        CHECK(got11 == 9);
        const auto got12 = co_await master.template async_call<sum>(span);
        CHECK(got12 == 6);
        const auto got13 = co_await master.template async_call<sum>(std::vector<int>{});
        CHECK(got13 == 0);
        const auto got14 = co_await master.template async_call<name_of>(1);
        CHECK(got14 == "one");
        const auto got15 = co_await master.template async_call<c_name_of>(2);
        CHECK(got15 == "many");
        const char* const nothing = nullptr;
        CHECK_THROWS_AS(static_cast<void>(master.template async_call<c_characters>(nothing)), distwork::Error);
    }(cluster));
}

TEST_CASE("arguments convert as in a direct call", "[integration]") {
    Cluster<> cluster{1};
    run(cluster.io, [](auto& c) -> asio::awaitable<void> {
        auto& master = c.master;
        std::vector<int> numbers{1, 2};
        const auto got16 = co_await master.template async_call<taken>(std::move(numbers));
        CHECK(got16 == 2);
        const auto got17 = co_await master.template async_call<pointed>(std::make_unique<int>(7));
        CHECK(got17 == 7);
        const auto got18 = co_await master.template async_call<truncated>(3.9);
        CHECK(got18 == 3);
        const auto got19 = co_await master.template async_call<functions_one>('a');
        CHECK(got19 == 'a');
        const auto got20 = co_await master.template async_call<&sizes<int, double>>(1, 2);
        CHECK(got20 == 12);
    }(cluster));
}

TEST_CASE("a call of a function that is not registered says what to write", "[integration]") {
    asio::io_context io;
    distwork::Master master{io, 0};
    const auto text = [](auto call) {
        try {
            call();
        } catch (const distwork::Error& error) {
            CHECK(error.code() == distwork::Errc::unregistered_type);
            return std::string{error.what()};
        }
        return std::string{};
    };
    const std::string function = text([&] { static_cast<void>(master.async_call<unknown>(1)); });
    CHECK(function.find("DISTWORK_REGISTER_FUNCTION(functions::unknown)") != std::string::npos);
    CHECK(function.find("DISTWORK_REGISTER_WORK") == std::string::npos);
    const std::string work = text([&] { master.distribute_work(Forgotten{}); });
    CHECK(work.find("DISTWORK_REGISTER_WORK(functions::Forgotten)") != std::string::npos);
    const std::string behind_pointer =
        text([&] { static_cast<void>(master.async_call(std::unique_ptr<Named>{new Forgotten})); });
    CHECK(behind_pointer.find("DISTWORK_REGISTER_WORK(functions::Forgotten)") != std::string::npos);
}

TEST_CASE("a work whose name has a comma, or is given, is registered", "[integration]") {
    const auto* pair = distwork::detail::Registry::instance().find(typeid(Pair<int, double>));
    REQUIRE(pair);
    CHECK(pair->name == "functions::Pair<int, double>");
    const auto* renamed = distwork::detail::Registry::instance().find("a name of its own");
    REQUIRE(renamed);
    CHECK(*renamed->type == typeid(Renamed));
    Cluster<> cluster{1};
    run(cluster.io, [](auto& c) -> asio::awaitable<void> {
        const auto got21 = co_await c.master.async_call(Pair<int, double>{1, 2.5});
        CHECK(got21 == 3.5);
    }(cluster));
}

TEST_CASE("a work behind a pointer to a known class yields its value", "[integration]") {
    Cluster<> cluster{1};
    run(cluster.io, [](auto& c) -> asio::awaitable<void> {
        auto pair = std::make_unique<Pair<int, double>>(1, 2.0);
        const auto got22 = co_await c.master.async_call(std::move(pair));
        CHECK(got22 == 3.0);
        Renamed::last_returned().clear();
        std::unique_ptr<Named> named = std::make_unique<Renamed>();
        const std::string value = co_await c.master.async_call(std::move(named), distwork::SubmitOptions{});
        CHECK(value == "renamed");
        CHECK(Renamed::last_returned() == "renamed");
        std::unique_ptr<Named> broadcast = std::make_unique<Renamed>();
        const auto outcomes = co_await c.master.async_broadcast_work(std::move(broadcast));
        REQUIRE(outcomes.size() == 1);
        CHECK(outcomes.front().value() == "renamed");
        // Of this one nothing is known; execute_return is called all the same.
        Renamed::last_returned().clear();
        std::unique_ptr<distwork::IWork> erased = std::make_unique<Renamed>();
        co_await c.master.async_call(std::move(erased));
        CHECK(Renamed::last_returned() == "renamed");
        std::unique_ptr<Named> nothing;
        CHECK_THROWS_AS(static_cast<void>(c.master.async_call(std::move(nothing))), distwork::Error);
    }(cluster));
}

TEST_CASE("roles run on an execution context, works on any executor", "[integration]") {
    asio::io_context io;
    asio::thread_pool pool{2};
    {
        distwork::Master master{io, 0, distwork::LeastLoaded{}};
        distwork::Master<> other{pool, distwork::MasterOptions{}};
        master.start();
        const auto port = master.local_endpoint().port();
        distwork::SlaveOptions on_pool;
        on_pool.work_executor = pool.get_executor();
        distwork::SlaveOptions on_strand;
        on_strand.work_executor = asio::make_strand(pool);
        distwork::Slave slave{io, "127.0.0.1", port, on_pool};
        distwork::Slave list{pool, {{"127.0.0.1", port}}, on_strand};
        slave.start();
        list.start();
        run(io, [](auto& m) -> asio::awaitable<void> {
            co_await m.async_wait_for_slaves(2);
            for (int i = 0; i < 4; ++i) {
                const auto got = co_await m.template async_call<truncated>(i);
                CHECK(got == i);
            }
        }(master));
    }
    pool.stop();
    pool.join();
}

}  // namespace functions
