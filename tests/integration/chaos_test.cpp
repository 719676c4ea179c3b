#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/process.hpp"
#include "support/run.hpp"
#include "support/tally.hpp"
#include "support/timed_work.hpp"

// Slaves that are killed and frozen at random, all the time.

using support::Tally;
using namespace std::chrono_literals;
using Milliseconds = std::chrono::milliseconds;

namespace {

constexpr std::size_t slave_count = 8;
constexpr std::size_t least_works = 20'000;
constexpr std::size_t least_kills = 100;
constexpr std::size_t least_freezes = 40;
constexpr std::size_t most_pending = 100;
constexpr auto dead_after = 400ms;
constexpr auto mean_pause = 40ms;  // from one blow to the next
const unsigned default_attempts = distwork::SubmitOptions{}.max_attempts();

/// A file for what the slaves execute.
struct Record {
    Record() = default;
    Record(const Record&) = delete;
    ~Record() {
        std::error_code ignored;
        std::filesystem::remove(file, ignored);
    }
    const std::string file =
        (std::filesystem::temp_directory_path() / ("distwork-chaos-" + std::to_string(getpid()))).string();
};

/// Kills and freezes slaves of a master, and begins and thaws them again.
///
/// Every blow is drawn from the seed; when it falls, and what it hits, is up to the machine.
class Chaos {
public:
    /// The slaves record what they execute in that file.
    Chaos(std::uint16_t port, std::uint64_t seed, std::string record)
        : port_{port}, record_{std::move(record)}, random_{seed}, slaves_(slave_count) {
        for (Victim& slave : slaves_) begin(slave);
        next_blow_ = Clock::now();
    }

    /// To be called again and again.
    void go_on() {
        const auto now = Clock::now();
        for (Victim& slave : slaves_)
            if (slave.frozen_until && *slave.frozen_until <= now) thaw(slave);
        if (now < next_blow_) return;
        const std::exponential_distribution<> pause{1.0 / static_cast<double>(mean_pause.count())};
        next_blow_ = now + Milliseconds{static_cast<std::int64_t>(draw(pause))};
        Victim& victim = slaves_[draw(std::uniform_int_distribution<std::size_t>{0, slave_count - 1})];
        if (draw(std::bernoulli_distribution{0.7})) kill(victim);
        else if (!victim.frozen_until) freeze(victim, now);
    }

    /// All slaves run.
    void end() {
        for (Victim& slave : slaves_)
            if (slave.frozen_until) thaw(slave);
    }

    std::size_t kills = 0;
    std::size_t freezes = 0;
    std::size_t long_freezes = 0;  // beyond dead_after

private:
    using Clock = std::chrono::steady_clock;

    struct Victim {
        std::optional<Process> process;
        std::optional<Clock::time_point> frozen_until;
    };

    template <class Distribution>
    typename Distribution::result_type draw(Distribution distribution) {
        return distribution(random_);
    }

    void begin(Victim& slave) {
        slave.process.emplace(
            "loyal_process",
            std::vector<std::string>{"port=" + std::to_string(port_), "heartbeat=100",
                                     "dead_after=" + std::to_string(dead_after.count()), "record=" + record_});
    }

    /// Frozen or not.
    void kill(Victim& victim) {
        victim.process->kill(SIGKILL);
        victim.process->wait();
        ++kills;
        victim.frozen_until.reset();
        begin(victim);
    }

    void freeze(Victim& victim, Clock::time_point now) {
        const Milliseconds time{draw(std::uniform_int_distribution<>{1, 2 * static_cast<int>(dead_after.count())})};
        victim.process->kill(SIGSTOP);
        victim.frozen_until = now + time;
        ++freezes;
        if (time > dead_after) ++long_freezes;
    }

    static void thaw(Victim& victim) {
        victim.process->kill(SIGCONT);
        victim.frozen_until.reset();
    }

    const std::uint16_t port_;
    const std::string record_;
    std::mt19937_64 random_;
    std::vector<Victim> slaves_;
    Clock::time_point next_blow_;
};

}  // namespace

