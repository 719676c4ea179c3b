// Works that wait at their slave: what is recalled, and what comes back.

#include "distwork/dispatch/recaller.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"
#include "support/distributor.hpp"

namespace recaller_test {

using namespace support;

namespace {

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

}  // namespace recaller_test
