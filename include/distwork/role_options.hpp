#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "archive_limits.hpp"
#include "container_limits.hpp"
#include "log.hpp"
#include "tcp/address.hpp"
#include "work_executor.hpp"

namespace distwork {

/// What both roles may be told about their links.
struct LinkOptions {
    std::chrono::milliseconds handshake_timeout{2000};  ///< until a new connection has introduced itself
    std::chrono::milliseconds heartbeat{5000};          ///< a ping this often
    std::chrono::milliseconds dead_after{15000};        ///< a peer that is silent for so long is dead
    std::chrono::milliseconds stalled_after{10000};     ///< one that does not read for so long is dropped
    std::size_t max_frame_bytes = 64 * 1024 * 1024;     ///< of one work, or one answer
    std::size_t max_outbox_bytes = 64 * 1024 * 1024;    ///< of what waits to leave on one connection
    /// What works and answers may cost to decode: memory, nesting, elements. Checked by who sends and by who receives;
    /// both ends should have the same.
    ArchiveLimits archive{};
};

/// The options of a master. Its constructor checks them.
struct MasterOptions {
    std::string address = "127.0.0.1";     ///< to listen on, or a name of this machine; "0.0.0.0": all of IPv4
    std::uint16_t port = 0;                ///< 0: any free one; see local_endpoint
    bool insecure_plaintext = false;       ///< needed for addresses beyond loopback: anyone who reaches them may join
    std::string name = "master";           ///< what slaves are told
    std::size_t max_slaves = 10'000;       ///< connected at a time
    std::size_t max_strangers = 256;       ///< connections held beyond those, of who has not introduced itself yet
    ContainerLimits waiting{};             ///< how much may wait for slaves
    std::size_t slots = 4;                 ///< works of slaves executed at a time
    std::uint32_t max_slave_works = 4096;  ///< of each slave, unanswered here; each up to link.max_frame_bytes
    WorkExecutor work_executor = WorkExecutor::own_pool();  ///< for works that slaves send
    LinkOptions link{};                                     ///< of its connections
    Log log{};  ///< default: warnings and errors to the standard error; NoLog{}: nowhere
};

/// Where a slave finds a master.
struct MasterAddress {
    std::string host;        ///< a name, or an address of IPv4 or IPv6
    std::uint16_t port = 0;  ///< must be set

    /// `host:port`; an IPv6 address stands in brackets.
    std::string to_string() const { return detail::host_and_port(host, port); }
};

/// The options of a slave. Its constructor checks them.
struct SlaveOptions {
    std::string name{};  ///< what the master is told; default: host:pid
    /// Works executed at a time. By default one for each thread of `own_pool(n)`, in place one, else one for each processor
    /// that affinity and the quotas of cgroups leave to the process. More than there are threads are of use to coroutine
    /// works only: others wait for a thread, and no other slave is given them.
    std::optional<std::size_t> slots{};
    std::size_t max_suspended = 10'000;  ///< coroutine works that await calls at a time; beyond: too_many_suspended
    std::vector<std::string> labels{};   ///< what it has: see SubmitOptions::label
    bool insecure_plaintext = false;     ///< needed to connect to addresses beyond loopback
    WorkExecutor work_executor = WorkExecutor::own_pool();  ///< where works are executed
    bool reconnect = true;                           ///< false: its run ends with its first session, or without one
    std::chrono::milliseconds reconnect_after{100};  ///< when no master of the list took it; doubles, with jitter,
    std::chrono::milliseconds reconnect_at_most{30'000};  ///< up to this, until a session is opened
    LinkOptions link{};                                   ///< of its connection
    Log log{};  ///< as MasterOptions::log; its lines begin with `Slave name: `
};

}  // namespace distwork
