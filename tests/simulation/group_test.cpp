// Groups of works, in virtual time.

#include <algorithm>
#include <array>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <distwork/sim/simulation.hpp>
#include <distwork/work_group.hpp>
#include <exception>
#include <memory>
#include <numeric>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "simulation/farm.hpp"
#include "support/catch.hpp"

using namespace distwork;
using namespace std::chrono_literals;

namespace group_test {

int twice(int x) {
    if (x < 0) throw std::invalid_argument{"negative"};
    return 2 * x;
}
int sum_of(int x, int y) {
    return x + y;
}
void nothing() {}

/// Counts its objects in this process: at the master and at the slaves.
class Counted : public RpcWork<int> {
public:
    static inline std::size_t alive = 0;
    static inline std::size_t most = 0;

    Counted() { count(); }
    explicit Counted(int x) : x_{x} { count(); }
    Counted(Counted&& other) noexcept : x_{other.x_} { count(); }
    Counted& operator=(Counted&&) = default;
    ~Counted() override { --alive; }
    int execute_work(Context&) override { return x_; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(x_);
    }

private:
    static void count() noexcept { most = std::max(most, ++alive); }
    int x_ = 0;
};

}  // namespace group_test

DISTWORK_REGISTER_FUNCTION(group_test::twice)
DISTWORK_REGISTER_FUNCTION(group_test::sum_of)
DISTWORK_REGISTER_FUNCTION(group_test::nothing)
DISTWORK_REGISTER_WORK(group_test::Counted)

