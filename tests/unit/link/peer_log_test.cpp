#include "distwork/link/peer_log.hpp"

#include <algorithm>
#include <asio/ip/address.hpp>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"

namespace peer_log_test {

using namespace std::chrono_literals;
using namespace distwork;
using distwork::detail::PeerLog;

namespace {

struct Written {
    std::vector<std::string> lines;
    PeerLog::TimePoint now{1h};
    PeerLog log{[this](LogLevel, std::string_view line) { lines.emplace_back(line); }, [this] { return now; }, 100};
    const asio::ip::address one = asio::ip::make_address("10.0.0.1");
    const asio::ip::address other = asio::ip::make_address("10.0.0.2");

    void say(const asio::ip::address& who, int times, LogLevel level = LogLevel::info) {
        for (int i = 0; i < times; ++i) log(who, level, std::string_view{"it came"});
    }
};

}  // namespace

TEST_CASE("a peer that causes too many lines is told of forty times and then ten times a minute, and others as before",
          "[unit]") {
    Written written;
    written.say(written.one, 1000);
    CHECK(written.lines.size() == 40);
    written.say(written.other, 3);
    CHECK(written.lines.size() == 43);
    written.say(written.one, 3, LogLevel::warning);  // usual lines do not use up those of warnings
    CHECK(written.lines.size() == 46);
    written.now += 6001ms;
    written.say(written.one, 10);
    REQUIRE(written.lines.size() == 48);
    CHECK(written.lines[46] == "960 lines about 10.0.0.1 were left out before this one");
    CHECK(written.lines[47] == "it came");
    written.now += 1h;
    written.say(written.one, 1000);
    CHECK(written.lines.size() == 48 + 41);
}

TEST_CASE("who fills the log with lines and warnings brings no more than a hundred in a minute", "[unit]") {
    Written written;
    for (int second = 0; second < 60; ++second, written.now += 1s)
        for (const LogLevel level : {LogLevel::info, LogLevel::warning}) written.say(written.one, 1000, level);
    const auto told = [](const std::string& line) { return line == "it came"; };
    CHECK(std::count_if(written.lines.begin(), written.lines.end(), told) <= 100);
}

TEST_CASE("addresses beyond number share what is left", "[unit]") {
    Written written;
    for (unsigned i = 0; i < 10'000; ++i)
        written.log(asio::ip::address_v4{i + 1}, LogLevel::info, std::string_view{"it came"});
    CHECK(written.lines.size() == 4096 + 40);
    written.now += 1h;  // the first ones are forgotten
    written.say(asio::ip::make_address("172.16.0.1"), 1000);
    CHECK(written.lines.size() == 4096 + 80);
}

TEST_CASE("a maximum of none is no maximum", "[unit]") {
    std::size_t lines = 0;
    PeerLog log{[&](LogLevel, std::string_view) { ++lines; }, [] { return PeerLog::TimePoint{}; }, 0};
    for (int i = 0; i < 1000; ++i) log({}, LogLevel::info, std::string_view{"it came"});
    CHECK(lines == 1000);
}

TEST_CASE("without a clock nothing is left out, and without a log nothing is said", "[unit]") {
    std::size_t lines = 0;
    PeerLog log{[&](LogLevel, std::string_view) { ++lines; }, {}, 100};
    for (int i = 0; i < 1000; ++i) log({}, LogLevel::info, std::string_view{"it came"});
    CHECK(lines == 1000);
    PeerLog nothing{{}, {}, 100};
    CHECK_FALSE(nothing);
    nothing({}, LogLevel::info, std::string_view{"it came"});
}

}  // namespace peer_log_test
