// How many processors a process may use.

#include "distwork/base/processors.hpp"

#include <map>
#include <optional>
#include <string>

#include "support/catch.hpp"

namespace processors_test {

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

}  // namespace processors_test
