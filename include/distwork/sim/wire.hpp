#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "random.hpp"
#include "timeline.hpp"

namespace distwork::sim {

/// What a network does to what crosses it. As it stands: a quiet one. Times that are zero mean never.
struct NetworkOptions {
    Duration least_latency = std::chrono::microseconds{50};  ///< each way, drawn for each piece;
    Duration most_latency = std::chrono::microseconds{500};  ///< what was written first still arrives first
    std::uint64_t bytes_per_second = 0;                      ///< of each direction of a connection; 0: no limit
    std::size_t window = 64 * 1024;                          ///< bytes on their way or unread, before a writer waits

    double split = 0;         ///< of writes and reads: done in part, down to single bytes, or arriving in pieces
    double slow_readers = 0;  ///< of the ends of connections: each read waits,
    Duration slow_pause = std::chrono::milliseconds{5};  ///< for about so long

    Duration reset_after{};  ///< mean life of a connection, until it is reset
    Duration clog_every{};   ///< mean time between clogs: one direction between two machines stops,
    Duration clog_time = std::chrono::milliseconds{200};  ///< for about so long
    Duration partition_every{};                           ///< likewise, for longer; half of them both ways
    Duration partition_time = std::chrono::seconds{20};

    /// Some of it all, as the seed has it: most runs are spared most of the faults, so that each is met alone, too.
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

/// What lies between the machines: how long things take, and which directions are blocked.
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

    /// How long so many bytes keep a direction busy.
    Duration transmission(std::size_t bytes) const noexcept {
        if (options.bytes_per_second == 0) return {};
        return Duration{static_cast<Duration::rep>(bytes * 1'000'000'000ull / options.bytes_per_second)};
    }

    /// All of it, or a part.
    std::size_t some_of(std::size_t bytes) noexcept {
        if (bytes < 2 || !random.chance(options.split)) return bytes;
        // Often very little.
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
    std::vector<Path> paths_;  // by machine from, then to
};

}  // namespace distwork::sim
