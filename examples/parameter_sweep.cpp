// A sweep of short and long jobs into a CSV file, which may be killed at any time: run again, it goes on where it stopped.
//
// parameter_sweep FILE.csv [SHORT JOBS] [LONG JOBS] [MILLISECONDS OF A LONG JOB] [--journal FILE]
//
// The outcomes are kept in the journal (default: FILE.csv.journal). Kill the program, or one of its processes, and begin
// it anew with the same arguments: what the journal has is not computed again. Rows stand in FILE.csv.part until all are
// there. A long job that takes ten times its time is an error; one that throws is tried again, three times.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <distwork/journal.hpp>
#include <distwork/program.hpp>
#include <distwork/work_group.hpp>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

// A short job: the steps of the Collatz sequence that begins with n. It takes a microsecond or less.
int collatz_steps(std::uint64_t n) {
    int steps = 0;
    for (; n != 1; ++steps) n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    return steps;
}
DISTWORK_REGISTER_FUNCTION(collatz_steps)

// A long job, which stops early when it is told to, and sometimes fails.
int relax(distwork::Context& peer, int number, int milliseconds) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds{milliseconds};
    while (std::chrono::steady_clock::now() < until && !peer.stop_token().stop_requested())
        std::this_thread::sleep_for(1ms);
    if (until.time_since_epoch().count() % 10 == 0) throw std::runtime_error{"it does not converge"};
    return number * number % 1009;
}
DISTWORK_REGISTER_FUNCTION(relax)

// The rows of the file, while they come.
class Table {
public:
    explicit Table(const std::string& path) : path_{path}, file_{path + ".part"} {
        file_ << "job,number,value,computed\n";
    }
    void add(const char* job, const distwork::Outcome<int>& outcome) {
        if (outcome) ++rows_;
        file_ << job << ',' << outcome.index << ',' << (outcome ? std::to_string(outcome.value()) : "error") << ','
              << (outcome.is_kept ? "before" : "now") << std::endl;
    }
    bool finish(std::size_t rows) {
        file_.close();
        if (rows_ != rows || !file_) return false;
        std::filesystem::rename(path_ + ".part", path_);
        return true;
    }

private:
    const std::string path_;
    std::ofstream file_;
    std::size_t rows_ = 0;
};

asio::awaitable<void> collect(distwork::WorkGroup<int>& group, Table& table) {
    while (auto outcome = co_await group.async_next()) table.add("long", *outcome);
}

int main(int argc, char** argv) try {
    distwork::Program program{argc, argv};
    std::vector<std::string> arguments(argv + 1, argv + argc);
    std::string journal_file;
    if (const auto at = std::ranges::find(arguments, "--journal"); at != arguments.end() && at + 1 != arguments.end()) {
        journal_file = at[1];
        arguments.erase(at, at + 2);
    }
    if (arguments.empty()) throw std::invalid_argument{"parameter_sweep FILE.csv [SHORT] [LONG] [MS] [--journal FILE]"};
    const auto number = [&](std::size_t i, int value) {
        return i < arguments.size() ? std::stoi(arguments[i]) : value;
    };
    const int short_jobs = number(1, 100'000), long_jobs = number(2, 200), milliseconds = number(3, 1000);

    const distwork::Journal journal{journal_file.empty() ? arguments[0] + ".journal" : journal_file, "version 1"};
    Table table{arguments[0]};
    distwork::WorkGroup<int> group{program.master(), {.journal = journal}};
    const auto careful = distwork::SubmitOptions{}
                             .retry_on_error(distwork::RetryPolicy{3})
                             .execution_timeout(std::chrono::milliseconds{10 * milliseconds + 1000});
    group.add_all<relax>(std::views::iota(0, long_jobs) | std::views::transform([=](int i) {
                             return std::pair{i, milliseconds};
                         }),
                         careful);
    group.close();
    // They run while the short ones do, and after them.
    for (const auto& outcome : program.map<collatz_steps>(std::views::iota(1, short_jobs + 1), journal))
        table.add("short", outcome);
    program.run(collect(group, table));
    const bool is_complete = table.finish(static_cast<std::size_t>(short_jobs) + static_cast<std::size_t>(long_jobs));
    std::cout << (is_complete ? "complete\n" : "not complete: run it again\n");
    return is_complete ? 0 : std::max(program.status(), 1);
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
