#pragma once

#include <cstdint>

#include "frame.hpp"
#include "handshake.hpp"

namespace distwork::detail {

/// How far a session has come.
enum class SessionStage : std::uint8_t {
    greeting = 1,  ///< the peer has not greeted this end, or is not admitted yet
    types = 2,     ///< it is accepted, and has not said yet which types it has
    open = 4,      ///< works may pass
};

/// Which frames a peer may send, by the role of the receiver and the stage of the session. Every other frame ends the
/// session with Errc::protocol_violation, or, in a greeting, with Errc::not_distwork. Flags: see has_known_flags; lengths:
/// see max_body_bytes(FrameKind).
///
/// | frame | to a master | to a slave | since version |
/// | --- | --- | --- | --- |
/// | hello | greeting | – | 1 |
/// | welcome, refuse | – | greeting | 1 |
/// | types | types, open | types, open | 1 |
/// | bye | types, open | types, open | 1 |
/// | work, answer, error, cancel, ping, pong, drain | open | open | 1 |
/// | recall | – | open | 2 |
/// | returned, credit | open | – | 2 |
/// | progress | open | – | 3 |
constexpr bool may_come(FrameKind kind, Role receiver, SessionStage stage, std::uint16_t version) noexcept {
    constexpr unsigned in_greeting = 1, with_types = 2 | 4, when_open = 4;
    const auto allows = [&](unsigned to_master, unsigned to_slave, std::uint16_t since) {
        const unsigned stages = receiver == Role::master ? to_master : to_slave;
        return (stages & static_cast<unsigned>(stage)) != 0 && version >= since;
    };
    switch (kind) {
        case FrameKind::hello: return allows(in_greeting, 0, 0);
        case FrameKind::welcome:
        case FrameKind::refuse: return allows(0, in_greeting, 0);
        case FrameKind::types:
        case FrameKind::bye: return allows(with_types, with_types, 1);
        case FrameKind::work:
        case FrameKind::answer:
        case FrameKind::error:
        case FrameKind::cancel:
        case FrameKind::ping:
        case FrameKind::pong:
        case FrameKind::drain: return allows(when_open, when_open, 1);
        case FrameKind::recall: return allows(0, when_open, 2);
        case FrameKind::returned:
        case FrameKind::credit: return allows(when_open, 0, 2);
        case FrameKind::progress: return allows(when_open, 0, 3);
    }
    return false;
}

}  // namespace distwork::detail
