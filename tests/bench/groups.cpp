// What groups and maps cost: bench_groups MODE. Prints a line of JSON for each figure.
//
//   map SECONDS        a map of elements of 200 ns, 17 us and 20 ms by two slave processes, beside two threads that take
//                      as many elements at a time from an atomic counter
//   journal SECONDS    a group with and without a journal, by two slave processes: outcomes of short calls in a second,
//                      and the time of calls of 1 ms. Nothing without SQLite
//   lazy WORKS         a group of so many works that are made as slaves ask for them: time, and what the heap grew
//   first              the time from the beginning of main to the first outcome of a map
//   overhead HOW N     N works, 64 under way, by HOW = call (bare calls), next or reduce (a group): for callgrind

#include <malloc.h>
#include <unistd.h>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <distwork.hpp>
#ifdef BENCH_HAS_JOURNAL
#include <distwork/journal.hpp>
#endif
#include <distwork/map.hpp>
#include <distwork/program.hpp>
#include <distwork/work_group.hpp>
#include <exception>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

/// So many rounds of a cheap random number generator.
std::uint64_t burn(std::uint64_t rounds, std::uint64_t x) {
    for (std::uint64_t i = 0; i < rounds; ++i) x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return x;
}
int echo(int x) {
    return x;
}

}  // namespace bench

DISTWORK_REGISTER_FUNCTION(bench::burn)
DISTWORK_REGISTER_FUNCTION(bench::echo)

namespace bench {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begun) {
    return std::chrono::duration<double>(Clock::now() - begun).count();
}

void print(const std::string& variant, const char* figure, double value) {
    std::printf("%s\n", nlohmann::json{{"variant", variant}, {"figure", figure}, {"value", value}}.dump().c_str());
    std::fflush(stdout);
}

/// Nanoseconds of one round of `burn`.
double calibrated() {
    constexpr std::uint64_t rounds = 50'000'000;
    const auto begun = Clock::now();
    const std::uint64_t result = burn(rounds, 7);
    const double time = seconds_since(begun);
    if (result == 0) std::abort();  // it is used
    return time * 1e9 / rounds;
}

std::vector<std::uint64_t> by_threads(std::uint64_t rounds, std::size_t count, std::size_t at_a_time) {
    std::vector<std::uint64_t> values(count);
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
        for (std::size_t first; (first = next.fetch_add(at_a_time)) < count;)
            for (std::size_t i = first; i < std::min(count, first + at_a_time); ++i) values[i] = burn(rounds, i + 1);
    };
    std::jthread one{work};
    std::jthread other{work};
    one.join();
    other.join();
    return values;
}

asio::awaitable<void> slaves_connect(distwork::Master<>& master) {
    co_await master.async_wait_for_slaves(2);
}

asio::awaitable<std::vector<std::uint64_t>> by_slaves(distwork::Master<>& master, std::uint64_t rounds,
                                                      std::size_t count) {
    auto elements = std::views::iota(std::size_t{1}, count + 1) | std::views::transform([rounds](std::size_t i) {
                        return std::pair{rounds, static_cast<std::uint64_t>(i)};
                    });
    co_return co_await distwork::async_map<burn>(master, elements);
}

void measure_maps(distwork::Program& program, double seconds) {
    program.run(slaves_connect(program.master()));
    const double round = calibrated();
    for (const auto& [name, length] : {std::pair{"200 ns", 200e-9}, {"17 us", 17e-6}, {"20 ms", 20e-3}}) {
        const auto rounds = static_cast<std::uint64_t>(length * 1e9 / round);
        const auto count = static_cast<std::size_t>(2 * seconds / length);
        const auto at_a_time = std::max<std::size_t>(1, static_cast<std::size_t>(1e-3 / length));
        auto begun = Clock::now();
        const auto expected = by_threads(rounds, count, at_a_time);
        print(std::string{"threads, "} + name, "s", seconds_since(begun));
        begun = Clock::now();
        const auto values = program.run(by_slaves(program.master(), rounds, count));
        print(std::string{"async_map, "} + name, "s", seconds_since(begun));
        if (values != expected) throw std::runtime_error{"a map has other values"};
    }
}

#ifdef BENCH_HAS_JOURNAL
asio::awaitable<std::uint64_t> sum_of(distwork::WorkGroup<std::uint64_t>& group) {
    const auto add = [](std::uint64_t all, std::uint64_t value) { return all + value; };
    co_return co_await group.async_reduce(std::uint64_t{0}, add);
}

/// Seconds that a group takes for so many calls, until the last outcome was read.
double group_time(distwork::Program& program, std::uint64_t rounds, std::size_t count, bool keeps) {
    const auto path = std::filesystem::temp_directory_path() / ("distwork-bench-" + std::to_string(getpid()) + ".db");
    std::filesystem::remove(path);
    distwork::GroupOptions options;
    if (keeps) options.journal = distwork::Journal{path.string()};
    const auto begun = Clock::now();
    double time = 0;
    {
        distwork::WorkGroup<std::uint64_t> group{program.master(), options};
        group.add_all<burn>(std::views::iota(std::size_t{1}, count + 1) |
                            std::views::transform([rounds](std::size_t i) {
                                return std::pair{rounds, static_cast<std::uint64_t>(i)};
                            }));
        program.run(sum_of(group));
        time = seconds_since(begun);
    }
    options.journal.reset();
    std::filesystem::remove(path);
    return time;
}

