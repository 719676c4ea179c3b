// Programs that run on slaves of their own, as a user starts them.

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/child.hpp"

namespace {

struct Result {
    std::string output;  // and the errors
    int status = -1;     // 128 + the signal that ended it
};

/// Runs a script in which $program is program_process.
Result shell(const std::string& script) {
    const std::string command = std::string{"program='"} + DISTWORK_TEST_BIN_DIR "/program_process'\n" + script;
    ::setenv("SCRIPT", command.c_str(), 1);
    FILE* const pipe = ::popen("exec timeout -k 1 60 bash -c \"$SCRIPT\" 2>&1", "r");
    REQUIRE(pipe);
    Result result;
    char bytes[4096];
    for (std::size_t count = 0; (count = ::fread(bytes, 1, sizeof bytes, pipe)) != 0;)
        result.output.append(bytes, count);
    const int status = ::pclose(pipe);
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

bool contains(const Result& result, const std::string& text) {
    return result.output.find(text) != std::string::npos;
}

// Starts the program in the background, and waits until it has begun.
const std::string begin = R"(
    begin() { coproc { exec "$program" "$@" 2>&1; }; pid=$COPROC_PID; read -r line <&"${COPROC[0]}"; exec 9<&"${COPROC[0]}"; }
    children() { pgrep -P "$pid" | sort; }
    gone() { for child in $1; do for i in $(seq 100); do kill -0 "$child" 2>/dev/null || break; sleep 0.05; done; kill -0 "$child" 2>/dev/null && echo "$child lives"; done; }
)";

}  // namespace

TEST_CASE("a program's engine starts slaves as they are needed, and they leave with it") {
    const Result result = shell(R"(
        folder=$(mktemp -d) && cd "$folder" || exit
        cat >engine <<'end'
start = sh -c 'setsid "$0" sum --distwork-slave-of="$1" --distwork-name="$2" >/dev/null 2>&1 & echo $! >"$2.pid"' PROGRAM {master} {name}
status = sh -c 'for id; do kill -0 $(cat "$id.pid") 2>/dev/null && echo "$id running" || echo "$id ended"; done' - {id}
cancel = sh -c 'kill $(cat "$1.pid") 2>/dev/null; true' - {id}
end
        sed -i "s#PROGRAM#$program#" engine
        $program sum --distwork-slaves=0 --distwork-listen=127.0.0.1:0 --distwork-address=127.0.0.1 \
            --distwork-engine=command:engine
        echo "status $?"
        for i in $(seq 100); do kill -0 $(cat *.pid) 2>/dev/null || break; sleep 0.1; done
        kill -0 $(cat *.pid) 2>/dev/null && echo "it is still there"
        $program sum --distwork-slaves=0 --distwork-listen=127.0.0.1:0 --distwork-engine=command:nothing
        echo "status $?"
        rm -rf "$folder")");
    INFO(result.output);
    CHECK(contains(result, "sum 332833500, run 13, call 144\n9 4 1 \nstatus 0\n"));
    CHECK_FALSE(contains(result, "it is still there"));
    CHECK(contains(result, "nothing: it cannot be read\nstatus 2"));
}

TEST_CASE("a program maps a function over processes of its own") {
    const Result result = shell("exec $program sum");
    INFO(result.output);
    CHECK(result.output == "sum 332833500, run 13, call 144\n9 4 1 \n");
    CHECK(result.status == 0);
}

TEST_CASE("a work that ends three processes of a program fails, and no other does") {
    const Result result = shell("exec $program crash --distwork-slaves=3");
    INFO(result.output);
    CHECK(contains(result, "3 after 3: work::crash, 3 attempts"));
    CHECK(contains(result, "was ended by signal 6 (Aborted)"));
    CHECK(result.output.find(" after ") == result.output.rfind(" after "));
    CHECK(result.status == 0);
}

TEST_CASE("an element that ends three processes takes no other along") {
    const Result result = shell("exec $program crash_among_many --distwork-slaves=2 --distwork-log=error");
    INFO(result.output);
    CHECK(result.output == "12345 failed after 3\n29999 are right\n");
    CHECK(result.status == 0);
}

