#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <system_error>

#include "base/requirements.hpp"

namespace distwork {

/// What the owner of an adopted connection is told, and tells. The functions may be empty; they are called on a thread
/// that runs the master, and must not throw anything but std::bad_alloc.
struct ConnectionWatch {
    std::function<void()> opened{};            ///< called when the slave was accepted, and its on_start functions have
                                               ///< returned
    std::function<std::string()> how_ended{};  ///< called when the connection was lost; the text stands in errors and
                                               ///< log lines
    std::function<void(std::error_code)> closed{};  ///< called when the connection has ended, with the reason
    std::chrono::milliseconds handshake_timeout{};  ///< for the slave to introduce itself; zero:
                                                    ///< LinkOptions::handshake_timeout
    std::string pool{};  ///< slaves with the same one have their SlaveOptions::amounts together; empty: alone
};

}  // namespace distwork
