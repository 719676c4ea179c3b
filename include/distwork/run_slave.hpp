#pragma once

#include <string>
#include <vector>

#include "base/separate.hpp"
#include "program/child_mark.hpp"
#include "role_options.hpp"

namespace distwork {

/// Runs a slave until its masters have said bye: the `main` of a program that is nothing but a slave. SIGTERM and SIGINT
/// let it finish the works that it holds; the second of them ends the process at once. Blocks. Returns the status of the
/// process: 0 after a bye or a drain, 1 after an error, which is logged.
///
/// The slave connects again as `options.reconnect` says: usually Reconnect::until_bye.
DISTWORK_DECL int run_slave(std::vector<MasterAddress> masters, SlaveOptions options);

namespace detail {

/// Runs the slave that a LocalSlaves started this process for, and ends the process.
[[noreturn]] DISTWORK_DECL void run_child(const ChildMark& mark);

}  // namespace detail
}  // namespace distwork

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "impl/run_slave.ipp"
#endif
