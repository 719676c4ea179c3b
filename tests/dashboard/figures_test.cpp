// What a dashboard shows: of how many slaves, how often it is taken, and how it is written.

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <distwork/dashboard/metrics.hpp>
#include <distwork/dashboard/snapshot.hpp>
#include <distwork/dashboard/snapshot_cache.hpp>
#include <distwork/dashboard/status_json.hpp>
#include <string>
#include <string_view>

#include "dashboard/json.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

using namespace distwork;
using namespace std::chrono_literals;
using detail::Metrics;
using detail::SlaveList;
using detail::Snapshot;
using detail::SnapshotCache;
using detail::StatusJson;
using support::Json;

namespace {

/// A farm of slaves that have nothing to do.
Snapshot farm(std::size_t slaves) {
    Snapshot all;
    SlaveList list{all, std::chrono::steady_clock::time_point{1h}};
    for (std::size_t i = 0; i < slaves; ++i) {
        SocketInformation slave;
        slave.id = i + 1;
        slave.name = "slave " + std::to_string(i);
        slave.slots = slave.free_slots = 2;
        slave.round_trip = 300us;
        slave.suspected = i == 777;
        slave.failed = i == 555 ? 3 : 0;
        list.add(slave);
    }
    list.finish();
    return all;
}

std::size_t count(std::string_view text, std::string_view what) {
    std::size_t times = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++times;
    return times;
}

/// What Prometheus' own checker says of the metrics; empty: nothing, or it is not installed.
std::string said_by_promtool(const std::string& metrics) {
    if (std::system("command -v promtool >/dev/null") != 0) {
        WARN("promtool is not installed");
        return {};
    }
    const support::Folder folder;
    support::write_file(folder / "metrics", metrics);
    const std::string command = "promtool check metrics <" + (folder / "metrics") + " >" + (folder / "said") +
                                " 2>&1 || echo refused >>" + (folder / "said");
    REQUIRE(std::system(command.c_str()) == 0);
    return support::contents(folder / "said");
}

const std::string nasty = "</script><img src=x onerror=a()>\"'\\\n\r\t\x1b[2J\xc2\x9b\xff\xc0\xaf\xe2\x80\xae\x7f";

}  // namespace

