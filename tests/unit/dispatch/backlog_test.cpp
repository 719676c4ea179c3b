#include "distwork/dispatch/backlog.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/distributor.hpp"

namespace backlog_test {

using namespace support;

namespace {

using Verdict = Backlog::Verdict;

constexpr auto always = [] { return true; };
constexpr auto never = [](const SubmissionPtr&) { return false; };

void push(Backlog& backlog, const TaskPtr& work) {
    work->sequence = static_cast<std::uint64_t>(work->number);
    std::list<SubmissionPtr> node{work};
    backlog.push(node);
}

/// The numbers of the works as they are offered; `verdict` says what becomes of each.
template <class Judge>
std::vector<int> offered(Backlog& backlog, Judge verdict) {
    std::vector<int> numbers;
    backlog.round(
        [&](const SubmissionPtr& work) {
            numbers.push_back(number_of(*work));
            return verdict(static_cast<Task&>(*work));
        },
        never, always);
    return numbers;
}

constexpr auto send_all = [](const Task&) { return Verdict::sent; };
constexpr auto decline_all = [](const Task&) { return Verdict::declined; };

}  // namespace

TEST_CASE("works leave the backlog by priority, then first in, first out", "[unit]") {
    Backlog backlog;
    push(backlog, numbered(1));
    push(backlog, numbered(2, SubmitOptions{}.priority(1)));
    push(backlog, numbered(3, {}, 1));
    push(backlog, numbered(4, SubmitOptions{}.label("gpu")));
    push(backlog, numbered(5, SubmitOptions{}.priority(-1)));
    push(backlog, numbered(6, SubmitOptions{}.priority(1).label("gpu")));
    push(backlog, numbered(7));
    push(backlog, numbered(8, {}, 1));
    CHECK(backlog.size() == 8);
    CHECK(backlog.bytes() == 80);
    CHECK(offered(backlog, send_all) == std::vector<int>{2, 6, 1, 3, 4, 7, 8, 5});
    CHECK(backlog.size() == 0);
    CHECK(backlog.bytes() == 0);
    CHECK(offered(backlog, send_all).empty());
}

TEST_CASE("a work that is declined is passed over for the round, and offered again in the next", "[unit]") {
    Backlog backlog;
    for (int i = 1; i <= 6; ++i) push(backlog, numbered(i, {}, i % 2 ? 0u : 1u));
    CHECK(offered(backlog, decline_all) == std::vector<int>{1, 2, 3, 4, 5, 6});
    CHECK(backlog.size() == 6);
    const auto send_thirds = [](const Task& work) { return work.number % 3 == 0 ? Verdict::sent : Verdict::declined; };
    CHECK(offered(backlog, send_thirds) == std::vector<int>{1, 2, 3, 4, 5, 6});
    CHECK(backlog.size() == 4);
    CHECK(offered(backlog, send_all) == std::vector<int>{1, 2, 4, 5});
}

TEST_CASE("where nobody has credit for the first of a lane, the others of it are not offered", "[unit]") {
    Backlog backlog;
    for (int i = 1; i <= 4; ++i) push(backlog, numbered(i));
    for (int i = 5; i <= 8; ++i) push(backlog, numbered(i, {}, 1));
    for (int i = 9; i <= 12; ++i) push(backlog, numbered(i, SubmitOptions{}.label("gpu")));
    const auto only_the_second_type = [](const Task& work) {
        return work.type().number == 1 ? Verdict::sent : Verdict::no_socket;
    };
    CHECK(offered(backlog, only_the_second_type) == std::vector<int>{1, 5, 6, 7, 8, 9});
    CHECK(offered(backlog, send_all) == std::vector<int>{1, 2, 3, 4, 9, 10, 11, 12});
}

TEST_CASE("works for one socket alone stand in lanes of their own", "[unit]") {
    Backlog backlog;
    for (int i = 1; i <= 4; ++i) {
        const auto work = numbered(i);
        work->pinned = static_cast<std::uint64_t>(i % 2 + 1);
        push(backlog, work);
    }
    const auto only_one = [](const Task& work) { return work.pinned == 1 ? Verdict::sent : Verdict::no_socket; };
    CHECK(offered(backlog, only_one) == std::vector<int>{1, 2, 4});
    CHECK(backlog.size() == 2);
}

TEST_CASE("a work whose slave has credit goes before older ones, but not before all of them", "[unit]") {
    const auto order = [](const SubmitOptions& how, int last) {
        Backlog backlog;
        for (int i = 1; i < last; ++i) push(backlog, numbered(i));
        push(backlog, numbered(last, SubmitOptions{how}.affinity("file")));
        std::vector<int> numbers;
        backlog.round(
            [&](const SubmissionPtr& work) {
                numbers.push_back(number_of(*work));
                return Verdict::sent;
            },
            [](const SubmissionPtr& work) { return work->options.affinity() != 0; }, always);
        return static_cast<int>(std::find(numbers.begin(), numbers.end(), last) - numbers.begin());
    };
    CHECK(order({}, 2) == 0);
    CHECK(order({}, 1000) == 0);
    CHECK(order({}, 1500) == 1500 - 1 - 1024);
    CHECK(order(SubmitOptions{}.priority(-1), 10) == 9);  // never before those of a higher priority
}

TEST_CASE("works with keys wait in few lanes", "[unit]") {
    Backlog backlog;
    for (int i = 1; i <= 10'000; ++i) push(backlog, numbered(i, SubmitOptions{}.affinity(std::to_string(i))));
    std::size_t lanes = 0;
    backlog.for_each_lane([&](const Submission&, std::size_t, bool) { ++lanes; });
    CHECK(lanes == 64);
}

TEST_CASE("a round ends once nobody has credit at all", "[unit]") {
    Backlog backlog;
    for (int i = 1; i <= 10; ++i) push(backlog, numbered(i));
    int credit = 3;
    std::vector<int> numbers;
    backlog.round(
        [&](const SubmissionPtr& work) {
            --credit;
            numbers.push_back(number_of(*work));
            return Verdict::sent;
        },
        never, [&] { return credit != 0; });
    CHECK(numbers == std::vector<int>{1, 2, 3});
    CHECK(backlog.size() == 7);
}

TEST_CASE("a work that is taken out of the backlog is not offered, and its lane goes on", "[unit]") {
    for (int removed = 1; removed <= 4; ++removed) {
        Backlog backlog;
        std::vector<TaskPtr> works;
        for (int i = 1; i <= 4; ++i) works.push_back(numbered(i)), push(backlog, works.back());
        offered(backlog, [](const Task& work) { return work.number < 3 ? Verdict::declined : Verdict::no_socket; });
        Task& gone = *works[static_cast<std::size_t>(removed) - 1];
        CHECK(backlog.remove(gone).front().get() == &gone);
        CHECK(backlog.size() == 3);
        CHECK(backlog.bytes() == 30);
        std::vector<int> left{1, 2, 3, 4};
        left.erase(left.begin() + removed - 1);
        CHECK(offered(backlog, send_all) == left);
    }
}

TEST_CASE("a work that is taken out during a round is not offered, and those behind it are", "[unit]") {
    Backlog backlog;
    const auto gone = numbered(2, {}, 1);
    push(backlog, numbered(1));
    push(backlog, gone);
    push(backlog, numbered(3, {}, 1));
    push(backlog, numbered(4));
    CHECK(offered(backlog, [&](const Task& work) {
              if (work.number == 1) backlog.remove(*gone);
              return Verdict::sent;
          }) == std::vector<int>{1, 3, 4});
    CHECK(backlog.size() == 0);
    CHECK(backlog.bytes() == 0);
}

TEST_CASE("works that something holds for are taken out of every lane", "[unit]") {
    Backlog backlog;
    for (int i = 1; i <= 9; ++i) push(backlog, numbered(i, SubmitOptions{}.priority(i % 2), i % 3 ? 0u : 1u));
    const auto out = backlog.extract([](const Submission& work) { return number_of(work) % 3 == 0; });
    std::set<int> numbers;
    for (const auto& work : out) numbers.insert(number_of(*work));
    CHECK(numbers == std::set<int>{3, 6, 9});
    CHECK(backlog.size() == 6);
    CHECK(backlog.bytes() == 60);
    CHECK(offered(backlog, send_all) == std::vector<int>{1, 5, 7, 2, 4, 8});
}

TEST_CASE("the backlog agrees with a sorted list, whatever is done to it", "[unit]") {
    std::mt19937 random{5};
    for (int round = 0; round < 100; ++round) {
        Backlog backlog;
        std::vector<TaskPtr> model;
        int last = 0;
        for (int step = 0; step < 120; ++step) {
            const unsigned what = static_cast<unsigned>(random() % 8);
            if (what < 5) {
                auto options = SubmitOptions{}.priority(static_cast<int>(random() % 3));
                if (random() % 2) options.label("gpu");
                model.push_back(numbered(++last, options, random() % 2));
                push(backlog, model.back());
            } else if (what < 7 && !model.empty()) {
                const auto at = model.begin() + static_cast<std::ptrdiff_t>(random() % model.size());
                backlog.remove(**at);
                model.erase(at);
            } else {
                std::sort(model.begin(), model.end(), [](const TaskPtr& a, const TaskPtr& b) {
                    return std::pair{-a->options.priority(), a->sequence} <
                           std::pair{-b->options.priority(), b->sequence};
                });
                const int keeps = static_cast<int>(random() % 4);
                std::vector<int> all;
                std::vector<TaskPtr> kept;
                for (const auto& work : model) {
                    all.push_back(work->number);
                    if (work->number % 4 < keeps) kept.push_back(work);
                }
                REQUIRE(offered(backlog, [&](const Task& work) {
                            return work.number % 4 < keeps ? Verdict::declined : Verdict::sent;
                        }) == all);
                model = kept;
            }
            REQUIRE(backlog.size() == model.size());
            REQUIRE(backlog.bytes() == 10 * model.size());
        }
    }
}

}  // namespace backlog_test