TEST_CASE("what an on_start function returns stays in each process of a program") {
    const Result result = shell("exec $program start --distwork-slaves=2");
    INFO(result.output);
    CHECK(result.output == "loaded\nloaded\nsum 1498500\n");
    CHECK(result.status == 0);
}

TEST_CASE("what waits fails when no process of a program can be started") {
    const Result result = shell("exec $program fail_to_start --distwork-slaves=2");
    INFO(result.output);
    CHECK(contains(result, "there is no such model"));
    CHECK(contains(result, "no local slave could be run"));
    CHECK(result.status != 0);
}

TEST_CASE("a process of a program that is let go is not replaced") {
    const Result result = shell("exec $program let_go --distwork-slaves=3");
    INFO(result.output);
    CHECK(result.output == "25 by 1\n");
    CHECK(result.status == 0);
}

TEST_CASE("a process whose work ignores its end is ended, and one that has executed enough is replaced") {
    const Result result = shell("exec $program limits --distwork-slaves=0");
    INFO(result.output);
    CHECK(contains(result, "A work goes on 300 ms after it was asked to stop: its process is ended"));
    CHECK(contains(result, "\n1 1\n"));
    CHECK(result.status == 0);
}

TEST_CASE("the first error of a map's values cancels the rest") {
    const Result result = shell("exec $program throw");
    INFO(result.output);
    CHECK(result.output == "three\n");
    CHECK(result.status == 0);
}

TEST_CASE("a loop over a map ends early after Ctrl-C, and no process is left") {
    for (const auto& [signal, status] : {std::pair{"INT", "130"}, std::pair{"TERM", "143"}}) {
        const Result result = shell(begin + "begin slow; c=$(children); kill -" + signal +
                                    " $pid; cat <&9; wait $pid; echo status $?; gone \"$c\"");
        INFO(result.output);
        CHECK(contains(result, "seen "));
        CHECK_FALSE(contains(result, "seen 100000"));
        CHECK(contains(result, std::string{"status "} + status));
        CHECK_FALSE(contains(result, "lives"));
    }
}

TEST_CASE("the second Ctrl-C ends a program at once") {
    const Result result = shell(begin +
                                "begin hang; c=$(children); sleep 0.3; kill -INT $pid; sleep 0.3; kill -INT $pid; "
                                "wait $pid; echo status $?; gone \"$c\"");
    INFO(result.output);
    CHECK(contains(result, "status 130"));
    CHECK_FALSE(contains(result, "lives"));
}

TEST_CASE("the processes of a program end when it is killed") {
    const Result result = shell(
        begin + "begin slow; c=$(children); test -n \"$c\" || echo none; kill -KILL $pid; wait $pid; gone \"$c\"");
    INFO(result.output);
    CHECK_FALSE(contains(result, "lives"));
    CHECK_FALSE(contains(result, "none"));
}

TEST_CASE("exit ends a program from anywhere") {
    CHECK(shell("exec $program exit").status == 7);
    CHECK(shell("exec $program exit_on_io_thread").status == 5);
}

TEST_CASE("a function that blocks throws on the I/O thread") {
    const Result result = shell("exec $program block_on_io_thread");
    CHECK(contains(result, "I/O thread"));
    CHECK(result.status == 0);
}

TEST_CASE("a program takes its own options, and says what is wrong with one") {
    const Result kept =
        shell("DISTWORK_LOG=error exec $program arguments --distwork-slaves 1 --input=x --distwork-name=n y");
    CHECK(kept.output == "arguments\n--input=x\ny\n");
    const auto wrong = [](const std::string& arguments) {
        const Result result = shell("exec $program sum " + arguments);
        CHECK(result.status == 2);
        return result.output;
    };
    CHECK(wrong("--distwork-slaves=two") ==
          "--distwork-slaves: \"two\" is not a number of processes, at most 10,000\n");
    CHECK(wrong("--distwork-sl=2") == "--distwork-sl is no option: --distwork-help lists them\n");
    CHECK(wrong("--distwork-slaves") == "--distwork-slaves needs a value: N\n");
    CHECK(wrong("--distwork-listen=5000") == "--distwork-listen: \"5000\" is not an address and a port, HOST:PORT\n");
    CHECK(wrong("--distwork-help=1") == "--distwork-help takes no value\n");
    CHECK(contains(shell("exec $program sum --distwork-secret=x"), "built without TLS. It needs OpenSSL"));
    const Result help = shell("exec $program sum --distwork-help");
    CHECK(help.status == 0);
    CHECK(contains(help, "--distwork-slave-of=HOST:PORT"));
    CHECK(contains(shell("DISTWORK_SLAVES=x exec $program sum"), "DISTWORK_SLAVES: \"x\" is not a number"));
}

