#pragma once

#include <cstdint>
#include <exception>
#include <string>

#include "base/requirements.hpp"

namespace distwork {

/// How one slave's part of a broadcast ended.
template <class R>
struct BroadcastOutcome {
    std::uint64_t socket = 0;  ///< SocketInformation::id
    std::string slave;         ///< its name
    std::exception_ptr error;  ///< null: it succeeded
    R value{};                 ///< what the work returned there
};
/// The same for works that return nothing.
template <>
struct BroadcastOutcome<void> {
    std::uint64_t socket = 0;  ///< SocketInformation::id
    std::string slave;         ///< its name
    std::exception_ptr error;  ///< null: it succeeded
};

}  // namespace distwork
