#include "distwork/dispatch/waiting_works.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"
#include "support/distributor.hpp"

namespace waiting_works_test {

using namespace support;

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
        CHECK(master.submit(line.back(), true) == Admission::in_line);
        CHECK(line.back()->stage == Stage::in_line);
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
    CHECK(master.submit(task(SubmitOptions{}, 0, 60), true) == Admission::in_line);
    // There would be room for this one, but it came later.
    CHECK(master.submit(task(SubmitOptions{}, 0, 10), true) == Admission::in_line);
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
    CHECK(master.submit(large, true) == Admission::in_line);
    CHECK(master.submit(small, true) == Admission::in_line);
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
    CHECK(works[4]->stage == Stage::in_line);
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

TEST_CASE("the line for the backlog is bounded in bytes, too, but takes one of any size", "[unit]") {
    Distributor<> master{{.max_backlog = 100, .max_backlog_bytes = 1000, .max_waiting = 100}};
    CHECK(master.submit(task(SubmitOptions{}, 0, 900), true) == Admission::queued);
    CHECK(master.submit(task(SubmitOptions{}, 0, 2000), true) == Admission::in_line);
    CHECK(master.submit(task(SubmitOptions{}, 0, 10), true) == Admission::too_many_waiting);

    Distributor<> other{{.max_backlog = 100, .max_backlog_bytes = 1000, .max_waiting = 100}};
    CHECK(other.submit(task(SubmitOptions{}, 0, 1000), true) == Admission::queued);
    CHECK(other.submit(task(SubmitOptions{}, 0, 600), true) == Admission::in_line);
    CHECK(other.submit(task(SubmitOptions{}, 0, 400), true) == Admission::in_line);
    CHECK(other.submit(task(SubmitOptions{}, 0, 1), true) == Admission::too_many_waiting);
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

}  // namespace waiting_works_test
