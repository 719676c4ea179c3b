#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "../container_limits.hpp"
#include "../error.hpp"

namespace distwork::detail {

/// The immediate result of submitting a work.
enum class Admission {
    sent,              ///< to a slave
    queued,            ///< in the backlog
    in_line,           ///< for room in the backlog
    backlog_full,      ///< no room in the backlog, and the caller does not wait; this and all values below are refusals
    too_many_waiting,  ///< too many submissions wait for room in the backlog already
    no_slave,          ///< no connected slave can take it, and the submission asked for a refusal in that case
    gone,              ///< the socket that it is pinned to was removed
    unknown_type,      ///< the socket that it is pinned to lacks the type
    shape_differs,     ///< the socket that it is pinned to has the type in another shape
    too_large,         ///< its body exceeds the bound of the socket that it is pinned to, or of every connected slave
    stopped,           ///< the master is stopping
};

inline bool is_admission(Admission admission) noexcept {
    return admission == Admission::sent || admission == Admission::queued;
}

/// The error of a refused submission. `why` is an optional text that replaces the general one of no_slave.
inline Error refusal(Admission admission, std::string_view work, const std::string& why = {}) {
    const std::string name{work};
    switch (admission) {
        case Admission::no_slave:
            return why.empty() ? Error{Errc::no_slave, name} : Error::with_text(Errc::no_slave, name + ": " + why);
        case Admission::too_many_waiting: return Error{Errc::too_many_waiting, name};
        case Admission::gone: return Error::with_text(Errc::lost, name + ": its slave left");
        case Admission::unknown_type: return Error{Errc::unknown_type, name};
        case Admission::shape_differs: return Error{Errc::shape_differs, name};
        case Admission::too_large:
            return Error::with_text(Errc::too_large,
                                    name + ": its body exceeds max_frame_bytes of every slave that it may go to");
        case Admission::stopped:
            return Error::with_text(Errc::stopped, name + ": the master is stopping and admits no more works");
        default: return Error{Errc::backlog_full, name};
    }
}

}  // namespace distwork::detail
