// Runs the systems in turn, round after round, and prints what they reached side by side; see `run` beside this file.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

struct Options {
    std::string benchmark = "all";
    std::string pin = "same";
    int rounds = 5;
    double seconds = 1;
    std::string json_file;
    bool charts = false;
    std::vector<std::string> with;
    fs::path programs;  ///< where the systems' programs stand
    fs::path sources;   ///< where this file stands: charts and the baseline are kept there
};

/// One system, set up in one way.
struct Contender {
    std::string system;
    std::string variant;
    std::size_t slaves = 1;
    std::string arguments;
};

/// What is compared, and by which figure of those that a system prints.
struct Benchmark {
    std::string name;
    std::string unit;
    std::string figure;
    double scale = 1;
    std::vector<Contender> contenders;
};

/// What a command writes to its standard output.
std::string output_of(const std::string& command) {
    std::FILE* const pipe = popen(command.c_str(), "r");
    if (!pipe) throw std::runtime_error{"cannot run " + command};
    std::string output;
    char some[4096];
    while (const std::size_t count = std::fread(some, 1, sizeof some, pipe)) output.append(some, count);
    if (pclose(pipe) != 0) throw std::runtime_error{"this failed: " + command};
    return output;
}

std::string quoted(const fs::path& path) {
    return '\'' + path.string() + '\'';
}

json run_once(const Options& options, const Contender& contender) {
    std::ostringstream command;
    command << "timeout 120 " << quoted(options.programs / ("bench_" + contender.system)) << " --slaves "
            << contender.slaves << " --seconds " << options.seconds << " --pin " << options.pin << ' '
            << contender.arguments;
    if (contender.system.rfind("distwork", 0) == 0) command << " --variant " << contender.variant;
    return json::parse(output_of(command.str()));
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

/// The median of the ratios round by round: what disturbs the machine for a while disturbs both.
double median_ratio(const std::vector<double>& ours, const std::vector<double>& theirs) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < ours.size(); ++i) ratios.push_back(ours[i] / theirs[i]);
    return median(ratios);
}

struct Row {
    Contender contender;
    std::vector<double> figures;
    std::vector<double> cpu_ns;
};

/// Ratios to the first row of each other system with as many slaves, and to distwork's own first row.
json ratios_of(const Row& row, const std::vector<Row>& rows) {
    json ratios = json::object();
    for (const Row& other : rows) {
        const std::string& system = other.contender.system;
        if (&other == &row || ratios.contains(system)) continue;
        if (system == row.contender.system ? &other != &rows.front() : other.contender.slaves != row.contender.slaves)
            continue;
        ratios[system] = median_ratio(row.figures, other.figures);
    }
    return ratios;
}

json to_json(const Benchmark& benchmark, const Options& options, const std::vector<Row>& rows) {
    json result{{"benchmark", benchmark.name}, {"pin", options.pin}, {"rows", json::array()}};
    for (const Row& row : rows) {
        json entry{{"system", row.contender.system},
                   {"variant", row.contender.variant},
                   {"slaves", row.contender.slaves},
                   {"unit", benchmark.unit},
                   {"median", median(row.figures)},
                   {"min", *std::min_element(row.figures.begin(), row.figures.end())},
                   {"max", *std::max_element(row.figures.begin(), row.figures.end())},
                   {"ratio", ratios_of(row, rows)}};
        entry["cpu_ns_per_work"] = row.cpu_ns.empty() ? json{} : json(median(row.cpu_ns));
        result["rows"].push_back(std::move(entry));
    }
    return result;
}

void print(const json& result) {
    std::printf("\n%s, pinned: %s\n", result["benchmark"].get<std::string>().c_str(),
                result["pin"].get<std::string>().c_str());
    std::printf("  %-11s %-26s %6s %10s %10s %10s  %-14s %9s  %s\n", "system", "variant", "slaves", "median", "min",
                "max", "unit", "CPU ns", "ratio to");
    for (const json& row : result["rows"]) {
        std::ostringstream ratios;
        ratios.precision(3);
        for (const auto& [system, ratio] : row["ratio"].items()) ratios << system << ' ' << ratio.get<double>() << "  ";
        std::printf("  %-11s %-26s %6zu %10.4g %10.4g %10.4g  %-14s ", row["system"].get<std::string>().c_str(),
                    row["variant"].get<std::string>().c_str(), row["slaves"].get<std::size_t>(),
                    row["median"].get<double>(), row["min"].get<double>(), row["max"].get<double>(),
                    row["unit"].get<std::string>().c_str());
        if (row["cpu_ns_per_work"].is_null()) std::printf("%9s", "-");
        else std::printf("%9.0f", row["cpu_ns_per_work"].get<double>());
        std::printf("  %s\n", ratios.str().c_str());
    }
    std::fflush(stdout);
}

