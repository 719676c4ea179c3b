#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <regex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "distwork/log.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"

using namespace distwork;
using namespace distwork::detail;
using support::Child, support::count, support::Reader, support::run_child;
using namespace std::chrono_literals;

namespace {

struct Lines {
    void operator()(LogLevel level, std::string_view line) {
        const std::lock_guard lock{mutex};
        all.push_back(std::string{to_string(level)} + ": " + std::string{line});
        grew.notify_all();
    }
    /// Waits until there are so many: a log that ends writes for a second, however slow the machine is.
    bool reach(std::size_t count) {
        std::unique_lock lock{mutex};
        return grew.wait_for(lock, 60s, [&] { return all.size() >= count; });
    }
    std::mutex mutex;
    std::condition_variable grew;
    std::vector<std::string> all;  // guarded by mutex
};

/// Whose last word comes after the log's own end.
struct Late {
    ~Late() {
        if (speaks) ConsoleLog{}(LogLevel::error, "at the very end");
    }
    bool speaks = false;
} late;

}  // namespace

TEST_CASE("a queued log's hook may block, and who says something does not wait", "[integration]") {
    Lines lines;
    std::promise<void> go_on;
    std::shared_future<void> gone_on{go_on.get_future()};
    std::atomic<std::thread::id> written_by{};
    {
        const Log log = QueuedLog{[&, gone_on](LogLevel level, std::string_view line) {
            written_by = std::this_thread::get_id();
            gone_on.wait();
            lines(level, line);
        }};
        for (int i = 0; i < 5000; ++i) log(LogLevel::info, std::to_string(i));  // would hang, did it wait
        go_on.set_value();
        REQUIRE(lines.reach(1025));
    }
    CHECK(written_by.load() != std::this_thread::get_id());
    // As many as may wait, then how many were left out.
    REQUIRE(lines.all.size() == 1025);
    CHECK(lines.all[0] == "info: 0");
    CHECK(lines.all[1023] == "info: 1023");
    CHECK(lines.all[1024].find("warning: 3976 lines") == 0);
}

TEST_CASE("lines that are left out are told of where they are missing", "[integration]") {
    Lines lines;
    std::promise<void> go_on;
    std::shared_future<void> gone_on{go_on.get_future()};
    {
        const Log log = QueuedLog{[&, gone_on](LogLevel level, std::string_view line) {
            gone_on.wait();
            lines(level, line);
        }};
        const std::string long_line(400 * 1024, 'x');
        for (int i = 0; i < 4; ++i) log(LogLevel::info, long_line);  // two of them are a mebibyte, nearly
        log(LogLevel::info, "short");
        go_on.set_value();
        REQUIRE(lines.reach(4));
    }
    REQUIRE(lines.all.size() == 4);
    CHECK(lines.all[1].size() == lines.all[0].size());
    CHECK(lines.all[2].find("warning: 2 lines") == 0);
    CHECK(lines.all[3] == "info: short");
}

TEST_CASE("a queue that finds room again keeps its bound", "[integration]") {
    std::mutex mutex;
    std::condition_variable changed;
    int may_go = 0;  // guarded by mutex
    int gone = 0;    // guarded by mutex
    std::size_t lines = 0;
    {
        const Log log = QueuedLog{[&](LogLevel, std::string_view) {
            std::unique_lock lock{mutex};
            changed.wait(lock, [&] { return may_go != 0; });
            --may_go;
            ++gone;
            changed.notify_all();
            ++lines;
        }};
        // When one goes there is room for one, and two want it: the next line, and what tells of those that are missing.
        for (int round = 1; round <= 20; ++round) {
            for (int i = 0; i < 1100; ++i) log(LogLevel::info, "line");
            std::unique_lock lock{mutex};
            may_go = 1;
            changed.notify_all();
            changed.wait(lock, [&] { return gone == round; });
        }
        const std::lock_guard lock{mutex};
        may_go = 1'000'000;
        changed.notify_all();
    }
    CHECK(lines <= 1026 + 20);
}

TEST_CASE("a hook that throws costs its line, and copies of a queued log share one thread", "[integration]") {
    Lines lines;
    {
        const QueuedLog first{[&](LogLevel level, std::string_view line) {
            if (line == "throw") throw 5;
            lines(level, line);
        }};
        const Log second = first;
        first(LogLevel::info, "one");
        second(LogLevel::info, "throw");
        first(LogLevel::error, "two");
    }
    CHECK(lines.all == std::vector<std::string>{"info: one", "error: two"});
}

TEST_CASE("a queued log that its own hook lets go of ends", "[integration]") {
    std::promise<void> called;
    auto own = std::make_shared<Log>();
    *own = QueuedLog{[&, weak = std::weak_ptr{own}](LogLevel, std::string_view) mutable {
        if (const auto last = weak.lock()) *last = nullptr;
        called.set_value();
    }};
    Log copy = *own;
    copy(LogLevel::info, "let go");
    copy = nullptr;
    CHECK(called.get_future().wait_for(10s) == std::future_status::ready);
}

