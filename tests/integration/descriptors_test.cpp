#include <sys/resource.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/descriptors.hpp"
#include "support/run.hpp"
#include "support/stranger.hpp"
#include "support/works.hpp"

using namespace std::chrono_literals;

namespace {

std::chrono::microseconds cpu_time() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto of = [](const timeval& time) {
        return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec};
    };
    return of(usage.ru_utime) + of(usage.ru_stime);
}

}  // namespace

TEST_CASE("a master without descriptors waits for one at the cost of next to nothing", "[integration][chaos]") {
    std::size_t refused = 0;
    distwork::MasterOptions options;
    options.log = [&](distwork::LogLevel, std::string_view line) {
        if (line.find("accepting failed") != std::string_view::npos) ++refused;
    };
    Cluster<> cluster{1, {}, options};

    // Who comes then has its descriptor already.
    std::vector<std::unique_ptr<Stranger>> callers;
    for (int i = 0; i < 20; ++i) callers.push_back(std::make_unique<Stranger>(cluster.io));
    const support::DescriptorLimit limit{256};
    support::AllDescriptors all;
    for (const auto& caller : callers) {
        caller->connect(cluster.master.local_endpoint().port());
        caller->join();
    }
    REQUIRE(run_until(cluster.io, [&] { return refused > 0; }));

    refused = 0;
    const auto before = cpu_time();
    cluster.io.restart();
    cluster.io.run_for(10s);
    CHECK(cpu_time() - before <= 500ms);  // 5 % of a core
    // It looks once a second or more often.
    CHECK(refused >= 10);
    CHECK(refused <= 100);

    // Who is connected is served meanwhile.
    int three = 0;
    cluster.master.async_call(Sum{1, 2}, [&](const std::exception_ptr&, int value) { three = value; });
    REQUIRE(run_until(cluster.io, [&] { return three == 3; }));

    // The next time that it looks it accepts all: nothing is refused in between. That is within the second that it may
    // take, without a clock that a busy machine stretches.
    refused = 0;
    for (std::size_t i = 0; i < callers.size(); ++i) all.give_back();
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == 1 + callers.size(); }));
    CHECK(refused == 0);
}
