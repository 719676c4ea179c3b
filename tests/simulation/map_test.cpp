// Maps, in virtual time: elements that share works.

#include <algorithm>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <distwork/map.hpp>
#include <exception>
#include <functional>
#include <numeric>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "simulation/farm.hpp"

namespace map_test {

using namespace distwork;
using namespace std::chrono_literals;
using farm::code_of;
using farm::Farm;

/// How often each element was executed.
std::vector<int> executions;
std::vector<int> failures;  // of each element: how often it is still to throw

int thrice(int x) {
    const auto at = static_cast<std::size_t>(x);
    if (at < executions.size()) ++executions[at];
    if (at < failures.size() && failures[at] > 0) {
        --failures[at];
        throw std::invalid_argument{"element " + std::to_string(x)};
    }
    return 3 * x;
}
void count_one(int x) {
    ++executions[static_cast<std::size_t>(x)];
}
std::string repeated(std::size_t length) {
    return std::string(length, 'r');
}
std::size_t length_of(const std::string& text) {
    return text.size();
}

}  // namespace map_test

DISTWORK_REGISTER_FUNCTION(map_test::thrice)
DISTWORK_REGISTER_FUNCTION(map_test::count_one)
DISTWORK_REGISTER_FUNCTION(map_test::repeated)
DISTWORK_REGISTER_FUNCTION(map_test::length_of)