TEST_CASE("the console log tells warnings and errors apart, with the time and its zone", "[integration]") {
    const Child child = run_child([](const auto&) {
        setenv("TZ", "XYZ-02:30", 1);
        tzset();
        const ConsoleLog log;
        log(LogLevel::debug, "not this");
        log(LogLevel::info, "as it goes");
        log(LogLevel::warning, "look here");
        log(LogLevel::error, "look there");
    });
    CHECK(child.status == 0);
    const std::string stamp = R"(\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0230\] )";
    INFO(child.out << child.err);
    CHECK(std::regex_match(child.out, std::regex{stamp + "as it goes\n"}));
    CHECK(std::regex_match(child.err, std::regex{stamp + "warning: look here\n" + stamp + "error: look there\n"}));
}

TEST_CASE("a console that nobody reads holds nobody up, and what is left out is counted for who reads later",
          "[integration]") {
    const Child child = run_child(
        [](const auto& tell) {
            const std::string line(200, 'x');
            for (int i = 0; i < 20'000; ++i) ConsoleLog{}(LogLevel::error, line);  // would hang, did it wait
            tell();
        },
        Reader::when_told);
    CHECK(child.status == 0);
    const std::regex omitted{R"(warning: (\d+) lines of the log are left out here)"};
    std::size_t missing = 0;
    for (std::sregex_iterator at{child.err.begin(), child.err.end(), omitted}, end; at != end; ++at)
        missing += std::stoul((*at)[1]);
    CHECK(missing > 10'000);
    CHECK(count(child.err, "error: xxx") + missing == 20'000);
}

TEST_CASE("a console takes a thousand lines a second, however fast it is read", "[integration]") {
    const Child child = run_child([](const auto&) {
        const auto until = std::chrono::steady_clock::now() + 10ms;
        for (int i = 0; i < 3000 || std::chrono::steady_clock::now() < until; ++i)
            ConsoleLog{}(LogLevel::info, std::to_string(i));
    });
    CHECK(child.status == 0);
    CHECK(count(child.out, "\n") >= 1000);
    CHECK(count(child.out, "\n") <= 2000);  // of two seconds
    CHECK(count(child.err, "lines of the log are left out here") >= 1);
}

TEST_CASE("a process whose console nobody ever reads ends all the same", "[integration]") {
    int full[2];
    REQUIRE(pipe(full) == 0);
    const Child child = run_child([&](const auto&) {
        dup2(full[1], STDERR_FILENO);
        late.speaks = true;
        for (int i = 0; i < 20'000; ++i) ConsoleLog{}(LogLevel::error, std::string(200, 'x'));
    });
    CHECK(child.status == 0);
    close(full[0]);
    close(full[1]);
}

TEST_CASE("a console that is closed does not end the process, nor what is said at its end", "[integration]") {
    const Child child = run_child(
        [](const auto&) {
            late.speaks = true;
            for (int i = 0; i < 100; ++i) {
                ConsoleLog{}(LogLevel::error, "to nobody");
                ConsoleLog{}(LogLevel::info, "to nobody");
            }
        },
        Reader::nobody);
    CHECK(child.status == 0);
}

TEST_CASE("static objects may still log when the process ends", "[integration]") {
    const Child child = run_child([](const auto&) {
        late.speaks = true;
        ConsoleLog{}(LogLevel::error, "first");
    });
    CHECK(child.status == 0);
    CHECK(count(child.err, "error: first\n") == 1);
    CHECK(count(child.err, "error: at the very end\n") == 1);
}

TEST_CASE("a process that was forked in the middle of lines logs as its parent does, and ends", "[integration]") {
    if (!support::forks_have_threads || support::leaks_are_found) return;
    const Child child = run_child([](const auto&) {
        const QueuedLog queued{NoLog{}};
        ConsoleLog{}(LogLevel::error, "parent");  // the time zone is read with the first line
        std::atomic<bool> enough{false};
        std::vector<std::thread> speakers;
        for (int i = 0; i < 4; ++i)
            speakers.emplace_back([&] {
                while (!enough) ConsoleLog{}(LogLevel::info, "-"), queued(LogLevel::info, "-");
            });
        int failed = 0;
        for (int i = 0; i < 20; ++i) {
            const pid_t pid = fork();
            if (pid == 0) {
                alarm(10);
                QueuedLog{queued}(LogLevel::error, "called at once");
                ConsoleLog{}(LogLevel::error, "grandchild");
                std::exit(0);
            }
            int status = 0;
            waitpid(pid, &status, 0);
            failed += status != 0;
        }
        enough = true;
        for (std::thread& speaker : speakers) speaker.join();
        ConsoleLog{}(LogLevel::error, "parent");
        if (failed != 0) _exit(4);
    });
    CHECK(child.status == 0);
    CHECK(count(child.err, "error: grandchild\n") == 20);
    CHECK(count(child.err, "error: parent\n") == 2);
}
