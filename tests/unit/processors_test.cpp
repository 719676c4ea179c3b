// How many processors a process may use, and so how many slots a slave has.

#ifdef __linux__
#include <sched.h>
#endif

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "distwork/base/processors.hpp"
#include "distwork/roles/checked_options.hpp"
#include "support/catch.hpp"

using namespace distwork::detail;

namespace {

constexpr std::nullopt_t unbounded = std::nullopt;

/// The files of a machine that is not there.
struct Files {
    std::map<std::string, std::string> texts;

    std::string operator()(const std::string& path) const {
        const auto found = texts.find(path);
        return found == texts.end() ? std::string{} : found->second;
    }
};

}  // namespace

TEST_CASE("a quota is so many processors, rounded up", "[unit]") {
    CHECK(processors_by_cpu_max("100000 100000\n") == 1u);
    CHECK(processors_by_cpu_max("100001 100000\n") == 2u);
    CHECK(processors_by_cpu_max("150000 100000\n") == 2u);
    CHECK(processors_by_cpu_max("800000 100000") == 8u);
    CHECK(processors_by_cpu_max("1000 100000\n") == 1u);
    CHECK(processors_by_cpu_max("25000 50000\n") == 1u);
    CHECK(processors_by_cpu_max("9223372036854775807 1") == 9223372036854775807u);
}

TEST_CASE("what is no quota bounds nothing", "[unit]") {
    for (const char* const text : {"max 100000\n", "max", "", "\n", "100000", "100000 ", "100000 0", "0 100000",
                                   "-1 100000", "100000 -1", "99999999999999999999 100000", "a b", " "}) {
        INFO('"' << text << '"');
        CHECK(processors_by_cpu_max(text) == unbounded);
    }
}

TEST_CASE("a quota of a group around that of the process counts", "[unit]") {
    Files files;
    files.texts["/proc/self/cgroup"] = "0::/apps/mine\n";
    CHECK(processors_by_cgroup(files) == unbounded);
    files.texts["/sys/fs/cgroup/apps/mine/cpu.max"] = "max 100000\n";
    CHECK(processors_by_cgroup(files) == unbounded);
    files.texts["/sys/fs/cgroup/apps/cpu.max"] = "250000 100000\n";
    CHECK(processors_by_cgroup(files) == 3u);
    files.texts["/sys/fs/cgroup/apps/mine/cpu.max"] = "400000 100000\n";
    CHECK(processors_by_cgroup(files) == 3u);
    files.texts["/sys/fs/cgroup/apps/mine/cpu.max"] = "50000 100000\n";
    CHECK(processors_by_cgroup(files) == 1u);
}

TEST_CASE("a container finds its quota at its own root", "[unit]") {
    Files files;
    files.texts["/sys/fs/cgroup/cpu.max"] = "150000 100000\n";
    files.texts["/proc/self/cgroup"] = "0::/\n";
    CHECK(processors_by_cgroup(files) == 2u);
    files.texts["/proc/self/cgroup"] = "0::/../other/seen/from/elsewhere\n";
    CHECK(processors_by_cgroup(files) == 2u);
}

TEST_CASE("quotas of the older kind of cgroup count", "[unit]") {
    Files files;
    files.texts["/proc/self/cgroup"] = "12:cpuset:/set\n4:cpu,cpuacct:/jobs/one\n1:name=systemd:/jobs\n0::/jobs\n";
    files.texts["/sys/fs/cgroup/cpu,cpuacct/jobs/one/cpu.cfs_period_us"] = "100000\n";
    files.texts["/sys/fs/cgroup/cpu,cpuacct/jobs/one/cpu.cfs_quota_us"] = "-1\n";
    CHECK(processors_by_cgroup(files) == unbounded);
    files.texts["/sys/fs/cgroup/cpu,cpuacct/jobs/one/cpu.cfs_quota_us"] = "350000\n";
    CHECK(processors_by_cgroup(files) == 4u);

    Files alone;
    alone.texts["/proc/self/cgroup"] = "1:cpu:/docker/0123\n";
    alone.texts["/sys/fs/cgroup/cpu/cpu.cfs_period_us"] = "100000\n";
    alone.texts["/sys/fs/cgroup/cpu/cpu.cfs_quota_us"] = "200000\n";
    CHECK(processors_by_cgroup(alone) == 2u);
}

TEST_CASE("a list of groups that makes no sense bounds nothing", "[unit]") {
    for (const char* const text : {"", "\n\n", "0", ":", "::", "0::", "0:cpu", "0:cpu:", "0::relative", "0::///"}) {
        INFO('"' << text << '"');
        Files files;
        files.texts["/proc/self/cgroup"] = text;
        CHECK(processors_by_cgroup(files) == unbounded);
    }
}

#ifdef __linux__
TEST_CASE("a slave that may run on one processor has one slot", "[unit]") {
    cpu_set_t all;
    REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    const auto slots_of = [](distwork::SlaveOptions options) {
        return *distwork::detail::checked({{"127.0.0.1", 1}}, std::move(options), "slave", {}).slots;
    };
    const std::size_t slots = slots_of({});
    sched_setaffinity(0, sizeof all, &all);
    CHECK(slots == 1);
    CHECK(slots_of({}) <= static_cast<std::size_t>(CPU_COUNT(&all)));
    CHECK(slots_of({.work_executor = distwork::WorkExecutor::in_place()}) == 1);
}
#endif
