#include "distwork/dispatch/submission.hpp"

#include <chrono>
#include <cstddef>
#include <list>
#include <vector>

#include "support/catch.hpp"
#include "support/distributor.hpp"

namespace submission_test {

using namespace support;

TEST_CASE("a submission is called by its name, else by its type's", "[unit]") {
    CHECK(task()->name() == "type 0");
    CHECK(task(SubmitOptions{}.name("nightly"))->name() == "nightly");
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
    master.answer(1, 1s, 1, Errc::failed_no_retry);
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

}  // namespace submission_test
