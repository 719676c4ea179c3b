#pragma once

/// \file
/// The version of the library, and the versions of the protocol that it speaks.

/// The version of the library, for the preprocessor.
///@{
#define DISTWORK_VERSION_MAJOR 0
#define DISTWORK_VERSION_MINOR 2
#define DISTWORK_VERSION_PATCH 0
///@}
/// The version as text, e.g. "0.2.0".
#define DISTWORK_VERSION "0.2.0"

#include "base/requirements.hpp"

#include <cstdint>

namespace distwork {

/// The oldest version of the protocol that this build speaks. Two peers use the newest version that both speak.
inline constexpr std::uint16_t oldest_protocol_version = 1;
/// The newest version of the protocol that this build speaks. Version 2 added the frames recall, returned and credit,
/// works that a slave submits to its master, and the occupied slots in the types frame. Version 3 added chunks.
inline constexpr std::uint16_t newest_protocol_version = 3;

}  // namespace distwork
