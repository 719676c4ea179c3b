#pragma once

#include "base/requirements.hpp"

namespace distwork {

enum class LogLevel { debug, info, warning, error };

}  // namespace distwork
