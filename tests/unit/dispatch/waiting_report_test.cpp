#include "distwork/dispatch/waiting_report.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "distwork/statistics.hpp"
#include "support/catch.hpp"
#include "support/distributor.hpp"

namespace waiting_report_test {

using namespace support;

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
    CHECK(master.submit(tpu, true) == Admission::in_line);
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

TEST_CASE("the reasons for waiting have words", "[unit]") {
    std::vector<std::string> words;
    for (const auto reason : {WaitReason::no_slave, WaitReason::no_capable, WaitReason::no_credit, WaitReason::declined,
                              WaitReason::pause}) {
        words.emplace_back(to_string(reason));
        CHECK(words.back().size() > 5);
    }
    CHECK(words[0] == "no slave is connected");
}

}  // namespace waiting_report_test
