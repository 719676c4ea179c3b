#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "../container_limits.hpp"
#include "../error.hpp"

namespace distwork::detail {

/// What became of a submission at once.
enum class Admission {
    sent,
    queued,        ///< in the backlog
    waiting,       ///< for room in the backlog
    backlog_full,  ///< refused, as all that follow
    too_many_waiting,
    no_slave,
    gone,          ///< the one socket that it was for
    unknown_type,  ///< to that one
    shape_differs,
    too_large,  ///< for every slave
    stopped,
};

/// What a submission that was refused is told; `why` says more of no_slave.
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
                                    name + ": its body is beyond max_frame_bytes of every slave that it may go to");
        case Admission::stopped:
            return Error::with_text(Errc::stopped, name + ": the master stops, and admits nothing more");
        default: return Error{Errc::backlog_full, name};
    }
}

}  // namespace distwork::detail
