// Groups with a Journal: what is executed again, and what is not.

#include <sys/resource.h>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <atomic>
#include <cereal/types/memory.hpp>
#include <cereal/types/polymorphic.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/vector.hpp>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <distwork.hpp>
#include <distwork/journal.hpp>
#include <distwork/work_group.hpp>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/folder.hpp"
#include "support/run.hpp"

using namespace distwork;

namespace journal_group_test {

std::atomic<int> executions{0};
std::atomic<bool> is_broken{false};

int twice(int x) {
    ++executions;
    if (is_broken && x % 3 == 0) throw std::runtime_error{"broken"};
    return 2 * x;
}
int number_of_execution(int) {
    return ++executions;
}
void nothing(int) {
    ++executions;
}
std::vector<char> block(std::size_t size) {
    ++executions;
    return std::vector<char>(size, 'x');
}
int length(std::vector<char> bytes) {
    return static_cast<int>(bytes.size());
}
/// Fails at its first execution.
int at_last(int x) {
    static std::atomic<int> seen[100];
    if (seen[x]++ == 0) throw std::runtime_error{"not yet"};
    return x;
}
int size_of(std::unordered_map<int, int> map) {
    ++executions;
    return static_cast<int>(map.size());
}
int sizes_of(std::vector<std::pair<int, std::unordered_map<int, int>>> maps) {
    ++executions;
    return static_cast<int>(maps.size());
}
std::unordered_map<int, int> map_of(int x) {
    ++executions;
    return {{x, x}, {x + 1, x}};
}

struct Part {
    virtual ~Part() = default;
    template <class Archive>
    void serialize(Archive&) {}
};
struct Unordered : Part {
    std::unordered_map<int, int> map{{1, 2}};
    template <class Archive>
    void serialize(Archive& archive) {
        archive(map);
    }
};
class HasPart : public RpcWork<int> {
public:
    HasPart() = default;
    explicit HasPart(std::unique_ptr<Part> part) : part_{std::move(part)} {}
    int execute_work(Context&) override { return ++executions, 7; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(part_);
    }

private:
    std::unique_ptr<Part> part_;
};

}  // namespace journal_group_test

CEREAL_REGISTER_TYPE(journal_group_test::Part)
CEREAL_REGISTER_TYPE(journal_group_test::Unordered)
CEREAL_REGISTER_POLYMORPHIC_RELATION(journal_group_test::Part, journal_group_test::Unordered)
DISTWORK_REGISTER_WORK(journal_group_test::HasPart)
DISTWORK_REGISTER_FUNCTION(journal_group_test::twice)
DISTWORK_REGISTER_FUNCTION(journal_group_test::number_of_execution)
DISTWORK_REGISTER_FUNCTION(journal_group_test::nothing)
DISTWORK_REGISTER_FUNCTION(journal_group_test::block)
DISTWORK_REGISTER_FUNCTION(journal_group_test::length)
DISTWORK_REGISTER_FUNCTION(journal_group_test::at_last)
DISTWORK_REGISTER_FUNCTION(journal_group_test::size_of)
DISTWORK_REGISTER_FUNCTION(journal_group_test::sizes_of)
DISTWORK_REGISTER_FUNCTION(journal_group_test::map_of)

namespace journal_group_test {

namespace {

/// A program with a journal, which is begun again and again.
struct Fixture {
    support::Folder folder;
    std::string path = folder / "journal.db";
    Cluster<> cluster{1, {.slots = 2}};

    /// The outcomes of a group to which `fill` adds works, in the order of addition.
    template <class R, class Fill>
    std::vector<Outcome<R>> outcomes(Fill fill, std::string_view version = "1") {
        executions = 0;
        const Journal journal{path, version};
        GroupOptions options;
        options.journal = journal;
        WorkGroup<R> group{cluster.master, options};
        fill(group);
        std::vector<Outcome<R>> all;
        run(cluster.io, collect(group, all));
        return all;
    }
    /// Of calls of a function.
    template <auto F, class Range>
    auto calls(Range range) {
        using R = typename FunctionWork<F>::result_type;
        return outcomes<R>([&](WorkGroup<R>& group) { group.template add_all<F>(range); });
    }