json run(const Benchmark& benchmark, const Options& options) {
    std::vector<Row> rows;
    for (const Contender& contender : benchmark.contenders)
        if (fs::exists(options.programs / ("bench_" + contender.system))) rows.push_back({contender, {}, {}});
        else std::printf("skipped: %s was not built, its library is missing\n", contender.system.c_str());
    for (int round = 0; round < options.rounds; ++round)
        for (Row& row : rows) {
            const json figures = run_once(options, row.contender);
            row.figures.push_back(figures.at(benchmark.figure).get<double>() * benchmark.scale);
            if (figures.contains("cpu_ns_per_work")) row.cpu_ns.push_back(figures["cpu_ns_per_work"]);
        }
    json result = to_json(benchmark, options, rows);
    print(result);
    return result;
}

std::vector<Benchmark> compared(const Options& options) {
    const auto with = [&](std::vector<Contender> contenders, const Contender& grpc) {
        if (std::find(options.with.begin(), options.with.end(), "grpc") != options.with.end())
            contenders.push_back(grpc);
        return contenders;
    };
    std::vector<Benchmark> all;
    all.push_back({"throughput", "works/s", "works_per_second", 1,
                   with({{"distwork", "inline", 1, "--window 1024"},
                         {"distwork", "pool", 1, "--window 1024"},
                         {"raw", "", 1, "--window 1024"},
                         {"zeromq", "", 1, "--window 1024"},
                         {"asio_naive", "", 1, "--window 1024"},
                         {"distwork", "inline", 4, "--window 1024"},
                         {"raw", "", 4, "--window 1024"},
                         {"zeromq", "", 4, "--window 1024"}},
                        {"grpc", "", 1, "--window 1024"})});
    all.push_back({"latency", "us (p50)", "p50_us", 1,
                   with({{"distwork", "inline", 1, "--window 1"},
                         {"distwork", "pool", 1, "--window 1"},
                         {"raw", "", 1, "--window 1"},
                         {"zeromq", "", 1, "--window 1"},
                         {"asio_naive", "", 1, "--window 1"}},
                        {"grpc", "", 1, "--window 1"})});
    const std::string large = "--window 8 --bytes 1048576";
    all.push_back({"bandwidth", "GiB/s", "bytes_per_second", 1.0 / (1 << 30),
                   with({{"distwork", "string", 1, large},
                         {"distwork", "bytes", 1, large},
                         {"raw", "", 1, large},
                         {"zeromq", "", 1, large},
                         {"asio_naive", "", 1, large}},
                        {"grpc", "", 1, large})});
    const std::string held = "--window 16 --one-process";
    all.push_back({"connections",
                   "works/s",
                   "works_per_second",
                   1,
                   {{"distwork", "inline", 1000, held}, {"raw", "", 1000, held}, {"zeromq", "", 1000, held}}});
    all.push_back({"memory",
                   "KiB/slave",
                   "bytes_per_slave",
                   1.0 / 1024,
                   {{"distwork", "inline", 1000, held + " --idle"},
                    {"raw", "", 1000, held + " --idle"},
                    {"zeromq", "", 1000, held + " --idle"}}});
    const std::string small = "--window 1024";
    all.push_back({"tls", "works/s", "works_per_second", 1,
                   with({{"distwork_tls", "inline", 1, small},
                         {"distwork", "inline", 1, small},
                         {"zeromq", "CURVE", 1, small + " --secure"}},
                        {"grpc", "TLS", 1, small + " --secure"})});
    all.push_back({"tls_bandwidth", "GiB/s", "bytes_per_second", 1.0 / (1 << 30),
                   with({{"distwork_tls", "string", 1, large},
                         {"distwork", "string", 1, large},
                         {"zeromq", "CURVE", 1, large + " --secure"}},
                        {"grpc", "TLS", 1, large + " --secure"})});
    Benchmark threads{"threads", "works/s", "works_per_second", 1, {}};
    for (const std::string io_threads : {"1", "2", "4"})
        threads.contenders.push_back(
            {"distwork", "inline", 4, "--window 1024 --submitters 4 --io-threads " + io_threads});
    all.push_back(std::move(threads));
    return all;
}

