// Groups with a journal, in virtual time: their store is slow, fails, or has some of the values.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <distwork.hpp>
#include <distwork/groups/value_store.hpp>
#include <distwork/work_group.hpp>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "simulation/farm.hpp"

namespace store_test {

using namespace distwork;
using namespace std::chrono_literals;
using farm::code_of;
using farm::Farm;

std::vector<int> executions;  // of each element

int half(int x) {
    const auto at = static_cast<std::size_t>(x);
    if (at < executions.size()) ++executions[at];
    if (x < 0) throw std::invalid_argument{"negative"};
    return x / 2;
}
std::vector<char> block(std::size_t size) {
    return std::vector<char>(size);
}

}  // namespace store_test

DISTWORK_REGISTER_FUNCTION(store_test::half)
DISTWORK_REGISTER_FUNCTION(store_test::block)

namespace store_test {

namespace {

/// Has values in memory. It takes what has come every `time`.
class FakeStore final : public detail::ValueStore {
public:
    explicit FakeStore(Farm& farm) : farm_{farm} {}

    void find(std::unique_ptr<Request> request) noexcept override { add(std::move(request), false); }
    void keep(std::unique_ptr<Request> request) noexcept override { add(std::move(request), true); }
    void finish() noexcept override {
        while (!requests_.empty()) handle();
    }
    const detail::SipHash::Key& hash_key() const noexcept override { return hash_key_; }

    /// The program is run again.
    void begin_anew() { seen_.clear(); }

    sim::Duration time{1ms};
    bool fails_to_find = false;
    bool fails_to_keep = false;
    std::map<std::pair<detail::SipHash::Digest, std::uint32_t>, detail::ByteBuffer> values;

    std::size_t elements = 0;  // with the store
    std::size_t most_elements = 0;
    std::size_t bytes = 0;
    std::size_t most_bytes = 0;

private:
    void add(std::unique_ptr<Request> request, bool is_to_keep) {
        elements += request->values.size();
        bytes += request->bytes();
        most_elements = std::max(most_elements, elements);
        most_bytes = std::max(most_bytes, bytes);
        requests_.emplace_back(std::move(request), is_to_keep);
        if (requests_.size() == 1) wait();
    }
    void wait() {
        farm_.after(time, [this] {
            for (std::size_t i = requests_.size(); i != 0 && !requests_.empty(); --i) handle();
            if (!requests_.empty()) wait();
        });
    }
    void handle() {
        auto [request, is_to_keep] = std::move(requests_.front());
        requests_.pop_front();
        elements -= request->values.size();
        bytes -= request->bytes();
        std::exception_ptr error;
        if (is_to_keep ? fails_to_keep : fails_to_find)
            error = std::make_exception_ptr(Error{Errc::journal_failed, "a disk"});
        if (!error)
            for (auto& value : request->values) is_to_keep ? put(value) : get(value);
        request->done(error);
    }
    void put(const detail::StoredValue& value) {
        auto& kept = values[{value.id.hash, value.id.occurrence}];
        kept.clear();
        kept.append(value.bytes.view().data(), value.bytes.size());
    }
    void get(detail::StoredValue& value) {
        if (!value.id.has_key) value.id.occurrence = seen_[value.id.hash]++;
        const auto found = values.find({value.id.hash, value.id.occurrence});
        value.is_kept = found != values.end();
        if (value.is_kept) value.bytes.append(found->second.view().data(), found->second.size());
    }

    Farm& farm_;
    const detail::SipHash::Key hash_key_{1, 2};
    std::map<detail::SipHash::Digest, std::uint32_t> seen_;
    std::deque<std::pair<std::unique_ptr<Request>, bool>> requests_;
};

struct Stage {
    explicit Stage(std::size_t slaves = 3, std::size_t slots = 2) : farm{slaves, slots} {}

