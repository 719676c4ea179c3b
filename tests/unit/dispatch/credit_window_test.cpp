#include "distwork/dispatch/credit_window.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <random>
#include <vector>

#include "support/catch.hpp"
#include "support/distributor.hpp"

namespace credit_window_test {

using namespace support;

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

// Slots that are blocked, and what waits behind them.

namespace blocked_slots {

namespace {

/// One slave's works, of which each is estimated to take 100 us.
struct Held {
    explicit Held(std::size_t slots, std::size_t held_slots = 0) : in_flight{slots, 1000, running, held_slots} {}
    Task& push(Nanoseconds estimate = 100us) {
        works.push_back(task());
        in_flight.push(*works.back(), estimate, now);
        return *works.back();
    }
    std::size_t late() {
        std::size_t count = 0;
        in_flight.for_each_late(now, [&](Submission&, Nanoseconds) { return ++count, true; });
        return count;
    }
    TimePoint now{1h};
    CreditWindow::Running running;
    CreditWindow in_flight;
    std::vector<TaskPtr> works;
};

}  // namespace

TEST_CASE("a slot is blocked while its work has no estimate, or a long one", "[unit]") {
    Held held{2};
    held.push(0ns);
    CHECK(held.in_flight.worth() == 2ms);
    CHECK_FALSE(held.in_flight.is_stuck());
    Task& long_one = held.push(8ms + 1ns);
    CHECK(held.in_flight.worth() == 0ms);
    CHECK(held.in_flight.is_stuck());
    CHECK_FALSE(held.in_flight.has_credit_for(1ns, 1));
    held.in_flight.remove(long_one, held.now);
    CHECK(held.in_flight.free_slots() == 1);
    held.push(8ms);
    CHECK(held.in_flight.worth() == 2ms);
    CHECK(held.in_flight.has_credit_for(2ms, 1));
}

TEST_CASE("a slot is blocked once its work has taken four times its estimate, 5 ms and a round trip", "[unit]") {
    Held held{1};
    held.in_flight.round_trip(1ms);
    Task& first = held.push(2ms);
    CHECK_FALSE(held.in_flight.look(held.now + 9ms));
    CHECK(held.in_flight.worth() == 3ms);
    CHECK(held.in_flight.look(held.now + 9ms + 1ns));
    CHECK(held.in_flight.is_stuck());
    CHECK_FALSE(held.in_flight.look(held.now + 1s));  // nothing new
    held.now += 1s;
    held.in_flight.remove(first, held.now);
    CHECK(held.in_flight.worth() == 3ms);

    Task& second = held.push(1us);
    held.push(1us);
    CHECK_FALSE(held.in_flight.look(held.now + 6ms));
    held.now += 4ms;
    held.in_flight.remove(second, held.now);  // the next begins now
    CHECK_FALSE(held.in_flight.look(held.now + 6ms));
    CHECK(held.in_flight.look(held.now + 6ms + 1ns));
}

TEST_CASE("a work that awaits its peer holds no slot, and goes on before new ones", "[unit]") {
    Held held{1};
    Task& parent = held.push();
    Task& child = held.push();
    CHECK_FALSE(held.in_flight.has_free_slot());
    held.in_flight.suspend(parent, held.now);
    held.in_flight.suspend(parent, held.now);
    CHECK_FALSE(held.in_flight.has_waiting());  // the child has begun
    held.in_flight.suspend(child, held.now);
    CHECK(held.in_flight.free_slots() == 1);
    held.in_flight.resume(parent, held.now + 1h);
    held.in_flight.resume(child, held.now + 1h);
    held.in_flight.resume(child, held.now + 1h);
    CHECK(held.in_flight.free_slots() == 0);
    CHECK_FALSE(held.in_flight.look(held.now + 1h + 5ms));  // what it waited is not its own time
    held.in_flight.remove(child, held.now);
    CHECK(held.in_flight.free_slots() == 0);
    held.in_flight.suspend(parent, held.now);
    held.in_flight.remove(parent, held.now);  // it is answered while it waits: cancelled, say
    CHECK(held.in_flight.free_slots() == 1);
    CHECK(held.running.empty());
    CHECK(held.in_flight.size() == 0);
}

TEST_CASE("a work that was sent for a slot which another takes again waits, and can be recalled", "[unit]") {
    Held held{2};
    Task& plain = held.push();
    Task& parent = held.push();
    held.in_flight.suspend(parent, held.now);
    Task& next = held.push();  // for the slot that seems to be free
    Task& later = held.push();
    CHECK(held.in_flight.free_slots() == 0);
    held.in_flight.resume(parent, held.now);
    CHECK(held.in_flight.has_waiting());
    CHECK(held.running.at(0).second == 2);
    held.now += 5ms;
    CHECK(held.late() == 2);
    held.in_flight.look(held.now += 1ms);
    CHECK(held.in_flight.is_stuck());
    held.in_flight.remove(parent, held.now);
    CHECK(held.in_flight.has_waiting());  // one of the two has begun
    held.in_flight.remove(next, held.now);
    CHECK_FALSE(held.in_flight.has_waiting());
    held.in_flight.remove(later, held.now);
    held.in_flight.remove(plain, held.now);
    CHECK(held.in_flight.free_slots() == 2);
    CHECK(held.running.empty());
    CHECK(held.in_flight.size() == 0);
}

TEST_CASE("slots that works of an earlier session occupy are not offered until they are free", "[unit]") {
    Held held{2, 2};
    CHECK_FALSE(held.in_flight.has_free_slot());
    CHECK_FALSE(held.in_flight.has_credit_for(1us, 1));
    held.in_flight.release_held(held.now);
    CHECK(held.in_flight.free_slots() == 1);
    held.in_flight.release_held(held.now);
    held.in_flight.release_held(held.now);
    CHECK(held.in_flight.free_slots() == 2);

    Distributor<> master;
    master.connect({.slots = 2, .held_slots = 5});
    CHECK(master.submit(numbered(1)) == Admission::queued);
    CHECK(master.information(0).free_slots == 0);
    master.container.slot_freed(master.ids[0]);
    CHECK(master.held(0) == Numbers{1});
    master.container.slot_freed(master.ids[0]);
    CHECK(master.information(0).free_slots == 1);
}

TEST_CASE("what waits is late behind a slot that is stuck, or for longer than a round trip", "[unit]") {
    Held held{1};
    held.in_flight.round_trip(1ms);
    held.push(1ms);
    for (int i = 0; i < 4; ++i) held.push(100us);
    CHECK(held.late() == 0);  // they begin in 1, 1.1, 1.2, 1.3 ms: within 1.5
    for (int i = 0; i < 4; ++i) held.push(100us);
    CHECK(held.late() == 2);  // those in 1.6 and 1.7
    held.now += 800us;
    CHECK(held.late() == 0);
    held.now += 2ms;  // it is late by 1.8 ms, and may be so for as long again
    CHECK(held.late() == 8);
    held.in_flight.look(held.now += 5ms);
    CHECK(held.in_flight.is_stuck());
    CHECK(held.late() == 8);
    held.in_flight.note_recalled(*held.works[3]);
    CHECK(held.late() == 7);
}

}  // namespace blocked_slots

}  // namespace credit_window_test
