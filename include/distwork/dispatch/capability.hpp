#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "../calls/peer.hpp"
#include "../error.hpp"
#include "../transport.hpp"
#include "slave_table.hpp"
#include "submission.hpp"

namespace distwork::detail {

/// Why a slave cannot take a work, regardless of credit; `no`: it can.
enum class Incapable { no, unknown_type, shape_differs, labels, too_large, draining };

inline Incapable why_incapable(const SlaveTable& table, const Socket& socket, const Submission& work) {
    const auto& has = socket.information.labels;
    const auto& wants = work.options.labels();
    if (!table.knows(socket, work.type()))
        return socket.peer->why_unknown(work.type()) == Errc::shape_differs ? Incapable::shape_differs
                                                                            : Incapable::unknown_type;
    if (!std::includes(has.begin(), has.end(), wants.begin(), wants.end())) return Incapable::labels;
    if (work.bytes() > socket.max_body_bytes) return Incapable::too_large;
    return socket.information.draining ? Incapable::draining : Incapable::no;
}

/// The text that says why no connected slave can take the work, with a slave for each reason. Empty: a slave can.
inline std::string why_nobody(const SlaveTable& table, const Submission& work) {
    if (table.size() == 0) return "no slave is connected";
    struct Reason {
        const Socket* first = nullptr;
        std::size_t slaves = 0;
    };
    std::array<Reason, 6> reasons{};
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
        text += (text.empty() ? "" : "; ") + what + slave.name + " (" + detail::to_string(slave.endpoint) + ')';
        if (reason.slaves != 1) text += " and " + std::to_string(reason.slaves - 1) + " more";
    };
    std::string labels;
    for (const std::string& label : work.options.labels()) labels += ' ' + label;
    add(Incapable::unknown_type, "no type " + work.type().name + " is registered at ");
    add(Incapable::shape_differs, "the type " + work.type().name + " has another shape at ");
    add(Incapable::labels, (work.options.labels().size() > 1 ? "not all labels of" : "no label") + labels + " at ");
    add(Incapable::too_large, "a body of " + std::to_string(work.bytes()) + " bytes is too large for ");
    add(Incapable::draining, "a drain is under way at ");
    return text.empty() ? "its slave left" : "no connected slave can take it: " + text;
}

}  // namespace distwork::detail
