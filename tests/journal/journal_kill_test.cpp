// A program with a journal that is killed again and again, and begun again.

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <random>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/process.hpp"

namespace journal_kill_test {

namespace {

std::uintmax_t size_of(const std::string& path) {
    std::error_code ignored;
    const std::uintmax_t size = std::filesystem::file_size(path, ignored);
    return ignored ? 0 : size;
}

/// Kills the program so many times, after a random time each, and then has it go on to its end.
void kill_and_go_on(const std::string& mode, int kills, int count, std::chrono::milliseconds longest) {
    const support::Folder folder;
    std::mt19937 random{7};
    std::uniform_int_distribution<long> delay{0, std::chrono::microseconds{longest}.count()};
    const std::vector<std::string> arguments{mode, folder.path(), std::to_string(count), "--distwork-slaves=2",
                                             "--distwork-log=error"};
    for (int i = 0; i != kills; ++i) {
        const auto before = size_of(folder / "log");
        Process process{"sweep_process", arguments};
        // Every second one gets somewhere, however long it takes to begin.
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{20};
        while (i % 2 == 1 && size_of(folder / "log") == before && std::chrono::steady_clock::now() < until)
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
        std::this_thread::sleep_for(std::chrono::microseconds{delay(random)});
        process.kill(SIGKILL);
        process.wait();
    }
    CHECK_FALSE(std::filesystem::exists(folder / "done"));  // else the kills came too late
    REQUIRE(Process{"sweep_process", arguments}.wait() == 0);

    std::vector<int> executed(static_cast<std::size_t>(count));
    std::vector<int> read(static_cast<std::size_t>(count));
    int executed_after_reading = 0;
    std::istringstream log{support::contents(folder / "log")};
    char what = 0;
    for (std::size_t x = 0; log >> what >> x;) {
        REQUIRE(x < read.size());
        if (what == 'r') ++read[x];
        else ++executed[x], executed_after_reading += read[x] != 0;
    }
    CHECK(executed_after_reading == 0);
    std::size_t most_read = 0;
    for (std::size_t x = 0; x != read.size(); ++x) {
        CHECK(executed[x] >= 1);
        CHECK(read[x] >= 1);
        most_read = std::max(most_read, static_cast<std::size_t>(read[x]));
    }
    CHECK(most_read > 1);  // some were kept
}

}  // namespace

TEST_CASE("what a group returned is not executed again, though its program is killed a hundred times") {
    kill_and_go_on("pair", 100, 2000, std::chrono::milliseconds{45});
}

TEST_CASE("what a map returned is not executed again, though its program is killed thirty times") {
    kill_and_go_on("program", 30, 2000, std::chrono::milliseconds{100});
}

}  // namespace journal_kill_test
