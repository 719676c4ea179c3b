// When a peer is judged by an end that slept itself.

#include "distwork/liveness.hpp"

#include <chrono>

#include "support/catch.hpp"

using distwork::Liveness;
using TimePoint = Liveness::TimePoint;
using namespace std::chrono_literals;

TEST_CASE("who wakes late judges nobody before a full period is over", "[unit]") {
    Liveness liveness{5s, 15s};
    liveness.heard(TimePoint{100s});
    CHECK(liveness.woke(TimePoint{105s}, TimePoint{130s}));
    CHECK_FALSE(liveness.is_silent(TimePoint{130s}));
    CHECK_FALSE(liveness.suspect(TimePoint{130s}));
    CHECK_FALSE(liveness.is_silent(TimePoint{145s}));
    CHECK(liveness.suspect(TimePoint{140s}));
    CHECK(liveness.is_silent(TimePoint{145s} + 1ns));
    CHECK(liveness.last_heard() == TimePoint{100s});
}

TEST_CASE("a timer that is a little late says nothing of this end", "[unit]") {
    Liveness liveness{5s, 15s};
    liveness.heard(TimePoint{100s});
    CHECK_FALSE(liveness.woke(TimePoint{105s}, TimePoint{105s}));
    CHECK_FALSE(liveness.woke(TimePoint{105s}, TimePoint{115s} - 1ns));
    CHECK(liveness.is_silent(TimePoint{116s}));
    CHECK(liveness.woke(TimePoint{105s}, TimePoint{115s}));  // by two heartbeats
    CHECK_FALSE(liveness.is_silent(TimePoint{116s}));
}

TEST_CASE("a timer that was cancelled came early, not late", "[unit]") {
    Liveness liveness{5s, 15s};
    liveness.heard(TimePoint{100s});
    CHECK_FALSE(liveness.woke(TimePoint{120s}, TimePoint{116s}));
    CHECK(liveness.is_silent(TimePoint{116s}));
}

TEST_CASE("whoever was heard at the last heartbeat is not silent because of a sleep, however short the period",
          "[unit]") {
    for (const Liveness::Duration dead_after : {6s, 8s, 10s, 12s, 15s, 30s, 60s}) {
        for (Liveness::Duration slept = 0s; slept <= 40s; slept += 500ms) {
            Liveness liveness{5s, dead_after};
            liveness.heard(TimePoint{100s});
            const TimePoint now = TimePoint{105s} + slept;
            liveness.woke(TimePoint{105s}, now);
            INFO(dead_after.count() << " ns, " << slept.count() << " ns");
            // Half a heartbeat is what a busy machine may cost who judges after little more than one.
            if (dead_after >= 8s || slept >= 2500ms || slept <= 1s) CHECK_FALSE(liveness.is_silent(now));
        }
    }
}

TEST_CASE("a peer that is gone is found by an end that sleeps now and then", "[unit]") {
    Liveness liveness{5s, 15s};
    liveness.heard(TimePoint{100s});
    liveness.woke(TimePoint{105s}, TimePoint{125s});
    TimePoint now{125s};
    for (; !liveness.is_silent(now); now += 5s) {
        REQUIRE(now < TimePoint{160s});
        liveness.woke(now, now);
    }
    CHECK(now == TimePoint{145s});
}

TEST_CASE("a round trip does not count the sleep of this end", "[unit]") {
    Liveness liveness{5s, 15s};
    const auto before = liveness.ping(TimePoint{100s});
    liveness.woke(TimePoint{105s}, TimePoint{130s});
    CHECK_FALSE(liveness.pong(before, TimePoint{130s}));
    const auto after = liveness.ping(TimePoint{130s});
    CHECK(liveness.pong(after, TimePoint{131s}) == 1s);
}