/// In process: no peers, no rounds.
json run_selection(const Options& options) {
    Benchmark benchmark{"selection", "ns", "ns", 1, {}};
    std::vector<Row> rows;
    std::istringstream lines{output_of("taskset -c 0 " + quoted(options.programs / "bench_selection"))};
    for (std::string line; std::getline(lines, line);) {
        const json figure = json::parse(line);
        rows.push_back({{"distwork", figure["variant"], figure["slaves"], ""}, {figure["ns"].get<double>()}, {}});
    }
    json result = to_json(benchmark, options, rows);
    for (json& row : result["rows"]) row["ratio"] = json::object();
    print(result);
    return result;
}

/// Of one process, by callgrind: what a work costs beyond the start, from two runs of different length.
double instructions(const fs::path& file) {
    std::ifstream in{file};
    for (std::string line; std::getline(in, line);)
        if (line.rfind("totals: ", 0) == 0 || line.rfind("summary: ", 0) == 0)
            return std::stod(line.substr(line.find(' ')));
    throw std::runtime_error{"no total in " + file.string()};
}

json run_instructions(const Options& options) {
    constexpr double shorter = 20'000;
    constexpr double longer = 60'000;
    const fs::path folder = fs::temp_directory_path() / ("distwork-bench-" + std::to_string(getpid()));
    std::map<std::string, double> ends;
    for (const double works : {longer, shorter}) {
        fs::remove_all(folder);
        fs::create_directories(folder);
        const std::string pid = output_of(
            "sh -c 'echo $$ && exec valgrind -q --tool=callgrind --callgrind-out-file=" + folder.string() + "/%p " +
            (options.programs / "bench_distwork").string() + " --variant inline --window 64 --bursts --works " +
            std::to_string(static_cast<long>(works)) + "' 2>/dev/null");
        const std::string master = pid.substr(0, pid.find('\n'));
        for (const auto& file : fs::directory_iterator{folder}) {
            const bool ours = file.path().filename() == master;
            ends[ours ? "master" : "slave"] += (works == longer ? 1 : -1) * instructions(file.path());
        }
    }
    fs::remove_all(folder);
    Benchmark benchmark{"instructions", "instr/work", "", 1, {}};
    std::vector<Row> rows;
    for (const auto& [end, count] : ends) rows.push_back({{"distwork", end, 1, ""}, {count / (longer - shorter)}, {}});
    json result = to_json(benchmark, options, rows);

    const fs::path recorded = options.sources / "baseline.json";
    json baseline = fs::exists(recorded) ? json::parse(std::ifstream{recorded}) : json::object();
    for (json& row : result["rows"]) {
        row["ratio"] = json::object();
        const std::string end = row["variant"];
        if (!baseline.contains(end)) continue;
        row["ratio"]["baseline"] = row["median"].get<double>() / baseline[end].get<double>();
        if (row["ratio"]["baseline"] > 1.05)
            std::printf("WARNING: the %s takes %.0f instructions a work, %.0f were recorded\n", end.c_str(),
                        row["median"].get<double>(), baseline[end].get<double>());
        if (row["ratio"]["baseline"] > 1.15)
            throw std::runtime_error{"the " + end + " takes more than 1.15 times the instructions that were recorded"};
    }
    print(result);
    return result;
}

