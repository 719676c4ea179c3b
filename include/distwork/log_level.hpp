#pragma once

#include "base/requirements.hpp"

namespace distwork {

/// How important a log line is, in ascending order.
enum class LogLevel { debug, info, warning, error };

}  // namespace distwork