TEST_CASE("every call ends exactly once, and with the right value, whoever is killed or frozen",
          "[integration][chaos]") {
    const std::uint64_t seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    INFO("seed " << seed);

    std::size_t found_silent = 0;
    distwork::MasterOptions options;
    options.link.heartbeat = 100ms;
    options.link.dead_after = dead_after;
    options.link.stalled_after = dead_after;
    options.log = [&](distwork::LogLevel, std::string_view line) {
        if (line.find("silent for too long") != std::string_view::npos) ++found_silent;
    };
    Cluster<> cluster{0, {}, options};
    const Record record;
    Chaos chaos{cluster.master.local_endpoint().port(), seed, record.file};
    Tally tally{default_attempts};
    std::vector<bool> is_once;
    std::mt19937_64 random{seed};
    const auto since = std::chrono::steady_clock::now();

    const auto call = [&] {
        const std::uint64_t number = tally.begun();
        const auto time = random() % 20 == 0 ? 20ms : 1ms;
        is_once.push_back(random() % 10 == 0);
        distwork::SubmitOptions how;
        if (is_once.back()) how.max_attempts(1);
        tally.call(cluster.master, Timed{number, time}, Timed::value_of(number), how);
    };
    const auto enough = [&] {
        return tally.begun() >= least_works && chaos.kills >= least_kills && chaos.freezes >= least_freezes &&
               found_silent > 0;
    };
    // As long as it takes; the time that ctest gives is the deadline.
    cluster.io.restart();
    while (!enough()) {
        chaos.go_on();
        while (tally.pending() < most_pending) call();
        cluster.io.run_for(1ms);
    }
    chaos.end();
    REQUIRE(run_until(cluster.io, [&] { return tally.pending() == 0; }));
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == slave_count; }));

    // Nothing is left of it.
    Tally anew;
    for (std::uint64_t i = tally.begun(); i < tally.begun() + 100; ++i)
        anew.call(cluster.master, Timed{i, 1ms}, Timed::value_of(i));
    REQUIRE(run_until(cluster.io, [&] { return anew.pending() == 0; }));
    CHECK(cluster.master.backlog_size() == 0);
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        co_await master.async_stop(deadline);
    }(cluster.master));
    tally.check();
    anew.check();
    CHECK(std::chrono::steady_clock::now() - since < 5min);

    // What the slaves saw of it.
    const auto executions = Timed::recorded_in(record.file, tally.begun() + anew.begun());
    std::size_t twice = 0;
    std::size_t lost = 0;  // that may go again
    for (std::size_t i = 0; i < tally.begun(); ++i) {
        CAPTURE(i, executions[i]);
        if (tally.succeeded(i)) REQUIRE(executions[i] >= 1);
        if (is_once[i]) REQUIRE(executions[i] <= 1);
        REQUIRE(executions[i] <= default_attempts + 10);  // so often it may go again free, and have been executed
        if (executions[i] > 1) ++twice;
        if (!is_once[i] && !tally.succeeded(i)) ++lost;
    }
    CHECK(twice > 0);
    CHECK(lost < tally.begun() / 100);
    CHECK(chaos.kills >= least_kills);
    CHECK(chaos.long_freezes > 0);
    const auto counted = cluster.master.statistics();
    CHECK(counted.admitted == tally.begun() + anew.begun());
    CHECK(counted.succeeded == tally.right() + anew.right());
    CHECK(counted.lost == tally.lost());
    CHECK(counted.completed() == counted.admitted);
    CHECK(counted.refused == 0);
    CHECK(counted.requeued > 0);
    CHECK(counted.attempts > counted.admitted);
    std::cout << tally.begun() << " works, " << tally.right() << " right, " << tally.lost() << " lost, " << lost
              << " of them with three attempts, " << twice << " executed more than once, " << counted.requeued
              << " went again; " << chaos.kills << " kills, " << chaos.freezes << " freezes, " << found_silent
              << " slaves found silent\n";
}
