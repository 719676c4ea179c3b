#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/separate.hpp"
#include "log.hpp"
#include "master.hpp"
#include "process_limits.hpp"

namespace distwork {

/// Options of LocalSlaves.
struct LocalSlavesOptions {
    std::size_t count = 0;              ///< processes; 0: one for each processor that affinity and cgroups leave
    std::vector<std::string> labels{};  ///< SlaveOptions::labels of each; a label has no comma
    /// SlaveOptions::amounts, of all processes together; a name has no comma.
    std::map<std::string, double> amounts{};
    std::vector<std::string> indexed{};  ///< SlaveOptions::indexed
    /// The arguments of the processes, the program's name first: those of `main`. Empty: those that this process was
    /// started with.
    std::vector<std::string> arguments{};
    ProcessLimits limits{};  ///< when a process is replaced before its time
    Log log{};               ///< empty: warnings and errors to the standard error
};

namespace detail {

class LocalSlavesCore;

/// Does not keep the master alive.
DISTWORK_DECL std::shared_ptr<LocalSlavesCore> start_local_slaves(const std::shared_ptr<AnyMaster>& master,
                                                                  LocalSlavesOptions options);
DISTWORK_DECL void end_local_slaves(LocalSlavesCore& slaves) noexcept;
DISTWORK_DECL std::vector<int> ids_of_local_slaves(const LocalSlavesCore& slaves);

}  // namespace detail

/// Processes of this very program that are slaves of a master in it: each executes one work at a time, and may crash
/// without taking anything else along. Linux.
///
/// A process is started with the same arguments, and must reach Program or run_slave in its `main`. Its connection to
/// the master is one end of a socket pair: no port is opened. What it writes comes out here, in whole lines. It ends when
/// its master says bye, and whenever this process ends, however it does.
///
/// `limits` may have processes replaced. One that was told to leave (Master::async_drain) is not. Any other process that
/// ends is started again, at once at first, after up to 10 s if that goes on; the error of a work that it
/// ran tells how it ended. When five of them in a row have ended before they were connected, none is started again, and
/// what waits fails with the last lines that they wrote to their standard error, if no other slave is connected.
///
/// *Executor*: the master's. *Thread-safety*: all functions. *Lifetime*: the destructor ends the processes, and blocks
/// until they have ended. To let works finish, stop the master first. It may outlive the master; the context of the
/// master's executor must outlive it.
class LocalSlaves {
public:
    /// Starts the processes. *Errors*: throws std::system_error if none can be started; Error (bad_option: a label with a
    /// comma, or this process is one that a LocalSlaves has started, and that has reached neither Program nor run_slave).
    template <class Selector, class Transport>
    explicit LocalSlaves(Master<Selector, Transport>& master, LocalSlavesOptions options = LocalSlavesOptions{})
        : core_{detail::start_local_slaves(detail::PartsOf::core(master), std::move(options))} {}
    /// What was moved from may only be destroyed.
    LocalSlaves(LocalSlaves&&) noexcept = default;
    LocalSlaves& operator=(LocalSlaves&&) = delete;

    ~LocalSlaves() {
        if (core_) detail::end_local_slaves(*core_);
    }

    /// The numbers of the processes that run now.
    std::vector<int> process_ids() const { return detail::ids_of_local_slaves(*core_); }

private:
    std::shared_ptr<detail::LocalSlavesCore> core_;
};

}  // namespace distwork

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "impl/local_slaves.ipp"
#endif
