#pragma once

#include <cstdint>
#include <exception>
#include <string>

#include "base/requirements.hpp"

namespace distwork {

/// The outcome of a broadcast on one slave.
template <class R>
struct BroadcastOutcome {
    std::uint64_t socket = 0;  ///< SocketInformation::id
    std::string slave;         ///< SlaveOptions::name
    std::exception_ptr error;  ///< null if the part succeeded
    R value{};                 ///< what the work returned; default-constructed if the part failed
};
/// The outcome on one slave of a work that returns nothing.
template <>
struct BroadcastOutcome<void> {
    std::uint64_t socket = 0;  ///< SocketInformation::id
    std::string slave;         ///< SlaveOptions::name
    std::exception_ptr error;  ///< null if the part succeeded
};

}  // namespace distwork