namespace map_test {

/// The values of a map.
template <auto F, class R, class Range>
std::vector<R> values_of(Farm& farm, Range&& range, SubmitOptions options = SubmitOptions{}) {
    return farm.value_of<std::vector<R>>(
        [&](auto handler) { async_map<F>(*farm.master, std::forward<Range>(range), options, handler); });
}

/// The outcomes of a map, as Program::map has them.
template <auto F, class Range>
std::vector<Outcome<int>> outcomes_of(Farm& farm, Range&& range, SubmitOptions options = SubmitOptions{}) {
    WorkGroup<int> group{*farm.master};
    detail::add_elements<F>(detail::PartsOf::core(group), detail::elements_of(std::forward<Range>(range)), options);
    group.close();
    auto all = farm.read_all(group);
    std::sort(all.begin(), all.end(), [](const auto& one, const auto& other) { return one.index < other.index; });
    return all;
}

void forget(std::size_t elements) {
    executions.assign(elements, 0);
    failures.clear();
}

bool each_was_executed_once() {
    return std::all_of(executions.begin(), executions.end(), [](int times) { return times == 1; });
}

std::string text_of(const std::exception_ptr& error) {
    try {
        if (error) std::rethrow_exception(error);
    } catch (const std::exception& failure) {
        return failure.what();
    }
    return {};
}

TEST_CASE("in simulation, a map completes with its values in order, and short elements share works") {
    Farm farm;
    farm.work_time = 2us;
    forget(20'000);
    const auto values = values_of<thrice, int>(farm, std::views::iota(0, 20'000));
    REQUIRE(values.size() == 20'000);
    for (int i = 0; i < 20'000; ++i) REQUIRE(values[static_cast<std::size_t>(i)] == 3 * i);
    CHECK(each_was_executed_once());
    CHECK(farm.master->statistics().attempts < 2000);
    farm.check_counts();
}

TEST_CASE("in simulation, a map may return nothing, have no elements, and take a generator") {
    Farm farm;
    forget(1000);
    int completed = 0;
    async_map<count_one>(*farm.master, std::views::iota(0, 1000), [&](const std::exception_ptr& error) {
        CHECK_FALSE(error);
        ++completed;
    });
    async_map<count_one>(*farm.master, std::vector<int>{}, [&](const std::exception_ptr&) { ++completed; });
    REQUIRE(farm.run_until([&] { return completed == 2; }));
    CHECK(each_was_executed_once());
    int made = 0;
    const auto values = values_of<thrice, int>(
        farm, [&]() -> std::optional<int> { return made == 7 ? std::nullopt : std::optional{made++}; });
    CHECK(values == std::vector{0, 3, 6, 9, 12, 15, 18});
}

TEST_CASE("in simulation, long elements travel alone, and keep all slots busy to the end") {
    Farm farm{4, 1};
    farm.work_time = 100ms;
    forget(400);
    const auto begun = farm.now();
    CHECK(values_of<thrice, int>(farm, std::views::iota(0, 400)).size() == 400);
    CHECK(farm.now() - begun < 10'600ms);
    CHECK(farm.master->statistics().attempts == 400);
}

TEST_CASE("in simulation, a work whose elements turn out long is cut short, and the others go elsewhere") {
    Farm farm{4, 1};
    int drawn = 0;
    // After 20,000 elements of a microsecond there are 100 of 100 ms, which nobody could know.
    farm.draw = [&]() -> sim::Duration { return ++drawn <= 20'000 ? 1us : 100ms; };
    forget(20'100);
    const auto begun = farm.now();
    CHECK(values_of<thrice, int>(farm, std::views::iota(0, 20'100)).size() == 20'100);
    CHECK(each_was_executed_once());
    CHECK(farm.now() - begun < 3'500ms);  // 2.5 s if all slots are busy to the end; 10 s one after the other
}

TEST_CASE("in simulation, exceptions are those of each element") {
    Farm farm;
    farm.work_time = 2us;
    forget(5000);
    failures.assign(5000, 0);
    failures[100] = failures[4321] = 1;
    const auto all = outcomes_of<thrice>(farm, std::views::iota(0, 5000));
    REQUIRE(all.size() == 5000);
    for (std::size_t i = 0; i < all.size(); ++i) {
        REQUIRE(all[i].index == i);
        REQUIRE(bool{all[i]} == (i != 100 && i != 4321));
        REQUIRE(all[i].attempt == 1);
        REQUIRE_FALSE(all[i].slave.empty());
        REQUIRE(all[i].socket != 0);
    }
    CHECK(text_of(all[4321].error).find("element 4321") != std::string::npos);
    CHECK(all[7].executed == 2us);
    CHECK(each_was_executed_once());

    failures[1234] = 1;
    CHECK_THROWS_AS((values_of<thrice, int>(farm, std::views::iota(0, 5000))), RemoteError);
    farm.check_counts();
}

TEST_CASE("in simulation, an element that throws is retried alone") {
    Farm farm;
    farm.work_time = 2us;
    forget(5000);
    failures.assign(5000, 0);
    failures[3000] = 2;
    failures[3001] = 9;
    const auto all =
        outcomes_of<thrice>(farm, std::views::iota(0, 5000), SubmitOptions{}.retry_on_error(RetryPolicy{3, 1ms}));
    CHECK(all[3000].value() == 9000);
    CHECK(all[3000].attempt == 3);
    CHECK_FALSE(all[3001]);
    CHECK(all[3001].attempt == 4);
    CHECK(executions[3000] == 3);
    CHECK(executions[3001] == 4);
    CHECK(std::accumulate(executions.begin(), executions.end(), 0) == 5000 + 2 + 3);
}

TEST_CASE("in simulation, after a loss only elements without an outcome go again, one by one") {
    Farm farm{2, 1};
    farm.work_time = 100us;
    forget(40'000);
    std::vector<Outcome<int>> all;
    WorkGroup<int> group{*farm.master};
    detail::add_elements<thrice>(detail::PartsOf::core(group), detail::elements_of(std::views::iota(0, 40'000)), {});
    group.close();
    farm.run(1s);
    farm.hosts[0]->crash();
    all = farm.read_all(group);
    REQUIRE(all.size() == 40'000);
    CHECK(std::all_of(all.begin(), all.end(), [](const auto& outcome) { return !outcome.error; }));
    const auto again = std::count_if(all.begin(), all.end(), [](const auto& outcome) { return outcome.attempt == 2; });
    CHECK(again > 0);
    CHECK(again < 100);  // of the work that had begun; those that waited behind it cost no attempt
    const auto twice = std::count(executions.begin(), executions.end(), 2);
    CHECK(twice < 100);
    CHECK(twice + std::count(executions.begin(), executions.end(), 1) == 40'000);
    farm.check_counts();
}

TEST_CASE("in simulation, elements that may be executed once, or have a time limit, travel alone") {
    Farm farm;
    farm.work_time = 2us;
    const auto options = GENERATE(as<SubmitOptions>{}, SubmitOptions{}.max_attempts(1), SubmitOptions{}.deadline(1h),
                                  SubmitOptions{}.execution_timeout(1h), SubmitOptions{}.queue_timeout(1h));
    forget(1000);
    values_of<thrice, int>(farm, std::views::iota(0, 1000), options);
    CHECK(farm.master->statistics().attempts == 1000);
}

TEST_CASE("in simulation, an execution_timeout is that of one element") {
    Farm farm{1, 1};
    int drawn = 0;
    farm.draw = [&]() -> sim::Duration { return ++drawn == 51 ? 10s : 2us; };
    forget(100);
    const auto all =
        outcomes_of<thrice>(farm, std::views::iota(0, 100), SubmitOptions{}.execution_timeout(std::chrono::seconds{1}));
    CHECK(code_of(all[50].error) == Errc::execution_timeout);
    CHECK(std::count_if(all.begin(), all.end(), [](const auto& outcome) { return !outcome.error; }) == 99);
}

TEST_CASE("in simulation, a map that is cancelled ends at once, at the slaves too") {
    Farm farm{1, 1};
    farm.work_time = 100us;
    forget(100'000);
    asio::cancellation_signal signal;
    std::exception_ptr failure;
    async_map<thrice>(
        *farm.master, std::views::iota(0, 100'000),
        asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr error, std::vector<int> values) {
            failure = std::move(error);
            CHECK(values.empty());
        }));
    farm.run(500ms);
    signal.emit(asio::cancellation_type::terminal);
    farm.run(1ms);
    CHECK(code_of(failure) == Errc::cancelled);
    const auto executed = std::accumulate(executions.begin(), executions.end(), 0);
    farm.run(1s);
    CHECK(std::accumulate(executions.begin(), executions.end(), 0) <= executed + 100);
    farm.check_counts();
    CHECK(farm.master->sockets().front().in_flight == 0);
}

TEST_CASE("in simulation, what the range of a map throws ends it") {
    Farm farm;
    farm.work_time = 2us;
    auto bad = std::views::iota(0, 5000) | std::views::transform([](int i) {
                   if (i == 3333) throw std::domain_error{"range"};
                   return i;
               });
    forget(5000);
    CHECK_THROWS_AS((values_of<thrice, int>(farm, bad)), std::domain_error);
    farm.check_counts();
    WorkGroup<int> group{*farm.master};
    forget(5000);
    detail::add_elements<thrice>(detail::PartsOf::core(group), detail::elements_of(bad), {});
    group.close();
    std::size_t outcomes = 0;
    bool is_over = false;
    std::exception_ptr failure;
    std::function<void()> next = [&] {
        group.async_next([&](const std::exception_ptr& error, const std::optional<Outcome<int>>& outcome) {
            if (error) failure = error;
            if (outcome) ++outcomes;
            is_over = !error && !outcome;
            if (!is_over) next();
        });
    };
    next();
    REQUIRE(farm.run_until([&] { return is_over; }));
    CHECK(outcomes == 3333);  // what came before it
    CHECK_THROWS_AS(std::rethrow_exception(failure), std::domain_error);
}

TEST_CASE("in simulation, large elements and large values do not share too much") {
    Farm farm{2, 1};
    farm.work_time = 1us;
    std::vector<std::size_t> lengths(300, 40'000);
    for (std::size_t i = 0; i < lengths.size(); i += 10) lengths[i] = 3'000'000;
    const auto texts = values_of<repeated, std::string>(farm, lengths);
    REQUIRE(texts.size() == lengths.size());
    for (std::size_t i = 0; i < texts.size(); ++i) REQUIRE(texts[i].size() == lengths[i]);
    const auto back = values_of<length_of, std::size_t>(farm, texts);
    CHECK(back == lengths);
}

TEST_CASE("in simulation, a value that is too large fails its element only") {
    MasterOptions options;
    options.link.max_frame_bytes = 64 * 1024;
    Farm farm{2, 1, options};
    farm.work_time = 1us;
    std::vector<std::size_t> lengths(300, 10);
    for (std::size_t i = 0; i < 100; ++i) lengths[100 + i] = 30'000;
    lengths[150] = 70'000;
    WorkGroup<std::string> group{*farm.master};
    detail::add_elements<repeated>(detail::PartsOf::core(group), detail::elements_of(lengths), {});
    group.close();
    for (const auto& outcome : farm.read_all(group)) {
        CAPTURE(outcome.index);
        if (outcome.index == 150) CHECK(code_of(outcome.error) == Errc::too_large);
        else REQUIRE(outcome.value().size() == lengths[outcome.index]);
    }
}

TEST_CASE("in simulation, a map holds little of what it was given") {
    Farm farm;
    farm.work_time = 1us;
    int made = 0;
    std::size_t most = 0;
    forget(0);
    WorkGroup<int> group{*farm.master};
    detail::add_elements<thrice>(detail::PartsOf::core(group), detail::elements_of([&]() -> std::optional<int> {
                                     return made == 1'000'000 ? std::nullopt : std::optional{made++};
                                 }),
                                 {});
    group.close();
    std::size_t read = 0;
    bool is_over = false;
    std::function<void()> next = [&] {
        group.async_next([&](const std::exception_ptr&, const std::optional<Outcome<int>>& outcome) {
            most = std::max(most, static_cast<std::size_t>(made) - read);
            is_over = !outcome;
            if (is_over) return;
            ++read;
            next();
        });
    };
    next();
    REQUIRE(farm.run_until([&] { return is_over; }));
    CHECK(read == 1'000'000);
    CHECK(most < 200'000);
}

TEST_CASE("in simulation, the master's end ends a map") {
    Farm farm{1, 1};
    farm.work_time = 1ms;
    forget(10'000);
    std::exception_ptr failure;
    async_map<thrice>(*farm.master, std::views::iota(0, 10'000),
                      [&](std::exception_ptr error, const std::vector<int>&) { failure = std::move(error); });
    farm.run(100ms);
    bool stopped = false;
    farm.master->async_stop(0ms, [&](const std::exception_ptr&) { stopped = true; });
    REQUIRE(farm.run_until([&] { return stopped && failure; }));
    CHECK(code_of(failure) == Errc::stopped);
}

}  // namespace map_test

namespace map_test {

TEST_CASE("in simulation, elements that go again come before those that never went") {
    Farm farm{2, 1};
    farm.work_time = 2us;
    forget(0);
    failures.assign(100'000, 0);
    failures[500] = 1;
    WorkGroup<int> group{*farm.master};
    detail::add_elements<thrice>(detail::PartsOf::core(group), detail::elements_of(std::views::iota(0, 100'000)),
                                 SubmitOptions{}.retry_on_error(RetryPolicy{3, 1ms}));
    group.close();
    const auto all = farm.read_all(group);  // in the order in which they ended
    REQUIRE(all.size() == 100'000);
    const auto at = std::find_if(all.begin(), all.end(), [](const auto& outcome) { return outcome.index == 500; });
    CHECK(at->value() == 1500);
    CHECK(at - all.begin() < 40'000);
}

}  // namespace map_test
