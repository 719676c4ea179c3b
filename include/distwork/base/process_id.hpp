#pragma once

#include "requirements.hpp"

#ifndef _WIN32
#include <unistd.h>
#endif

namespace distwork::detail {

/// The number of this process; 0 on Windows.
inline int process_id() noexcept {
#ifdef _WIN32
    return 0;
#else
    return static_cast<int>(::getpid());
#endif
}

}  // namespace distwork::detail
