#pragma once

#include <cstdint>

#include "base/requirements.hpp"

namespace distwork {

/// Specialise this for a type whose members do not show its shape; the number then replaces the computed fingerprint. 0
/// means no override.
/// `template <> inline constexpr std::uint64_t distwork::fingerprint_override<Picture> = 2;`
template <class T>
inline constexpr std::uint64_t fingerprint_override = 0;

}  // namespace distwork
