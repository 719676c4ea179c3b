#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "../statistics.hpp"
#include "../version.hpp"
#include "json_writer.hpp"
#include "snapshot.hpp"

namespace distwork::detail {

/// The identifier of a reason in JSON and in metrics.
inline std::string_view reason_id(WaitReason reason) noexcept {
    switch (reason) {
        case WaitReason::no_slave: return "no_slave";
        case WaitReason::no_capable: return "no_capable";
        case WaitReason::no_credit: return "no_credit";
        case WaitReason::declined: return "declined";
        case WaitReason::master_slots: return "master_slots";
        case WaitReason::pause: return "pause";
    }
    return "unknown";
}

/// The document of /status.json. Times are seconds, sizes are bytes; the names of Statistics and SocketInformation are kept.
class StatusJson {
public:
    static std::string of(const Snapshot& all) {
        StatusJson status;
        JsonWriter& json = status.json_;
        json.begin_object();
        json.member("version", DISTWORK_VERSION).member("number", all.number);
        json.member("unix_seconds", all.unix_seconds).member("elapsed_seconds", all.elapsed_seconds);
        json.member("accepts", all.accepts);
        status.write_works(all);
        status.write_waiting(all);
        status.write_slaves(all);
        json.end_object();
        return json.take();
    }

private:
    void write_works(const Snapshot& all) {
        const Statistics& counted = all.counted;
        json_.key("works").begin_object();
        json_.member("admitted", counted.admitted).member("refused", counted.refused);
        json_.member("succeeded", counted.succeeded).member("failed", counted.failed);
        json_.member("cancelled", counted.cancelled).member("timed_out", counted.timed_out);
        json_.member("lost", counted.lost).member("completed", counted.completed());
        json_.member("attempts", counted.attempts).member("requeued", counted.requeued);
        json_.member("freed", counted.freed).member("retries", counted.retries);
        json_.member("recalled", counted.recalled).member("late_answers", counted.late_answers);
        json_.member("bytes_sent", counted.bytes_sent).member("bytes_received", counted.bytes_received);
        json_.member("backlog", all.backlog).member("in_flight", all.in_flight);
        json_.end_object();
    }

    void write_waiting(const Snapshot& all) {
        json_.key("waiting").begin_object().member("kinds", all.waiting_kinds);
        json_.key("listed").begin_array();
        for (const Waiting& kind : all.waiting) {
            json_.begin_object().member("works", kind.works).member("type", kind.type);
            json_.member("reason", reason_id(kind.reason)).member("why", to_string(kind.reason));
            json_.member("priority", kind.priority).key("labels").begin_array();
            for (const std::string& label : kind.labels) json_.value(label);
            json_.end_array().end_object();
        }
        json_.end_array().end_object();
    }

    void write_slaves(const Snapshot& all) {
        json_.key("slaves").begin_object().member("connected", all.slave_count);
        for (std::size_t i = 0; i < slave_stages.size(); ++i) json_.member(slave_stages[i], all.slaves_in[i]);
        json_.member("slots", all.slots).member("free_slots", all.free_slots);
        write_histogram("load", all.load);
        write_histogram("round_trip_seconds", all.round_trip);
        write_histogram("free_memory", all.free_memory);
        json_.key("listed").begin_array();
        for (const SlaveFigures& slave : all.slaves) write_slave(slave);
        json_.end_array().end_object();
    }

    /// Pairs of a bound and the number of slaves up to it, and above the bound before; the last bound is null.
    void write_histogram(std::string_view name, const Histogram& histogram) {
        json_.key(name).begin_array();
        std::size_t beyond = histogram.count;
        for (std::size_t i = 0; i < histogram.bounds.size(); ++i) {
            json_.begin_array().value(histogram.bounds[i]).value(histogram.counts[i]).end_array();
            beyond -= histogram.counts[i];
        }
        json_.begin_array().null().value(beyond).end_array().end_array();
    }

    void write_slave(const SlaveFigures& slave) {
        json_.begin_object().member("id", slave.id).member("name", slave.name).member("endpoint", slave.endpoint);
        json_.member("stage", slave_stages[static_cast<std::size_t>(slave.stage)]);
        json_.member("slots", slave.slots).member("free_slots", slave.free_slots);
        json_.member("in_flight", slave.in_flight);
        json_.member("completed", slave.completed).member("failed", slave.failed);
        json_.member("bytes_sent", slave.bytes_sent).member("bytes_received", slave.bytes_received);
        json_.member("mean_execution_seconds", slave.mean_execution_seconds);
        json_.member("round_trip_seconds", slave.round_trip_seconds);
        json_.member("connected_seconds", slave.connected_seconds);
        json_.member("running", slave.state.running).member("queued", slave.state.queued);
        json_.member("load_average", slave.state.load_average).member("free_memory", slave.state.free_memory);
        json_.member("label_count", slave.label_count).key("labels").begin_array();
        for (const std::string& label : slave.labels) json_.value(label);
        json_.end_array().end_object();
    }

    JsonWriter json_;
};

}  // namespace distwork::detail
