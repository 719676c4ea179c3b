#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "../log.hpp"
#include "../statistics.hpp"
#include "../version.hpp"
#include "json_writer.hpp"
#include "snapshot.hpp"
#include "status_json.hpp"

namespace distwork::detail {

/// The document of /metrics: Prometheus' text format 0.0.4. Slaves have series of their own as long as there are at most
/// Snapshot::most_listed; the histograms count all of them, as they are now.
class Metrics {
public:
    static std::string of(const Snapshot& all) {
        Metrics metrics;
        metrics.write_works(all);
        metrics.write_slaves(all);
        if (all.slave_count <= Snapshot::most_listed) metrics.write_each_slave(all);
        return std::move(metrics.text_);
    }

private:
    using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

    void write_works(const Snapshot& all) {
        const Statistics& counted = all.counted;
        gauge("distwork_build_info", "1, with the version of distwork.");
        sample("distwork_build_info", {{"version", DISTWORK_VERSION}}, 1);
        single("distwork_accepts_works", "gauge", "1 while the master admits works, 0 when it stops.",
               all.accepts ? 1 : 0);
        total("distwork_works_admitted_total", "Submissions sent or put into the backlog.", counted.admitted);
        total("distwork_works_refused_total", "Submissions that were not admitted.", counted.refused);
        counter("distwork_works_completed_total", "Works that were admitted and have an outcome.");
        for (const auto& [outcome, count] : {std::pair{"succeeded", counted.succeeded},
                                             {"failed", counted.failed},
                                             {"cancelled", counted.cancelled},
                                             {"timed_out", counted.timed_out},
                                             {"lost", counted.lost}})
            sample("distwork_works_completed_total", {{"outcome", outcome}}, count);
        total("distwork_attempts_total", "Times that a work was sent.", counted.attempts);
        total("distwork_works_requeued_total", "Works taken from lost slaves to be sent again.", counted.requeued);
        total("distwork_works_freed_total", "Works among the requeued that had not begun.", counted.freed);
        total("distwork_retries_total", "Works to be sent again because they threw.", counted.retries);
        total("distwork_works_recalled_total", "Works taken back from a slave before they began.", counted.recalled);
        total("distwork_late_answers_total", "Answers that no call waited for.", counted.late_answers);
        total("distwork_sent_bytes_total", "Bytes sent on all connections.", counted.bytes_sent);
        total("distwork_received_bytes_total", "Bytes received on all connections.", counted.bytes_received);

        single("distwork_backlog_works", "gauge", "Admitted works that wait for a slave.", all.backlog);
        single("distwork_in_flight_works", "gauge", "Works sent to slaves and not answered.", all.in_flight);
        gauge("distwork_waiting_works", "Works that wait, by the reason why.");
        for (std::size_t i = 0; i < all.waiting_for.size(); ++i)
            sample("distwork_waiting_works", {{"reason", reason_id(static_cast<WaitReason>(i))}}, all.waiting_for[i]);
    }

    void write_slaves(const Snapshot& all) {
        gauge("distwork_slaves", "Connected slaves, by whether they get works.");
        for (std::size_t i = 0; i < slave_stages.size(); ++i)
            sample("distwork_slaves", {{"stage", slave_stages[i]}}, all.slaves_in[i]);
        single("distwork_slots", "gauge", "Slots of all slaves.", all.slots);
        single("distwork_free_slots", "gauge", "Slots without a work.", all.free_slots);
        histogram("distwork_slaves_load_ratio", "Slaves now, by works in flight for each slot.", all.load);
        histogram("distwork_slaves_round_trip_seconds", "Slaves now, by round trip.", all.round_trip);
        histogram("distwork_slaves_free_memory_bytes", "Slaves now, by free memory of the machine.", all.free_memory);
    }

    void write_each_slave(const Snapshot& all) {
        each(all, "distwork_slave_slots", "gauge", "Slots of the slave.", [](auto& s) { return s.slots; });
        each(all, "distwork_slave_free_slots", "gauge", "Slots without a work.", [](auto& s) { return s.free_slots; });
        each(all, "distwork_slave_in_flight_works", "gauge", "Works sent to it and not answered.",
             [](auto& s) { return s.in_flight; });
        each(all, "distwork_slave_works_completed_total", "counter", "Works that it answered without an error.",
             [](auto& s) { return s.completed; });
        each(all, "distwork_slave_works_failed_total", "counter", "Works that it answered by an error.",
             [](auto& s) { return s.failed; });
        each(all, "distwork_slave_sent_bytes_total", "counter", "Bytes sent to it.",
             [](auto& s) { return s.bytes_sent; });
        each(all, "distwork_slave_received_bytes_total", "counter", "Bytes received from it.",
             [](auto& s) { return s.bytes_received; });
        each(all, "distwork_slave_mean_execution_seconds", "gauge", "Mean execution time of its latest works.",
             [](auto& s) { return s.mean_execution_seconds; });
        each(all, "distwork_slave_round_trip_seconds", "gauge", "Round trip, 0 until it is measured.",
             [](auto& s) { return s.round_trip_seconds; });
        each(all, "distwork_slave_load_average", "gauge", "Load of its machine over the last minute.",
             [](auto& s) { return s.state.load_average; });
        each(all, "distwork_slave_free_memory_bytes", "gauge", "Free memory of its machine.",
             [](auto& s) { return s.state.free_memory; });
    }

    // A metric: its head, then its samples. Texts are ours, but for the values of labels.

    void head(std::string_view name, std::string_view type, std::string_view help) {
        ((text_ += "# HELP ") += name) += ' ';
        ((text_ += help) += "\n# TYPE ") += name;
        ((text_ += ' ') += type) += '\n';
    }
    void gauge(std::string_view name, std::string_view help) { head(name, "gauge", help); }
    void counter(std::string_view name, std::string_view help) { head(name, "counter", help); }
    void total(std::string_view name, std::string_view help, std::uint64_t count) {
        single(name, "counter", help, count);
    }
    template <class Number>
    void single(std::string_view name, std::string_view type, std::string_view help, Number number) {
        head(name, type, help);
        sample(name, {}, number);
    }

    template <class Figure>
    void each(const Snapshot& all, std::string_view name, std::string_view type, std::string_view help, Figure figure) {
        if (all.slaves.empty()) return;
        head(name, type, help);
        // The id tells apart slaves that have the same name.
        for (const SlaveFigures& slave : all.slaves)
            sample(name, {{"slave", slave.name}, {"id", number_text(slave.id)}}, figure(slave));
    }

    void histogram(const std::string& name, std::string_view help, const Histogram& slaves) {
        head(name, "histogram", help);
        std::size_t up_to = 0;
        for (std::size_t i = 0; i < slaves.bounds.size(); ++i) {
            up_to += slaves.counts[i];
            sample(name + "_bucket", {{"le", number_text(slaves.bounds[i])}}, up_to);
        }
        sample(name + "_bucket", {{"le", "+Inf"}}, slaves.count);
        sample(name + "_sum", {}, slaves.sum);
        sample(name + "_count", {}, slaves.count);
    }

    template <class Number>
    void sample(std::string_view name, Labels labels, Number number) {
        text_ += name;
        char before = '{';
        for (const auto& [label, value] : labels) {
            ((text_ += std::exchange(before, ',')) += label) += "=\"";
            for (const char letter : escaped(value)) {
                if (letter == '"' || letter == '\\') text_ += '\\';
                text_ += letter;
            }
            text_ += '"';
        }
        if (before == ',') text_ += '}';
        ((text_ += ' ') += number_text(number)) += '\n';
    }

    std::string text_;
};

}  // namespace distwork::detail