    /// The code that adding one work completes with, in a group of its own.
    template <class R, class Add>
    std::error_code error_of_adding(Add add) {
        const Journal journal{path};
        WorkGroup<R> group{cluster.master, {.journal = journal}};
        std::error_code code;
        run(cluster.io, note(error_of(add(group)), code));
        return code;
    }

    template <class R>
    static asio::awaitable<void> collect(WorkGroup<R>& group, std::vector<Outcome<R>>& all) {
        all = co_await group.async_all_outcomes();
    }
    static asio::awaitable<void> note(asio::awaitable<std::error_code> call, std::error_code& code) {
        code = co_await std::move(call);
    }
};

template <class Outcomes>
std::size_t kept_of(const Outcomes& all) {
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](const auto& one) { return one.is_kept; }));
}

}  // namespace

TEST_CASE("a program that is run again with its journal executes nothing, and has the same outcomes") {
    Fixture fixture;
    for (int run_number = 0; run_number != 3; ++run_number) {
        const auto all = fixture.calls<twice>(std::views::iota(0, 5000));
        CHECK(executions == (run_number == 0 ? 5000 : 0));
        REQUIRE(all.size() == 5000);
        CHECK(kept_of(all) == (run_number == 0 ? 0 : 5000));
        for (int i = 0; i != 5000; ++i) REQUIRE(all[static_cast<std::size_t>(i)].value() == 2 * i);
    }
    const auto more = fixture.calls<twice>(std::views::iota(-100, 5100));
    CHECK(executions == 200);
    CHECK(kept_of(more) == 5000);
    CHECK(more.front().value() == -200);
    CHECK(more[100].is_kept);
    CHECK(more[100].attempt == 0);
    CHECK(more[100].slave.empty());
}

TEST_CASE("works that are added one by one are kept, too, as those of a range are") {
    Fixture fixture;
    const auto fill = [](WorkGroup<int>& group) {
        for (int i = 0; i != 100; ++i)
            group.async_add<twice>(i, [](const std::exception_ptr& error, std::size_t) { CHECK_FALSE(error); });
    };
    CHECK(kept_of(fixture.outcomes<int>(fill)) == 0);
    CHECK(executions == 100);
    CHECK(kept_of(fixture.outcomes<int>(fill)) == 100);
    CHECK(kept_of(fixture.calls<twice>(std::views::iota(0, 200))) == 100);
    CHECK(executions == 100);
}

TEST_CASE("another version of the journal executes everything again") {
    Fixture fixture;
    const auto fill = [](WorkGroup<int>& group) { group.add_all<twice>(std::views::iota(0, 10)); };
    fixture.outcomes<int>(fill, "1");
    fixture.outcomes<int>(fill, "2");
    CHECK(executions == 10);
    fixture.outcomes<int>(fill, "2");
    CHECK(executions == 0);
}

TEST_CASE("equal works are told apart by how many came before, whatever stands between them") {
    Fixture fixture;
    const auto first = fixture.calls<number_of_execution>(std::vector{7, 7, 8, 7});
    CHECK(executions == 4);
    const auto second = fixture.calls<number_of_execution>(std::vector{8, 7, 9, 7, 7, 7});
    CHECK(executions == 2);  // 9, and the fourth 7
    CHECK(kept_of(second) == 4);
    CHECK(second[0].value() == first[2].value());
    CHECK(second[1].value() == first[0].value());
    CHECK(second[3].value() == first[1].value());
    CHECK(second[4].value() == first[3].value());
    CHECK_FALSE(second[2].is_kept);
    CHECK_FALSE(second[5].is_kept);
}

TEST_CASE("a work is known by its key, if it has one, and by its type") {
    Fixture fixture;
    const auto add = [](WorkGroup<int>& group, int x, const char* key) {
        group.async_add<twice>(x, SubmitOptions{}.key(key), [](const std::exception_ptr&, std::size_t) {});
    };
    fixture.outcomes<int>([&](auto& group) { add(group, 1, "one"), add(group, 2, "two"); });
    CHECK(executions == 2);
    const auto all = fixture.outcomes<int>([&](WorkGroup<int>& group) {
        add(group, 5, "one");  // has other bytes, and is the same
        add(group, 1, "uno");
        group.async_add<number_of_execution>(1, SubmitOptions{}.key("one"),
                                             [](const std::exception_ptr&, std::size_t) {});
        group.add_all<twice>(std::vector{1});  // known by its bytes
    });
    CHECK(executions == 3);
    CHECK(all[0].value() == 2);
    CHECK(all[0].is_kept);
    CHECK(kept_of(all) == 1);
}