TEST_CASE("Of up to a hundred slaves each is shown, of more those that want attention", "[figures]") {
    const Json few = Json::parse(StatusJson::of(farm(100)));
    CHECK(few["slaves"]["listed"].elements.size() == 100);

    const Snapshot farm_of_many = farm(10'000);
    const Json many = Json::parse(StatusJson::of(farm_of_many));
    const auto& listed = many["slaves"]["listed"].elements;
    REQUIRE(listed.size() == 100);
    CHECK(many["slaves"]["connected"].number() == 10'000);
    CHECK(many["slaves"]["slots"].number() == 20'000);
    CHECK(many["slaves"]["suspected"].number() == 1);
    CHECK(many["slaves"]["ready"].number() == 9'999);
    std::size_t wanted = 0;
    for (const Json& slave : listed) wanted += slave["id"].text == "778" || slave["id"].text == "556";
    CHECK(wanted == 2);
}

TEST_CASE("Only a hundred slaves have series of their own", "[figures]") {
    const std::string few = Metrics::of(farm(100));
    CHECK(count(few, "\ndistwork_slave_slots{") == 100);
    CHECK(few.find("distwork_slave_slots{slave=\"slave 7\",id=\"8\"} 2\n") != few.npos);

    const std::string many = Metrics::of(farm(101));
    CHECK(count(many, "distwork_slave_") == 0);
    CHECK(many.find("distwork_slaves_round_trip_seconds_bucket{le=\"0.00025\"} 0\n") != many.npos);
    CHECK(many.find("distwork_slaves_round_trip_seconds_bucket{le=\"5e-04\"} 101\n") != many.npos);
    CHECK(many.find("distwork_slaves_round_trip_seconds_bucket{le=\"+Inf\"} 101\n") != many.npos);
    CHECK(many.find("distwork_slaves_round_trip_seconds_count 101\n") != many.npos);
    CHECK(Metrics::of(farm(10'000)).size() < 20'000);
}

TEST_CASE("promtool has nothing to say of the metrics", "[figures]") {
    CHECK(said_by_promtool(Metrics::of(Snapshot{})).empty());
    CHECK(said_by_promtool(Metrics::of(farm(3))).empty());
    CHECK(said_by_promtool(Metrics::of(farm(1'000))).empty());
    Snapshot hostile = farm(1);
    hostile.slaves[0].name = nasty;
    CHECK(said_by_promtool(Metrics::of(hostile)).empty());
}

TEST_CASE("Texts of peers are escaped in JSON and in metrics", "[figures]") {
    Snapshot all = farm(1);
    all.slaves[0].name = nasty;
    all.slaves[0].labels = {nasty};
    all.waiting.push_back({WaitReason::no_capable, nasty, {nasty}, 0, 1, {}, {}, 1});
    const std::string safe =
        "</script><img src=x onerror=a()>\"'\\\\n\\x0d\\x09\\x1b[2J\\xc2\\x9b\\xff\\xc0\\xaf\\xe2\\x80"
        "\\xae\\x7f";

    const std::string status = StatusJson::of(all);
    for (const char letter : status) CHECK((letter >= ' ' && letter <= '~' && letter != '<'));
    const Json read = Json::parse(status);
    CHECK(read["slaves"]["listed"].elements[0]["name"].text == safe);
    CHECK(read["slaves"]["listed"].elements[0]["labels"].elements[0].text == safe);
    CHECK(read["waiting"]["listed"].elements[0]["type"].text == safe);
    CHECK(read["waiting"]["listed"].elements[0]["labels"].elements[0].text == safe);

    const std::string metrics = Metrics::of(all);
    for (const char letter : metrics) CHECK(((letter >= ' ' && letter <= '~') || letter == '\n'));
    CHECK(metrics.find("distwork_slave_slots{slave=\"</script><img src=x onerror=a()>\\\"'\\\\\\\\n\\\\x0d") !=
          metrics.npos);
}

TEST_CASE("What is not finite is null in JSON", "[figures]") {
    detail::JsonWriter json;
    json.begin_array().value(0.5).value(1.0 / 3).value(HUGE_VAL).value(-HUGE_VAL).value(std::nan("")).end_array();
    CHECK(json.take() == "[0.5,0.3333333333333333,null,null,null]");
}

TEST_CASE("All readers share a snapshot for a quarter of a second", "[figures]") {
    SnapshotCache::Clock::time_point now{1h};
    std::chrono::milliseconds cost{0};
    int taken = 0;
    SnapshotCache cache{[&] {
                            ++taken;
                            now += cost;
                            return Snapshot{};
                        },
                        [&] { return now; }};
    const auto first = cache.latest();
    CHECK(first->figures.number == 1);
    now += 249ms;
    CHECK(cache.latest() == first);
    now += 1ms;
    CHECK(cache.latest()->figures.number == 2);
    CHECK(cache.latest()->figures.elapsed_seconds == 0.25);

    // One that costs 100 ms is kept for 5 s.
    cost = 100ms;
    now += 250ms;
    CHECK(cache.latest()->figures.number == 3);
    now += 4'999ms;
    CHECK(cache.latest()->figures.number == 3);
    now += 1ms;
    CHECK(cache.latest()->figures.number == 4);
    CHECK(taken == 4);
}

TEST_CASE("A snapshot that cannot be taken fails that reader alone", "[figures]") {
    bool fails = true;
    SnapshotCache cache{[&] { return fails ? throw std::bad_alloc{} : Snapshot{}; },
                        [] { return SnapshotCache::Clock::time_point{1h}; }};
    CHECK_THROWS_AS(cache.latest(), std::bad_alloc);
    fails = false;
    CHECK(cache.latest()->figures.number == 1);
}