TEST_CASE("slaves from elsewhere join a program that listens, and end at its bye") {
    const Result result = shell(begin + R"(
        begin wait --distwork-slaves=0 --distwork-listen=127.0.0.1:0
        "$program" wait --distwork-slave-of="127.0.0.1:${line#port }"
        echo slave $?
        cat <&9; wait $pid; echo status $?)");
    INFO(result.output);
    CHECK(contains(result, "elsewhere"));
    CHECK(contains(result, "slave 0"));
    CHECK(contains(result, "status 0"));
}

TEST_CASE("what waits fails when no process of a program gets as far as to connect") {
    const Result result = shell("exec $program broken --distwork-slaves=2");
    INFO(result.output);
    CHECK(contains(result, "ended by: work::square: no local slave could be run"));
    CHECK(contains(result, "ended with status 3"));
    CHECK(contains(result, "Its last lines:\nno such library"));
    CHECK(result.status == 1);
}

TEST_CASE("a process that was started as a slave and does not become one says so") {
    const Result result = shell("exec $program nested");
    INFO(result.output);
    CHECK(contains(result, "has not reached distwork::Program or distwork::run_slave"));
}

TEST_CASE("what the processes of a program write comes out in whole lines") {
    const Result result = shell("exec $program say --distwork-slaves=4");
    std::istringstream lines{result.output};
    std::size_t count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
        INFO(line);
        CHECK(line.size() == std::string{"<line 100>"}.size());
        CHECK(line.find("<line ") == 0);
    }
    CHECK(count == 100);
}

TEST_CASE("the processes of a program share what its machine has") {
    const Result result = shell("exec $program gpus --distwork-slaves=0");
    INFO(result.output);
    CHECK(result.output == "gpu 0 was used\ngpu 1 was used\n");
    CHECK(result.status == 0);
}

TEST_CASE("an application may ignore or reap all children") {
    for (const char* mode : {"ignores_children", "reaps_children"}) {
        const Result result = shell(std::string{"exec $program "} + mode + " --distwork-slaves=2");
        INFO(result.output);
        CHECK(contains(result, "1 failed"));
        CHECK(result.status == 0);
    }
}

TEST_CASE("a program needs no pidfd_open") {
    const std::string without = "export WITHOUT_PIDFD_OPEN=1; exec $program ";
    for (const char* mode : {"crash", "ignores_children", "reaps_children", "broken"}) {
        const Result result = shell(without + mode + " --distwork-slaves=2");
        INFO(mode << ": " << result.output);
        CHECK_FALSE(contains(result, "there is pidfd_open"));
        if (mode == std::string{"crash"}) {
            CHECK(contains(result, "3 after 3: "));
            CHECK(contains(result, "was ended by signal 6 (Aborted)"));
            CHECK_FALSE(contains(result, "127.0.0.1:0"));  // they have no addresses
        } else if (mode == std::string{"broken"}) {
            CHECK(contains(result, "no such library"));
        } else {
            CHECK(contains(result, "1 failed"));
        }
    }
}

TEST_CASE("a program runs in valgrind, and so do its processes") {
    if (support::leaks_are_found || !support::forks_have_threads) return;  // one sanitizer at a time
    const Result result = shell(R"(
        command -v valgrind >/dev/null || { echo "no valgrind"; exit; }
        exec valgrind -q --trace-children=yes --leak-check=full --show-leak-kinds=definite \
            --errors-for-leak-kinds=definite --error-exitcode=9 "$program" sum --distwork-slaves=2)");
    INFO(result.output);
    if (contains(result, "no valgrind")) return;
    CHECK(contains(result, "sum 332833500"));
    CHECK(result.status == 0);
}