TEST_CASE("a key may come several times in one run") {
    Fixture fixture;
    const auto fill = [](WorkGroup<int>& group) {
        for (int i = 0; i != 10; ++i)
            group.async_add<number_of_execution>(i, SubmitOptions{}.key("same"),
                                                 [](const std::exception_ptr&, std::size_t) {});
    };
    CHECK(fixture.outcomes<int>(fill).size() == 10);
    const auto again = fixture.outcomes<int>(fill);
    CHECK(executions == 0);
    for (const auto& outcome : again) CHECK(outcome.value() == again.front().value());
}

TEST_CASE("what failed is executed again") {
    Fixture fixture;
    is_broken = true;
    const auto first = fixture.calls<twice>(std::views::iota(0, 99));
    is_broken = false;
    CHECK(std::count_if(first.begin(), first.end(), [](const auto& one) { return !one; }) == 33);
    const auto second = fixture.calls<twice>(std::views::iota(0, 99));
    CHECK(executions == 33);
    CHECK(kept_of(second) == 66);
    for (const auto& outcome : second) CHECK(outcome.value() == static_cast<int>(2 * outcome.index));
}

TEST_CASE("elements that are retried are kept once they succeed") {
    Fixture fixture;
    const auto fill = [](WorkGroup<int>& group) {
        group.add_all<at_last>(std::views::iota(0, 100),
                               SubmitOptions{}.retry_on_error(RetryPolicy{1, std::chrono::milliseconds{1}}));
    };
    for (const std::size_t kept : {std::size_t{0}, std::size_t{100}}) {
        const auto all = fixture.outcomes<int>(fill);
        CHECK(kept_of(all) == kept);
        for (const auto& outcome : all) CHECK(outcome.value() == static_cast<int>(outcome.index));
    }
}

TEST_CASE("works without a value, with an empty one and with a large one are kept") {
    Fixture fixture;
    for (int i = 0; i != 2; ++i) {
        CHECK(fixture.calls<nothing>(std::vector{1, 2, 3}).size() == 3);
        CHECK(executions == (i == 0 ? 3 : 0));
        const auto blocks = fixture.calls<block>(std::vector<std::size_t>{0, 1, 30'000'000});
        CHECK(executions == (i == 0 ? 3 : 0));
        CHECK(blocks[0].value().empty());
        CHECK(blocks[2].value().size() == 30'000'000);
    }
}

TEST_CASE("a work with an unordered container needs a key") {
    Fixture fixture;
    using Map = std::unordered_map<int, int>;
    const auto add = [](auto& group, SubmitOptions options) {
        return group.template async_add<size_of>(Map{{1, 2}}, options, asio::use_awaitable);
    };
    CHECK(fixture.error_of_adding<int>([&](auto& group) { return add(group, {}); }) == Errc::needs_key);
    CHECK(fixture.error_of_adding<int>([&](auto& group) { return add(group, SubmitOptions{}.key("one")); }) ==
          std::error_code{});
    CHECK(fixture.error_of_adding<int>([](auto& group) {
        return group.template async_add<sizes_of>(std::vector<std::pair<int, Map>>(1), asio::use_awaitable);
    }) == Errc::needs_key);
    CHECK(fixture.error_of_adding<int>([](auto& group) {
        return group.async_add(HasPart{std::make_unique<Unordered>()}, asio::use_awaitable);
    }) == Errc::needs_key);
    CHECK(fixture.error_of_adding<int>([](auto& group) {
        return group.async_add(HasPart{std::make_unique<Part>()}, asio::use_awaitable);
    }) == std::error_code{});

    // A range ends with the error; it takes no key, which is of one work.
    WorkGroup<int> group{fixture.cluster.master, {.journal = Journal{fixture.path}}};
    CHECK_THROWS_AS(group.add_all<size_of>(std::vector<Map>(1), SubmitOptions{}.key("one")), Error);
    group.add_all<size_of>(std::vector<Map>(3));
    group.close();
    std::error_code code;
    run(fixture.cluster.io, Fixture::note(error_of(group.async_next(asio::use_awaitable)), code));
    CHECK(code == Errc::needs_key);
}

