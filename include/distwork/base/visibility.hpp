#pragma once

#include "requirements.hpp"

// DISTWORK_EXPORT marks what must exist once in a process: it is exported from every program and library, whatever
// -fvisibility says. DISTWORK_HIDDEN marks what each of them must have for itself: g++ would otherwise merge the
// variables even if their classes differ.
#define DISTWORK_EXPORT __attribute__((visibility("default")))
#define DISTWORK_HIDDEN __attribute__((visibility("hidden")))

namespace distwork::detail {

/// Its address identifies the program or the library that this code was compiled into.
DISTWORK_HIDDEN inline constinit char this_library = 0;

}  // namespace distwork::detail