/// What groups and maps cost: a map beside threads, in rounds; works that are made as they are asked for; and what a
/// group adds to a bare call.
json run_groups(const Options& options) {
    const std::string program = "timeout 300 " + quoted(options.programs / "bench_groups") + ' ';
    std::vector<Row> rows;
    std::map<std::string, std::string> units;
    const auto add = [&](const std::string& variant, const std::string& unit, double value) {
        const auto same = [&](const Row& row) { return row.contender.variant == variant; };
        auto row = std::find_if(rows.begin(), rows.end(), same);
        if (row == rows.end()) row = rows.insert(row, Row{{"distwork", variant, 1, ""}, {}, {}});
        row->figures.push_back(value);
        units[variant] = unit;
    };
    const auto gather = [&](const std::string& arguments) {
        std::istringstream lines{output_of(program + arguments)};
        for (std::string line; std::getline(lines, line);) {
            const json figure = json::parse(line);
            add(figure["variant"], figure["figure"], figure["value"]);
        }
    };
    for (int round = 0; round < options.rounds; ++round) {
        gather("map " + std::to_string(options.seconds) + " --distwork-slaves=2");
        gather("first");
        gather("journal " + std::to_string(options.seconds) + " --distwork-slaves=2");
    }
    gather("lazy 10000000");
    const fs::path file = fs::temp_directory_path() / ("distwork-bench-" + std::to_string(getpid()) + ".out");
    std::map<std::string, double> ends;
    for (const std::string how : {"call", "next", "reduce"})
        for (const auto& [works, sign] : {std::pair{30'000, 1}, {10'000, -1}}) {
            output_of("valgrind -q --tool=callgrind --callgrind-out-file=" + quoted(file) + ' ' +
                      quoted(options.programs / "bench_groups") + " overhead " + how + ' ' + std::to_string(works) +
                      " 2>/dev/null");
            ends[how] += sign * instructions(file);
        }
    fs::remove(file);
    for (const std::string how : {"next", "reduce"})
        add("async_" + how + " beside a bare call", "instr/work", (ends[how] - ends["call"]) / 20'000);

    json result = to_json(Benchmark{"groups", "see the variant", "", 1, {}}, options, rows);
    for (json& row : result["rows"]) {
        const std::string variant = row["variant"];
        row["ratio"] = json::object();
        const auto figures = [&](const std::string& of) {
            return std::find_if(rows.begin(), rows.end(), [&](const Row& one) { return one.contender.variant == of; })
                ->figures;
        };
        const std::string map = "async_map, ";
        const std::string kept = "with a journal";
        if (variant.rfind(map, 0) == 0)
            row["ratio"]["threads"] = median_ratio(figures(variant), figures("threads, " + variant.substr(map.size())));
        else if (variant.ends_with(", " + kept))
            row["ratio"]["without"] = median_ratio(
                figures(variant), figures(variant.substr(0, variant.size() - kept.size()) + "without a journal"));
        row["variant"] = variant + " (" + units[variant] + ')';
    }
    print(result);
    return result;
}

/// CPU seconds that a command takes.
double cpu_seconds(const std::string& command) {
    const auto used = [] {
        rusage usage{};
        getrusage(RUSAGE_CHILDREN, &usage);
        return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    };
    const double before = used();
    if (std::system(command.c_str()) != 0) throw std::runtime_error{"this failed: " + command};
    return used() - before;
}

/// What stands in bench/compile, by g++ and as a user may compile it. The ratio is to Asio and cereal alone.
json run_compile(const Options& options) {
    const std::string header_only = "header-only, ";
    const std::string compiled = "distwork::compiled, ";
    const std::string separately = " -DDISTWORK_SEPARATE_COMPILATION";
    Benchmark benchmark{"compile", "s (CPU)", "", 1, {}};
    std::vector<Row> rows{{{"asio_cereal", "-O0", 0, "-O0"}, {}, {}},
                          {{"distwork", header_only + "-O0", 0, "-O0"}, {}, {}},
                          {{"works", header_only + "-O2", 0, "-O2"}, {}, {}},
                          {{"first", header_only + "-O0", 0, "-O0"}, {}, {}},
                          {{"first", header_only + "-O2", 0, "-O2"}, {}, {}},
                          {{"distwork", compiled + "-O0", 0, "-O0" + separately}, {}, {}},
                          {{"works", compiled + "-O2", 0, "-O2" + separately}, {}, {}},
                          {{"first", compiled + "-O0", 0, "-O0" + separately}, {}, {}},
                          {{"first", compiled + "-O2", 0, "-O2" + separately}, {}, {}}};
    for (int round = 0; round < options.rounds; ++round)
        for (Row& row : rows) {
            const auto source = options.sources / "compile" / (row.contender.system + ".cpp");
            row.figures.push_back(
                cpu_seconds(BENCH_COMPILE " " + row.contender.arguments + " -c -o /dev/null " + quoted(source)));
        }
    json result = to_json(benchmark, options, rows);
    print(result);
    return result;
}

/// Bars, on a logarithmic scale where systems are far apart.
void draw(const json& result, const Options& options) {
    const std::string name = result["benchmark"];
    std::ostringstream script;
    script << "set terminal svg size 720,360 font 'sans,13'\nset output " << quoted(options.sources / (name + ".svg"))
           << "\nset title '" << name << ", " << result["rows"][0]["unit"].get<std::string>()
           << " (median; lines: least and most)'\nset style fill solid 0.8\nset boxwidth 0.7\nunset key\nset grid y\n"
           << "set logscale y\nset xtics rotate by -20\nset errorbars lw 1.5\n$data << END\n";
    int at = 0;
    for (const json& row : result["rows"]) {
        std::string label = row["system"];
        for (char& letter : label)
            if (letter == '_') letter = ' ';
        if (const std::string variant = row["variant"]; !variant.empty()) label += ' ' + variant;
        if (row["slaves"] != 1) label += " x" + std::to_string(row["slaves"].get<int>());
        script << at++ << " \"" << label << "\" " << row["median"] << ' ' << row["min"] << ' ' << row["max"] << ' '
               << (row["system"] == "distwork" ? 0x2a6f97 : 0x9aa5b1) << '\n';
    }
    script << "END\nplot $data using 1:3:6:xtic(2) with boxes lc rgb variable, '' using 1:3:4:5 with yerrorbars lc rgb "
              "'#333333' pt 0\n";
    std::FILE* const gnuplot = popen("gnuplot", "w");
    if (!gnuplot) return;
    std::fputs(script.str().c_str(), gnuplot);
    if (pclose(gnuplot) != 0) std::printf("no chart of %s: gnuplot failed or is missing\n", name.c_str());
}

int compare(const Options& options) {
    json results = json::array();
    const bool all = options.benchmark == "all";
    const auto wanted = [&](const std::string& name) { return all || options.benchmark == name; };
    for (const Benchmark& benchmark : compared(options)) {
        const bool chosen = wanted(benchmark.name) ||
                            (benchmark.name == "memory" && options.benchmark == "connections") ||
                            (benchmark.name == "tls_bandwidth" && options.benchmark == "tls");
        if (!chosen) continue;
        results.push_back(run(benchmark, options));
        if (options.charts && benchmark.name != "memory" && benchmark.name != "threads" &&
            !benchmark.name.starts_with("tls"))
            draw(results.back(), options);
    }
    if (wanted("selection")) results.push_back(run_selection(options));
    if (wanted("compile")) results.push_back(run_compile(options));
    if (wanted("instructions")) results.push_back(run_instructions(options));
    if (wanted("groups")) results.push_back(run_groups(options));
    if (!options.json_file.empty()) {
        std::ofstream file{options.json_file};
        file << (results.size() == 1 ? results[0] : results).dump(2) << '\n';
        if (!file.flush()) throw std::runtime_error{"cannot write " + options.json_file};
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app{"Compares distwork with its peers on this machine."};
    app.add_option("benchmark", options.benchmark)
        ->check(CLI::IsMember({"throughput", "latency", "bandwidth", "connections", "selection", "threads", "tls",
                               "compile", "instructions", "groups", "all"}));
    app.add_option("--pin", options.pin, "same: both ends on one core; split: one each; free: wherever")
        ->check(CLI::IsMember({"same", "split", "free"}));
    app.add_option("--rounds", options.rounds)->check(CLI::Range(1, 1000));
    app.add_option("--seconds", options.seconds, "measured in each round")->check(CLI::Range(0.01, 3600.0));
    app.add_option("--json", options.json_file, "write the figures there as well");
    app.add_flag("--charts", options.charts, "draw them beside this file");
    app.add_option("--with", options.with, "a peer that takes long to build: grpc")
        ->allow_extra_args(false)
        ->check(CLI::IsMember({"grpc"}));
    CLI11_PARSE(app, argc, argv);
    options.programs = fs::canonical("/proc/self/exe").parent_path();
    options.sources = BENCH_SOURCES;
    try {
        return compare(options);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
