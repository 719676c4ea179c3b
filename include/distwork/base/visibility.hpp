#pragma once

#include "requirements.hpp"

// What a process shall have once is exported from every program and library, whatever -fvisibility says; what each
// shall have for itself is hidden, or g++ would merge it even where the classes that it is about are not the same.
#define DISTWORK_EXPORT __attribute__((visibility("default")))
#define DISTWORK_HIDDEN __attribute__((visibility("hidden")))

namespace distwork::detail {

/// Its address tells a program and each of its libraries from the others.
DISTWORK_HIDDEN inline constinit char this_library = 0;

}  // namespace distwork::detail
