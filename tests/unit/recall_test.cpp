// Works that wait at their slave: which of its slots are blocked, what is recalled, and what comes back.

#include "distwork/dispatch/credit_window.hpp"
#include "support/catch.hpp"
#include "support/distributor.hpp"

using namespace support;

namespace {

using Numbers = std::vector<int>;

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

/// Has a slave answer so many short works that it may be sent as many as there are.
void warm(Distributor<>& master, std::size_t who) {
    master.container.round_trip(master.ids[who], 100us, {}, {});
    for (int round = 0; round < 6; ++round) {
        while (master.submit(numbered(0)) == Admission::sent) {
        }
        while (!master.held(who).empty()) master.answer(who, 100us);
    }
    master.take_sent();
}

/// A slave of one slot that executes a work and has others waiting, and one that is free.
struct Behind : Distributor<> {
    explicit Behind(int waiting = 3) {
        connect();
        warm(*this, 0);
        works = submit_many(1, 1 + waiting, SubmitOptions{}.max_attempts(1));
        connect();
        take_sent();
    }
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

TEST_CASE("selectors are offered slaves with a free slot, while there are any", "[unit]") {
    Distributor<AnySelector> master;
    for (int i = 0; i < 3; ++i) master.connect();
    for (const std::size_t who : {0u, 1u, 2u}) master.submit(numbered(0)), master.answer(who, 1us);
    std::vector<std::size_t> offered;
    master.container.socket_selector(AnySelector{[&](DistributeContext& context) {
        offered.push_back(context.sockets().size());
        for (const auto* socket : context.sockets()) CHECK((socket->free_slots == 1 || context.sockets().size() == 3));
        return context.sockets().front();
    }});
    for (int i = 1; i <= 4; ++i) CHECK(master.submit(numbered(i)) == Admission::sent);
    CHECK(offered == std::vector<std::size_t>{3, 2, 1, 3});
}

TEST_CASE("short calls one after the other never wait behind a long one", "[unit]") {
    Distributor<> master;
    for (int i = 0; i < 4; ++i) master.connect();
    for (const std::size_t who : {0u, 1u, 2u, 3u}) master.submit(numbered(0)), master.answer(who, 1us);
    master.take_sent();
    master.submit(numbered(1));
    const std::size_t busy = master.take_sent().at(0).first;
    for (int i = 2; i < 50; ++i) {
        CHECK(master.submit(numbered(i)) == Admission::sent);
        const std::size_t who = master.take_sent().at(0).first;
        CHECK(who != busy);
        master.answer(who, 1us);
    }
}

TEST_CASE("a slave that got stuck gets nothing ahead, also before anybody looked", "[unit]") {
    Distributor<> master;
    master.connect();
    master.answer_once();
    master.submit_many(1, 2);
    CHECK(master.held(0) == Numbers{1, 2});
    master.container.look(master.now + 1s);
    CHECK(master.submit(numbered(3)) == Admission::queued);
    master.answer(0, 1us);
    CHECK(master.held(0) == Numbers{2, 3});
}

TEST_CASE("works that wait behind a slot that is stuck are recalled, and go where a slot is free", "[unit]") {
    Behind master;
    REQUIRE(master.held(0) == Numbers{1, 2, 3, 4});
    CHECK(master.container.look(master.now));
    CHECK(master.peers[0]->recalled.empty());
    master.submit(numbered(9));
    REQUIRE(master.held(1) == Numbers{9});  // nobody idles now
    master.pass(6ms);
    CHECK(master.peers[0]->recalled.empty());  // what it answered may not have been read yet
    master.pass(5ms);
    CHECK(master.peers[0]->recalled.size() == 3);
    master.pass(1s);
    CHECK(master.peers[0]->recalled.size() == 3);  // each is asked for once

    const auto recalled = master.return_recalled(0, 1);
    REQUIRE(recalled.size() == 3);
    CHECK(master.information(0).in_flight == 1);
    CHECK_FALSE(master.container.quiet());
    for (const auto& work : recalled) {
        CHECK(work->stage == Stage::returning);
        CHECK(work->attempts == 0);
        CHECK(work->was_sent);
        CHECK(master.container.send_again(work));
    }
    CHECK(master.held(1) == Numbers{9});
    master.answer(1, 100us);
    CHECK(master.held(1) == Numbers{2, 3});
    CHECK(master.container.statistics().recalled == 3);
    CHECK(recalled[0]->attempts == 1);
}

TEST_CASE("a work that has begun when it is recalled is answered as ever", "[unit]") {
    Behind master;
    master.pass(11ms);
    CHECK(master.return_recalled(0, 4).empty());
    for (int i = 0; i < 4; ++i) master.answer(0, 1us);
    CHECK(master.container.quiet());
    CHECK(master.container.statistics().recalled == 0);
}

TEST_CASE("a recalled work that its caller gave up meanwhile goes nowhere", "[unit]") {
    Behind master;
    master.pass(11ms);
    REQUIRE(master.works[2]->claim(Errc::cancelled));
    master.container.cancel(*master.works[2]);
    CHECK(master.return_recalled(0, 1).size() == 2);
    CHECK(master.works[2]->stage == Stage::done);
    CHECK(master.information(0).in_flight == 1);
}

TEST_CASE("a recalled work whose slave is lost meanwhile goes again as any other", "[unit]") {
    Behind master{1};
    master.pass(11ms);
    CHECK(master.peers[0]->recalled.size() == 1);
    master.disconnect(0);
    CHECK(master.again.empty());  // at most once: it may have begun, as far as anybody knows
    CHECK(master.lost.size() == 2);
}

TEST_CASE("parts of a broadcast, and works that nobody else could take, are not recalled", "[unit]") {
    Behind master{0};
    const auto part = pinned_to(master.ids[0], 7);
    CHECK(master.submit(part) == Admission::sent);
    const auto rare = numbered(8);
    master.container.know_types(master.ids[1], {false});
    CHECK(master.submit(rare) == Admission::sent);
    master.pass(1s);
    CHECK(master.held(0) == Numbers{1, 7, 8});
    CHECK(master.peers[0]->recalled.empty());
    master.container.know_types(master.ids[1], std::vector<bool>(all_types, true));
    master.pass(10ms);
    CHECK(master.peers[0]->recalled == std::vector<std::uint64_t>{rare->id});
}

TEST_CASE("while slots elsewhere idle, as many works are recalled as they can take until somebody looks again",
          "[unit]") {
    Behind master{19};
    REQUIRE(master.held(0).size() == 20);
    master.container.look(master.now);
    CHECK(master.peers[0]->recalled.size() == 19 - 6);  // six begin sooner than they came back
    Behind other{3};
    other.container.look(other.now);
    CHECK(other.peers[0]->recalled.empty());

    // Works of 6 ms: one for each free slot, though they would all wait.
    Distributor<> slow;
    slow.connect();
    for (int round = 0; round < 6; ++round) {
        slow.submit_many(1, 8);
        while (!slow.held(0).empty()) slow.answer(0, 6ms);
        slow.container.round_trip(slow.ids[0], 30ms, {}, {});
    }
    slow.submit_many(1, 5);
    REQUIRE(slow.held(0).size() == 5);
    slow.container.round_trip(slow.ids[0], 1ms, {}, {});
    slow.connect({.slots = 2});
    slow.container.look(slow.now);
    CHECK(slow.peers[0]->recalled.size() == 2);
}

TEST_CASE("what a peer cannot return is not recalled", "[unit]") {
    Behind master;
    master.peers[0]->returns_works = false;
    master.pass(1s);
    CHECK(master.information(0).in_flight == 4);
}

TEST_CASE("a container asks once to be looked at while works wait at slaves, and is told when none does", "[unit]") {
    Distributor<> master;
    master.connect();
    warm(master, 0);
    master.container.look(master.now);
    master.container.take_news();
    master.submit_many(1, 1);
    CHECK_FALSE(master.container.take_news().look);
    master.submit_many(2, 4);
    CHECK(master.container.take_news().look);
    master.submit_many(5, 5);
    CHECK_FALSE(master.container.take_news().look);
    CHECK(master.container.look(master.now));
    master.answer(0, 1us, 4);
    CHECK_FALSE(master.container.look(master.now));
    master.submit_many(6, 6);
    CHECK(master.container.take_news().look);
}
