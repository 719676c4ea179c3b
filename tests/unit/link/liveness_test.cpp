#include "distwork/link/liveness.hpp"

#include <chrono>

#include "support/catch.hpp"

namespace liveness_test {

using distwork::detail::Liveness;
using namespace std::chrono_literals;

TEST_CASE("a peer is silent when nothing was heard for too long", "[unit]") {
    using TimePoint = Liveness::TimePoint;
    Liveness liveness{5s, 15s};
    liveness.heard(TimePoint{100s});
    CHECK_FALSE(liveness.is_silent(TimePoint{115s}));
    CHECK(liveness.is_silent(TimePoint{115s} + 1ns));
    liveness.heard(TimePoint{115s});
    CHECK_FALSE(liveness.is_silent(TimePoint{120s}));
    CHECK(liveness.last_heard() == TimePoint{115s});
}

TEST_CASE("a peer is suspected when two heartbeats brought nothing, until it is heard", "[unit]") {
    using TimePoint = Liveness::TimePoint;
    Liveness liveness{5s, 15s};
    CHECK_FALSE(liveness.heard(TimePoint{100s}));
    CHECK_FALSE(liveness.suspect(TimePoint{105s}));  // its pong may be on its way
    CHECK(liveness.suspect(TimePoint{110s}));
    CHECK_FALSE(liveness.suspect(TimePoint{115s}));  // as before
    CHECK(liveness.heard(TimePoint{116s}));
    CHECK_FALSE(liveness.heard(TimePoint{117s}));
    CHECK_FALSE(liveness.suspect(TimePoint{120s}));
}

TEST_CASE("a pong counts once, and only for the last ping", "[unit]") {
    using TimePoint = Liveness::TimePoint;
    Liveness liveness{5s, 15s};
    CHECK_FALSE(liveness.pong(0, TimePoint{1s}));
    const auto first = liveness.ping(TimePoint{1s});
    const auto second = liveness.ping(TimePoint{6s});
    CHECK_FALSE(liveness.pong(first, TimePoint{7s}));
    CHECK_FALSE(liveness.pong(0x8000'0000'0000'0000, TimePoint{7s}));
    CHECK(liveness.pong(second, TimePoint{7s}) == Liveness::Duration{1s});
    CHECK_FALSE(liveness.pong(second, TimePoint{8s}));
}

// When a peer is judged by an end that slept itself.

using TimePoint = Liveness::TimePoint;

TEST_CASE("who wakes late judges nobody before a full period is over", "[unit]") {
    Liveness liveness{5s, 15s};
    liveness.heard(TimePoint{100s});
    CHECK(liveness.slept(TimePoint{105s}, TimePoint{130s}) >= 30s);  // all that was before
    CHECK_FALSE(liveness.is_silent(TimePoint{130s}));
    CHECK_FALSE(liveness.suspect(TimePoint{130s}));
    CHECK_FALSE(liveness.is_silent(TimePoint{145s}));
    CHECK(liveness.suspect(TimePoint{140s}));
    CHECK(liveness.is_silent(TimePoint{145s} + 1ns));
    CHECK(liveness.last_heard() == TimePoint{100s});
}

TEST_CASE("what a timer is late does not count", "[unit]") {
    Liveness liveness{5s, 15s};
    liveness.heard(TimePoint{100s});
    CHECK(liveness.slept(TimePoint{105s}, TimePoint{105s}) == 0s);
    CHECK(liveness.slept(TimePoint{105s}, TimePoint{114s}) == 9s);
    CHECK_FALSE(liveness.is_silent(TimePoint{124s}));
    CHECK(liveness.is_silent(TimePoint{124s} + 1ns));
    CHECK(liveness.slept(TimePoint{105s}, TimePoint{115s}) > 100s);  // two heartbeats: nothing before counts
    CHECK_FALSE(liveness.is_silent(TimePoint{130s}));
    CHECK(liveness.is_silent(TimePoint{130s} + 1ns));
}

TEST_CASE("a timer that was cancelled came early, not late", "[unit]") {
    Liveness liveness{5s, 15s};
    liveness.heard(TimePoint{100s});
    CHECK(liveness.slept(TimePoint{120s}, TimePoint{116s}) == 0s);
    CHECK(liveness.is_silent(TimePoint{116s}));
}

TEST_CASE("who was heard since this end woke is silent from then on", "[unit]") {
    Liveness liveness{5s, 15s};
    liveness.heard(TimePoint{111s});
    liveness.slept(TimePoint{105s}, TimePoint{112s});
    CHECK_FALSE(liveness.is_silent(TimePoint{127s}));
    CHECK(liveness.is_silent(TimePoint{127s} + 1ns));
}

TEST_CASE("no sleep makes a peer silent that was heard at the last heartbeat, or the one before", "[unit]") {
    for (const Liveness::Duration heard : {100s, 105s}) {
        for (const Liveness::Duration dead_after : {6s, 8s, 11s, 12s, 15s, 30s, 60s}) {
            if (dead_after < 110s - heard) continue;
            for (Liveness::Duration slept = 0s; slept <= 40s; slept += 500ms) {
                Liveness liveness{5s, dead_after};
                liveness.heard(TimePoint{heard});
                const TimePoint now = TimePoint{110s} + slept;
                liveness.slept(TimePoint{110s}, now);
                INFO(heard.count() << " ns, " << dead_after.count() << " ns, " << slept.count() << " ns");
                CHECK_FALSE(liveness.is_silent(now));
            }
        }
    }
}

TEST_CASE("a peer that is gone is found, however late all timers of this end are", "[unit]") {
    Liveness liveness{5s, 15s};
    TimePoint now{100s};
    liveness.heard(now);
    int beats = 0;
    for (; !liveness.is_silent(now); ++beats) {
        REQUIRE(beats < 10);
        now += 5s + 9s;
        liveness.slept(now - 9s, now);
    }
    CHECK(beats == 4);
}

TEST_CASE("a round trip does not count the sleep of this end", "[unit]") {
    Liveness liveness{5s, 15s};
    const auto before = liveness.ping(TimePoint{100s});
    liveness.slept(TimePoint{105s}, TimePoint{130s});
    CHECK_FALSE(liveness.pong(before, TimePoint{130s}));
    const auto after = liveness.ping(TimePoint{130s});
    CHECK(liveness.pong(after, TimePoint{131s}) == 1s);
}

}  // namespace liveness_test
