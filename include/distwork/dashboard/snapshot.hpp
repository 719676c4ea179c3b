#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "../roles/any_master.hpp"
#include "../roles/any_scheduler.hpp"
#include "../slave_state.hpp"
#include "../socket_information.hpp"
#include "../statistics.hpp"
#include "../tcp/address.hpp"

namespace distwork::detail {

/// Whether a slave gets works. The later ones want more attention.
enum class SlaveStage { ready, starting, draining, suspected };

inline constexpr std::array<std::string_view, 4> slave_stages{"ready", "starting", "draining", "suspected"};

inline SlaveStage stage_of(const SocketInformation& slave) noexcept {
    if (slave.suspected) return SlaveStage::suspected;
    if (slave.draining) return SlaveStage::draining;
    return slave.starting ? SlaveStage::starting : SlaveStage::ready;
}

/// What is shown of one slave. Texts are as the slave sent them.
struct SlaveFigures {
    std::uint64_t id = 0;
    std::string name;
    std::string endpoint;
    std::vector<std::string> labels;  ///< at most `most_labels` of them
    std::size_t label_count = 0;
    SlaveStage stage{};
    std::size_t slots = 0;
    std::size_t free_slots = 0;
    std::size_t in_flight = 0;
    std::uint64_t completed = 0;
    std::uint64_t failed = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    double mean_execution_seconds = 0;
    double round_trip_seconds = 0;  ///< zero until it is measured
    double connected_seconds = 0;
    SlaveState state;

    static constexpr std::size_t most_labels = 16;
};

/// How many slaves have a figure up to each bound.
struct Histogram {
    std::vector<double> bounds;                                                 ///< ascending
    std::vector<std::size_t> counts = std::vector<std::size_t>(bounds.size());  ///< up to each bound, not cumulative
    std::size_t count = 0;                                                      ///< of all, also of those beyond
    double sum = 0;

    void add(double figure) {
        const auto at = std::lower_bound(bounds.begin(), bounds.end(), figure);
        if (at != bounds.end()) ++counts[static_cast<std::size_t>(at - bounds.begin())];
        ++count;
        sum += figure;
    }
};

/// What a dashboard shows, at one time. Its size does not grow with the number of slaves, or of kinds of works.
struct Snapshot {
    std::uint64_t number = 0;    ///< counted from 1
    double unix_seconds = 0;     ///< the time of day
    double elapsed_seconds = 0;  ///< since the dashboard was made, by a clock that is never set
    bool accepts = false;        ///< works are admitted: the master has not begun to stop
    Statistics counted;

    std::size_t backlog = 0;
    std::array<std::size_t, 6> waiting_for{};  ///< works, by WaitReason
    std::vector<Waiting> waiting;              ///< at most `most_listed` kinds, those with most works
    std::size_t waiting_kinds = 0;

    std::array<std::size_t, slave_stages.size()> slaves_in{};  ///< slaves, by SlaveStage
    std::size_t slave_count = 0;
    std::size_t slots = 0;
    std::size_t free_slots = 0;
    std::size_t in_flight = 0;
    std::vector<SlaveFigures> slaves;  ///< by id; of more than `most_listed` those that want most attention
    Histogram load{{0, 0.25, 0.5, 0.75, 1, 1.5, 2, 4, 16, 64, 256, 1024}};  ///< works for each slot
    Histogram round_trip{{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1}};  ///< seconds
    Histogram free_memory{{0x1p26, 0x1p28, 0x1p30, 0x1p32, 0x1p34, 0x1p36, 0x1p38}};             ///< bytes

    static constexpr std::size_t most_listed = 100;
};

inline double seconds(std::chrono::nanoseconds time) noexcept {
    return std::chrono::duration<double>(time).count();
}

/// Gathers the slaves of a snapshot. Of many only those are copied that are shown.
class SlaveList {
public:
    SlaveList(Snapshot& into, std::chrono::steady_clock::time_point now) : all_{into}, now_{now} {}