TEST_CASE("a value may have an unordered container") {
    Fixture fixture;
    for (int i = 0; i != 2; ++i) {
        const auto all = fixture.calls<map_of>(std::vector{1, 5});
        CHECK(all[1].value() == std::unordered_map<int, int>{{5, 5}, {6, 5}});
    }
    CHECK(executions == 0);
}

TEST_CASE("groups may use a journal one after the other, or beside each other") {
    Fixture fixture;
    for (int i = 0; i != 2; ++i) {
        executions = 0;
        const Journal journal{fixture.path, "1"};
        for (int number = 0; number != 2; ++number) {
            WorkGroup<int> one{fixture.cluster.master, {.journal = journal}};
            WorkGroup<void> other{fixture.cluster.master, {.journal = journal}};
            one.add_all<number_of_execution>(std::vector{1, 2});
            other.add_all<nothing>(std::views::iota(0, 2));
            std::vector<Outcome<int>> ones;
            std::vector<Outcome<void>> others;
            run(fixture.cluster.io, Fixture::collect(one, ones));
            run(fixture.cluster.io, Fixture::collect(other, others));
            CHECK(kept_of(ones) == (i == 0 ? 0 : 2));
            CHECK(kept_of(others) == (i == 0 ? 0 : 2));
        }
        CHECK(executions == (i == 0 ? 8 : 0));
    }
}

namespace {

/// Reads until a condition holds, and no further.
asio::awaitable<void> read_some_of(WorkGroup<int>& group, std::set<int>& seen, std::size_t most) {
    while (seen.size() != most) {
        auto outcome = co_await group.async_next();
        if (!outcome) co_return;
        seen.insert(outcome->value());
    }
}

}  // namespace

