#pragma once

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "../explanation.hpp"
#include "../statistics.hpp"
#include "capability.hpp"
#include "obstacles.hpp"
#include "slave_table.hpp"
#include "submission.hpp"
#include "waiting_works.hpp"

namespace distwork::detail {

/// A kind of works that no connected slave can take. It is reported once.
struct Stranded {
    std::string text;       ///< names the kind and the reason
    bool no_slave = false;  ///< the reason is that no slave is connected
};

/// Reports about works that wait: the list of them on request, and each kind that no connected slave can take, once.
/// Guarded by the container's lock.
class WaitingReport {
public:
    /// The works that wait, by kind.
    static std::vector<Waiting> list(const WaitingWorks& waits, const SlaveTable& table) {
        std::vector<Waiting> all;
        // Several lanes may be of one kind.
        const auto add = [&](WaitReason reason, const Submission& work, std::size_t works) {
            const auto amounts = amounts_of(work.options.amounts());
            const auto same = std::find_if(all.begin(), all.end(), [&](const Waiting& kind) {
                return kind.reason == reason && kind.type == work.type().name && kind.labels == work.options.labels() &&
                       kind.priority == work.options.priority() && kind.amounts == amounts;
            });
            const std::size_t elements = works * work.elements();
            if (same != all.end()) same->works += works, same->elements += elements;
            else
                all.push_back({reason, work.type().name, work.options.labels(), work.options.priority(), works, amounts,
                               table.times.estimate(work.type()), elements});
        };
        waits.for_each_lane([&](const Submission& first, std::size_t works, bool no_socket) {
            add(reason_of(first, no_socket, table), first, works);
        });
        waits.for_each_returning([&](const Submission& work) { add(WaitReason::pause, work, 1); });
        return all;
    }

    /// The works of that name that wait, and what stands between them and each slave.
    static std::vector<Explanation> explain(std::string_view name, const WaitingWorks& waits, const SlaveTable& table) {
        std::vector<Explanation> all;
        waits.for_each_of(
            name,
            [&](const Submission& first, std::size_t works, bool no_socket) {
                auto& added = all.emplace_back(
                    Explanation{std::string{name}, reason_of(first, no_socket, table), first.attempts, works, {}});
                for (const auto& socket : table.by_place()) {
                    if (!socket) continue;
                    const SocketInformation& slave = socket->information;
                    added.slaves.push_back({slave.id, slave.name, obstacle_of(table, *socket, first)});
                }
            },
            [&](const Submission& work) {
                all.push_back({std::string{name}, WaitReason::pause, work.attempts, 1, {}});
            });
        return all;
    }

    /// The text that says why a work waits, or where it is.
    static std::string why(const Submission& work, const SlaveTable& table) {
        if (work.stage == Submission::Stage::in_flight) {
            const SocketInformation& slave = work.socket->information;
            return "it was sent to " + name_and_address(slave.name, slave.endpoint);
        }
        if (work.stage == Submission::Stage::returning) return "it was pausing before another attempt";
        const std::string nobody = why_nobody(table, work);
        return nobody.empty() ? "the slaves that can take it were busy, or the selector declined" : nobody;
    }

    /// The kinds of works that wait, that no connected slave can take, and that were not reported before.
    std::vector<Stranded> stranded(WaitingWorks& waits, const SlaveTable& table) {
        std::vector<Stranded> fresh;
        const bool no_slave = table.size() == 0;
        waits.report_lanes([&](const Submission& first) {
            if (table.anybody_can_take(first)) return false;
            DISTWORK_MARK(no_capable_slave);
            std::string kind = first.type().name;
            for (const std::string& label : first.options.labels()) kind += " [" + label + ']';
            if (told_.size() == most_told) told_.clear();
            if (told_.insert(kind).second) fresh.push_back({kind + " waits: " + why_nobody(table, first), no_slave});
            return !no_slave;  // once slaves are connected, the lane is to be reported again
        });
        return fresh;
    }

    /// A slave connected or has more types. Reported kinds may have a slave now.
    void forget() { told_.clear(); }

private:
    static WaitReason reason_of(const Submission& first, bool no_socket, const SlaveTable& table) {
        if (table.size() == 0) return WaitReason::no_slave;
        if (!table.anybody_can_take(first)) return WaitReason::no_capable;
        return no_socket ? WaitReason::no_credit : WaitReason::declined;
    }

    static constexpr std::size_t most_told = 1000;
    std::set<std::string> told_;
};

}  // namespace distwork::detail