void measure_journal(distwork::Program& program, double seconds) {
    program.run(slaves_connect(program.master()));
    const double round = calibrated();
    const auto count = static_cast<std::size_t>(300'000 * seconds);
    const auto of_1_ms = static_cast<std::uint64_t>(1e6 / round);
    // In the order without, with, with, without: what drifts is not taken for the journal's.
    const auto measure = [&](const std::string& what, const char* unit, std::uint64_t each, std::size_t calls) {
        for (const bool keeps : {false, true, true, false}) {
            const double time = group_time(program, each, calls, keeps);
            print(what + (keeps ? ", with a journal" : ", without a journal"), unit,
                  unit == std::string{"s"} ? time : static_cast<double>(calls) / time);
        }
    };
    measure("calls of 1 ms", "s", of_1_ms, static_cast<std::size_t>(2000 * seconds));
    measure("short calls", "outcomes/s", 1, count);
}
#endif

/// A master, and a slave that executes in place, in one thread: what is left are the roles and their calls.
struct Pair {
    asio::io_context io{1};
    distwork::Master<> master{io.get_executor(), 0};
    std::optional<distwork::Slave<>> slave;

    Pair() {
        master.start();
        distwork::SlaveOptions options;
        options.slots = 1;
        options.work_executor = distwork::WorkExecutor::in_place();
        slave.emplace(io.get_executor(), "127.0.0.1", master.local_endpoint().port(), options);
        slave->start();
        while (master.connected_slave_count() == 0) io.run_one();
    }
};

std::int64_t sum_by_calls(Pair& pair, int works) {
    constexpr int under_way = 64;
    std::int64_t sum = 0;
    int made = 0;
    int done = 0;
    std::function<void()> one = [&] {
        if (made == works) return;
        pair.master.async_call<echo>(made++, [&](const std::exception_ptr&, int value) {
            sum += value;
            if (++done == works) pair.io.stop();
            one();
        });
    };
    for (int i = 0; i < under_way; ++i) one();
    pair.io.run();
    return sum;
}

std::int64_t sum_by_group(Pair& pair, int works, bool reduces) {
    std::int64_t sum = 0;
    distwork::WorkGroup<int> group{pair.master};
    group.add_all<echo>(std::views::iota(0, works));
    std::function<void()> next = [&] {
        group.async_next([&](const std::exception_ptr&, std::optional<distwork::Outcome<int>> outcome) {
            if (!outcome) return pair.io.stop();
            sum += outcome->value();
            next();
        });
    };
    const auto add = [](std::int64_t all, int value) { return all + value; };
    if (reduces)
        group.async_reduce(std::int64_t{0}, add, [&](const std::exception_ptr&, std::int64_t all) {
            sum = all;
            pair.io.stop();
        });
    else group.close(), next();
    pair.io.run();
    return sum;
}

void check_sum(std::int64_t sum, int works) {
    if (sum != std::int64_t{works} * (works - 1) / 2) throw std::runtime_error{"a sum is wrong"};
}

void measure_lazy_works(int works) {
    Pair pair;
    check_sum(sum_by_calls(pair, 1000), 1000);
    pair.io.restart();
    const std::size_t before = mallinfo2().uordblks;
    std::size_t most = before;
    asio::steady_timer timer{pair.io};
    std::function<void()> look = [&] {
        most = std::max<std::size_t>(most, mallinfo2().uordblks);
        timer.expires_after(std::chrono::milliseconds{20});
        timer.async_wait([&](const std::error_code& error) {
            if (!error) look();
        });
    };
    look();
    const auto begun = Clock::now();
    check_sum(sum_by_group(pair, works, true), works);
    print("lazy works", "s", seconds_since(begun));
    print("lazy works, heap growth", "MiB", static_cast<double>(most - before) / (1024 * 1024));
}

int run(int argc, char** argv) {
    const auto begun = Clock::now();
    const std::string mode = argc > 1 ? argv[1] : "";
    if (mode == "lazy") {
        measure_lazy_works(std::atoi(argv[2]));
    } else if (mode == "overhead") {
        Pair pair;
        const int works = std::atoi(argv[3]);
        const std::string how = argv[2];
        check_sum(how == "call" ? sum_by_calls(pair, works) : sum_by_group(pair, works, how == "reduce"), works);
    } else if (mode == "map") {
        distwork::Program program{argc, argv};
        measure_maps(program, std::atof(argv[2]));
    } else if (mode == "journal") {
#ifdef BENCH_HAS_JOURNAL
        distwork::Program program{argc, argv};
        measure_journal(program, std::atof(argv[2]));
#endif
    } else if (mode == "first") {
        distwork::Program program{argc, argv};
        for (auto& outcome : program.map<echo>(std::views::iota(0, 1000))) {
            static_cast<void>(outcome.value());
            print("first outcome", "s", seconds_since(begun));
            break;
        }
    }
    return 0;
}

}  // namespace bench

int main(int argc, char** argv) {
    try {
        return bench::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
