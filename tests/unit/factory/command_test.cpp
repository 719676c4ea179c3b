// Commands are run without a shell, for a bounded time, and what they say is bounded.

#include "distwork/factory/command.hpp"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <chrono>
#include <string>
#include <system_error>
#include <vector>

#include "support/catch.hpp"
#include "support/folder.hpp"

namespace command_test {

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;

namespace {

using End = CommandResult::End;

CommandResult shell(const std::string& script, std::chrono::milliseconds deadline = 30s) {
    return run_command({"/bin/sh", "-c", script}, deadline);
}

bool runs(const std::string& id) {
    // A process that has ended, and that nobody has reaped, does not run.
    const std::string status = support::contents("/proc/" + id + "/stat");
    return !status.empty() && status.find(") Z ") == std::string::npos;
}

/// Waits for what must come to pass within 20 s.
template <class Condition>
bool comes_true(Condition condition) {
    for (int i = 0; i < 2000; ++i) {
        if (condition()) return true;
        ::usleep(10'000);
    }
    return false;
}

}  // namespace

TEST_CASE("no word of a command is interpreted") {
    support::Folder folder;
    const std::string touch = "$(touch " + (folder / "made") + ")";
    const auto result = run_command({"printf", "%s|", "a b", touch, "; echo", "*", "'\"\\", "", "ä"});
    CHECK(result.succeeded());
    CHECK(result.output == "a b|" + touch + "|; echo|*|'\"\\||ä|");
    CHECK(result.errors.empty());
    CHECK(::access((folder / "made").c_str(), F_OK) != 0);
}

TEST_CASE("output, errors and the end of a command are told apart") {
    const auto failed = shell("echo out; echo err >&2; exit 3");
    CHECK(failed.end == End::exited);
    CHECK(failed.number == 3);
    CHECK_FALSE(failed.succeeded());
    CHECK(failed.output == "out\n");
    CHECK(failed.errors == "err\n");
    CHECK(failed.text() == "status 3: err\n");
    const auto killed = shell("kill -TERM $$");
    CHECK(killed.end == End::signalled);
    CHECK(killed.number == SIGTERM);
    CHECK(killed.text() == "ended by signal 15");
    CHECK(shell("true").succeeded());
}

TEST_CASE("at its deadline a command is killed with its process group") {
    const auto result = shell("sleep 1000 & echo $!; trap '' TERM; wait", 300ms);
    CHECK(result.end == End::too_late);
    CHECK_FALSE(result.succeeded());
    CHECK(result.text().find("it took too long, and was killed: ") == 0);
    REQUIRE(result.output.size() > 1);
    const std::string id = result.output.substr(0, result.output.size() - 1);
    CHECK(comes_true([&] { return !runs(id); }));
}

TEST_CASE("what a command leaves running in the background goes on, and is not waited for") {
    const auto result = shell("sleep 1000 & echo $!", 20s);
    CHECK(result.succeeded());
    REQUIRE(result.output.size() > 1);
    const std::string id = result.output.substr(0, result.output.size() - 1);
    CHECK(runs(id));
    ::kill(std::stoi(id), SIGKILL);
}

TEST_CASE("of a long output the beginning is kept") {
    const auto result = shell("head -c 1000000 /dev/zero | tr '\\0' x; head -c 100000 /dev/zero | tr '\\0' y >&2");
    CHECK(result.succeeded());
    CHECK(result.is_cut);
    CHECK(result.output == std::string(CommandResult::most_bytes, 'x'));
    CHECK(result.errors == std::string(CommandResult::most_bytes, 'y'));
    const auto whole = shell("head -c 65536 /dev/zero");
    CHECK(whole.output.size() == CommandResult::most_bytes);
    CHECK_FALSE(whole.is_cut);
}

TEST_CASE("what writes without end is killed at its deadline") {
    const auto result = run_command({"yes"}, 300ms);
    CHECK(result.end == End::too_late);
    CHECK(result.is_cut);
}

TEST_CASE("a command has no input, no other descriptors, and nothing of distwork in its environment") {
    ::setenv("DISTWORK_NAME", "master", 1);
    ::setenv("COMMAND_TEST", "kept", 1);
    const int open = ::open("/dev/null", O_RDONLY);  // not close-on-exec
    const auto result = shell("cat; echo \"${DISTWORK_NAME-none} $COMMAND_TEST\"; ls /proc/self/fd | wc -l");
    ::close(open);
    ::unsetenv("DISTWORK_NAME");
    ::unsetenv("COMMAND_TEST");
    CHECK(result.output == "none kept\n4\n");  // the fourth is that of ls
}

TEST_CASE("a command has the default signal mask and dispositions, and a process group of its own") {
    sigset_t blocked;
    sigset_t before;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
    const auto pipe_before = ::signal(SIGPIPE, SIG_IGN);
    const auto result = shell("grep SigBlk /proc/self/status; grep SigIgn /proc/self/status | cut -f2");
    const auto group = shell("cut -d' ' -f5 /proc/self/stat; echo $$");
    ::signal(SIGPIPE, pipe_before);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    // Of the ignored ones the first 31: glibc ignores two of its own beyond.
    const std::string none = "SigBlk:\t0000000000000000\n";
    REQUIRE(result.output.find(none) == 0);
    CHECK((std::stoul(result.output.substr(none.size()), nullptr, 16) & 0x7fff'ffff) == 0);
    const auto half = group.output.size() / 2;
    CHECK(group.output.substr(0, half) == group.output.substr(half));
}

TEST_CASE("a command's end is seen though the application ignores SIGCHLD") {
    const auto before = ::signal(SIGCHLD, SIG_IGN);
    const auto result = shell("echo out; exit 3");
    const auto late = shell("sleep 1000", 300ms);
    ::signal(SIGCHLD, before);
    CHECK(result.end == End::unseen);
    CHECK(result.output == "out\n");
    CHECK(late.end == End::too_late);
}

TEST_CASE("what cannot be started says so") {
    try {
        run_command({"/nowhere/sbatch", "x"});
        FAIL_CHECK("it was started");
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::no_such_file_or_directory);
        CHECK(std::string{error.what()}.find("cannot start /nowhere/sbatch") == 0);
    }
    CHECK_THROWS_AS(run_command({}), Error);
    CHECK_THROWS_AS(run_command({""}), Error);
    CHECK_THROWS_AS(run_command({"echo", std::string("a\0b", 3)}), Error);
    CHECK_THROWS_AS(run_command({"echo"}, 0ms), Error);
}

}  // namespace command_test
