#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

// What every system under measurement shares: one program forks its slaves, measures from the master's side and prints
// one line of JSON. A system is two functions, `run_master(Pair&)` and `run_slave(const Setup&, index)`.

namespace bench {

struct Setup {
    std::string variant;         ///< the system's own: e.g. where it executes works
    std::size_t slaves = 1;      ///< connections
    bool one_process = false;    ///< all slaves in one process; else a process for each
    std::size_t window = 1024;   ///< works in flight for each slave
    bool bursts = false;         ///< the window is filled when it is empty: what one read brings is always as much
    std::size_t bytes = 64;      ///< of a work: its id, and a payload
    std::uint64_t works = 0;     ///< ends after so many answers; 0: after `seconds`
    double seconds = 1;          ///< measured, after a fifth of it to warm up
    std::string pin = "same";    ///< same: one core for both ends; split: one each; free: wherever
    std::size_t io_threads = 1;  ///< of the master
    std::size_t submitters = 0;  ///< threads that submit; 0: completions submit the next
    bool secure = false;         ///< authenticated and encrypted, in the system's own way
    bool idle = false;           ///< only connects, and measures the master's memory for each slave
    std::uint16_t port = 0;      ///< for slaves: where the master listens
};

/// What a work of this id carries behind it, and what is to come back.
inline std::uint64_t payload_word(std::uint64_t id) {
    return id * 0x9e3779b97f4a7c15;
}
inline void fill_payload(std::uint64_t id, std::span<char> payload) {
    const std::uint64_t word = payload_word(id);
    if (payload.size() < sizeof word) return;
    std::memcpy(payload.data(), &word, sizeof word);
    std::memcpy(payload.data() + payload.size() - sizeof word, &word, sizeof word);
}
/// The slave's part: looks at both ends of the payload.
inline std::uint64_t answer_to(std::uint64_t id, std::span<const char> payload) {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    if (payload.size() < sizeof first) return id;
    std::memcpy(&first, payload.data(), sizeof first);
    std::memcpy(&last, payload.data() + payload.size() - sizeof last, sizeof last);
    return id + first + last;
}
inline std::uint64_t expected_answer(std::uint64_t id, std::size_t payload_bytes) {
    return payload_bytes < sizeof id ? id : id + 2 * payload_word(id);
}

/// Of this process.
inline std::size_t resident_bytes() {
    std::ifstream file{"/proc/self/statm"};
    std::size_t total = 0;
    std::size_t resident = 0;
    file >> total >> resident;
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// The master's side of a run: when it begins, whether it goes on, and what was measured.
class Pair {
public:
    Pair(const Setup& what, std::vector<pid_t> slaves, int port_pipe)
        : setup{what}, slaves_{std::move(slaves)}, port_pipe_{port_pipe} {}

    const Setup setup;

    std::size_t payload_bytes() const { return setup.bytes - sizeof(std::uint64_t); }
    std::size_t in_flight() const { return setup.slaves * setup.window; }

    /// The master listens: slaves may connect.
    void listening(std::uint16_t port) const {
        for (std::size_t i = 0; i < slaves_.size(); ++i)
            if (::write(port_pipe_, &port, sizeof port) != sizeof port) throw std::runtime_error{"a slave is gone"};
    }

    /// Before the first slave connects, and when all have: for `idle`.
    void note_memory() { memory_.push_back(resident_bytes()); }

    /// All slaves are connected.
    void begin() {
        begun_ = now();
        if (setup.works != 0) start_measuring(begun_);
    }

    /// Counts a checked answer. False: it was the last that matters.
    bool answered(std::uint64_t answer, std::uint64_t expected) {
        if (answer != expected) throw std::runtime_error{"a wrong answer came"};
        ++answers_;
        if (setup.works != 0) return answers_ < setup.works || finish(now());
        if (answers_ % stride_ != 0) return !done_;
        const double at = now();
        if (measuring_since_ == 0) {
            if (at - begun_ >= setup.seconds / 5) start_measuring(at);
        } else if (at - measuring_since_ >= setup.seconds) {
            return finish(at);
        }
        return true;
    }

    /// For systems whose answers come on several threads: they count themselves and call this now and then.
    bool answered_in_all(std::uint64_t answers) {
        answers_ = answers - 1;
        const std::size_t stride = std::exchange(stride_, 1);
        const std::uint64_t expected = 0;
        const bool more = answered(expected, expected);
        stride_ = stride;
        return more;
    }

    /// One round trip, in seconds, for latencies.
    void took(double seconds) {
        if (measuring_since_ != 0) latencies_.push_back(seconds);
    }

    bool done() const { return done_; }

    static double now() { return clock_seconds(CLOCK_MONOTONIC); }

    nlohmann::json result() {
        nlohmann::json json;
        if (setup.idle) {
            json["bytes_per_slave"] =
                static_cast<double>(memory_.at(1) - memory_.at(0)) / static_cast<double>(setup.slaves);
            return json;
        }
        if (!done_) throw std::runtime_error{"it ended before it was measured"};
        const auto works = static_cast<double>(measured_works_);
        json["works_per_second"] = works / measured_seconds_;
        json["cpu_ns_per_work"] = measured_cpu_ / works * 1e9;
        json["bytes_per_second"] = works * static_cast<double>(setup.bytes) / measured_seconds_;
        if (!latencies_.empty()) {
            std::sort(latencies_.begin(), latencies_.end());
            json["p50_us"] = latencies_[latencies_.size() / 2] * 1e6;
            json["p99_us"] = latencies_[latencies_.size() * 99 / 100] * 1e6;
        }
        return json;
    }

private:
    static double clock_seconds(clockid_t clock) {
        timespec time{};
        clock_gettime(clock, &time);
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
    }

    /// Of both ends together.
    double cpu_seconds() const {
        double all = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
        for (const pid_t slave : slaves_) {
            clockid_t clock{};
            if (clock_getcpuclockid(slave, &clock) == 0) all += clock_seconds(clock);
        }
        return all;
    }

    void start_measuring(double at) {
        measuring_since_ = at;
        works_before_ = answers_;
        cpu_before_ = cpu_seconds();
        if (in_flight() == 1) latencies_.reserve(1'000'000);
    }

    bool finish(double at) {
        measured_seconds_ = at - measuring_since_;
        measured_works_ = answers_ - works_before_;
        measured_cpu_ = cpu_seconds() - cpu_before_;
        done_ = true;
        return false;
    }

    const std::vector<pid_t> slaves_;
    const int port_pipe_;
    std::size_t stride_ = in_flight() == 1 || setup.bytes > 4096 ? 1 : 64;
    double begun_ = 0;
    double measuring_since_ = 0;
    std::uint64_t answers_ = 0;
    std::uint64_t works_before_ = 0;
    double cpu_before_ = 0;
    double measured_seconds_ = 0;
    double measured_cpu_ = 0;
    std::uint64_t measured_works_ = 0;
    std::atomic<bool> done_{false};
    std::vector<double> latencies_;
    std::vector<std::size_t> memory_;
};

inline void pin_to(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    sched_setaffinity(0, sizeof set, &set);
}

/// A slave's end of the pipe: waits until its master listens.
inline std::uint16_t await_port(int pipe) {
    std::uint16_t port = 0;
    if (::read(pipe, &port, sizeof port) != sizeof port) std::_Exit(1);
    return port;
}

template <class RunMaster, class RunSlave>
int main(int argc, char** argv, RunMaster run_master, RunSlave run_slave) {
    Setup setup;
    CLI::App app{"One system of the benchmark; tests/bench/run compares them."};
    app.add_option("--variant", setup.variant);
    app.add_option("--slaves", setup.slaves);
    app.add_flag("--one-process", setup.one_process);
    app.add_option("--window", setup.window);
    app.add_flag("--bursts", setup.bursts);
    app.add_option("--bytes", setup.bytes)->check(CLI::Range(std::size_t{8}, std::size_t{1} << 30));
    app.add_option("--works", setup.works);
    app.add_option("--seconds", setup.seconds);
    app.add_option("--pin", setup.pin)->check(CLI::IsMember({"same", "split", "free"}));
    app.add_option("--io-threads", setup.io_threads);
    app.add_option("--submitters", setup.submitters);
    app.add_flag("--secure", setup.secure);
    app.add_flag("--idle", setup.idle);
    CLI11_PARSE(app, argc, argv);

    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);

    std::array<int, 2> pipe{};
    if (::pipe(pipe.data()) != 0) return 1;
    std::vector<pid_t> slaves;
    for (std::size_t i = 0; i < (setup.one_process ? 1 : setup.slaves); ++i) {
        const pid_t slave = fork();
        if (slave == 0) {
            if (setup.pin != "free") pin_to(setup.pin == "same" ? 0 : 1);
            setup.port = await_port(pipe[0]);
            try {
                run_slave(setup);
            } catch (const std::exception&) {
                // its master has ended
            }
            std::_Exit(0);
        }
        slaves.push_back(slave);
    }
    if (setup.pin != "free") pin_to(0);
    int status = 0;
    try {
        Pair pair{setup, slaves, pipe[1]};
        run_master(pair);
        std::printf("%s\n", pair.result().dump().c_str());
        std::fflush(stdout);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        status = 1;
    }
    for (const pid_t slave : slaves) kill(slave, SIGTERM);
    for (const pid_t slave : slaves) waitpid(slave, nullptr, 0);
    // What the systems leave running in their threads is of no interest.
    std::_Exit(status);
}

}  // namespace bench
