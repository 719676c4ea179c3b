#pragma once

#include "base/requirements.hpp"

namespace distwork {

/// How much a log line matters, from least to most.
enum class LogLevel { debug, info, warning, error };

}  // namespace distwork