TEST_CASE("a group and its journal may be destroyed at any time, and the file be opened again at once") {
    Fixture fixture;
    std::set<int> seen;
    for (std::size_t round = 0; round != 50; ++round) {
        executions = 0;
        std::set<int> now;
        {
            const Journal journal{fixture.path, "1"};
            WorkGroup<int> group{fixture.cluster.master, {.journal = journal}};
            group.add_all<twice>(std::views::iota(0, 100'000));
            run(fixture.cluster.io, read_some_of(group, now, 20 * round));
            if (round % 3 == 0) group.cancel();
        }
        seen.insert(now.begin(), now.end());
    }
    std::size_t kept = 0;
    for (const auto& outcome : fixture.calls<twice>(std::views::iota(0, 100'000))) {
        kept += outcome.is_kept ? 1 : 0;
        if (seen.contains(outcome.value())) CHECK(outcome.is_kept);
        seen.erase(outcome.value());
    }
    CHECK(seen.empty());
    CHECK(executions == static_cast<int>(100'000 - kept));
}

TEST_CASE("a group and its journal may be destroyed before the context of their master") {
    const support::Folder folder;
    for (int round = 0; round != 30; ++round) {
        Cluster<> cluster{1};
        std::optional<Journal> journal{std::in_place, folder / "journal.db"};
        std::optional<WorkGroup<int>> group{std::in_place, cluster.master, GroupOptions{.journal = *journal}};
        group->add_all<number_of_execution>(std::views::iota(0, 100'000));
        std::set<int> seen;
        if (round % 2 == 0) {
            run(cluster.io, read_some_of(*group, seen, 1 + static_cast<std::size_t>(round) * 30));
        } else {
            // From a completion handler
            bool is_gone = false;
            group->async_next([&](const std::exception_ptr& error, const std::optional<Outcome<int>>& outcome) {
                CHECK_FALSE(error);
                CHECK(outcome);
                group.reset();
                journal.reset();
                is_gone = true;
            });
            CHECK(run_until(cluster.io, [&] { return is_gone; }));
        }
        group.reset();
        journal.reset();
    }
}

namespace {

/// Fails each request, on a thread of its own, when the group has all with it that it may have.
class FailingStore final : public detail::ValueStore {
public:
    void find(std::unique_ptr<Request> request) noexcept override { fail(std::move(request)); }
    void keep(std::unique_ptr<Request> request) noexcept override { fail(std::move(request)); }
    void finish() noexcept override {
        for (auto& thread : threads_) thread.join();
        threads_.clear();
    }
    const detail::SipHash::Key& hash_key() const noexcept override { return hash_key_; }

private:
    void fail(std::unique_ptr<Request> request) {
        threads_.emplace_back([failed = std::move(request)]() mutable {
            std::this_thread::sleep_for(std::chrono::milliseconds{300});
            failed->done(std::make_exception_ptr(Error{Errc::journal_failed, "a store"}));
            failed.reset();
        });
    }
    const detail::SipHash::Key hash_key_{};
    std::list<std::thread> threads_;
};

}  // namespace

TEST_CASE("a generator is destroyed where it is called, also when the journal fails") {
    Cluster<> cluster{1};
    std::thread::id destroyed_by;
    {
        WorkGroup<int> group{cluster.master, {.journal = std::make_shared<FailingStore>()}};
        std::shared_ptr<int> next{new int{0}, [&destroyed_by](int* number) {
                                      destroyed_by = std::this_thread::get_id();
                                      delete number;
                                  }};
        group.add_all<length>([next]() -> std::optional<std::vector<char>> { return std::vector<char>(4'000'000); });
        next.reset();
        std::error_code code;
        run(cluster.io, Fixture::note(error_of(group.async_next(asio::use_awaitable)), code));
        CHECK(code == Errc::journal_failed);
        std::vector<Outcome<int>> rest;
        run(cluster.io, Fixture::collect(group, rest));
    }
    CHECK(destroyed_by == std::this_thread::get_id());
}

TEST_CASE("a full disk ends a group with an error, and loses nothing that was read") {
    const auto child = support::run_child([](const auto&) {
        const support::Folder folder;
        const std::string path = folder / "journal.db";
        signal(SIGXFSZ, SIG_IGN);
        rlimit all{};
        getrlimit(RLIMIT_FSIZE, &all);
        std::set<int> seen;
        std::error_code code;
        bool has_ended = false;
        {
            Cluster<> cluster{1};
            WorkGroup<int> group{cluster.master, {.journal = Journal{path}}};
            const rlimit few{1'000'000, all.rlim_max};
            setrlimit(RLIMIT_FSIZE, &few);
            group.add_all<twice>(std::views::iota(0, 200'000));
            group.close();
            run(cluster.io, Fixture::note(error_of(read_some_of(group, seen, 200'001)), code));
            // After the error, the end
            const auto end = [](WorkGroup<int>& of, bool& ended) -> asio::awaitable<void> {
                while (co_await of.async_next()) continue;
                ended = true;
            };
            auto ending = end(group, has_ended);
            run(cluster.io, std::move(ending));
        }
        setrlimit(RLIMIT_FSIZE, &all);
        std::printf("%s; ended: %d; some were read: %d; ", code.message().c_str(), has_ended, !seen.empty());
        Cluster<> cluster{1};
        const Journal journal{path};
        WorkGroup<int> group{cluster.master, {.journal = journal}};
        group.add_all<twice>(std::views::iota(0, 200'000));
        std::vector<Outcome<int>> again;
        run(cluster.io, Fixture::collect(group, again));
        std::size_t lost = 0;
        for (auto& outcome : again)
            if (!outcome.is_kept && seen.contains(outcome.value())) ++lost;
        std::printf("%zu outcomes, %zu lost\n", again.size(), lost);
        std::fflush(stdout);
    });
    CHECK(child.status == 0);
    CHECK(child.out.find("ended: 1; some were read: 1; 200000 outcomes, 0 lost\n") != std::string::npos);
    CHECK(child.out.find(make_error_code(Errc::journal_failed).message()) == 0);
}

}  // namespace journal_group_test
