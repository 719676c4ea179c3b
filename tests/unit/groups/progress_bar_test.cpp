#include "distwork/progress_bar.hpp"

#include <chrono>
#include <string>

#include "distwork/group_progress.hpp"
#include "support/catch.hpp"

namespace progress_bar_test {

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;

GroupProgress halfway() {
    GroupProgress progress;
    progress.total = 12'000;
    progress.done = 6000;
    progress.failed = 12;
    progress.running = 4;
    progress.elapsed = 100s;
    return progress;
}

TEST_CASE("progress knows its rate, its fraction and the time that is left", "[unit]") {
    GroupProgress progress = halfway();
    CHECK(progress.rate() == 60);
    CHECK(progress.fraction() == 0.5);
    CHECK(*progress.remaining() == 100s);
    progress.reported = 2000;
    progress.total = 16'000;
    CHECK(progress.fraction() == 0.5);
    progress.may_grow = true;
    CHECK_FALSE(progress.remaining());
    CHECK_FALSE(GroupProgress{}.remaining());
    CHECK(GroupProgress{}.rate() == 0);
    CHECK(GroupProgress{}.fraction() == 0);
}

TEST_CASE("a line of progress says what is done, how fast, and how long the rest takes", "[unit]") {
    GroupProgress progress = halfway();
    CHECK(line_of(progress) == "6,000 of 12,000 done, 60/s, 1:40 left, 12 failed");
    progress.may_grow = true;
    progress.failed = 0;
    CHECK(line_of(progress) == "6,000 done, 60/s");
    GroupProgress slow;
    slow.total = 3;
    slow.done = 1;
    slow.elapsed = 2h;
    CHECK(line_of(slow) == "1 of 3 done, 0.00014/s, 4:00:00 left");
    CHECK(line_of(GroupProgress{}) == "0 of 0 done");
}

TEST_CASE("a bar has as many signs as the terminal has room for", "[unit]") {
    GroupProgress progress = halfway();
    CHECK(bar_of(progress, 79) == "[#########..........]  50%  6,000 of 12,000 done, 60/s, 1:40 left, 12 failed");
    CHECK(bar_of(progress, 60) == "[#######........]  50%  6,000 of 12,000 done, 60/s, 1:40 lef");
    CHECK(bar_of(progress, 20) == "6,000 of 12,000 done");
    CHECK(bar_of(progress, 0).empty());
    progress.may_grow = true;
    CHECK(bar_of(progress, 79) == "6,000 done, 60/s, 12 failed");
}

TEST_CASE("what a work reports cannot spoil a terminal, and no letter is cut in two", "[unit]") {
    GroupProgress progress;
    progress.total = 1;
    progress.text = "a\nb\x1b[2J";
    CHECK(line_of(progress) == "0 of 1 done, a\\nb\\x1b[2J");
    CHECK(bar_of(progress, 200).find('\x1b') == std::string::npos);
    progress.text = "\xc3\xa4\xc3\xb6";
    const std::string whole = line_of(progress);
    CHECK(bar_of(progress, whole.size()) == whole);
    CHECK(bar_of(progress, whole.size() - 1) == whole.substr(0, whole.size() - 2));
    CHECK(bar_of(progress, whole.size() - 2) == whole.substr(0, whole.size() - 2));
}

}  // namespace progress_bar_test
