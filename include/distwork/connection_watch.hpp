#pragma once

#include <functional>
#include <string>

#include "base/requirements.hpp"

namespace distwork {

/// What the owner of an adopted connection is told, and tells. Both functions may be empty; they are called on a thread
/// that runs the master, and must not throw anything but std::bad_alloc.
struct ConnectionWatch {
    std::function<void()> opened{};            ///< called when the slave was accepted
    std::function<std::string()> how_ended{};  ///< called when the connection has ended; the text stands in errors and
                                               ///< log lines
};

}  // namespace distwork