    void add(const SocketInformation& slave) {
        const SlaveStage stage = stage_of(slave);
        ++all_.slave_count;
        ++all_.slaves_in[static_cast<std::size_t>(stage)];
        all_.slots += slave.slots;
        all_.free_slots += slave.free_slots;
        all_.in_flight += slave.in_flight;
        all_.load.add(slave.load());
        if (slave.round_trip.count() > 0) all_.round_trip.add(seconds(slave.round_trip));
        if (slave.state.free_memory > 0) all_.free_memory.add(static_cast<double>(slave.state.free_memory));

        // A heap whose first slave is the one that wants attention least.
        auto& listed = all_.slaves;
        if (listed.size() == Snapshot::most_listed) {
            if (urgency(listed.front()) >= std::tuple{stage, slave.failed, slave.load()}) return;
            std::pop_heap(listed.begin(), listed.end(), is_more_urgent);
            listed.pop_back();
        }
        listed.push_back(figures_of(slave, stage));
        std::push_heap(listed.begin(), listed.end(), is_more_urgent);
    }

    void finish() {
        std::sort(all_.slaves.begin(), all_.slaves.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    }

private:
    static std::tuple<SlaveStage, std::uint64_t, double> urgency(const SlaveFigures& slave) noexcept {
        return {slave.stage, slave.failed, static_cast<double>(slave.in_flight) / static_cast<double>(slave.slots)};
    }
    static bool is_more_urgent(const SlaveFigures& a, const SlaveFigures& b) noexcept {
        return urgency(a) > urgency(b);
    }

    SlaveFigures figures_of(const SocketInformation& slave, SlaveStage stage) const {
        SlaveFigures figures;
        figures.id = slave.id;
        figures.name = slave.name;
        if (slave.endpoint.port() != 0) figures.endpoint = to_string(slave.endpoint);
        const std::size_t labels = std::min(slave.labels.size(), SlaveFigures::most_labels);
        figures.labels.assign(slave.labels.begin(), slave.labels.begin() + static_cast<std::ptrdiff_t>(labels));
        figures.label_count = slave.labels.size();
        figures.stage = stage;
        figures.slots = slave.slots;
        figures.free_slots = slave.free_slots;
        figures.in_flight = slave.in_flight;
        figures.completed = slave.completed;
        figures.failed = slave.failed;
        figures.bytes_sent = slave.bytes_sent;
        figures.bytes_received = slave.bytes_received;
        figures.mean_execution_seconds = seconds(slave.mean_execution_time);
        figures.round_trip_seconds = seconds(slave.round_trip);
        figures.connected_seconds = seconds(now_ - slave.connected_since);
        figures.state = slave.state;
        return figures;
    }

    Snapshot& all_;
    std::chrono::steady_clock::time_point now_;
};

/// What a master has to show now. Times and the number are the caller's.
inline Snapshot snapshot_of(const AnyMaster& master) {
    const auto scheduler = master.scheduler();
    Snapshot all;
    all.accepts = !scheduler->is_closed();
    all.counted = scheduler->statistics();
    all.backlog = scheduler->backlog_size();

    all.waiting = master.waiting();
    all.waiting_kinds = all.waiting.size();
    for (const Waiting& kind : all.waiting) all.waiting_for[static_cast<std::size_t>(kind.reason)] += kind.works;
    std::sort(all.waiting.begin(), all.waiting.end(), [](const Waiting& a, const Waiting& b) {
        return std::tie(b.works, a.type, a.labels) < std::tie(a.works, b.type, b.labels);
    });
    if (all.waiting.size() > Snapshot::most_listed) all.waiting.resize(Snapshot::most_listed);

    SlaveList slaves{all, scheduler->now()};
    scheduler->enumerate_sockets([&](const SocketInformation& slave) { slaves.add(slave); });
    slaves.finish();
    return all;
}

}  // namespace distwork::detail
