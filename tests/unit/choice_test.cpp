// Which slave gets which work, and when: ready sets, credit, the backlog, selectors and the container of them all.

#include <algorithm>
#include <any>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "distwork/dispatch/backlog.hpp"
#include "distwork/dispatch/credit_window.hpp"
#include "distwork/link/multiplexer.hpp"
#include "distwork/dispatch/ready_set.hpp"
#include "distwork/selector.hpp"
#include "distwork/dispatch/socket_container.hpp"
#include "distwork/submit_options.hpp"
#include "distwork/work.hpp"
#include "support/catch.hpp"
#include "support/distributor.hpp"
#include "support/type_table.hpp"

using namespace support;

// SubmitOptions

TEST_CASE("submission options are fluent, and their labels sorted and each once", "[unit]") {
    const SubmitOptions plain;
    CHECK(plain.priority() == 0);
    CHECK(plain.labels().empty());
    CHECK(plain.name().empty());
    CHECK(plain.when_unavailable() == WhenUnavailable::wait);

    const auto options = SubmitOptions{}
                             .priority(-3)
                             .label("gpu")
                             .label("avx")
                             .label("gpu")
                             .label("zoo")
                             .name("nightly")
                             .when_unavailable(WhenUnavailable::refuse);
    CHECK(options.priority() == -3);
    CHECK(options.labels() == std::vector<std::string>{"avx", "gpu", "zoo"});
    CHECK(options.name() == "nightly");
    CHECK(options.when_unavailable() == WhenUnavailable::refuse);
}

TEST_CASE("a submission is called by its name, else by its type's", "[unit]") {
    CHECK(task()->name() == "type 0");
    CHECK(task(SubmitOptions{}.name("nightly"))->name() == "nightly");
}

// ReadySet