    WorkGroup<int> group() { return WorkGroup<int>{*farm.master, options()}; }
    GroupOptions options() {
        GroupOptions all;
        all.journal = store;
        return all;
    }
    /// The outcomes of a group over 0 to `count`, each of which must come once.
    std::vector<Outcome<int>> sweep(int count) {
        executions.assign(static_cast<std::size_t>(count), 0);
        store->begin_anew();
        auto all = group();
        all.add_all<half>(std::views::iota(0, count));
        all.close();
        auto outcomes = farm.read_all(all);
        CHECK(store->elements == 0);
        check_numbers(outcomes, static_cast<std::size_t>(count));
        return outcomes;
    }
    static void check_numbers(const std::vector<Outcome<int>>& outcomes, std::size_t count) {
        std::vector<int> seen(count);
        for (const auto& outcome : outcomes) {
            REQUIRE(outcome.index < count);
            ++seen[outcome.index];
            if (!outcome.error) REQUIRE(outcome.result == static_cast<int>(outcome.index) / 2);
        }
        CHECK(std::all_of(seen.begin(), seen.end(), [](int times) { return times == 1; }));
    }
    /// Reads until the first error.
    std::error_code first_error(WorkGroup<int>& of) {
        std::error_code code;
        bool is_over = false;
        std::function<void()> next = [&] {
            of.async_next([&](const std::exception_ptr& error, const std::optional<Outcome<int>>& outcome) {
                code = code_of(error);
                is_over = error || !outcome;
                if (!is_over) next();
            });
        };
        next();
        REQUIRE(farm.run_until([&] { return is_over; }));
        return code;
    }

    Farm farm;
    std::shared_ptr<FakeStore> store = std::make_shared<FakeStore>(farm);
};

std::size_t kept_of(const std::vector<Outcome<int>>& all) {
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](const auto& one) { return one.is_kept; }));
}
int executed() {
    int all = 0;
    for (const int times : executions) all += times;
    return all;
}

}  // namespace

TEST_CASE("in simulation, a group executes what its store has not, and has each outcome once") {
    Stage stage;
    CHECK(kept_of(stage.sweep(5000)) == 0);
    CHECK(executed() == 5000);
    CHECK(kept_of(stage.sweep(5000)) == 5000);
    CHECK(executed() == 0);
    for (auto at = stage.store->values.begin(); at != stage.store->values.end(); ++at)
        at = stage.store->values.erase(at);
    CHECK(kept_of(stage.sweep(5000)) == 2500);
    CHECK(executed() == 2500);
    stage.farm.check_counts();
}

TEST_CASE("in simulation, a value in the store that does not decode is computed again") {
    Stage stage;
    stage.sweep(10);
    for (auto& [id, value] : stage.store->values) value.truncate(1);
    CHECK(kept_of(stage.sweep(10)) == 0);
    CHECK(kept_of(stage.sweep(10)) == 10);
}

TEST_CASE("in simulation, the end of a group waits for its store") {
    Stage stage;
    stage.store->time = 10s;
    auto group = stage.group();
    group.async_add<half>(4, [](const std::exception_ptr&, std::size_t) {});
    group.close();
    bool has_ended = false;
    std::size_t read = 0;
    std::function<void()> next = [&] {
        group.async_next([&](const std::exception_ptr&, const std::optional<Outcome<int>>& outcome) {
            if (!outcome) return void(has_ended = true);
            ++read;
            next();
        });
    };
    next();
    stage.farm.run(9s);  // it is looked for
    CHECK_FALSE(has_ended);
    CHECK(stage.farm.master->statistics().admitted == 0);
    stage.farm.run(10s);  // its value is being kept
    CHECK(stage.farm.master->statistics().succeeded == 1);
    CHECK(read == 0);
    CHECK_FALSE(has_ended);
    stage.farm.run(2s);
    CHECK(read == 1);
    CHECK(has_ended);
}

