#pragma once

#include "base/requirements.hpp"

#define DISTWORK_VERSION_MAJOR 0
#define DISTWORK_VERSION_MINOR 2
#define DISTWORK_VERSION_PATCH 0
#define DISTWORK_VERSION "0.2.0"

#include <cstdint>

namespace distwork {

/// The versions of the wire that this build speaks; two peers meet at the highest that both speak.
/// 2 has the frames recall, returned and credit, and says in types which slots are occupied.
inline constexpr std::uint16_t oldest_protocol_version = 1;
inline constexpr std::uint16_t newest_protocol_version = 2;

}  // namespace distwork
