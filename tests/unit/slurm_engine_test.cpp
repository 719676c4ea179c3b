// SlurmEngine, against commands that pretend to be Slurm's.

#include "distwork/slurm_engine.hpp"

#include <stdlib.h>
#include <sys/stat.h>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/texts.hpp"

namespace slurm_engine_test {

using namespace distwork;
using namespace std::chrono_literals;
using support::contains;
using support::text_of;

namespace {

/// A folder with commands. Each appends its arguments to the file NAME.arguments, in quotes, a line each, and a line "--" at the end.
class FakeSlurm {
public:
    FakeSlurm() {
        for (const char* const name : {"sbatch", "squeue", "scancel"}) set(name, "exit 9");
    }

    void set(const std::string& name, const std::string& script) {
        const std::string path = folder_ / name;
        // Renamed, since a file that is open for writing cannot be executed.
        support::write_file(path + ".new", "#!/bin/sh\nfolder='" + folder_.path() + "'\nprintf '<%s>\\n' \"$@\" >>'" +
                                               path + ".arguments'\necho -- >>'" + path + ".arguments'\n" + script +
                                               '\n');
        REQUIRE(::chmod((path + ".new").c_str(), 0700) == 0);
        REQUIRE(::rename((path + ".new").c_str(), path.c_str()) == 0);
    }

    std::string arguments(const std::string& name) const { return support::contents(folder_ / (name + ".arguments")); }

    std::size_t calls(const std::string& name) const {
        std::size_t count = 0;
        const std::string all = arguments(name);
        for (auto at = all.find("--\n"); at != std::string::npos; at = all.find("--\n", at + 1))
            if (at == 0 || all[at - 1] == '\n') ++count;
        return count;
    }

    bool was_given(const std::string& name, const std::string& argument) const {
        return arguments(name).find('<' + argument + ">\n") != std::string::npos;
    }

    SlurmOptions options() const {
        SlurmOptions options;
        options.program = {"/opt/my slaves/slave", "it's", "$HOME"};
        options.master = "10.0.0.1:5000";
        options.commands_folder = folder_.path();
        options.deadline = 20s;
        return options;
    }

