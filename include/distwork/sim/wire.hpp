#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "random.hpp"
#include "timeline.hpp"

namespace distwork::sim {

/// The latency, bandwidth and faults of a simulated network. The defaults have no faults.
struct NetworkOptions {
    // Latency is one way and drawn for each piece. The bytes of a connection still arrive in order.
    Duration least_latency = std::chrono::microseconds{50};  ///< the least latency
    Duration most_latency = std::chrono::microseconds{500};  ///< the greatest latency
    std::uint64_t bytes_per_second = 0;                      ///< in each direction of a connection; 0: no limit
    std::size_t window = 64 * 1024;                          ///< bytes on their way or unread before a writer waits

    double split = 0;         ///< probability that a read or write is done in part, or that a write arrives in pieces
    double slow_readers = 0;  ///< probability that one end of a connection pauses after each read
    Duration slow_pause = std::chrono::milliseconds{5};  ///< the mean of these pauses

    Duration reset_after{};  ///< mean life of a connection before it is reset; 0: never
    Duration clog_every{};   ///< mean time between clogs, each of one direction between two machines; 0: never
    Duration clog_time = std::chrono::milliseconds{200};  ///< the mean length of a clog
    Duration partition_every{};  ///< mean time between partitions, half of them in both directions; 0: never
    Duration partition_time = std::chrono::seconds{20};  ///< the mean length of a partition

    /// Draws a network with faults from a seed. Each fault is absent in many runs, so that each is also tested alone.
    static NetworkOptions faulty(std::uint64_t seed) {
        using namespace std::chrono_literals;
        Random random{seed};
        NetworkOptions options;
        options.least_latency = random.between(10us, 1ms);
        options.most_latency = options.least_latency + random.between(0us, 20ms);
        if (random.chance(0.3)) options.bytes_per_second = 50'000 + random.below(5'000'000);
        if (random.chance(0.5)) options.window = 64 + random.below(16 * 1024);
        if (random.chance(0.5)) options.split = 0.3;
        if (random.chance(0.2)) options.slow_readers = 0.3;
        if (random.chance(0.5)) options.reset_after = random.between(50ms, 10s);
        if (random.chance(0.4)) options.clog_every = random.between(50ms, 2s);
        if (random.chance(0.3)) options.partition_every = random.between(2s, 60s);
        return options;
    }
};

/// The network between the machines: how long transmissions take, and which directions are blocked.
class Wire {
public:
    Wire(Timeline& timeline_, std::uint64_t seed, const NetworkOptions& options_)
        : timeline{timeline_}, options{options_}, random{seed} {}

    void add_machine() {
        const std::size_t before = up_.size();
        up_.push_back(true);
        std::vector<Path> paths(up_.size() * up_.size());
        for (std::size_t from = 0; from < before; ++from)
            for (std::size_t to = 0; to < before; ++to) paths[from * up_.size() + to] = paths_[from * before + to];
        paths_ = std::move(paths);
    }

    std::size_t machine_count() const noexcept { return up_.size(); }
    bool is_up(std::size_t machine) const noexcept { return up_[machine]; }
    void up(std::size_t machine, bool up) { up_[machine] = up; }

    bool is_blocked(std::size_t from, std::size_t to) const noexcept {
        const Path& path = paths_[from * up_.size() + to];
        return path.partitioned || path.clogs != 0;
    }
    void partition(std::size_t from, std::size_t to, bool on) { paths_[from * up_.size() + to].partitioned = on; }
    void clog(std::size_t from, std::size_t to) { ++paths_[from * up_.size() + to].clogs; }
    void unclog(std::size_t from, std::size_t to) { --paths_[from * up_.size() + to].clogs; }

    TimePoint now() const noexcept { return timeline.now(); }
    TimePoint arrival() noexcept { return now() + random.between(options.least_latency, options.most_latency); }

    /// How long `bytes` bytes keep one direction of a connection busy.
    Duration transmission(std::size_t bytes) const noexcept {
        if (options.bytes_per_second == 0) return {};
        return Duration{static_cast<Duration::rep>(bytes * 1'000'000'000ull / options.bytes_per_second)};
    }

    /// Draws how many of `bytes` bytes are transferred: all of them, or, with the probability `split`, a part.
    std::size_t some_of(std::size_t bytes) noexcept {
        if (bytes < 2 || !random.chance(options.split)) return bytes;
        // Half of the parts have at most 16 bytes.
        const std::size_t bound = random.chance(0.5) ? bytes : bytes < 16 ? bytes : 16;
        return 1 + static_cast<std::size_t>(random.below(bound));
    }

    Timeline& timeline;
    NetworkOptions options;
    Random random;

private:
    struct Path {
        bool partitioned = false;
        unsigned clogs = 0;
    };

    std::vector<bool> up_;     // by machine
    std::vector<Path> paths_;  // indexed by sender, then by receiver
};

}  // namespace distwork::sim
