// A sweep with a journal that may be killed at any time: sweep_process pair|program FOLDER COUNT [--distwork-…]
//
// It executes elements 0 to COUNT - 1, with a slave in this process or with two in processes of their own. Executions
// and outcomes are noted in FOLDER/log, in the order in which they happen: "e 17", "r 17". FOLDER/done: all were read.

#include <fcntl.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <chrono>
#include <cstdlib>
#include <distwork.hpp>
#include <distwork/journal.hpp>
#include <distwork/program.hpp>
#include <distwork/work_group.hpp>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace sweep {

/// Appends a line in one piece.
void note(const std::string& folder, char what, int x) {
    static const int file = open((folder + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const std::string line = what + (' ' + std::to_string(x)) + '\n';
    if (write(file, line.data(), line.size()) != static_cast<ssize_t>(line.size())) std::abort();
}

/// Most take no time, and share works; some are slow.
int step(const std::string& folder, int x) {
    note(folder, 'e', x);
    if (x % 4 == 0) std::this_thread::sleep_for(std::chrono::milliseconds{6});
    return 3 * x;
}

}  // namespace sweep

DISTWORK_REGISTER_FUNCTION(sweep::step)

namespace sweep {

auto elements(const std::string& folder, int count) {
    return std::views::iota(0, count) | std::views::transform([folder](int x) { return std::pair{folder, x}; });
}

void take(const std::string& folder, distwork::Outcome<int>& outcome) {
    const int x = static_cast<int>(outcome.index);
    if (outcome.value() != 3 * x) throw std::runtime_error{"a value is another's"};
    note(folder, 'r', x);
}

void by_pair(const std::string& folder, int count) {
    const distwork::Journal journal{folder + "/journal.db"};
    asio::io_context io{1};
    distwork::Master<> master{io.get_executor(), 0};
    master.start();
    distwork::Slave<> slave{io.get_executor(), "127.0.0.1", master.local_endpoint().port(), {.slots = 1}};
    slave.start();
    distwork::WorkGroup<int> group{master, {.journal = journal}};
    group.add_all<step>(elements(folder, count));
    group.close();
    std::function<void()> next = [&] {
        group.async_next([&](const std::exception_ptr& error, std::optional<distwork::Outcome<int>> outcome) {
            if (error) std::rethrow_exception(error);
            if (!outcome) return io.stop();
            take(folder, *outcome);
            next();
        });
    };
    next();
    io.run();
}

void by_program(distwork::Program& program, const std::string& folder, int count) {
    const distwork::Journal journal{folder + "/journal.db"};
    for (auto& outcome : program.map<step>(elements(folder, count), journal)) take(folder, outcome);
}

}  // namespace sweep

int main(int argc, char** argv) try {
    const std::string mode = argv[1];
    if (mode == "program") {
        distwork::Program program{argc, argv};
        sweep::by_program(program, argv[2], std::atoi(argv[3]));
    } else {
        sweep::by_pair(argv[2], std::atoi(argv[3]));
    }
    std::ofstream{std::string{argv[2]} + "/done"} << "done\n";
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
