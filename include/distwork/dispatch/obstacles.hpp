#pragma once

#include "../explanation.hpp"
#include "capability.hpp"
#include "slave_table.hpp"
#include "submission.hpp"

namespace distwork::detail {

/// Why a slave does not take a work that waits.
inline Obstacle obstacle_of(const SlaveTable& table, const Socket& socket, const Submission& work) {
    const SocketInformation& information = socket.information;
    if (work.pinned && work.pinned != information.id) return Obstacle::other_slave;
    switch (why_incapable(table, socket, work)) {
        case Incapable::unknown_type: return Obstacle::unknown_type;
        case Incapable::shape_differs: return Obstacle::shape_differs;
        case Incapable::labels: return Obstacle::label_missing;
        case Incapable::amounts: return Obstacle::too_little;
        case Incapable::too_large: return Obstacle::too_large;
        case Incapable::version: return Obstacle::too_old;
        case Incapable::draining: return Obstacle::draining;
        case Incapable::no: break;
    }
    if (information.starting) return Obstacle::starting;
    if (information.suspected) return Obstacle::suspected;
    if (socket.closing) return Obstacle::outbox_full;
    if (!socket.in_flight.has_free_slot()) return Obstacle::busy;
    return SlaveTable::has_amounts_free(socket, work) ? Obstacle::none : Obstacle::amount_taken;
}

}  // namespace distwork::detail