TEST_CASE("in simulation, what waits for a slow store is bounded") {
    Stage stage;
    stage.store->time = 100ms;
    std::size_t made = 0;
    auto group = stage.group();
    group.add_all<half>([&made]() -> std::optional<int> { return static_cast<int>(made++); });
    stage.farm.run(2s);
    CHECK(stage.store->most_elements < 100'000);
    CHECK(made < 200'000);
    const std::size_t before = made;
    std::size_t read = 0;
    std::function<void()> next = [&] {
        group.async_next([&](const std::exception_ptr& error, const std::optional<Outcome<int>>&) {
            if (error) return;
            ++read;
            next();
        });
    };
    next();
    stage.farm.run(2s);
    CHECK(made > before);
    CHECK(read > 1000);
    CHECK(made - read < 200'000);
    group.cancel();
}

// Works that were submitted, 4,096 at most beside those in flight, are executed; no others while 16 MiB wait.
TEST_CASE("in simulation, the values that wait for a slow store are bounded in bytes") {
    Stage stage;
    stage.store->time = 1s;
    stage.farm.work_time = 3ms;
    WorkGroup<std::vector<char>> group{*stage.farm.master, stage.options()};
    group.add_all<block>(std::views::iota(0, 16'000) | std::views::transform([](int) { return std::size_t{30'000}; }));
    group.close();
    CHECK(stage.farm.read_all(group).size() == 16'000);
    CHECK(stage.store->most_bytes < 200 * 1024 * 1024);
}

TEST_CASE("in simulation, a store that fails to find ends its group with the error") {
    Stage stage;
    stage.store->fails_to_find = true;
    auto group = stage.group();
    group.add_all<half>(std::views::iota(0, 100'000));
    std::size_t added = 0;
    for (int i = 0; i != 10; ++i) group.async_add<half>(i, [&](const std::exception_ptr&, std::size_t) { ++added; });
    CHECK(stage.first_error(group) == Errc::journal_failed);
    CHECK(stage.farm.read_all(group).size() <= 10);
    CHECK(added == 10);
    CHECK(stage.farm.master->statistics().admitted == 0);
}

TEST_CASE("in simulation, a store that fails to keep ends its group with the error") {
    Stage stage;
    stage.sweep(100);
    stage.store->fails_to_keep = true;
    stage.store->begin_anew();
    auto group = stage.group();
    group.add_all<half>(std::views::iota(0, 100'000));
    CHECK(stage.first_error(group) == Errc::journal_failed);
    stage.farm.read_all(group);
    stage.farm.check_counts();
    CHECK(stage.store->elements == 0);
    CHECK(stage.store->values.size() == 100);
}

TEST_CASE("in simulation, a group with a store may be cancelled at any time, and works have one outcome each") {
    for (const auto wait : {0ms, 1ms, 2ms, 3ms, 5ms, 8ms, 13ms, 30ms, 100ms}) {
        Stage stage{2, 1};
        stage.store->time = 3ms;
        stage.farm.work_time = 1ms;
        auto group = stage.group();
        std::size_t added = 0;
        std::size_t refused = 0;
        for (int i = 0; i != 50; ++i)
            group.async_add<half>(i,
                                  [&](const std::exception_ptr& error, std::size_t) { ++(error ? refused : added); });
        stage.farm.run(wait);
        group.cancel();
        const auto all = stage.farm.read_all(group);
        CHECK(added + refused == 50);
        CHECK(all.size() == added);
        stage.farm.check_counts();
        CHECK(stage.store->elements == 0);
        const GroupProgress now = group.progress();
        CHECK(now.done == added);
        CHECK(now.running + now.waiting == 0);
    }
}

TEST_CASE("in simulation, a group with a store may be destroyed at any time, and lets the store go") {
    for (const auto wait : {0ms, 1ms, 2ms, 3ms, 5ms, 8ms, 13ms, 30ms, 100ms}) {
        Stage stage{2, 1};
        stage.store->time = 3ms;
        stage.farm.work_time = 1ms;
        bool is_cancelled = false;
        {
            auto group = stage.group();
            group.add_all<half>(std::views::iota(0, 10'000));
            group.async_add<half>(1, [&](const std::exception_ptr&, std::size_t) {});
            std::function<void()> next = [&] {
                group.async_next([&](const std::exception_ptr& error, const std::optional<Outcome<int>>&) {
                    if (!error) return next();
                    is_cancelled = code_of(error) == Errc::cancelled;
                });
            };
            next();
            stage.farm.run(wait);
        }
        CHECK(stage.store.use_count() == 1);
        CHECK(stage.store->elements == 0);
        REQUIRE(stage.farm.run_until([&] { return is_cancelled; }));
        stage.farm.check_counts();
        stage.farm.run(1s);
        CHECK(stage.store->elements == 0);
    }
}

TEST_CASE("in simulation, elements of a lost slave are kept once") {
    Stage stage{2, 2};
    stage.farm.work_time = 200us;
    executions.assign(20'000, 0);
    auto group = stage.group();
    group.add_all<half>(std::views::iota(0, 20'000));
    group.close();
    stage.farm.run(300ms);
    stage.farm.hosts[0]->crash();
    stage.check_numbers(stage.farm.read_all(group), 20'000);
    CHECK(stage.store->values.size() == 20'000);
}

TEST_CASE("in simulation, errors are not kept") {
    Stage stage;
    for (int i = 0; i != 2; ++i) {
        stage.store->begin_anew();
        auto group = stage.group();
        group.add_all<half>(std::vector{2, -1, 4});
        group.close();
        const auto all = stage.farm.read_all(group);
        CHECK(all.size() == 3);
        CHECK(kept_of(all) == (i == 0 ? 0u : 2u));
    }
    CHECK(stage.store->values.size() == 2);
}

TEST_CASE("in simulation, a group whose master stops while its store is slow ends") {
    for (const auto wait : {0ms, 10ms, 100ms, 300ms}) {
        Stage stage{1, 1};
        stage.store->time = 50ms;
        stage.farm.work_time = 10ms;
        auto group = stage.group();
        group.add_all<half>(std::views::iota(0, 1000));
        group.close();
        stage.farm.run(wait);
        bool has_stopped = false;
        stage.farm.master->async_stop(1s, [&](const std::exception_ptr&) { has_stopped = true; });
        const auto all = stage.farm.read_all(group);
        REQUIRE(stage.farm.run_until([&] { return has_stopped; }));
        for (const auto& outcome : all)
            if (!outcome.error) CHECK(outcome.result == static_cast<int>(outcome.index) / 2);
        CHECK(stage.store->elements == 0);
    }
}

TEST_CASE("in simulation, max_unread also counts works that are with the store") {
    Stage stage;
    GroupOptions options = stage.options();
    options.max_unread = 10;
    WorkGroup<int> group{*stage.farm.master, options};
    std::size_t refused = 0;
    std::size_t completed = 0;
    const auto add = [&] {
        group.async_add<half>(1, [&](const std::exception_ptr& error, std::size_t) {
            ++completed;
            if (code_of(error) == Errc::too_many_unread) ++refused;
        });
    };
    for (int i = 0; i != 15; ++i) add();
    REQUIRE(stage.farm.run_until([&] { return completed == 15; }));
    CHECK(refused == 5);
    stage.farm.run(1s);
    add();
    REQUIRE(stage.farm.run_until([&] { return completed == 16; }));
    CHECK(refused == 6);
    group.close();
    CHECK(stage.farm.read_all(group).size() == 10);
}

TEST_CASE("in simulation, the progress of a group tells apart what it found and what runs") {
    Stage stage{1, 1};
    stage.farm.work_time = 1s;
    stage.sweep(10);
    stage.store->begin_anew();
    auto group = stage.group();
    group.add_all<half>(std::views::iota(10, 20));  // run
    stage.farm.run(100ms);
    group.add_all<half>(std::views::iota(0, 10));  // are found
    stage.farm.run(100ms);
    const GroupProgress now = group.progress();
    CHECK(now.total == 20);
    CHECK(now.done == 10);
    CHECK(now.running == 1);
    CHECK(now.waiting == 9);
    group.close();
    CHECK(stage.farm.read_all(group).size() == 20);
    CHECK(group.progress().running + group.progress().waiting == 0);
}

}  // namespace store_test