namespace group_test {

using farm::code_of;
using farm::Farm;

TEST_CASE("in simulation, a group completes with its values in the order of addition") {
    Farm farm;
    WorkGroup<int> group{*farm.master};
    group.add_all<twice>(std::views::iota(0, 5000));
    const auto values = farm.value_of<std::vector<int>>([&](auto handler) { group.async_all(handler); });
    REQUIRE(values.size() == 5000);
    for (int i = 0; i < 5000; ++i) REQUIRE(values[static_cast<std::size_t>(i)] == 2 * i);
    farm.check_counts();
    CHECK(farm.master->statistics().succeeded < 5000);  // they are short, so several travel as one work
}

TEST_CASE("in simulation, outcomes tell the slave, the attempts and the times") {
    Farm farm{1, 1};
    farm.work_time = 1s;
    WorkGroup<int> group{*farm.master};
    group.add_all<sum_of>(std::array{std::pair{1, 2}, std::pair{3, 4}});
    group.close();
    const auto all = farm.read_all(group);
    REQUIRE(all.size() == 2);
    CHECK(all[0].index == 0);
    CHECK(all[0].value() == 3);
    CHECK(all[1].value() == 7);
    for (const auto& outcome : all) {
        CHECK(outcome.slave == "slave 0");
        CHECK(outcome.socket == farm.master->sockets().front().id);
        CHECK(outcome.attempt == 1);
        CHECK(outcome.executed >= 1s);
    }
    CHECK(all[0].waited < 1s);
    CHECK(all[1].waited >= 1s);
}

TEST_CASE("in simulation, a group of a million works never holds more than the slaves ask for") {
    Farm farm;
    WorkGroup<int> group{*farm.master};
    Counted::most = Counted::alive;
    const std::size_t before = Counted::alive;
    int made = 0;
    group.add_all([&made]() -> std::optional<Counted> {
        if (made == 100'000) return std::nullopt;
        return Counted{made++};
    });
    const auto sum = farm.value_of<std::int64_t>([&](auto handler) {
        group.async_reduce(
            std::int64_t{0}, [](std::int64_t all, int value) { return all + value; }, handler);
    });
    CHECK(sum == std::int64_t{100'000} * 99'999 / 2);
    CHECK(Counted::most - before < 20'000);
    CHECK(Counted::alive == before);
}

TEST_CASE("in simulation, outcomes that nobody reads hold up the elements of ranges") {
    Farm farm;
    WorkGroup<int> group{*farm.master};
    int made = 0;
    group.add_all<twice>(
        [&made]() -> std::optional<int> { return made == 400'000 ? std::nullopt : std::optional{made++}; });
    farm.run(10s);
    const int held = made;
    CHECK(held < 150'000);
    farm.run(10s);
    CHECK(made == held);
    group.close();
    CHECK(farm.read_all(group).size() == 400'000);
}

TEST_CASE("in simulation, works that are added one by one do not wait for those who read") {
    Farm farm;
    WorkGroup<int> group{*farm.master};
    std::size_t added = 0;
    std::function<void()> add = [&] {
        if (added == 30'000) return group.close();
        group.async_add<twice>(static_cast<int>(added), [&](const std::exception_ptr& error, std::size_t index) {
            REQUIRE_FALSE(error);
            REQUIRE(index == added);
            ++added;
            add();
        });
    };
    add();
    REQUIRE(farm.run_until([&] { return added == 30'000; }));
    CHECK(farm.read_all(group).size() == 30'000);
}

TEST_CASE("in simulation, a group refuses more than max_unread") {
    Farm farm;
    WorkGroup<int> group{*farm.master, {.max_unread = 10}};
    std::size_t refused = 0;
    std::size_t completed = 0;
    for (int i = 0; i < 15; ++i)
        group.async_add<twice>(i, [&](const std::exception_ptr& error, std::size_t) {
            ++completed;
            if (!error) return;
            ++refused;
            CHECK_THROWS_AS(std::rethrow_exception(error), Error);
        });
    REQUIRE(farm.run_until([&] { return completed == 15; }));
    CHECK(refused == 5);
    group.close();
    CHECK(farm.read_all(group).size() == 10);
}

TEST_CASE("in simulation, the first error of a group cancels the rest") {
    Farm farm;
    farm.work_time = 10ms;
    WorkGroup<int> group{*farm.master};
    group.add_all<twice>(std::views::iota(-1, 100'000));
    CHECK_THROWS_AS(farm.value_of<std::vector<int>>([&](auto handler) { group.async_all(handler); }), RemoteError);
    farm.check_counts();
    const Statistics all = farm.master->statistics();
    CHECK(all.failed == 1);
    CHECK(all.cancelled > 0);
    CHECK(all.admitted < 1000);
}

TEST_CASE("in simulation, a group may collect every outcome") {
    Farm farm;
    WorkGroup<int> group{*farm.master};
    group.add_all<twice>(std::vector<int>{1, -2, 3});
    const auto all = farm.value_of<std::vector<Outcome<int>>>([&](auto handler) { group.async_all_outcomes(handler); });
    REQUIRE(all.size() == 3);
    CHECK(all[0].value() == 2);
    CHECK_THROWS_AS(all[1].value(), RemoteError);
    CHECK_FALSE(all[1]);
    CHECK(all[2].value() == 6);
}

TEST_CASE("in simulation, a group that is destroyed cancels its works, at the slaves too") {
    Farm farm{1, 1};
    farm.work_time = 1s;
    bool cancelled = false;
    {
        WorkGroup<int> group{*farm.master};
        group.add_all<twice>(std::views::iota(0, 1000));
        group.async_next([&](const std::exception_ptr& error, const std::optional<Outcome<int>>&) {
            cancelled = code_of(error) == Errc::cancelled;
        });
        farm.run(100ms);
        CHECK(farm.master->sockets().front().in_flight == 1);
    }
    REQUIRE(farm.run_until([&] { return cancelled; }));
    farm.check_counts();
    REQUIRE(farm.run_until([&] { return farm.master->sockets().front().in_flight == 0; }));
    CHECK(farm.master->statistics().attempts < 20);
    CHECK(farm.master->statistics().succeeded == 0);
}

TEST_CASE("in simulation, what a range throws ends it, and reaches the reader") {
    Farm farm;
    WorkGroup<int> group{*farm.master};
    auto bad = std::views::iota(0, 100) | std::views::transform([](int i) {
                   if (i == 50) throw std::domain_error{"fifty"};
                   return i;
               });
    group.add_all<twice>(bad);
    CHECK_THROWS_AS(farm.value_of<std::vector<int>>([&](auto handler) { group.async_all(handler); }),
                    std::domain_error);
    farm.check_counts();
}

TEST_CASE("in simulation, a slave that connects later gets works of a group at once") {
    Farm farm{1, 1};
    farm.work_time = 1s;
    WorkGroup<int> group{*farm.master};
    group.add_all<twice>(std::views::iota(0, 200));
    group.close();
    farm.run(500ms);
    farm.add_slave(100);
    REQUIRE(farm.run_until([&] { return farm.master->connected_slave_count() == 2; }, 1s));
    farm.run(100ms);
    CHECK(farm.master->sockets().back().in_flight == 100);
    CHECK(farm.read_all(group).size() == 200);
}

TEST_CASE("in simulation, a reader that is cancelled leaves the outcome in the group") {
    Farm farm;
    WorkGroup<int> group{*farm.master};
    asio::cancellation_signal signal;
    std::exception_ptr failure;
    group.async_next(asio::bind_cancellation_slot(
        signal.slot(), [&](std::exception_ptr error, const std::optional<Outcome<int>>&) { failure = error; }));
    farm.run(1ms);
    signal.emit(asio::cancellation_type::all);
    REQUIRE(farm.run_until([&] { return failure != nullptr; }));
    CHECK(code_of(failure) == Errc::cancelled);
    group.add_all<twice>(std::vector{4});
    group.close();
    CHECK(farm.read_all(group).size() == 1);
}

TEST_CASE("in simulation, an addition that waits for room may be cancelled") {
    Farm farm{0};
    WorkGroup<int> group{*farm.master};
    std::size_t added = 0;
    for (int i = 0; i < 8; ++i)
        group.async_add<twice>(i, [&](const std::exception_ptr& error, std::size_t) { added += !error; });
    asio::cancellation_signal signal;
    std::exception_ptr failure;
    group.async_add<twice>(8, asio::bind_cancellation_slot(
                                  signal.slot(), [&](std::exception_ptr error, std::size_t) { failure = error; }));
    farm.run(1s);
    CHECK(added == 8);
    CHECK_FALSE(failure);
    signal.emit(asio::cancellation_type::all);
    REQUIRE(farm.run_until([&] { return failure != nullptr; }));
    CHECK(code_of(failure) == Errc::cancelled);
    farm.add_slave(1);
    group.close();
    CHECK(farm.read_all(group).size() == 8);
}

TEST_CASE("in simulation, a group outlives the loss of slaves, and of its master") {
    Farm farm{2, 2};
    farm.work_time = 100ms;
    WorkGroup<int> group{*farm.master};
    group.add_all<twice>(std::views::iota(0, 100));
    group.close();
    farm.run(1s);
    farm.hosts[0]->crash();
    const auto all = farm.read_all(group);
    CHECK(all.size() == 100);
    CHECK(std::all_of(all.begin(), all.end(), [](const auto& outcome) { return !outcome.error; }));
    CHECK(std::any_of(all.begin(), all.end(), [](const auto& outcome) { return outcome.attempt > 1; }));

    WorkGroup<void> other{*farm.master};
    other.add_all<nothing>(std::views::iota(0, 10) | std::views::transform([](int) { return std::tuple{}; }));
    bool done = false;
    other.async_all([&](const std::exception_ptr& error) { done = !error; });
    REQUIRE(farm.run_until([&] { return done; }));
}

TEST_CASE("in simulation, a closed group takes nothing, and an empty one ends") {
    Farm farm;
    WorkGroup<int> group{*farm.master};
    group.close();
    CHECK_THROWS_AS(group.add_all<twice>(std::vector{1}), Error);
    std::exception_ptr failure;
    group.async_add<twice>(1, [&](std::exception_ptr error, std::size_t) { failure = error; });
    REQUIRE(farm.run_until([&] { return failure != nullptr; }));
    CHECK(code_of(failure) == Errc::stopped);
    CHECK(farm.read_all(group).empty());
    CHECK(farm.value_of<std::vector<int>>([&](auto handler) { group.async_all(handler); }).empty());
}

}  // namespace group_test

namespace group_test {

/// Reports how far it is, three times, a quarter each.
int reporting(Context& peer, int x) {
    peer.progress(0.5, "half of " + std::to_string(x));
    peer.progress(0.75, "dropped: too soon");
    return x;
}

}  // namespace group_test

DISTWORK_REGISTER_FUNCTION(group_test::reporting)

namespace group_test {

TEST_CASE("in simulation, a master knows what its groups still hold") {
    Farm farm{2, 1};
    farm.work_time = 1s;
    CHECK(farm.master->groups().empty());
    {
        std::vector<int> numbers(10'000);
        WorkGroup<int> group{*farm.master};
        WorkGroup<int> open{*farm.master};
        group.add_all<twice>(numbers);
        group.close();
        farm.run(2500ms);
        auto groups = farm.master->groups();
        REQUIRE(groups.size() == 2);
        CHECK(groups[0].total == 10'000);
        CHECK(groups[0].done == 4);
        CHECK(groups[0].rest() + groups[0].done + groups[0].running + groups[0].waiting == 10'000);
        CHECK(groups[0].rest() > 9'000);
        CHECK_FALSE(groups[0].may_grow);
        CHECK(groups[1].total == 0);
        CHECK(groups[1].may_grow);
        open.close();
        CHECK(farm.master->groups().size() == 1);  // the other one has ended
    }
    farm.run(5s);
    CHECK(farm.master->groups().empty());
    for (int i = 0; i < 1000; ++i) WorkGroup<int>{*farm.master}.close();
    CHECK(farm.master->groups().empty());
}

TEST_CASE("in simulation, a group knows how far it is") {
    Farm farm{2, 1};
    farm.work_time = 1s;
    WorkGroup<int> group{*farm.master};
    CHECK(group.progress().total == 0);
    CHECK(group.progress().may_grow);
    CHECK_FALSE(group.progress().remaining());
    group.add_all<twice>(std::vector{1, -2, 3, 4, 5, 6, 7, 8, 9, 10});
    farm.run(2500ms);
    GroupProgress now = group.progress();
    CHECK(now.total == 10);
    CHECK(now.may_grow);
    group.close();
    now = group.progress();
    CHECK_FALSE(now.may_grow);
    CHECK(now.done == 4);
    CHECK(now.failed == 1);
    CHECK(now.running == 2);
    CHECK(now.waiting == 4);
    CHECK(now.rate() > 1.5);
    CHECK(now.rate() < 2.1);
    REQUIRE(now.remaining());
    CHECK(*now.remaining() > 2500ms);
    CHECK(*now.remaining() < 4500ms);
    CHECK(farm.read_all(group).size() == 10);
    now = group.progress();
    CHECK(now.done == 10);
    CHECK(now.total == 10);
    CHECK(now.running + now.waiting == 0);
}

TEST_CASE("in simulation, a running work reports its progress to its group, not more than ten times a second") {
    Farm farm{1, 1};
    WorkGroup<int> group{*farm.master};
    farm.draw = [drawn = 0]() mutable -> sim::Duration { return ++drawn == 1 ? 1ms : 10s; };
    group.async_add<reporting>(1, [](const std::exception_ptr&, std::size_t) {});
    REQUIRE(farm.run_until([&] { return group.progress().done == 1; }));
    CHECK(group.progress().text == "half of 1");
    CHECK(group.progress().reported == 0);
}

TEST_CASE("in simulation, a generator's group may grow until it has ended") {
    Farm farm{1, 1};
    WorkGroup<int> group{*farm.master};
    int made = 0;
    group.add_all<twice>([&made]() -> std::optional<int> { return made == 50 ? std::nullopt : std::optional{made++}; });
    group.close();
    CHECK(group.progress().may_grow);
    CHECK(farm.read_all(group).size() == 50);
    CHECK_FALSE(group.progress().may_grow);
    CHECK(group.progress().total == 50);
}

}  // namespace group_test
