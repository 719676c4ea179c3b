#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "../calls/peer.hpp"
#include "../error.hpp"
#include "../transport.hpp"
#include "admission.hpp"
#include "slave_table.hpp"
#include "submission.hpp"

namespace distwork::detail {

/// Why a slave cannot take a work, regardless of credit; `no`: it can.
enum class Incapable { no, unknown_type, shape_differs, labels, amounts, too_large, version, draining };

inline Incapable why_incapable(const SlaveTable& table, const Socket& socket, const Submission& work) {
    if (!table.knows(socket, work.type()))
        return socket.peer->why_unknown(work.type()) == Errc::shape_differs ? Incapable::shape_differs
                                                                            : Incapable::unknown_type;
    if (!table.has_labels(socket, work)) return Incapable::labels;
    if (!table.has_amounts(socket, work)) return Incapable::amounts;
    if (work.bytes() > socket.max_body_bytes) return Incapable::too_large;
    if (work.elements() != 1 && !socket.takes_chunks) return Incapable::version;
    return socket.information.draining ? Incapable::draining : Incapable::no;
}

/// The refusal of a work for a slave that lacks its type.
inline Admission refusal_of_type(const Socket& socket, const WorkType& type) {
    const bool differs = socket.peer->why_unknown(type) == Errc::shape_differs;
    return differs ? Admission::shape_differs : Admission::unknown_type;
}

/// Why a work is not admitted, whatever waits. `closed`: only works that other works submit are.
inline std::optional<Admission> why_refused(const SlaveTable& table, const Submission& work, bool closed) {
    const bool may_refuse = work.options.when_unavailable() == WhenUnavailable::refuse;
    if (table.size() == 0 && may_refuse) return Admission::no_slave;
    if (closed && work.depth == 0) return Admission::stopped;  // children belong to an admitted work
    if (work.pinned) {
        const Socket* const socket = table.find(work.pinned);
        if (!socket) return Admission::gone;
        if (!table.knows(*socket, work.type())) return refusal_of_type(*socket, work.type());
        if (work.bytes() > socket->max_body_bytes) return Admission::too_large;
        if (!table.has_labels(*socket, work) || !table.has_amounts(*socket, work)) return Admission::no_slave;
    }
    if (work.elements() == 1 && table.is_too_large(work.bytes())) return Admission::too_large;  // a chunk is split
    if (may_refuse && !table.anybody_can_take(work)) return Admission::no_slave;
    return std::nullopt;
}

/// The text that says why no connected slave can take the work, with a slave for each reason. Empty: a slave can.
inline std::string why_nobody(const SlaveTable& table, const Submission& work) {
    if (table.size() == 0) return "no slave is connected";
    struct Reason {
        const Socket* first = nullptr;
        std::size_t slaves = 0;
    };
    std::array<Reason, 8> reasons{};
    for (const auto& socket : table.by_place()) {
        if (!socket || (work.pinned && work.pinned != socket->information.id)) continue;
        const Incapable why = why_incapable(table, *socket, work);
        if (why == Incapable::no) return {};
        Reason& reason = reasons[static_cast<std::size_t>(why)];
        if (reason.slaves++ == 0) reason.first = socket.get();
    }
    std::string text;
    const auto add = [&](Incapable why, const std::string& what) {
        const Reason& reason = reasons[static_cast<std::size_t>(why)];
        if (reason.slaves == 0) return;
        const SocketInformation& slave = reason.first->information;
        text += (text.empty() ? "" : "; ") + what + name_and_address(slave.name, slave.endpoint);
        if (reason.slaves != 1) text += " and " + std::to_string(reason.slaves - 1) + " more";
    };
    std::string labels;
    for (const std::string& label : work.options.labels()) labels += ' ' + label;
    add(Incapable::unknown_type, "no type " + work.type().name + " is registered at ");
    add(Incapable::shape_differs, "the type " + work.type().name + " has another shape at ");
    add(Incapable::labels, (work.options.labels().size() > 1 ? "not all labels of" : "no label") + labels + " at ");
    std::string amounts;
    for (const auto& [name, units] : work.options.amounts()) amounts += ' ' + name;
    add(Incapable::amounts, "not so much of" + amounts + " at ");
    add(Incapable::too_large, "a body of " + std::to_string(work.bytes()) + " bytes is too large for ");
    add(Incapable::version, "several elements of a map travel together, which is too new for ");
    add(Incapable::draining, "a drain is under way at ");
    return text.empty() ? "its slave left" : "no connected slave can take it: " + text;
}

}  // namespace distwork::detail
