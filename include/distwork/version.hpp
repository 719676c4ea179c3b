#pragma once

/// \file
/// The version of the library, and those of the wire that it speaks.

#include "base/requirements.hpp"

/// The numbers of the library's version, for the preprocessor.
///@{
#define DISTWORK_VERSION_MAJOR 0
#define DISTWORK_VERSION_MINOR 2
#define DISTWORK_VERSION_PATCH 0
///@}
/// The same as a text, e.g. "0.2.0".
#define DISTWORK_VERSION "0.2.0"

#include <cstdint>

namespace distwork {

/// The oldest version of the wire that this build speaks; two peers meet at the highest that both speak.
inline constexpr std::uint16_t oldest_protocol_version = 1;
/// The newest version of the wire that this build speaks. Version 2 added the frames recall, returned and credit, works
/// that are to be distributed, and the occupied slots in the types frame.
inline constexpr std::uint16_t newest_protocol_version = 2;

}  // namespace distwork
