#include "distwork/dispatch/slave_table.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/distributor.hpp"

namespace slave_table_test {

using namespace support;

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

}  // namespace slave_table_test