TEST_CASE("a ready set of nothing has nobody", "[unit]") {
    ReadySet set;
    CHECK(set.empty());
    CHECK(set.sockets().empty());
    CHECK(set.from(0) == nullptr);
    CHECK(set.from(100'000) == nullptr);
    CHECK_FALSE(set.contains(0));
    set.erase(7);
    SocketInformation one;
    set.insert(5000, &one);
    set.erase(5000);
    CHECK(set.empty());
    CHECK(set.from(0) == nullptr);
    CHECK(set.from(5000) == nullptr);
}

TEST_CASE("a ready set agrees with an ordered set, whatever is done to it", "[unit]") {
    // Few places, a word, several words, beyond one block of 4,096, beyond two.
    for (const std::size_t places :
         {std::size_t{3}, std::size_t{64}, std::size_t{65}, std::size_t{1000}, std::size_t{5200}, std::size_t{9000}}) {
        for (const unsigned dense : {1u, 8u, 15u}) {  // of 16 operations so many insert
            std::mt19937 random{static_cast<unsigned>(places) + dense};
            std::vector<SocketInformation> sockets(places);
            for (std::size_t i = 0; i < places; ++i) sockets[i].place = i;
            ReadySet set;
            std::set<std::size_t> model;
            bool same = true;
            for (int step = 0; step < 20'000 && same; ++step) {
                const std::size_t place = random() % places;
                if (random() % 16 < dense) set.insert(place, &sockets[place]), model.insert(place);
                else set.erase(place), model.erase(place);
                const std::size_t from = random() % (places + 70);
                auto next = model.lower_bound(from);
                if (next == model.end()) next = model.begin();
                const SocketInformation* const found = set.from(from);
                same = set.contains(place) == model.contains(place) && set.empty() == model.empty() &&
                       set.sockets().size() == model.size() &&
                       (model.empty() ? found == nullptr : found == &sockets[*next]);
            }
            CAPTURE(places, dense);
            REQUIRE(same);
            std::set<std::size_t> listed;
            for (const SocketInformation* socket : set.sockets()) listed.insert(socket->place);
            CHECK(listed == model);
        }
    }
}

TEST_CASE("a ready set goes round over gaps of any width", "[unit]") {
    std::vector<SocketInformation> sockets(20'000);
    for (std::size_t i = 0; i < sockets.size(); ++i) sockets[i].place = i;
    const std::vector<std::size_t> sets[] = {{0, 63, 64, 127, 4095, 4096, 4160, 8191, 8192, 19'999},
                                             {5, 4100},  // alone in the first word of a block
                                             {70, 8255, 12'350},
                                             {16'383}};
    for (const auto& there : sets) {
        ReadySet set;
        for (const std::size_t place : there) set.insert(place, &sockets[place]);
        bool same = true;
        for (std::size_t from = 0; from < 20'100; ++from) {
            const auto next = std::lower_bound(there.begin(), there.end(), from);
            same = same && set.from(from)->place == (next == there.end() ? there.front() : *next);
        }
        CAPTURE(there.size());
        CHECK(same);
    }
}

// CreditWindow

namespace {

/// Holds the works of one slave, as the container does.
struct Held {
    Held(std::size_t slots, std::size_t window) : in_flight{slots, window, running} {}

    /// Sends works as long as there is credit; returns how many.
    std::size_t fill(Nanoseconds estimate, std::size_t bytes = 10, std::size_t type_number = 0) {
        std::size_t count = 0;
        while (count < 10'000 && in_flight.has_credit_for(estimate, bytes)) push(estimate, bytes, type_number), ++count;
        return count;
    }
    void push(Nanoseconds estimate, std::size_t bytes = 10, std::size_t type_number = 0) {
        works.push_back(task(SubmitOptions{}, type_number, bytes));
        in_flight.push(*works.back(), estimate, now);
    }
    void remove(std::size_t index) {
        in_flight.remove(*works.at(index), now);
        works.erase(works.begin() + static_cast<std::ptrdiff_t>(index));
    }
    std::size_t runs(std::size_t type_number) const {
        for (const auto& [what, count] : running)
            if (what == &work_type_number(type_number)) return count;
        return 0;
    }

    CreditWindow::Running running;
    CreditWindow in_flight;
    TimePoint now{1h};
    std::deque<TaskPtr> works;
};

}  // namespace

TEST_CASE("a type that was not measured goes to free slots only", "[unit]") {
    Held held{3, 100};
    CHECK(held.in_flight.has_free_slot());
    CHECK(held.fill(Nanoseconds{0}) == 3);
    CHECK_FALSE(held.in_flight.has_free_slot());
    CHECK_FALSE(held.in_flight.has_credit_for(1us, 10));  // nobody knows how long it would wait behind them
    held.remove(1);
    CHECK(held.in_flight.has_free_slot());
    CHECK(held.fill(Nanoseconds{0}) == 1);
}

TEST_CASE("a slave holds at most the round trip and 2 ms worth of works for each slot", "[unit]") {
    const auto waiting = [](std::size_t slots, Nanoseconds round_trip, Nanoseconds estimate) {
        Held held{slots, 1'000'000};
        held.in_flight.round_trip(round_trip);
        CHECK(held.in_flight.worth() == (round_trip + 2ms) * static_cast<int>(slots));
        // The allowance shall not be what limits.
        for (int i = 1; i < 30; ++i) held.fill(estimate), held.in_flight.answered(TimePoint{i * 1h});
        return held.in_flight.size() - slots;
    };
    CHECK(waiting(1, 0ms, 1ms) == 2);
    CHECK(waiting(1, 0ms, 2ms) == 1);
    CHECK(waiting(1, 0ms, 2ms + 1ns) == 0);
    CHECK(waiting(1, 3ms, 1ms) == 5);
    CHECK(waiting(4, 3ms, 1ms) == 20);
    CHECK(waiting(2, 1ms, 3us) == 2000);
    CHECK(waiting(2, 0ms, 1s) == 0);
}

TEST_CASE("the allowance doubles at most once each round trip, and only where it was what limited", "[unit]") {
    Held held{2, 1000};
    held.in_flight.round_trip(10ms);
    const TimePoint start{1h};
    CHECK(held.fill(1us) == 2 + 2);
    held.in_flight.answered(start);
    CHECK(held.fill(1us) == 2);
    held.in_flight.answered(start + 10ms - 1ns);
    CHECK(held.fill(1us) == 0);
    held.in_flight.answered(start + 10ms);
    CHECK(held.fill(1us) == 4);

    // Not reached since: it stays, however long.
    held.in_flight.answered(start + 1s);
    while (held.works.size() > 5) held.remove(0);
    for (int i = 2; i < 10; ++i) held.in_flight.answered(start + i * 1s);
    CHECK(held.fill(1us) == 2 + 16 - 5);

    // The window is the end of it.
    for (int i = 10; i < 40; ++i) held.in_flight.answered(start + i * 1s), held.fill(1us);
    CHECK(held.in_flight.size() == 1000);
    CHECK_FALSE(held.in_flight.has_credit());
}

TEST_CASE("works that were not begun hold at most 16 MiB of bodies", "[unit]") {
    Held held{1, 1000};
    for (int i = 1; i < 30; ++i) held.fill(1us, mebibyte), held.in_flight.answered(TimePoint{i * 1h});
    CHECK(held.in_flight.size() == 1 + 16);
    CHECK_FALSE(held.in_flight.has_credit_for(1us, 1));
    CHECK_FALSE(held.in_flight.has_credit());
    held.remove(0);
    CHECK(held.in_flight.has_credit_for(1us, mebibyte));
    CHECK_FALSE(held.in_flight.has_credit_for(1us, mebibyte + 1));
    // One of any size goes to a free slot.
    while (held.in_flight.size() != 0) held.remove(0);
    CHECK(held.in_flight.has_credit_for(1us, 20 * mebibyte));
}

TEST_CASE("the window bounds what a slave holds, its slots it always has", "[unit]") {
    Held held{2, 3};
    CHECK(held.fill(1us) == 3);
    Held narrow{5, 2};
    CHECK(narrow.fill(1us) == 5);
}

TEST_CASE("credit for any plain work is credit for each of them", "[unit]") {
    CHECK(CreditWindow::is_plain(1ns, 0));
    CHECK(CreditWindow::is_plain(250us, 32 * 1024));
    CHECK_FALSE(CreditWindow::is_plain(250us + 1ns, 10));
    CHECK_FALSE(CreditWindow::is_plain(1us, 32 * 1024 + 1));
    CHECK_FALSE(CreditWindow::is_plain(0ns, 10));

    std::mt19937 random{3};
    std::size_t with = 0;
    for (int round = 0; round < 300; ++round) {
        Held held{1 + random() % 3, 2 + random() % 60};
        held.in_flight.round_trip(random() % 5 * 1ms);
        for (int step = 0; step < 60; ++step) {
            const auto estimate = Nanoseconds{random() % 600'000};
            const std::size_t bytes = random() % 4 == 0 ? random() % (4 * mebibyte) : random() % 1000;
            if (held.in_flight.has_credit_for(estimate, bytes)) held.push(estimate, bytes);
            else if (!held.works.empty() && random() % 3 == 0) held.remove(random() % held.works.size());
            held.in_flight.answered(TimePoint{(round * 100 + step) * 1s});
            if (!held.in_flight.has_credit()) continue;
            ++with;
            REQUIRE(held.in_flight.has_credit_for(250us, 32 * 1024));
            REQUIRE(held.in_flight.has_credit_for(1ns, 0));
        }
    }
    CHECK(with > 1000);
}

TEST_CASE("the oldest works, as many as there are slots, have begun", "[unit]") {
    Held held{2, 100};
    held.push(1us, 10, 0);
    held.push(1us, 10, 1);
    held.push(1us, 10, 2);
    held.push(1us, 10, 2);
    held.push(1us, 10, 0);
    CHECK(held.running.size() == 2);
    CHECK(held.runs(0) == 1);
    CHECK(held.runs(1) == 1);

    held.remove(3);  // one that waits
    CHECK(held.runs(2) == 0);
    held.remove(1);  // of those that run the second: the oldest that waits begins
    CHECK(held.runs(0) == 1);
    CHECK(held.runs(1) == 0);
    CHECK(held.runs(2) == 1);
    held.remove(1);
    CHECK(held.runs(0) == 2);
    CHECK(held.running.size() == 1);
    held.remove(0);
    held.remove(0);
    CHECK(held.running.empty());
    CHECK(held.in_flight.size() == 0);
}

TEST_CASE("behind a work that goes on beyond its time nothing is to wait", "[unit]") {
    Held held{2, 1000};
    held.push(1us);
    held.push(1us);
    CHECK(held.in_flight.has_credit());
    held.in_flight.overrun(*held.works[0]);
    held.in_flight.overrun(*held.works[0]);
    CHECK(held.in_flight.worth() == 2ms);
    CHECK(held.in_flight.has_credit());
    held.push(1us);
    held.in_flight.overrun(*held.works[2]);  // it has not begun: that says nothing
    CHECK(held.in_flight.worth() == 2ms);
    held.in_flight.overrun(*held.works[1]);
    CHECK_FALSE(held.in_flight.has_credit());
    CHECK_FALSE(held.in_flight.has_credit_for(1ns, 1));
    CHECK_FALSE(held.in_flight.has_free_slot());
    held.remove(2);
    held.remove(0);
    CHECK(held.in_flight.has_free_slot());
    CHECK(held.in_flight.worth() == 2ms);
    held.remove(0);
    CHECK(held.in_flight.worth() == 4ms);
}

TEST_CASE("what a slave holds is accounted right, whatever is sent and answered in whichever order", "[unit]") {
    std::mt19937 random{11};
    for (int round = 0; round < 100; ++round) {
        const std::size_t slots = 1 + random() % 4;
        const std::size_t window = 30;
        Held held{slots, window};
        std::deque<Nanoseconds> estimates;
        std::deque<std::size_t> types;
        for (int i = 0; i < 12; ++i) held.in_flight.answered(TimePoint{});  // never limited yet: no effect
        for (int step = 0; step < 200; ++step) {
            if (held.works.size() < 25 && random() % 2) {
                const auto estimate = Nanoseconds{1 + random() % 300'000};
                types.push_back(random() % 3);
                estimates.push_back(estimate);
                held.push(estimate, 1000, types.back());
            } else if (!held.works.empty()) {
                const std::size_t index = random() % held.works.size();
                held.remove(index);
                estimates.erase(estimates.begin() + static_cast<std::ptrdiff_t>(index));
                types.erase(types.begin() + static_cast<std::ptrdiff_t>(index));
            }
            std::map<std::size_t, std::size_t> running;
            Nanoseconds waiting_time{0};
            for (std::size_t i = 0; i < types.size(); ++i) {
                if (i < slots) ++running[types[i]];
                else waiting_time += estimates[i];
            }
            for (std::size_t number = 0; number < 3; ++number) REQUIRE(held.runs(number) == running[number]);
            const std::size_t waiting = types.size() - std::min(types.size(), slots);
            // The allowance was never raised: it is the slots.
            const bool may_wait = waiting < slots && types.size() < window;
            const Nanoseconds worth = 2ms * static_cast<int>(slots);
            REQUIRE(held.in_flight.size() == types.size());
            REQUIRE(held.in_flight.has_free_slot() == (types.size() < slots));
            REQUIRE(held.in_flight.has_credit_for(worth - waiting_time, 1) ==
                    (types.size() < slots || (may_wait && waiting_time < worth)));
            REQUIRE(held.in_flight.has_credit_for(worth - waiting_time + 1ns, 1) == (types.size() < slots));
        }
    }
}

// Backlog

namespace {

using Verdict = Backlog::Verdict;

constexpr auto always = [] { return true; };

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
        always);
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
        [&] { return credit != 0; });
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

// Selectors

namespace {

/// Sockets that a selector chooses from, without a container.
struct Choice {
    explicit Choice(std::size_t count, std::size_t slots = 1) : sockets(count) {
        for (std::size_t i = 0; i < count; ++i) {
            sockets[i].id = i + 1;
            sockets[i].place = i;
            sockets[i].slots = slots;
            set.insert(i, &sockets[i]);
        }
    }

    DistributeContext context() { return {*submission, set.sockets(), &set}; }

    /// How often each was chosen; each choice makes it busier.
    template <class Selector>
    std::vector<std::size_t> choose(Selector& selector, std::size_t times) {
        std::vector<std::size_t> counts(sockets.size());
        for (std::size_t i = 0; i < times; ++i) {
            DistributeContext now = context();
            const SocketInformation* const chosen = selector(now);
            REQUIRE(chosen != nullptr);
            ++counts[chosen->place];
            ++sockets[chosen->place].in_flight;
        }
        return counts;
    }

    TaskPtr submission = task(SubmitOptions{}.priority(2).label("gpu").name("nightly"));
    std::vector<SocketInformation> sockets;
    ReadySet set;
};

}  // namespace

TEST_CASE("a selector sees the work, its options and the sockets, and may keep a value with a socket", "[unit]") {
    Choice choice{3};
    const DistributeContext context = choice.context();
    CHECK(context.sockets().size() == 3);
    CHECK(&context.work() == &choice.submission->work());
    CHECK(context.name() == "nightly");
    CHECK(context.type_name() == "type 0");
    CHECK(context.options().priority() == 2);
    context.update_socket_information(context.sockets()[1], std::string{"kept"});
    CHECK(std::any_cast<std::string>(context.sockets()[1]->value) == "kept");
}

TEST_CASE("a context knows the round with and without a ready set", "[unit]") {
    std::mt19937 random{9};
    Choice choice{200};
    for (int step = 0; step < 500; ++step) {
        const std::size_t place = random() % 200;
        if (random() % 3 == 0) choice.set.insert(place, &choice.sockets[place]);
        else choice.set.erase(place);
        if (choice.set.empty()) continue;
        const DistributeContext fast = choice.context();
        const DistributeContext slow{*choice.submission, choice.set.sockets(), nullptr};
        const std::size_t from = random() % 220;
        REQUIRE(fast.from(from) == slow.from(from));
    }
}

TEST_CASE("round robin takes each in turn", "[unit]") {
    Choice choice{5};
    RoundRobin selector;
    std::vector<std::size_t> places;
    for (int i = 0; i < 12; ++i) {
        if (i == 7) choice.set.erase(3);
        places.push_back(selector(choice.context())->place);
    }
    CHECK(places == std::vector<std::size_t>{0, 1, 2, 3, 4, 0, 1, 2, 4, 0, 1, 2});
}

TEST_CASE("the least loaded is who has the fewest works for each slot", "[unit]") {
    Choice choice{3};
    choice.sockets[0].slots = 1;
    choice.sockets[1].slots = 2;
    choice.sockets[2].slots = 5;
    LeastLoaded selector;
    CHECK(choice.choose(selector, 80) == std::vector<std::size_t>{10, 20, 50});
}

TEST_CASE("of two chosen at random the less loaded is nearly as good as of all", "[unit]") {
    Choice choice{50};
    PowerOfTwoChoices selector;
    const auto counts = choice.choose(selector, 5000);
    CHECK(*std::max_element(counts.begin(), counts.end()) <= 110);
    CHECK(*std::min_element(counts.begin(), counts.end()) >= 90);

    PowerOfTwoChoices one{1};
    PowerOfTwoChoices same{1};
    PowerOfTwoChoices other{2};
    Choice a{50}, b{50}, c{50};
    const auto first = a.choose(one, 100);
    CHECK(first == b.choose(same, 100));
    CHECK(first != c.choose(other, 100));
    Choice alone{1};
    CHECK(alone.choose(selector, 10) == std::vector<std::size_t>{10});
}

TEST_CASE("any selector is round robin, until it is another", "[unit]") {
    Choice choice{4};
    AnySelector selector;
    CHECK(choice.choose(selector, 8) == std::vector<std::size_t>{2, 2, 2, 2});
    selector = [](const DistributeContext& context) { return context.sockets().back(); };
    CHECK(choice.choose(selector, 4) == std::vector<std::size_t>{0, 0, 0, 4});
    selector = LeastLoaded{};
    CHECK(choice.choose(selector, 4)[3] == 0);
    static_assert(SocketSelector<RoundRobin> && SocketSelector<LeastLoaded> && SocketSelector<PowerOfTwoChoices> &&
                  SocketSelector<AnySelector>);
    static_assert(!SocketSelector<int>);
}

// SocketContainer

namespace {

using Numbers = std::vector<int>;

/// Asked for every work; the test says what it answers.
using Function = std::function<const SocketInformation*(DistributeContext&)>;

}  // namespace

TEST_CASE("works go to each slave in turn, and beyond its free slots to nobody before they were measured", "[unit]") {
    Distributor<> master;
    master.connect({.slots = 2});
    master.connect({.slots = 1});
    master.connect({.slots = 3});
    for (int i = 1; i <= 6; ++i) CHECK(master.submit(numbered(i)) == Admission::sent);
    CHECK(master.sent == Distributor<>::Sent{{0, 1}, {1, 2}, {2, 3}, {0, 4}, {2, 5}, {2, 6}});
    for (int i = 7; i <= 9; ++i) CHECK(master.submit(numbered(i)) == Admission::queued);
    CHECK(master.container.backlog_size() == 3);
    CHECK(master.container.size() == 3);
    CHECK_FALSE(master.container.quiet());
}

TEST_CASE("an answer gives credit back, to the work that has waited the longest", "[unit]") {
    Distributor<> master;
    for (int i = 0; i < 3; ++i) master.connect();
    master.submit_many(1, 8);
    master.take_sent();
    for (const std::size_t who : {1u, 0u, 1u, 2u}) master.answer(who);
    CHECK(master.sent == Distributor<>::Sent{{1, 4}, {0, 5}, {1, 6}, {2, 7}});
    CHECK(master.container.backlog_size() == 1);
    for (const std::size_t who : {1u, 0u, 1u, 2u}) master.answer(who);
    CHECK(master.container.backlog_size() == 0);
    CHECK(master.container.quiet());
    CHECK(master.sent.size() == 5);
}

TEST_CASE("a work that goes on beyond its time keeps its slot until it returns", "[unit]") {
    Distributor<> master;
    master.connect();
    master.answer_once();
    const auto works = master.submit_many(1, 1);
    master.take_sent();
    std::vector<Answer> early(1);
    early[0].call = works[0];
    early[0].reply.error = Errc::execution_timeout;
    early[0].reply.goes_on = true;
    CHECK(master.container.answered(master.ids[0], early, {}, master.now).retries.empty());
    CHECK(early[0].call == works[0]);  // to be settled
    CHECK(master.information(0).in_flight == 1);
    CHECK_FALSE(master.container.quiet());
    CHECK(master.submit(numbered(2)) == Admission::queued);
    CHECK(master.container.waiting().at(0).reason == WaitReason::no_credit);
    master.connect();
    CHECK(master.held(1) == Numbers{2});
    CHECK(master.submit(numbered(3)) == Admission::sent);  // it streams to the other
    CHECK(master.held(1) == Numbers{2, 3});
    master.answer(0, 1s, 1, Errc::execution_timeout);
    CHECK(master.information(0).in_flight == 0);
    CHECK(master.information(0).failed == 1);
    CHECK(master.submit(numbered(4)) == Admission::sent);
    CHECK(master.held(0) == Numbers{4});
}

TEST_CASE("a slave that connects gets what waits, in order, beyond its slots nothing", "[unit]") {
    Distributor<> master;
    master.submit_many(1, 3);
    master.submit_many(4, 5, SubmitOptions{}.priority(1));
    CHECK(master.container.backlog_size() == 5);
    master.connect({.slots = 3});
    CHECK(master.held(0) == Numbers{4, 5, 1});
    master.connect({.slots = 9});
    CHECK(master.held(1) == Numbers{2, 3});
}

TEST_CASE("short works stream to a slave ahead of its slots, long ones go one to a free slot", "[unit]") {
    Distributor<> master;
    master.connect();
    master.submit_many(1, 400, {}, 0);
    for (int i = 0; i < 8; ++i) master.answer(0, 2us);
    CHECK(master.peers[0]->sent.size() > 50);
    while (!master.peers[0]->sent.empty()) master.answer(0, 2us);
    CHECK(master.container.quiet());

    master.submit_many(1, 10, {}, 1);
    while (!master.peers[0]->sent.empty()) {
        CHECK(master.peers[0]->sent.size() == 1);
        master.answer(0, 1s);
    }
}

TEST_CASE("a type that was not measured waits for a free slot while others stream", "[unit]") {
    Distributor<> master;
    master.connect({.slots = 2});
    master.submit_many(1, 1, {}, 0);
    master.answer(0, 1us);
    master.submit_many(2, 4, {}, 0);
    CHECK(master.peers[0]->sent.size() == 3);
    CHECK(master.submit(numbered(5, {}, 1)) == Admission::queued);
    CHECK(master.submit(numbered(6, {}, 0)) == Admission::sent);
    master.answer(0, 1us);
    CHECK(master.container.backlog_size() == 1);
    master.answer(0, 1us, 2);
    CHECK(master.container.backlog_size() == 0);
    CHECK(master.held(0) == Numbers{6, 5});
}

TEST_CASE("a work with labels goes to a slave that has them all", "[unit]") {
    Distributor<> master;
    master.connect({.slots = 10});
    master.connect({.slots = 10, .labels = {"gpu"}});
    master.connect({.slots = 10, .labels = {"avx", "gpu", "zoo"}});
    master.submit_many(1, 4, SubmitOptions{}.label("gpu"));
    master.submit_many(5, 6, SubmitOptions{}.label("zoo").label("avx"));
    CHECK(master.submit(numbered(7, SubmitOptions{}.label("tpu"))) == Admission::queued);
    master.submit_many(8, 10);
    CHECK(master.held(0).size() == 1);
    CHECK(master.sent == Distributor<>::Sent{{1, 1}, {2, 2}, {1, 3}, {2, 4}, {2, 5}, {2, 6}, {0, 8}, {1, 9}, {2, 10}});
    master.connect({.slots = 1, .labels = {"tpu"}});
    CHECK(master.held(3) == Numbers{7});
}

TEST_CASE("a work goes only to a slave that has its type, also once it has it", "[unit]") {
    Distributor<> master;
    master.connect({.slots = 10, .knows = {true, false}});
    master.connect({.slots = 10, .knows = {true, true}});
    master.submit_many(1, 2, {}, 1);
    CHECK(master.held(1) == Numbers{1, 2});
    master.submit_many(3, 4, {}, 0);
    CHECK(master.held(0) == Numbers{3});
    CHECK(master.submit(numbered(5, {}, 3)) == Admission::queued);
    master.container.know_types(master.ids[0], {true, false, false, true});
    CHECK(master.held(0) == Numbers{3, 5});

    // Also when those who had it lose it, or leave.
    master.container.know_types(master.ids[1], {true, false});
    CHECK(master.submit(numbered(6, {}, 1)) == Admission::queued);
    master.disconnect(1);
    CHECK(master.submit(numbered(7, {}, 3)) == Admission::sent);
    CHECK(master.submit(numbered(8, {}, 1)) == Admission::queued);
}

TEST_CASE("a short work with labels streams to its slave also while others are idle", "[unit]") {
    // Its type is long enough, or its body large enough, that a free slot is preferred: but there is none for it.
    const bool large_body = GENERATE(false, true);
    Distributor<> master;
    master.connect({.slots = 4});
    master.connect({.slots = 1, .labels = {"gpu"}});
    const auto options = SubmitOptions{}.label("gpu");
    const std::size_t bytes = large_body ? 100 * 1024 : 10;
    CHECK(master.submit(task(options, 0, bytes)) == Admission::sent);
    master.answer(1, large_body ? 10us : 500us);
    CHECK(master.submit(task(options, 0, bytes)) == Admission::sent);
    CHECK(master.submit(task(options, 0, bytes)) == Admission::sent);
    CHECK(master.container.backlog_size() == 0);
}

TEST_CASE("a pinned work goes to its socket alone, and the selector is not asked", "[unit]") {
    int asked = 0;
    Distributor<Function> master{{}, [&](DistributeContext& context) { return ++asked, context.sockets().front(); }};
    master.connect();
    master.connect();
    CHECK(master.submit(pinned_to(master.ids[1], 1)) == Admission::sent);
    CHECK(master.submit(pinned_to(master.ids[1], 2)) == Admission::queued);
    CHECK(master.submit(pinned_to(master.ids[0], 3)) == Admission::sent);
    CHECK(master.sent == Distributor<>::Sent{{1, 1}, {0, 3}});
    CHECK(asked == 0);
    master.answer(0);
    CHECK(master.held(0).empty());
    master.answer(1);
    CHECK(master.held(1) == Numbers{2});
    CHECK(master.submit(pinned_to(99, 4)) == Admission::gone);
    CHECK(asked == 0);
}

TEST_CASE("a pinned work is refused where its socket has no such type, or left", "[unit]") {
    Distributor<> master;
    master.connect({.slots = 1, .knows = {false, true}});
    master.connect();
    CHECK(master.submit(pinned_to(master.ids[0], 1)) == Admission::unknown_type);
    CHECK(master.held(0).empty());  // its session may know better by now: but it was refused
    master.submit_many(2, 2, SubmitOptions{}.max_attempts(1));
    const auto waits = pinned_to(master.ids[1], 3);
    CHECK(master.submit(waits) == Admission::queued);
    const auto given_back = master.disconnect(1);
    REQUIRE(given_back.size() == 1);
    CHECK(given_back[0] == waits);
    CHECK(waits->stage == Stage::done);
    CHECK(master.submit(pinned_to(master.ids[1], 4)) == Admission::gone);
    CHECK(master.container.quiet());
}

TEST_CASE("pinned works pass through a backlog that is full of what the selector declines", "[unit]") {
    Distributor<Function> master{{.max_backlog = 3}, [](DistributeContext&) { return nullptr; }};
    master.connect({.slots = 2});
    master.submit_many(1, 3);
    CHECK(master.container.backlog_size() == 3);
    CHECK(master.submit(numbered(4)) == Admission::backlog_full);
    CHECK(master.submit(pinned_to(master.ids[0], 5)) == Admission::sent);
    CHECK(master.submit(pinned_to(master.ids[0], 6)) == Admission::sent);
    CHECK(master.submit(pinned_to(master.ids[0], 7)) == Admission::backlog_full);
    CHECK(master.held(0) == Numbers{5, 6});
}

TEST_CASE("without slaves a work waits, or is refused where it says so", "[unit]") {
    Distributor<> master;
    const auto refuse = SubmitOptions{}.when_unavailable(WhenUnavailable::refuse);
    CHECK(master.submit(numbered(1)) == Admission::queued);
    CHECK(master.submit(numbered(2, refuse)) == Admission::no_slave);
    CHECK(master.submit(numbered(2, refuse), true) == Admission::no_slave);
    master.connect();
    CHECK(master.submit(numbered(3, refuse)) == Admission::queued);  // it is busy, not missing
    master.disconnect(0);
    CHECK(master.submit(numbered(4, refuse)) == Admission::no_slave);
}

TEST_CASE("the backlog is bounded in works", "[unit]") {
    Distributor<> master{{.max_backlog = 3}};
    master.connect();
    master.submit_many(1, 4);
    CHECK(master.container.backlog_size() == 3);
    CHECK(master.submit(numbered(5)) == Admission::backlog_full);
    master.answer(0);
    CHECK(master.submit(numbered(6)) == Admission::queued);
    CHECK(master.submit(numbered(7)) == Admission::backlog_full);
}

TEST_CASE("the backlog is bounded in bytes, but has room for any one work", "[unit]") {
    Distributor<> master{{.max_backlog_bytes = 1000}};
    CHECK(master.submit(task(SubmitOptions{}, 0, 5000)) == Admission::queued);
    CHECK(master.submit(task(SubmitOptions{}, 0, 1)) == Admission::backlog_full);
    master.connect();
    CHECK(master.container.backlog_size() == 0);
    CHECK(master.submit(task(SubmitOptions{}, 0, 600)) == Admission::queued);
    CHECK(master.submit(task(SubmitOptions{}, 0, 401)) == Admission::backlog_full);
    CHECK(master.submit(task(SubmitOptions{}, 0, 400)) == Admission::queued);
    CHECK(master.submit(task(SubmitOptions{}, 0, 0)) == Admission::queued);
}

TEST_CASE("those who wait for room are admitted in order, and so many at most may wait", "[unit]") {
    Distributor<> master{{.max_backlog = 2, .max_waiting = 3}};
    master.connect();
    master.submit_many(1, 3);
    std::vector<TaskPtr> line;
    for (int i = 4; i <= 6; ++i) {
        line.push_back(numbered(i));
        CHECK(master.submit(line.back(), true) == Admission::waiting);
        CHECK(line.back()->stage == Stage::waiting);
    }
    CHECK(master.submit(numbered(7), true) == Admission::too_many_waiting);
    CHECK(master.submit(numbered(7), false) == Admission::backlog_full);
    CHECK(master.container.take_news().admitted.empty());

    master.answer(0);  // 2 is sent, 4 has room
    auto admitted = master.container.take_news().admitted;
    REQUIRE(admitted.size() == 1);
    CHECK(admitted[0] == line[0]);
    CHECK(line[0]->stage == Stage::backlog);
    CHECK(master.container.take_news().admitted.empty());

    master.answer(0);
    master.answer(0);
    CHECK(master.container.take_news().admitted.size() == 2);
    CHECK(master.container.backlog_size() == 2);
    while (!master.peers[0]->sent.empty()) master.answer(0);
    CHECK(master.sent == Distributor<>::Sent{{0, 1}, {0, 2}, {0, 3}, {0, 4}, {0, 5}, {0, 6}});
    CHECK(master.container.quiet());
}

TEST_CASE("who waits for room is not overtaken by a work that comes later", "[unit]") {
    Distributor<> master{{.max_backlog = 1, .max_backlog_bytes = 100}};
    CHECK(master.submit(task(SubmitOptions{}, 0, 60)) == Admission::queued);
    CHECK(master.submit(task(SubmitOptions{}, 0, 60), true) == Admission::waiting);
    // There would be room for this one, but it came later.
    CHECK(master.submit(task(SubmitOptions{}, 0, 10), true) == Admission::waiting);
    CHECK(master.submit(task(SubmitOptions{}, 0, 10), false) == Admission::backlog_full);
    // Those that somebody can take need no room.
    master.connect({.slots = 1, .labels = {"gpu"}, .knows = {false, true}});
    CHECK(master.submit(numbered(3, SubmitOptions{}.label("gpu"), 1), true) == Admission::sent);
    CHECK(master.submit(numbered(4, {}, 1), false) == Admission::backlog_full);
}

TEST_CASE("a work that waits for room and is cancelled lets the next one in", "[unit]") {
    Distributor<> master{{.max_backlog_bytes = 100}};
    const auto first = task(SubmitOptions{}, 0, 60);
    const auto large = task(SubmitOptions{}, 0, 90);
    const auto small = task(SubmitOptions{}, 0, 10);
    CHECK(master.submit(first) == Admission::queued);
    CHECK(master.submit(large, true) == Admission::waiting);
    CHECK(master.submit(small, true) == Admission::waiting);
    REQUIRE(large->claim());
    master.container.cancel(*large);
    CHECK(small->stage == Stage::backlog);
    CHECK(master.container.backlog_size() == 2);
    CHECK(master.container.take_news().admitted.size() == 1);
}

TEST_CASE("a cancelled work leaves whatever it waits in", "[unit]") {
    Distributor<> master{{.max_backlog = 2}};
    master.connect();
    std::vector<TaskPtr> works;
    for (int i = 1; i <= 5; ++i) works.push_back(numbered(i)), master.submit(works.back(), true);
    CHECK(works[0]->stage == Stage::in_flight);
    CHECK(works[2]->stage == Stage::backlog);
    CHECK(works[4]->stage == Stage::waiting);
    const auto cancel = [&](int number) {
        Task& work = *works[static_cast<std::size_t>(number) - 1];
        REQUIRE(work.claim());
        master.container.cancel(work);
    };

    SECTION("the line") {
        cancel(4);
        CHECK(works[3]->stage == Stage::done);
        CHECK(works[3].use_count() == 1);
        master.answer(0);
        CHECK(works[4]->stage == Stage::backlog);
    }
    SECTION("the backlog, where it makes room") {
        cancel(2);
        CHECK(works[1].use_count() == 1);
        CHECK(works[3]->stage == Stage::backlog);
        CHECK(master.container.backlog_size() == 2);
        master.answer(0);
        CHECK(master.held(0) == Numbers{3});
    }
    SECTION("not its slave, which is told, and whose credit returns with its answer") {
        cancel(1);
        CHECK(master.peers[0]->cancelled == std::vector<std::uint64_t>{works[0]->id});
        CHECK(works[0]->stage == Stage::in_flight);
        CHECK(master.held(0) == Numbers{1});
        CHECK(master.information(0).in_flight == 1);
        master.answer(0, 1s, 1, Errc::cancelled);
        CHECK(works[0]->stage == Stage::done);
        CHECK(master.held(0) == Numbers{2});
    }
    SECTION("before it came: it is sent nowhere") {
        const auto never = numbered(9);
        REQUIRE(never->claim());
        master.container.cancel(*never);
        CHECK(master.submit(never) == Admission::queued);
        CHECK(never.use_count() == 1);
    }
    SECTION("after all was over: nothing happens") {
        while (!master.peers[0]->sent.empty()) master.answer(0);
        cancel(1);
        CHECK(master.peers[0]->cancelled.empty());
        CHECK(works[0]->stage == Stage::done);
        CHECK(master.container.quiet());
    }
}

TEST_CASE("a work that is taken out of the backlog no longer keeps those behind it", "[unit]") {
    // The first is too large for what its slave may hold beyond its slot, the second is not; but it does not overtake.
    Distributor<> master;
    master.connect();
    master.submit_many(1, 1);
    master.answer(0, 10us);
    for (int i = 2; i <= 3; ++i) CHECK(master.submit(numbered(i)) == Admission::sent);
    master.answer(0, 10us);
    const auto large = task(SubmitOptions{}, 0, 17 * mebibyte);
    CHECK(master.submit(large) == Admission::queued);
    const auto small = numbered(5);
    CHECK(master.submit(small) == Admission::queued);
    REQUIRE(large->claim());
    master.container.cancel(*large);
    CHECK(small->stage == Stage::in_flight);
}

TEST_CASE("a small work does not overtake an older large one of its type, labels and priority", "[unit]") {
    Distributor<> master;
    master.connect();
    master.submit_many(1, 1);
    master.answer(0, 10us);
    for (int i = 2; i <= 3; ++i) CHECK(master.submit(numbered(i)) == Admission::sent);
    master.answer(0, 10us);
    const auto large = task(SubmitOptions{}, 0, 17 * mebibyte);
    large->number = 4;
    CHECK(master.submit(large) == Admission::queued);
    CHECK(master.submit(numbered(5)) == Admission::queued);
    while (!master.peers[0]->sent.empty()) master.answer(0, 10us);
    std::vector<int> order;
    for (const auto& [who, number] : master.sent) order.push_back(number);
    CHECK(order == Numbers{1, 2, 3, 4, 5});
}

TEST_CASE("a selector that throws declines the work, and what it threw is told once", "[unit]") {
    bool throws = true;
    Distributor<Function> master{{}, [&](DistributeContext& context) -> const SocketInformation* {
                                     if (throws) throw std::runtime_error{"no idea"};
                                     return context.sockets().front();
                                 }};
    master.connect({.slots = 5});
    CHECK(master.container.take_news().selector_error == nullptr);
    CHECK(master.submit(numbered(1)) == Admission::queued);
    CHECK(master.submit(numbered(2)) == Admission::queued);
    const auto error = master.container.take_news().selector_error;
    REQUIRE(error != nullptr);
    CHECK_THROWS_AS(std::rethrow_exception(error), std::runtime_error);
    CHECK(master.container.take_news().selector_error == nullptr);

    throws = false;
    CHECK(master.submit(numbered(3)) == Admission::sent);
    CHECK(master.container.update_socket_information(master.ids[0], 1));
    CHECK(master.held(0) == Numbers{3, 1, 2});
    CHECK(master.container.take_news().selector_error == nullptr);
}

TEST_CASE("a selector that declines a work is asked again when anything changed", "[unit]") {
    // Works of odd numbers wait for a slave whose value says so.
    const auto select = [](DistributeContext& context) -> const SocketInformation* {
        const bool odd = std::stoi(std::string{context.name()}) % 2 != 0;
        for (const SocketInformation* socket : context.sockets())
            if (!odd || socket->value.has_value()) return socket;
        return nullptr;
    };
    Distributor<Function> master{{}, select};
    master.connect({.slots = 9});
    for (int i = 1; i <= 6; ++i) master.submit(numbered(i, SubmitOptions{}.name(std::to_string(i))));
    CHECK(master.held(0) == Numbers{2, 4, 6});
    CHECK(master.container.backlog_size() == 3);
    CHECK_FALSE(master.container.update_socket_information(77, 1));
    CHECK(master.container.backlog_size() == 3);
    CHECK(master.container.update_socket_information(master.ids[0], 1));
    CHECK(master.held(0) == Numbers{2, 4, 6, 1, 3, 5});
    CHECK(std::any_cast<int>(master.information(0).value) == 1);
}

TEST_CASE("the selector is exchanged while works wait", "[unit]") {
    Distributor<AnySelector> master;
    master.container.socket_selector([](const DistributeContext&) -> const SocketInformation* { return nullptr; });
    master.connect({.slots = 2});
    master.connect({.slots = 2});
    master.submit_many(1, 5);
    CHECK(master.container.backlog_size() == 5);
    master.container.socket_selector([](const DistributeContext& context) -> const SocketInformation* {
        return context.sockets().size() == 2 ? context.from(1) : nullptr;
    });
    CHECK(master.sent == Distributor<>::Sent{{1, 1}, {1, 2}});
    master.container.socket_selector(LeastLoaded{});
    CHECK(master.held(0) == Numbers{3, 4});
    CHECK(master.container.backlog_size() == 1);
}

TEST_CASE("a selector is offered those with credit, type and labels, and at least one", "[unit]") {
    std::vector<std::set<std::size_t>> offers;
    Distributor<Function> master{{}, [&](DistributeContext& context) {
                                     std::set<std::size_t> places;
                                     for (const auto* socket : context.sockets()) places.insert(socket->place);
                                     offers.push_back(places);
                                     return context.from(0);
                                 }};
    master.connect();
    master.connect({.slots = 1, .labels = {"gpu"}});
    master.connect({.slots = 2, .labels = {"gpu"}, .knows = {true}});
    master.submit_many(1, 2, SubmitOptions{}.label("gpu"), 0);
    master.submit_many(3, 4, {}, 1);
    master.submit_many(5, 6, {}, 0);
    CHECK(offers == std::vector<std::set<std::size_t>>{{1, 2}, {2}, {0}, {2}});
    CHECK(master.container.backlog_size() == 2);
}

TEST_CASE("a slave that left gets nothing, and what was in flight on it is in flight no more", "[unit]") {
    Distributor<> master;
    for (int i = 0; i < 3; ++i) master.connect({.slots = 2});
    const auto works = master.submit_many(1, 8, SubmitOptions{}.max_attempts(1));
    master.take_sent();
    CHECK(master.disconnect(1).empty());
    CHECK(master.container.size() == 2);
    CHECK(works[1]->stage == Stage::done);
    CHECK(works[4]->stage == Stage::done);
    CHECK(works[0]->stage == Stage::in_flight);
    CHECK(master.sent.empty());
    master.answer(0, 1s, 2);
    master.answer(2, 1s, 2);
    CHECK(master.sent == Distributor<>::Sent{{0, 7}, {0, 8}});
    master.answer(0, 1s, 2);
    CHECK(master.container.quiet());

    // Its place is used again, its id is not.
    master.connect();
    CHECK(master.information(3).place == 1);
    CHECK(master.ids[3] == 4);
    // Nobody knows it any more.
    CHECK(master.disconnect(1).empty());
    master.container.drain(master.ids[1]);
    master.container.round_trip(master.ids[1], 1ms, {}, {});
    CHECK(master.container.size() == 3);
}

TEST_CASE("works that a session gave up are in flight nowhere, while others of it are still answered", "[unit]") {
    // The role stops: it settles what is in flight before the session's end comes round to the container.
    Distributor<> master;
    master.connect({.slots = 4});
    master.submit_many(1, 3);
    std::vector<Answer> answers(1);
    answers[0].call = master.peers[0]->sent[1];
    auto given_up = std::exchange(master.peers[0]->sent, {});
    given_up.erase(given_up.begin() + 1);
    master.container.forget(given_up);
    for (const auto& call : given_up) CHECK(static_cast<Task&>(*call).stage == Stage::done);
    given_up.clear();  // settled, and gone

    master.container.answered(master.ids[0], answers, {}, master.now);
    CHECK(master.information(0).in_flight == 0);
    CHECK(master.container.quiet());
    master.disconnect(0);
    CHECK(master.container.quiet());
}

TEST_CASE("a work that a session refuses goes to another slave, until the session is heard of again", "[unit]") {
    Distributor<> master;
    for (int i = 0; i < 3; ++i) master.connect({.slots = 4});
    master.peers[1]->refuses = Errc::lost;
    for (int i = 1; i <= 8; ++i) CHECK(master.submit(numbered(i)) == Admission::sent);
    CHECK(master.held(0).size() == 4);
    CHECK(master.held(2).size() == 4);
    CHECK(master.peers[1]->refused == 1);
    CHECK(master.submit(numbered(9)) == Admission::queued);
    CHECK(master.peers[1]->refused == 1);

    SECTION("by an answer or a pong") {
        master.peers[1]->refuses = {};
        master.container.round_trip(master.ids[1], 1ms, {}, {});
        CHECK(master.held(1) == Numbers{9});
    }
    SECTION("and refuses again: the work goes on waiting") {
        master.container.round_trip(master.ids[1], 1ms, {}, {});
        CHECK(master.peers[1]->refused == 2);
        CHECK(master.container.backlog_size() == 1);
    }
    SECTION("or ends") {
        master.disconnect(1);
        CHECK(master.container.backlog_size() == 1);
        master.answer(0);
        CHECK(master.held(0).back() == 9);
    }
}

TEST_CASE("a pinned work that its session refuses waits for it", "[unit]") {
    Distributor<> master;
    master.connect();
    master.connect();
    master.peers[0]->refuses = Errc::outbox_full;
    const auto work = pinned_to(master.ids[0], 1);
    CHECK(master.submit(work) == Admission::queued);
    CHECK(master.held(1).empty());
    master.peers[0]->refuses = {};
    master.container.round_trip(master.ids[0], 1ms, {}, {});
    CHECK(master.held(0) == Numbers{1});
}

TEST_CASE("a draining slave gets nothing new, and finishes what it has", "[unit]") {
    Distributor<> master;
    master.connect({.slots = 2});
    master.connect({.slots = 2});
    master.submit_many(1, 2);
    master.container.drain(master.ids[0]);
    CHECK(master.information(0).draining);
    master.submit_many(3, 5);
    CHECK(master.held(0) == Numbers{1});
    CHECK(master.held(1) == Numbers{2, 3});
    master.answer(0);
    master.container.round_trip(master.ids[0], 1ms, {}, {});
    CHECK(master.held(0).empty());
    CHECK(master.container.backlog_size() == 2);
    CHECK(master.submit(pinned_to(master.ids[0], 6)) == Admission::queued);
}

TEST_CASE("nothing is admitted once the container was closed, and what waits is given out", "[unit]") {
    Distributor<> master{{.max_backlog = 2}};
    master.connect();
    std::vector<TaskPtr> works;
    for (int i = 1; i <= 5; ++i) works.push_back(numbered(i)), master.submit(works.back(), true);
    master.container.close();
    CHECK(master.submit(numbered(6), true) == Admission::stopped);
    master.answer(0);
    CHECK(master.held(0) == Numbers{2});  // what was admitted goes on
    const auto waiting = master.container.take_waiting();
    Numbers numbers;
    for (const auto& work : waiting) {
        numbers.push_back(number_of(*work));
        CHECK(work->stage == Stage::done);
    }
    CHECK(numbers == Numbers{3, 4, 5});
    CHECK_FALSE(master.container.quiet());
    master.answer(0);
    CHECK(master.container.quiet());
    CHECK(master.sent.size() == 2);
}

TEST_CASE("a container that lets go of its sockets holds no session, and nothing is in flight", "[unit]") {
    Distributor<> master;
    for (int i = 0; i < 3; ++i) master.connect({.slots = 2});
    const auto works = master.submit_many(1, 8);
    master.disconnect(1);
    master.container.close();
    master.container.take_waiting();
    master.container.clear();
    CHECK(master.container.size() == 0);
    CHECK(master.container.quiet());
    for (const auto& peer : master.peers) CHECK(peer.use_count() == 1);
    for (const auto& work : works) CHECK(work->stage == Stage::done);
    // Who cancels now finds nobody to tell.
    REQUIRE(works[0]->claim());
    master.container.cancel(*works[0]);
    CHECK(master.peers[0]->cancelled.empty());
    CHECK(master.disconnect(0).empty());
}

TEST_CASE("works of a lost slave go again, and stand where they stood", "[unit]") {
    Distributor<> master;
    master.connect({.slots = 2});
    master.answer_once();  // its type is measured: it may hold more than it has slots
    auto works = master.submit_many(1, 3);
    REQUIRE(master.held(0) == std::vector{1, 2, 3});
    master.submit_many(4, 5, SubmitOptions{}.label("gpu"));
    REQUIRE(master.disconnect(0).empty());

    CHECK(master.lost.empty());
    REQUIRE(master.again == std::vector<SubmissionPtr>{works[2], works[1], works[0]});
    CHECK_FALSE(master.container.quiet());
    // The first two had begun; the other counts no attempt.
    CHECK(works[1]->attempts == 1);
    CHECK(works[2]->attempts == 0);
    for (const auto& work : master.again) CHECK(master.container.send_again(work));
    CHECK_FALSE(master.container.send_again(works[0]));
    master.submit_many(6, 6);
    CHECK(master.container.backlog_size() == 6);
    master.connect({.slots = 4});
    CHECK(master.held(1) == std::vector{1, 2, 3, 6});
    CHECK(works[0]->attempt() == 2);
    CHECK(master.container.statistics().requeued == 3);
    CHECK(master.container.statistics().freed == 1);
}

TEST_CASE("a work that was lost too often, or may be executed once only, is lost for good", "[unit]") {
    Distributor<> master;
    const auto lose = [&](std::size_t who) {
        master.connect({.slots = 1});
        REQUIRE(master.held(who).size() == 1);
        master.disconnect(who);
        for (const auto& work : master.again) CHECK(master.container.send_again(work));
        return !master.lost.empty();
    };
    const auto work = numbered(1);
    master.submit(work);
    CHECK_FALSE(lose(0));
    CHECK_FALSE(lose(1));
    CHECK(lose(2));
    CHECK(work->lost_on() == "slave 0, slave 1, slave 2");
    CHECK(work->attempt() == 3);

    master.submit(numbered(2, SubmitOptions{}.max_attempts(1)));
    CHECK(lose(3));
    CHECK(master.container.quiet());
}

TEST_CASE("a work goes again free ten times at most, and one that may go only once not at all", "[unit]") {
    Distributor<> master;
    std::size_t who = 0;
    const auto begun = numbered(1, SubmitOptions{}.max_attempts(1000));
    const auto waits = numbered(2);
    master.connect({.slots = 1});
    master.answer_once();
    for (const auto& work : {begun, waits}) master.submit(work);
    for (int i = 0; i < 10; ++i) {
        REQUIRE(master.held(who).size() == 2);
        master.disconnect(who++);
        CHECK(master.lost.empty());
        for (const auto& work : master.again) CHECK(master.container.send_again(work));
        master.connect({.slots = 1});
        CHECK(waits->attempts == 1);
    }
    master.disconnect(who);
    REQUIRE(master.lost.size() == 1);
    CHECK(master.lost[0] == waits);
    CHECK(begun->attempts == 11);

    // Whether it had begun cannot be known for sure.
    Distributor<> other;
    other.connect({.slots = 1});
    other.answer_once();
    other.submit(numbered(1));
    other.submit(numbered(2, SubmitOptions{}.max_attempts(1)));
    REQUIRE(other.held(0).size() == 2);
    other.disconnect(0);
    CHECK(other.lost.size() == 1);
    CHECK(other.again.size() == 1);
}

TEST_CASE("a work that waits to go again can be cancelled, and is taken out when all ends", "[unit]") {
    Distributor<> master;
    master.connect({.slots = 2});
    const auto works = master.submit_many(1, 2);
    master.disconnect(0);
    REQUIRE(master.again.size() == 2);
    REQUIRE(works[0]->claim(Errc::cancelled));
    master.container.cancel(*works[0]);
    CHECK_FALSE(master.container.send_again(works[0]));
    CHECK_FALSE(master.container.quiet());
    CHECK(master.container.take_waiting() == std::list<SubmissionPtr>{works[1]});
    CHECK_FALSE(master.container.send_again(works[1]));
    CHECK(master.container.quiet());
}

TEST_CASE("a work that threw goes again as often as it asked for, and an answer that is not the last word is kept back",
          "[unit]") {
    Distributor<> master;
    master.connect({.slots = 4});
    const auto never = numbered(1);
    const auto twice = numbered(2, SubmitOptions{}.retry_on_error(RetryPolicy{2}));
    master.submit(never);
    master.submit(twice);
    master.answer(0, 1s, 1, Errc::work_failed);
    CHECK(master.retries.empty());
    for (unsigned i = 1; i <= 2; ++i) {
        master.answer(0, 1s, 1, Errc::work_failed);
        REQUIRE(master.retries == std::vector<SubmissionPtr>{twice});
        CHECK(twice->retries() == i);
        CHECK_FALSE(master.container.quiet());
        CHECK(master.container.send_again(twice));
    }
    master.answer(0, 1s, 1, Errc::work_failed);
    CHECK(master.retries.empty());
    CHECK(master.container.quiet());

    // Retries are a count of their own: losses do not use them up, nor they the attempts.
    const auto both = numbered(3, SubmitOptions{}.max_attempts(2).retry_on_error(RetryPolicy{1}));
    master.submit(both);
    master.answer(0, 1s, 1, Errc::work_failed);
    REQUIRE(master.container.send_again(both));
    master.disconnect(0);
    REQUIRE(master.again.size() == 1);

    const auto final = numbered(4, SubmitOptions{}.retry_on_error(RetryPolicy{9}));
    master.connect({.slots = 4});
    master.submit(final);
    master.answer(1, 1s, 1, Errc::failed_for_good);
    CHECK(master.retries.empty());
}

TEST_CASE("a work that threw does not go again when nothing does any more", "[unit]") {
    Distributor<> master;
    master.connect({.slots = 1});
    master.submit(numbered(1, SubmitOptions{}.retry_on_error(RetryPolicy{9})));
    CHECK(master.container.take_waiting().empty());
    master.answer(0, 1s, 1, Errc::work_failed);
    CHECK(master.retries.empty());
    CHECK(master.container.quiet());
}

TEST_CASE("pauses before retries double up to a bound, with full jitter", "[unit]") {
    const RetryPolicy policy{5, std::chrono::milliseconds{100}, std::chrono::milliseconds{500}};
    CHECK(policy.pause(1, 0) == 0ns);
    CHECK(policy.pause(1, 100'000'000) == 100ms);
    CHECK(policy.pause(1, 100'000'001) == 0ns);
    CHECK(policy.pause(2, 200'000'000) == 200ms);
    CHECK(policy.pause(3, 400'000'000) == 400ms);
    CHECK(policy.pause(4, 500'000'000) == 500ms);
    CHECK(policy.pause(70, 500'000'000) == 500ms);
}

TEST_CASE("a work that waited for too long is taken out unless it was ever sent", "[unit]") {
    Distributor<> master;
    const auto waits = numbered(1);
    master.submit(waits);
    CHECK(master.container.expire(*waits));
    CHECK(waits->outcome() == Errc::queue_timeout);
    CHECK_FALSE(master.container.expire(*waits));
    CHECK(master.container.quiet());

    // Its time was over before whoever submits it had the lock.
    const auto fresh = numbered(4);
    CHECK(master.container.expire(*fresh));
    CHECK(master.submit(fresh) == Admission::queued);
    CHECK_FALSE(fresh->is_admitted);
    CHECK(master.container.quiet());

    const auto sent = numbered(2);
    master.connect({.slots = 1});
    master.submit(sent);
    CHECK_FALSE(master.container.expire(*sent));
    master.disconnect(0);
    CHECK(master.container.send_again(sent));
    CHECK_FALSE(master.container.expire(*sent));
    CHECK(master.container.backlog_size() == 1);
}

TEST_CASE("the line for the backlog is bounded in bytes, too, but takes one of any size", "[unit]") {
    Distributor<> master{{.max_backlog = 100, .max_backlog_bytes = 1000, .max_waiting = 100}};
    CHECK(master.submit(task(SubmitOptions{}, 0, 900), true) == Admission::queued);
    CHECK(master.submit(task(SubmitOptions{}, 0, 2000), true) == Admission::waiting);
    CHECK(master.submit(task(SubmitOptions{}, 0, 10), true) == Admission::too_many_waiting);

    Distributor<> other{{.max_backlog = 100, .max_backlog_bytes = 1000, .max_waiting = 100}};
    CHECK(other.submit(task(SubmitOptions{}, 0, 1000), true) == Admission::queued);
    CHECK(other.submit(task(SubmitOptions{}, 0, 600), true) == Admission::waiting);
    CHECK(other.submit(task(SubmitOptions{}, 0, 400), true) == Admission::waiting);
    CHECK(other.submit(task(SubmitOptions{}, 0, 1), true) == Admission::too_many_waiting);
}

TEST_CASE("what nobody can take is told once, also when none of it waits for a while", "[unit]") {
    Distributor<> master{{.max_backlog = 1, .max_backlog_bytes = 1000, .max_waiting = 10}};
    master.connect();
    const auto told = [&] { return master.container.take_news().stranded; };
    const auto gpu = SubmitOptions{}.label("gpu");
    for (int i = 0; i < 3; ++i) {
        const auto work = numbered(1, gpu);
        CHECK(master.submit(work) == Admission::queued);
        CHECK(told().size() == (i == 0 ? 1 : 0));
        CHECK(work->claim());
        master.container.cancel(*work);
    }
    // What waits for room is told of as well.
    master.submit_many(2, 3);
    CHECK(master.container.backlog_size() == 1);
    const auto tpu = numbered(4, SubmitOptions{}.label("tpu"));
    CHECK(master.submit(tpu, true) == Admission::waiting);
    CHECK(told().size() == 1);
    master.answer(0);
    CHECK(master.container.backlog_size() == 1);
    CHECK(told().empty());

    // Another slave: it may be otherwise with those that come after it.
    master.connect({.slots = 1, .labels = {"tpu"}});
    CHECK(master.held(1) == Numbers{4});
    CHECK(told().empty());
    CHECK(master.submit(numbered(5, gpu)) == Admission::queued);
    CHECK(told().size() == 1);
}

TEST_CASE("what waits is told by kind, with the reason, and what nobody can take once", "[unit]") {
    Distributor<> master;
    master.submit_many(1, 3);
    auto waiting = master.container.waiting();
    REQUIRE(waiting.size() == 1);
    CHECK(waiting[0].reason == WaitReason::no_slave);
    CHECK(waiting[0].works == 3);
    CHECK(master.container.take_news().stranded.size() == 1);
    CHECK(master.container.take_news().stranded.empty());

    master.connect({.slots = 1, .window = 1});
    CHECK(master.container.waiting().at(0).reason == WaitReason::no_credit);
    master.submit_many(4, 5, SubmitOptions{}.label("gpu"));
    master.container.round_trip(master.ids[0], 1ms, {}, {});  // nobody has credit: none is offered
    waiting = master.container.waiting();
    REQUIRE(waiting.size() == 2);
    CHECK(waiting[0].reason == WaitReason::no_credit);
    CHECK(waiting[0].works == 2);
    CHECK(waiting[1].reason == WaitReason::no_capable);
    CHECK(waiting[1].labels == std::vector<std::string>{"gpu"});
    CHECK(master.container.take_news().stranded.size() == 1);
    master.submit_many(6, 7, SubmitOptions{}.label("gpu"));
    CHECK(master.container.take_news().stranded.empty());
    master.connect({.slots = 1, .labels = {"gpu"}});
    CHECK(master.container.waiting().size() == 2);
    // Once for each kind, as long as any of it waits.
    master.disconnect(1);
    CHECK(master.container.take_news().stranded.empty());

    // The two that it had, until they are sent again; they stand among their like then.
    const auto paused = [&] {
        std::size_t works = 0;
        for (const Waiting& kind : master.container.waiting())
            if (kind.reason == WaitReason::pause) works += kind.works;
        return works;
    };
    auto again = master.again;
    REQUIRE(again.size() == 1);
    CHECK(paused() == 1);
    master.disconnect(0);
    again.insert(again.end(), master.again.begin(), master.again.end());
    REQUIRE(again.size() == 2);
    CHECK(paused() == 2);
    for (const auto& work : again) CHECK(master.container.send_again(work));
    CHECK(paused() == 0);
}

TEST_CASE("a work whose session gave it up, and left before that was told, is not looked for there", "[unit]") {
    Distributor<> master;
    master.connect();
    const auto work = master.submit_many(1, 1).front();
    const auto given_up = std::exchange(master.peers[0]->sent, {});
    master.disconnect(0);
    CHECK(work->stage == Stage::done);
    REQUIRE(work->claim());
    master.container.cancel(*work);
    master.container.forget(given_up);
    CHECK(master.container.quiet());
}

TEST_CASE("what is known of a slave is kept up to date", "[unit]") {
    Distributor<> master;
    master.connect({.slots = 2, .labels = {"gpu"}});
    master.submit_many(1, 2, {}, 0);
    master.submit_many(3, 3, {}, 1);
    auto about = master.information(0);
    CHECK(about.in_flight == 2);
    CHECK(about.load() == 1.0);
    CHECK(about.labels == std::vector<std::string>{"gpu"});
    REQUIRE(about.running.size() == 1);
    CHECK(about.running[0] == std::pair{&work_type_number(0), std::size_t{2}});
    CHECK(about.last_finished == nullptr);
    CHECK(about.mean_execution_time == 0ns);

    master.answer(0, 800ms, 1);
    master.answer(0, 1600ms, 1, Errc::work_failed);
    about = master.information(0);
    CHECK(about.completed == 1);
    CHECK(about.failed == 1);
    CHECK(about.mean_execution_time == 900ms);
    CHECK(about.last_finished == &work_type_number(0));
    CHECK(about.in_flight == 1);
    REQUIRE(about.running.size() == 1);
    CHECK(about.running[0].first == &work_type_number(1));

    const TimePoint heard{5h};
    SlaveState state;
    state.queued = 4;
    master.container.round_trip(master.ids[0], 3ms, {.bytes_sent = 7, .bytes_received = 8, .last_heard = heard}, state);
    about = master.information(0);
    CHECK(about.round_trip == 3ms);
    CHECK(about.bytes_sent == 7);
    CHECK(about.bytes_received == 8);
    CHECK(about.last_heard == heard);
    CHECK(about.state == state);
}

TEST_CASE("a work that was not executed says nothing of its type's execution time", "[unit]") {
    Distributor<> master;
    master.connect();
    master.submit_many(1, 9);
    // Cancelled before it began, or not decoded there: no time went by.
    for (const Errc error : {Errc::cancelled, Errc::malformed, Errc::not_accepted}) {
        master.answer(0, 0s, 1, error);
        CHECK(master.peers[0]->sent.size() == 1);
        CHECK(master.information(0).mean_execution_time == 0ns);
    }
    CHECK(master.information(0).failed == 3);
    // What threw was executed.
    master.answer(0, 10us, 1, Errc::work_failed);
    CHECK(master.peers[0]->sent.size() == 2);
    CHECK(master.information(0).mean_execution_time == 10us);
}

TEST_CASE("late and unknown answers, and those of calls that nobody chose, count nowhere", "[unit]") {
    class Direct final : public Call {
    public:
        Direct() : Call{work_type_number(0)} {}
        const IWork& work() const noexcept override { return nobody_->work(); }
        void succeed(std::span<const std::byte>, const std::shared_ptr<Peer>&) noexcept override {}
        void fail(std::exception_ptr) noexcept override {}
        void deliver(std::shared_ptr<Call>) override {}

    private:
        TaskPtr nobody_ = task();
    };
    Distributor<> master;
    master.connect();
    master.submit_many(1, 2);
    const std::shared_ptr<Call> held = master.peers[0]->sent[0];
    std::vector<Answer> answers(3);
    answers[1].call = std::make_shared<Direct>();
    answers[2].call = held;
    master.container.answered(master.ids[0], answers, {}, master.now);
    CHECK(master.information(0).completed == 1);
    CHECK(master.information(0).in_flight == 1);
    // The same again.
    master.container.answered(master.ids[0], answers, {}, master.now);
    CHECK(master.information(0).completed == 1);
    CHECK(master.information(0).in_flight == 1);
    master.container.answered(77, answers, {}, master.now);
    CHECK(master.information(0).in_flight == 1);
}

namespace {

/// A peer whose calls go through a session's real queue, of which every frame is read.
class QueuedPeer final : public FakePeer {
public:
    explicit QueuedPeer(std::size_t window) : multiplexer_{mebibyte} {
        Introduction peer;
        peer.types.emplace_back(work_type_number(0).name, 0);
        multiplexer_.introduce(PeerTypes{table_of({&work_type_number(0)}), peer}, window, mebibyte);
    }

    std::error_code send(const std::shared_ptr<Call>& call) override { return multiplexer_.send(call).error; }
    void cancel(const Call& call) override { multiplexer_.cancel(call); }

    /// Answers every work that has arrived; false once none did.
    bool answer_all(SocketContainer<RoundRobin>& container, std::uint64_t socket) {
        Outbox leaving;
        if (!multiplexer_.take(leaving)) return false;
        FrameReader reader{mebibyte};
        std::vector<asio::const_buffer> buffers;
        leaving.gather(buffers, mebibyte);
        const auto space = reader.prepare();
        std::size_t filled = 0;
        for (const auto& buffer : buffers) {
            std::memcpy(space.data() + filled, buffer.data(), buffer.size());
            filled += buffer.size();
        }
        std::vector<Answer> answers;
        const auto error = reader.commit(filled, [&](Frame&& frame) {
            if (frame.header.kind != FrameKind::work) return true;
            answers.emplace_back().id = frame.header.id;
            answers.back().reply.execution_time = 1us;
            return true;
        });
        if (error || leaving.size() != filled) return false;
        multiplexer_.take_calls(answers);
        multiplexer_.release_held();
        container.answered(socket, answers, {}, now_ += 1s);
        return true;
    }

private:
    Multiplexer multiplexer_;
    TimePoint now_{1h};
};

}  // namespace

TEST_CASE("a work that is cancelled while its session holds it back gives its credit back all the same", "[unit]") {
    // A peer that announces fewer works than it has slots.
    SocketContainer<RoundRobin> container;
    const auto peer = std::make_shared<QueuedPeer>(1);
    SocketInformation information;
    information.slots = 3;
    const std::uint64_t socket = container.add_socket(peer, std::move(information), {true}, 1);
    std::vector<TaskPtr> works;
    for (int i = 1; i <= 5; ++i) works.push_back(numbered(i)), container.submit(works.back(), false);
    CHECK(works[1]->stage == Stage::in_flight);
    REQUIRE(works[1]->claim());
    container.cancel(*works[1]);
    while (peer->answer_all(container, socket)) {
    }
    CHECK(container.quiet());
    for (const auto& work : works) CHECK(work->stage == Stage::done);
}

// A model of it all

namespace {

/// What a slave may be sent, from the rules as they are written down.
struct ModelSocket {
    struct Held {
        Task* work;
        Nanoseconds estimate;
        bool begun = false;
        bool blocks = false;  // from its beginning: it has no estimate, or a long one
        TimePoint began{};

        /// Perhaps it has run for far too long, by a round trip of any length.
        bool is_overlong(TimePoint now, Nanoseconds more) const {
            return now > began + std::max<Nanoseconds>(4 * estimate, 5ms) + more;
        }
    };

    std::size_t who = 0;
    std::size_t slots = 0;
    std::size_t window = 0;
    std::vector<std::string> labels;
    std::vector<bool> knows;
    bool draining = false;
    std::size_t heard_refused = 0;  // refusals when it was last heard of
    Nanoseconds round_trip{};
    std::size_t allowance = 0;
    TimePoint doubled{};
    bool limited = false;
    std::vector<Held> held;  // in the order of sending

    /// The oldest have begun, as many as there are slots.
    void begin(TimePoint now) {
        for (std::size_t i = 0; i < std::min(held.size(), slots); ++i) {
            if (std::exchange(held[i].begun, true)) continue;
            held[i].began = now;
            held[i].blocks = held[i].estimate == 0ns || held[i].estimate > 4 * (round_trip + 2ms);
        }
    }

    std::size_t waiting() const { return held.size() - std::min(held.size(), slots); }
    /// `surely`: whatever was noticed of works that run for too long.
    bool has_credit_for(Nanoseconds estimate, std::size_t bytes, TimePoint now, bool surely) const {
        if (held.size() < slots) return true;
        const auto blocked = static_cast<std::size_t>(std::count_if(held.begin(), held.end(), [&](const Held& at) {
            return at.begun && (at.blocks || at.is_overlong(now, surely ? 0ms : 6ms));
        }));
        Nanoseconds time = estimate;
        for (std::size_t i = slots; i < held.size(); ++i) time += held[i].estimate, bytes += held[i].work->bytes();
        return estimate > 0ns && held.size() < window && waiting() < allowance &&
               time <= (round_trip + 2ms) * static_cast<int>(slots - blocked) && bytes <= 16 * mebibyte;
    }
};

template <class Selector>
class Model {
public:
    explicit Model(unsigned seed) : random_{seed}, master_{limits(), Selector()} {}

    void step() {
        const auto what = random_() % 100;
        if (what < 45) submit();
        else if (what < 75) answer();
        else if (what < 80) cancel();
        else if (what < 83) connect();
        else if (what < 85) disconnect();
        else if (what < 89) round_trip();
        else if (what < 91) refuse();
        else if (what < 93) know_types();
        else if (what < 94) drain();
        else update_information();
        check();
    }

    /// Lets everything come to its end.
    void finish() {
        for (auto& socket : sockets_) {
            master_.peers[socket.who]->refuses = {};
            socket.knows.assign(all_types, true);
            master_.container.know_types(master_.ids[socket.who], socket.knows);
        }
        AbsentSlave able{.slots = 2, .labels = {"gpu"}};
        add(able);
        for (int i = 0; i < 100'000 && !master_.container.quiet() && failure.empty(); ++i) {
            for (auto& socket : sockets_)
                if (socket.draining && socket.held.empty()) {
                    remove(socket.who);
                    break;
                }
            const std::size_t who = sockets_[random_() % sockets_.size()].who;
            if (socket_of(who).held.empty()) pong(who, 1ms);
            else answer(who, 1);
            check();
        }
        for (const auto& [work, outcome] : outcomes_)
            if (work->stage != Stage::done && work->stage != Stage::fresh)
                fail("work " + std::to_string(work->number) + ", pinned to " + std::to_string(work->pinned) +
                     ", stays in stage " + std::to_string(static_cast<int>(work->stage)));
        if (!master_.container.quiet()) fail("it does not become quiet");
        for (const auto& [work, outcome] : outcomes_)
            if (outcome == Outcome::pending) fail("a submission has no outcome");
        if (outcomes_.size() != submitted_) fail("a submission is not accounted");
    }

    std::string failure;
    std::map<std::string, std::size_t> reached;

private:
    enum class Outcome { pending, refused, answered, cancelled, lost };

    static ContainerLimits limits() {
        return {.max_backlog = 12, .max_backlog_bytes = 30 * mebibyte, .max_waiting = 4};
    }

    void fail(const std::string& text) {
        if (failure.empty()) failure = text;
    }

    // What is done

    void submit() {
        SubmitOptions options;
        options.max_attempts(1).priority(static_cast<int>(random_() % 6 ? 0 : random_() % 3));
        // Who pins a work to a slave saw to it that it has the labels.
        const bool pinned = random_() % 10 == 0 && !sockets_.empty();
        if (random_() % 4 == 0 && !pinned) options.label("gpu");
        if (random_() % 20 == 0) options.when_unavailable(WhenUnavailable::refuse);
        const std::size_t bytes = random_() % 8 ? 10 : random_() % 3 ? 100 * 1024 : (1 + random_() % 9) * mebibyte;
        const auto work = task(options, random_() % 3, bytes);
        work->number = static_cast<int>(++submitted_);
        if (pinned) work->pinned = master_.ids[sockets_[random_() % sockets_.size()].who];
        outcomes_[work] = Outcome::pending;
        sent_now_ = nullptr;
        const Admission admission = master_.submit(work, random_() % 2);
        ++reached["admission " + std::to_string(static_cast<int>(admission))];
        const bool is_sent = work->stage == Stage::in_flight;
        switch (admission) {
            case Admission::sent:
                if (!is_sent || sent_now_ != work.get()) fail("it was not sent");
                break;
            case Admission::queued:
                if (work->stage != Stage::backlog) fail("it is not in the backlog");
                break;
            case Admission::waiting:
                if (work->stage != Stage::waiting) fail("it is not in the line");
                line_.push_back(work.get());
                break;
            default:
                if (is_sent) fail("it was refused and sent");
                settle(work, Outcome::refused);
        }
    }

    void answer() {
        if (sockets_.empty()) return;
        const std::size_t who = sockets_[random_() % sockets_.size()].who;
        const std::size_t held = socket_of(who).held.size();
        if (held != 0) answer(who, 1 + random_() % std::min<std::size_t>(held, 4));
    }

    /// Some of what it holds, in any order.
    void answer(std::size_t who, std::size_t count) {
        ModelSocket& socket = socket_of(who);
        auto& sent = master_.peers[who]->sent;
        std::vector<Answer> answers(count);
        for (Answer& answer : answers) {
            const std::size_t index = random_() % sent.size();
            answer.call = sent[index];
            sent.erase(sent.begin() + static_cast<std::ptrdiff_t>(index));
            auto& work = static_cast<Task&>(*answer.call);
            constexpr std::int64_t times[] = {5'000, 400'000, 70'000'000};
            answer.reply.execution_time =
                Nanoseconds{static_cast<std::int64_t>(random_() % 4 + 1) * times[work.type().number]};
            answer.reply.error = random_() % 5 ? Errc{} : Errc::work_failed;
            Nanoseconds& mean = means_[work.type().number];
            const Nanoseconds time = answer.reply.execution_time;
            mean = mean == 0ns ? time : mean + (time - mean) / 8;
            std::erase_if(socket.held, [&](const auto& held) { return held.work == &work; });
            const auto pointer = std::static_pointer_cast<Task>(answer.call);
            if (outcomes_.at(pointer) != Outcome::cancelled) settle(pointer, Outcome::answered);
        }
        now_ += std::chrono::microseconds{random_() % 3000};
        if (socket.limited && now_ - socket.doubled >= socket.round_trip) {
            socket.allowance = std::min(socket.allowance * 2, socket.window);
            socket.doubled = now_;
            socket.limited = false;
        }
        socket.heard_refused = master_.peers[who]->refused;
        socket.begin(now_);
        if (socket.held.size() >= socket.slots) ++reached["answer with works waiting there"];
        master_.container.answered(master_.ids[who], answers, {}, now_);
    }

    void cancel() {
        std::vector<TaskPtr> pending;
        for (const auto& [work, outcome] : outcomes_)
            if (outcome == Outcome::pending) pending.push_back(work);
        if (pending.empty()) return;
        const TaskPtr work = pending[random_() % pending.size()];
        const Stage stage = work->stage;
        ++reached["cancel in stage " + std::to_string(static_cast<int>(stage))];
        if (!work->claim()) fail("it was claimed twice");
        std::erase(line_, work.get());
        const std::size_t told = stage == Stage::in_flight ? master_.peers[work_socket(*work)]->cancelled.size() : 0;
        settle(work, Outcome::cancelled);
        master_.container.cancel(*work);
        if (stage != Stage::in_flight) {
            if (work->stage != Stage::done) fail("it was cancelled and is not done");
        } else if (master_.peers[work_socket(*work)]->cancelled.size() != told + 1) {
            fail("its slave was not told");
        }
    }

    std::size_t work_socket(const Task& work) const {
        for (const auto& socket : sockets_)
            for (const auto& held : socket.held)
                if (held.work == &work) return socket.who;
        return 0;
    }

    void connect() {
        if (sockets_.size() > 5) return;
        AbsentSlave slave{.slots = 1 + random_() % 3};
        if (random_() % 2) slave.labels = {"gpu"};
        if (random_() % 4 == 0) slave.knows = {true, random_() % 2 == 0, random_() % 2 == 0};
        slave.window = 4 + random_() % 30;
        add(slave);
    }

    void add(const AbsentSlave& slave) {
        // As Distributor::connect, but the model has to know the slave before it is sent anything.
        const std::size_t who = master_.peers.size();
        sockets_.push_back({.who = who,
                            .slots = slave.slots,
                            .window = std::max(slave.window, slave.slots),
                            .labels = slave.labels,
                            .knows = slave.knows,
                            .allowance = slave.slots,
                            .held = {}});
        on_send_ = [this](std::size_t to, Task& work) { sent(to, work); };
        master_.peers.push_back(std::make_shared<FakePeer>());
        master_.peers.back()->on_send = [this, who](Call& call) { on_send_(who, static_cast<Task&>(call)); };
        SocketInformation information;
        information.slots = slave.slots;
        information.labels = slave.labels;
        master_.ids.push_back(master_.ids.size() + 1);
        if (master_.container.add_socket(master_.peers.back(), std::move(information), slave.knows, slave.window) !=
            master_.ids.back())
            fail("an id was used twice");
    }

    void disconnect() {
        if (!sockets_.empty()) remove(sockets_[random_() % sockets_.size()].who);
    }

    void remove(std::size_t who) {
        for (const auto& held : socket_of(who).held) lose(*held.work);
        std::erase_if(sockets_, [&](const auto& socket) { return socket.who == who; });
        const auto given_back = master_.disconnect(who);
        for (const auto& work : given_back) {
            if (work->pinned != master_.ids[who]) fail("a work was given back that others could take");
            std::erase(line_, work.get());
            lose(static_cast<Task&>(*work));
        }
        for (const auto& [work, outcome] : outcomes_)
            if (outcome == Outcome::pending && work->pinned == master_.ids[who]) fail("a pinned work was forgotten");
    }

    void lose(const Task& work) {
        for (auto& [known, outcome] : outcomes_)
            if (known.get() == &work && outcome == Outcome::pending) settle(known, Outcome::lost);
    }

    void round_trip() {
        if (!sockets_.empty())
            pong(sockets_[random_() % sockets_.size()].who, std::chrono::microseconds{random_() % 6000});
    }

    void pong(std::size_t who, Nanoseconds time) {
        socket_of(who).round_trip = time;
        socket_of(who).heard_refused = master_.peers[who]->refused;
        master_.container.round_trip(master_.ids[who], time, {}, {});
    }

    void refuse() {
        if (sockets_.empty()) return;
        auto& refuses = master_.peers[sockets_[random_() % sockets_.size()].who]->refuses;
        refuses = refuses ? std::error_code{} : make_error_code(Errc::outbox_full);
    }

    void know_types() {
        if (sockets_.empty()) return;
        ModelSocket& socket = sockets_[random_() % sockets_.size()];
        socket.knows = {random_() % 4 != 0, random_() % 4 != 0, random_() % 4 != 0};
        master_.container.know_types(master_.ids[socket.who], socket.knows);
    }

    void drain() {
        if (sockets_.empty()) return;
        ModelSocket& socket = sockets_[random_() % sockets_.size()];
        socket.draining = true;
        master_.container.drain(master_.ids[socket.who]);
    }

    void update_information() {
        if (sockets_.empty()) return;
        const std::uint64_t id = master_.ids[sockets_[random_() % sockets_.size()].who];
        if (!master_.container.update_socket_information(id, 1)) fail("a socket was not found");
    }

    // What must hold

    /// A work is put into a session.
    void sent(std::size_t who, Task& work) {
        ModelSocket& socket = socket_of(who);
        if (!may_take(socket, work, false)) fail("work " + std::to_string(work.number) + " was sent beyond credit");
        const Nanoseconds estimate = means_[work.type().number];
        if (socket.held.size() >= socket.slots)
            for (const ModelSocket& other : sockets_)
                if (other.held.size() < other.slots && may_take(other, work, true))
                    fail("work " + std::to_string(work.number) + " was sent to wait beside a free slot");
        socket.held.push_back({&work, estimate});
        socket.begin(now_);
        if (socket.held.size() > socket.slots) {
            ++reached["sent ahead of the slots"];
            if (socket.waiting() >= socket.allowance) socket.limited = true;
        }
        // Works of one lane leave in the order in which they came.
        if (work.pinned == 0) {
            auto& last = last_sent_[lane(work)];
            if (work.sequence <= last)
                fail("work " + std::to_string(work.number) + " was overtaken by one of its own lane");
            last = work.sequence;
        }
        std::erase(line_, &work);
        sent_now_ = &work;
    }

    static std::string lane(const Task& work) {
        return std::to_string(work.type().number) + ' ' + std::to_string(work.options.priority()) + ' ' +
               std::to_string(work.options.labels().size()) + ' ' + std::to_string(work.pinned);
    }

    bool may_take(const ModelSocket& socket, const Task& work, bool surely) const {
        const Nanoseconds estimate = means_[work.type().number];
        if (work.pinned && work.pinned != master_.ids[socket.who]) return false;
        if (socket.draining || master_.peers[socket.who]->refused != socket.heard_refused) return false;
        if (!(work.type().number < socket.knows.size() && socket.knows[work.type().number])) return false;
        if (!work.options.labels().empty() && socket.labels.empty()) return false;
        // A slave whose credit is nearly used up is not looked at: it must have some for a short and small work.
        if (surely && !socket.has_credit_for(250us, 64 * 1024, now_, true)) return false;
        return socket.has_credit_for(estimate, work.bytes(), now_, surely);
    }

    void check() {
        std::size_t backlog = 0;
        std::size_t backlog_bytes = 0;
        std::size_t in_line = 0;
        std::size_t in_flight = 0;
        std::map<std::string, Task*> first;
        for (const auto& [work, outcome] : outcomes_) {
            switch (work->stage) {
                case Stage::backlog: {
                    ++backlog;
                    backlog_bytes += work->bytes();
                    Task*& best = first[lane(*work)];
                    if (!best || work->sequence < best->sequence) best = work.get();
                    break;
                }
                case Stage::waiting: ++in_line; break;
                case Stage::in_flight: ++in_flight; break;
                default: break;
            }
            const bool somewhere =
                work->stage == Stage::backlog || work->stage == Stage::waiting || work->stage == Stage::in_flight;
            if (outcome == Outcome::pending && !somewhere) fail("a submission is nowhere");
            if (outcome != Outcome::pending && outcome != Outcome::cancelled && somewhere)
                fail("a submission that is over is somewhere");
        }
        const News news = master_.container.take_news();
        for (const auto& admitted : news.admitted) {
            std::erase_if(line_, [&](const Task* work) { return work == admitted.get(); });
            ++reached["admitted from the line"];
        }
        if (backlog != master_.container.backlog_size()) fail("the backlog counts wrong");
        if (in_line != line_.size()) fail("the line counts wrong");
        if (master_.container.quiet() != (backlog + in_line + in_flight == 0)) fail("quiet is wrong");
        if (backlog > limits().max_backlog) fail("the backlog is beyond its bound");
        if (backlog > 1 && backlog_bytes > limits().max_backlog_bytes) fail("the backlog is beyond its bytes");
        if (in_line > limits().max_waiting) fail("the line is beyond its bound");

        // Nothing waits that could go, and nobody waits for room where there is some.
        for (const auto& [key, work] : first)
            for (const auto& socket : sockets_)
                if (may_take(socket, *work, true))
                    fail("work " + std::to_string(work->number) + " waits, and slave " + std::to_string(socket.who) +
                         " has credit for it");
        if (!line_.empty() && backlog < limits().max_backlog &&
            (backlog == 0 || backlog_bytes + line_.front()->bytes() <= limits().max_backlog_bytes))
            fail("work " + std::to_string(line_.front()->number) + " waits for room, and there is some");

        std::size_t connected = 0;
        std::size_t held = 0;
        master_.container.enumerate_sockets([&](const SocketInformation& information) {
            ++connected;
            const ModelSocket& socket = socket_of(information.id - 1);
            held += socket.held.size();
            if (information.in_flight != socket.held.size()) fail("what is in flight is counted wrong");
            std::map<const WorkType*, std::size_t> running;
            for (std::size_t i = 0; i < std::min(socket.slots, socket.held.size()); ++i)
                ++running[&socket.held[i].work->type()];
            if (running !=
                std::map<const WorkType*, std::size_t>{information.running.begin(), information.running.end()})
                fail("what runs is told wrong");
        });
        if (connected != sockets_.size()) fail("the sockets are counted wrong");
        if (held != in_flight) fail("a work is in flight on no slave");
    }

    ModelSocket& socket_of(std::size_t who) {
        const auto found =
            std::find_if(sockets_.begin(), sockets_.end(), [&](const auto& socket) { return socket.who == who; });
        if (found == sockets_.end()) throw std::logic_error{"a slave that left was used"};
        return *found;
    }

    void settle(const TaskPtr& work, Outcome outcome) {
        Outcome& before = outcomes_.at(work);
        if (before != Outcome::pending) fail("a submission ended twice");
        before = outcome;
    }

    struct ByNumber {
        bool operator()(const TaskPtr& a, const TaskPtr& b) const { return a->number < b->number; }
    };

    std::mt19937 random_;
    Distributor<Selector> master_;
    std::vector<ModelSocket> sockets_;
    std::map<TaskPtr, Outcome, ByNumber> outcomes_;
    std::vector<Task*> line_;
    std::map<std::string, std::uint64_t> last_sent_;
    Nanoseconds means_[all_types]{};
    std::function<void(std::size_t, Task&)> on_send_;
    Task* sent_now_ = nullptr;
    std::size_t submitted_ = 0;
    TimePoint now_{1h};
};

}  // namespace

TEMPLATE_TEST_CASE("never more than credit, never idle with credit, and every submission accounted once", "[unit]",
                   RoundRobin, LeastLoaded, PowerOfTwoChoices) {
    std::map<std::string, std::size_t> reached;
    for (unsigned seed = 1; seed <= 60; ++seed) {
        Model<TestType> model{seed};
        int step = 0;
        for (; step < 400 && model.failure.empty(); ++step) model.step();
        if (model.failure.empty()) model.finish();
        CAPTURE(seed, step, model.failure);
        REQUIRE(model.failure.empty());
        for (const auto& [mark, count] : model.reached) reached[mark] += count;
    }
    for (const char* mark : {"admission 0", "admission 1", "admission 2", "admission 3", "admission 4", "admission 5",
                             "admission 7", "cancel in stage 1", "cancel in stage 2", "cancel in stage 3",
                             "sent ahead of the slots", "answer with works waiting there", "admitted from the line"}) {
        CAPTURE(mark);
        CHECK(reached[mark] > 10);
    }
}