    std::string operator/(const std::string& name) const { return folder_ / name; }

private:
    support::Folder folder_;
};

/// The ids and states that it tells.
std::map<std::string, TicketState> states(const std::vector<TicketStatus>& all) {
    std::map<std::string, TicketState> map;
    for (const TicketStatus& status : all) map[status.ticket.id()] = status.state;
    return map;
}

constexpr const char* times_out =
    "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1";

}  // namespace

TEST_CASE("a job is submitted for each slave, and its ticket is the slave's name") {
    FakeSlurm slurm;
    slurm.set("sbatch",
              R"sh(n=$(cat "$folder/n" 2>/dev/null || echo 40); echo $((n + 1)) >"$folder/n"; echo $((n + 1)))sh");
    auto options = slurm.options();
    options.partition = "short";
    options.account = "physics";
    options.time_limit = 90min;
    options.secret_file = "/home/me/farm.key";
    options.arguments = {"--cpus-per-task=8", "--comment=two words; $x"};
    SlurmEngine engine{options};
    const auto tickets = engine.start(2);
    REQUIRE(tickets.size() == 2);
    CHECK(tickets[0].id() == "slurm-41");
    CHECK(tickets[1].id() == "slurm-42");
    CHECK(slurm.calls("sbatch") == 2);
    for (const char* const argument :
         {"--parsable", "--nodes=1", "--partition=short", "--account=physics", "--time=90", "--signal=TERM@60",
          "--output=/dev/null", "--no-requeue", "--cpus-per-task=8", "--comment=two words; $x",
          "--wrap=exec srun --overlap --nodes=1 --ntasks=1 --cpus-per-task=\"$SLURM_CPUS_ON_NODE\" "
          "'/opt/my slaves/slave' 'it'\\''s' '$HOME' --distwork-slave-of='10.0.0.1:5000' "
          "--distwork-secret='/home/me/farm.key' --distwork-name=slurm-\"$SLURM_JOB_ID\""}) {
        INFO(argument);
        CHECK(slurm.was_given("sbatch", argument));
    }
    CHECK(slurm.calls("squeue") == 0);
}

TEST_CASE("a job's id may have the name of a cluster behind it") {
    FakeSlurm slurm;
    slurm.set("sbatch", "echo '41;west'");
    SlurmEngine engine{slurm.options()};
    CHECK(engine.start(1) == std::vector{Ticket{"slurm-41"}});
}

TEST_CASE("the words of a refusal are those of sbatch, and what was submitted before it is told") {
    FakeSlurm slurm;
    const std::string refusal =
        "echo 'sbatch: error: Batch job submission failed: Invalid partition name specified' >&2; exit 1";
    slurm.set("sbatch", refusal);
    SlurmEngine engine{slurm.options()};
    CHECK(contains(text_of<SubmissionRefused>([&] { engine.start(1); }), "Invalid partition name specified"));
    CHECK(contains(text_of<SubmissionRefused>([&] { engine.dry_run(1); }), "Invalid partition name specified"));
    CHECK(slurm.was_given("sbatch", "--test-only"));
    slurm.set("sbatch", "[ -e \"$folder/n\" ] || { touch \"$folder/n\"; echo 7; exit; }\n" + refusal);
    CHECK(engine.start(3) == std::vector{Ticket{"slurm-7"}});
    CHECK(slurm.calls("squeue") == 0);  // nothing was doubtful
}

TEST_CASE("Slurm that cannot be reached refuses nothing") {
    FakeSlurm slurm;
    SlurmEngine engine{slurm.options()};
    const Ticket ticket{"slurm-1"};
    for (const char* const words :
         {"Batch job submission failed: Unable to contact slurm controller (connect failure)",
          "Batch job submission failed: Socket timed out on send/recv operation",
          "Munge encode failed: Failed to access \"/run/munge/munge.socket.2\": No such file or directory",
          "allocation failure: Protocol authentication error"}) {
        INFO(words);
        for (const char* const name : {"sbatch", "squeue", "scancel"})
            slurm.set(name, "echo '" + (name + std::string{": error: "} + words) + "' >&2; exit 1");
        CHECK(contains(text_of<EngineUnreachable>([&] { engine.dry_run(1); }), words));
        CHECK(contains(text_of<EngineUnreachable>([&] { engine.start(1); }), words));
        CHECK(contains(text_of<EngineUnreachable>([&] { engine.status({ticket}); }), words));
        CHECK(contains(text_of<EngineUnreachable>([&] { engine.cancel(ticket); }), words));
    }
}

TEST_CASE("a submission that had no answer, but reached Slurm, is found by its job's name") {
    FakeSlurm slurm;
    slurm.set(
        "sbatch",
        std::string{R"sh(for word; do case $word in --job-name=*) echo "${word#*=}" >"$folder/name";; esac; done)sh"} +
            '\n' + times_out);
    slurm.set("squeue", R"sh(for word; do [ "$word" != "--name=$(cat "$folder/name")" ] || echo 77; done)sh");
    SlurmEngine engine{slurm.options()};
    CHECK(engine.start(1) == std::vector{Ticket{"slurm-77"}});
    CHECK(slurm.calls("scancel") == 0);
    const auto calls = slurm.calls("squeue");
    CHECK(engine.start(1).size() == 1);
    CHECK(slurm.calls("squeue") == calls + 1);  // the first is doubtful no more
}

TEST_CASE("a submission that had no answer, and appears too late, is cancelled") {
    FakeSlurm slurm;
    slurm.set("sbatch", times_out);
    slurm.set("squeue", "");
    slurm.set("scancel", "");
    SlurmEngine engine{slurm.options()};
    CHECK(contains(text_of<EngineUnreachable>([&] { engine.start(1); }), "timed out"));
    slurm.set("squeue", R"sh(case "$*" in *--name=distwork-*) echo 78;; esac)sh");
    engine.status({Ticket{"slurm-5"}});
    CHECK(slurm.was_given("scancel", "78"));
    for (int i = 0; i < 20; ++i) engine.status({Ticket{"slurm-5"}});
    CHECK(slurm.calls("scancel") == 10);  // it is not looked for for ever
}

TEST_CASE("sbatch that hangs is killed at the deadline") {
    FakeSlurm slurm;
    slurm.set("sbatch", "sleep 1000");
    slurm.set("squeue", "");
    auto options = slurm.options();
    options.deadline = 1s;
    SlurmEngine engine{options};
    CHECK(contains(text_of<EngineUnreachable>([&] { engine.start(1); }), "it took too long"));
}

TEST_CASE("squeue is asked once for all jobs, also those that are over") {
    FakeSlurm slurm;
    const std::map<std::string, TicketState> expected{
        {"slurm-1", TicketState::queued},  {"slurm-2", TicketState::queued},  {"slurm-3", TicketState::running},
        {"slurm-4", TicketState::running}, {"slurm-5", TicketState::ended},   {"slurm-6", TicketState::ended},
        {"slurm-7", TicketState::ended},   {"slurm-8", TicketState::failed},  {"slurm-9", TicketState::failed},
        {"slurm-10", TicketState::failed}, {"slurm-11", TicketState::unknown}};
    slurm.set(
        "squeue",
        "printf '1 PD Priority\\n2 CF None\\n3 R None\\n4 CG None\\n5 CD None\\n6 CA None\\n7 TO TimeLimit\\n"
        "8 F     NonZeroExitCode   \\n9 NF NodeFail\\n10 OOM OutOfMemory\\n11 ?? None\\n99 R None\\n1_2 R None\\n'");
    auto options = slurm.options();
    options.output_folder = slurm / ".";
    SlurmEngine engine{options};
    support::write_file(slurm / "slurm-8.out", std::string(2000, 'x') + "no route to host\n");
    std::vector<Ticket> tickets{Ticket{"slurm-12"}, Ticket{"of-another"}};
    for (const auto& [id, state] : expected) tickets.emplace_back(id);
    const auto answer = engine.status(tickets);
    CHECK(states(answer) == expected);
    for (const TicketStatus& status : answer) {
        if (status.ticket.id() != "slurm-8") continue;
        CHECK(status.text.find("F NonZeroExitCode: xxx") == 0);
        CHECK(contains(status.text, "no route to host"));
        CHECK(status.text.size() < 1100);
    }
    CHECK(slurm.calls("squeue") == 1);
    CHECK(slurm.was_given("squeue", "--states=all"));
    CHECK(slurm.was_given("squeue", "--jobs=12,1,10,11,2,3,4,5,6,7,8,9"));
    CHECK(engine.status({}).empty());
}

TEST_CASE("jobs beyond 256 are asked for in another call") {
    FakeSlurm slurm;
    slurm.set(
        "squeue",
        R"sh(for word; do case $word in --jobs=*) IFS=,; for job in ${word#*=}; do echo "$job R None"; done;; esac; done)sh");
    SlurmEngine engine{slurm.options()};
    std::vector<Ticket> tickets;
    for (int i = 0; i < 600; ++i) tickets.emplace_back("slurm-" + std::to_string(i));
    CHECK(engine.status(tickets).size() == 600);
    CHECK(slurm.calls("squeue") == 3);
}

TEST_CASE("jobs that Slurm does not know are not in the answer") {
    FakeSlurm slurm;
    slurm.set("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1");
    SlurmEngine engine{slurm.options()};
    CHECK(engine.status({Ticket{"slurm-1"}}).empty());
}

TEST_CASE("a job is cancelled by its id, as often as one likes") {
    FakeSlurm slurm;
    slurm.set("scancel", "");
    SlurmEngine engine{slurm.options()};
    engine.cancel(Ticket{"slurm-41"});
    CHECK(slurm.arguments("scancel") == "<41>\n--\n");
    slurm.set("scancel", "echo 'scancel: error: Kill job error on job id 41: Invalid job id specified' >&2; exit 1");
    CHECK_NOTHROW(engine.cancel(Ticket{"slurm-41"}));
    slurm.set(
        "scancel",
        "echo 'scancel: error: Kill job error on job id 41: Job/step already completing or completed' >&2; exit 1");
    CHECK_NOTHROW(engine.cancel(Ticket{"slurm-41"}));
    slurm.set("scancel", "echo 'scancel: error: Kill job error on job id 41: Access/permission denied' >&2; exit 1");
    CHECK(contains(text_of<EngineUnreachable>([&] { engine.cancel(Ticket{"slurm-41"}); }), "permission denied"));
    const auto calls = slurm.calls("scancel");
    engine.cancel(Ticket{"of-another"});
    CHECK(slurm.calls("scancel") == calls);
}

TEST_CASE("Slurm's commands do not see the job in which the master may run") {
    FakeSlurm slurm;
    slurm.set("squeue", R"sh(env >"$folder/env")sh");
    const std::map<std::string, bool> passed{{"SLURM_CONF", true},         {"SLURM_CLUSTERS", true},
                                             {"SLURM_MEM_PER_CPU", false}, {"SQUEUE_USERS", false},
                                             {"DISTWORK_NAME", false},     {"SBATCH_ACCOUNT", true}};
    std::map<std::string, std::string> before;
    for (const auto& [name, is_passed] : passed) {
        if (const char* const value = ::getenv(name.c_str())) before[name] = value;
        ::setenv(name.c_str(), "1", 1);
    }
    SlurmEngine{slurm.options()}.status({Ticket{"slurm-1"}});
    for (const auto& [name, is_passed] : passed) {
        if (before.contains(name)) ::setenv(name.c_str(), before[name].c_str(), 1);
        else ::unsetenv(name.c_str());
        INFO(name);
        CHECK(contains('\n' + support::contents(slurm / "env"), '\n' + name + "=1\n") == is_passed);
    }
}

TEST_CASE("without Slurm's commands a submission is refused in words") {
    auto options = FakeSlurm{}.options();  // the folder is gone
    SlurmEngine engine{options};
    CHECK(contains(text_of<std::exception>([&] { engine.start(1); }), "cannot start"));
    CHECK_THROWS_AS(engine.status({Ticket{"slurm-1"}}), std::exception);
}

TEST_CASE("options of Slurm that are out of their range are refused") {
    const auto is_refused = [](auto change) {
        SlurmOptions options;
        options.program = {"slave"};
        options.master = "h:1";
        change(options);
        return contains(text_of<Error>([&] { SlurmEngine{options}; }), "SlurmOptions::");
    };
    CHECK_FALSE(is_refused([](SlurmOptions&) {}));
    CHECK(is_refused([](SlurmOptions& options) { options.program.clear(); }));
    CHECK(is_refused([](SlurmOptions& options) { options.program = {""}; }));
    CHECK(is_refused([](SlurmOptions& options) { options.master.clear(); }));
    CHECK(is_refused([](SlurmOptions& options) { options.time_limit = -1min; }));
    CHECK(is_refused([](SlurmOptions& options) { options.drain_before = -1s; }));
    CHECK(is_refused([](SlurmOptions& options) { options.drain_before = 65'536s; }));
    CHECK(is_refused([](SlurmOptions& options) { options.deadline = 0ms; }));
}

}  // namespace slurm_engine_test
