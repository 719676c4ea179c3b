#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../archive/archive_bounds.hpp"
#include "../base/amounts.hpp"
#include "../execution/received_bytes.hpp"
#include "../log.hpp"
#include "../types/type_set.hpp"
#include "../types/type_table.hpp"
#include "../wire/frame.hpp"
#include "../wire/handshake.hpp"
#include "peer_log.hpp"

namespace distwork::detail {

/// What a role tells its sessions. The role has checked the values: see roles/checked_options.hpp.
struct SessionSettings {
    Role role{};
    std::string name;                                   ///< what the peer is told; at most max_name_bytes
    std::uint32_t slots = 0;                            ///< works that a slave executes at a time; 0: a master
    std::uint32_t window = 0;                           ///< unanswered works that the peer may have here; positive
    std::vector<std::string> labels;                    ///< of a slave
    Amounts amounts;                                    ///< of a slave
    IndexedAmounts indexed;                             ///< those of `amounts` whose units are told apart
    std::shared_ptr<RoleTypes> types;                   ///< never null
    std::shared_ptr<TypeSet> accepted;                  ///< what a slave executes: if any, no others. Null: a master's
    std::chrono::milliseconds handshake_timeout{2000};  ///< positive; until the peer has introduced itself
    std::chrono::milliseconds heartbeat{5000};          ///< positive; the interval of pings
    std::chrono::milliseconds dead_after{15000};        ///< more than heartbeat; a peer silent for longer is dead
    std::chrono::milliseconds stalled_after{10000};     ///< positive; a peer that takes no byte for longer is dropped
    std::size_t max_frame_bytes = 64 * 1024 * 1024;     ///< 64 KiB to 4 GiB less one byte; of one work or one answer
    std::size_t max_outbox_bytes = 64 * 1024 * 1024;    ///< any; what may wait to leave. One work always may
    std::size_t max_types = 4096;                       ///< any; the names in the peer's table of types
    std::size_t max_peer_work_bytes = 0;                ///< any; of works of one peer that wait here. A master's
    std::shared_ptr<ReceivedBytes> received_bytes;   ///< of works that have not begun, of all peers; null: not counted
    std::shared_ptr<ReceivedBytes> submitted_bytes;  ///< of works that works submitted, likewise
    ArchiveLimits limits;                            ///< what works and answers may cost to decode
    Log log;                                         ///< may be empty
    /// The same, for lines that peers cause; never null.
    std::shared_ptr<PeerLog> peer_log = std::make_shared<PeerLog>(Log{}, PeerLog::Clock{}, 0);

    /// The limits of an introduction. It is not a work: only its length follows the options.
    ArchiveLimits introduction_limits() const {
        ArchiveLimits own;
        own.max_bytes = std::min(limits.max_bytes, max_types_body_bytes);
        return own;
    }
};

}  // namespace distwork::detail
