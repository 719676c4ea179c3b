#pragma once

#include <asio/io_context.hpp>
#include <functional>
#include <string>
#include <vector>

#include "base/asio.hpp"
#include "base/separate.hpp"
#include "fwd.hpp"
#include "process_limits.hpp"
#include "program/child_mark.hpp"
#include "role_options.hpp"

namespace distwork {

/// Runs a slave until its masters have said bye: the `main` of a program that is nothing but a slave. SIGTERM and SIGINT
/// let it finish the works that it holds; the second of them ends the process at once. Blocks. Returns the status of the
/// process: 0 after a bye or a drain, 1 after an error, which is logged.
///
/// A service manager that asks for it (systemd: Type=notify, WatchdogSec=) is told that the slave is ready, and that its
/// I/O thread still runs.
///
/// The slave connects again as `options.reconnect` says: usually Reconnect::until_bye. With `limits`, what started the
/// process starts it again: after a work that ignored its end its status is 75, after max_works and max_memory 0.
DISTWORK_DECL int run_slave(std::vector<MasterAddress> masters, SlaveOptions options, ProcessLimits limits = {});

namespace detail {

/// The same with a slave that `make` makes.
DISTWORK_DECL int run_slave_made_by(const std::function<Slave<>(asio::io_context&)>& make, ProcessLimits limits = {});

/// Runs the slave that a LocalSlaves started this process for, and ends the process.
[[noreturn]] DISTWORK_DECL void run_child(const ChildMark& mark);

}  // namespace detail
}  // namespace distwork

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "impl/run_slave.ipp"
#endif
