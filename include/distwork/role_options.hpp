#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "archive_limits.hpp"
#include "container_limits.hpp"
#include "log.hpp"
#include "tcp/address.hpp"
#include "work_executor.hpp"

namespace distwork {

/// Options of the connections of both roles. A time of more than 100 years counts as 100 years. Values out of range
/// throw Errc::bad_option from the role's constructor.
struct LinkOptions {
    std::chrono::milliseconds handshake_timeout{2000};  ///< for a new connection to introduce itself; positive
    std::chrono::milliseconds heartbeat{5000};          ///< interval of pings; positive
    std::chrono::milliseconds dead_after{15000};        ///< a peer that is silent for so long is dead; more than
                                                        ///< `heartbeat`
    std::chrono::milliseconds stalled_after{10000};     ///< a peer that takes no byte for so long is dropped; positive
    std::size_t max_frame_bytes = 64 * 1024 * 1024;     ///< bytes of one work or answer; 64 KiB to 4 GiB less one byte
    std::size_t max_outbox_bytes = 64 * 1024 * 1024;    ///< bytes that wait to be sent on one connection; any value:
                                                        ///< one body always passes
    std::size_t max_types = 4096;                       ///< types that the peer may have: work types, and polymorphic
                                                        ///< classes that works hold; any value
    std::size_t max_log_lines = 100;                    ///< about peers of one address in a minute; 0: no maximum
    /// Limits on what works and answers may cost to decode: memory, nesting, elements. The sender and the receiver
    /// check them: set them equally at both ends.
    ArchiveLimits archive{};
};

/// Options of a master. Values out of range throw Errc::bad_option from its constructor, unless another error is named.
struct MasterOptions {
    std::string address = "127.0.0.1";  ///< address or name of this machine to listen on, else bad_address;
                                        ///< "0.0.0.0": all IPv4 addresses; empty: it does not listen, and has only
                                        ///< slaves whose connections it adopts
    std::uint16_t port = 0;             ///< 0: any free port, see local_endpoint; one in use: address_in_use
    bool insecure_plaintext = false;    ///< must be true for an address beyond loopback (else needs_credentials):
                                        ///< everyone who reaches it may join
    std::string name = "master";        ///< told to slaves; bytes after the 256th are cut off
    std::size_t max_slaves = 10'000;    ///< slaves connected at a time; any value
    /// Whether a slave may offer a label: called with the name in its certificate, which is empty without one, and the
    /// label, on a thread that runs the master. Empty: each slave may offer what it says.
    std::function<bool(const std::string& certified_name, const std::string& label)> may_offer{};
    std::size_t max_strangers = 256;       ///< further connections, of peers that have not introduced themselves yet;
                                           ///< of too many, the oldest of the address that has most is closed; positive
    ContainerLimits waiting{};             ///< how much may wait for slaves
    std::size_t slots = 4;                 ///< works of slaves executed at a time; positive, else zero_slots
    std::uint32_t max_slave_works = 4096;  ///< unanswered works of each slave, each of up to link.max_frame_bytes;
                                           ///< positive
    std::size_t max_slave_work_bytes = 64 * 1024 * 1024;  ///< bytes of works of each slave that have not begun. A slave
        ///< with more is not read until some begin. Also of works that
        ///< works on each slave submitted: beyond that they fail with
        ///< too_many_waiting. One work always passes; any value
    std::size_t max_work_bytes = 512 * 1024 * 1024;         ///< the same for all slaves together; any value
    WorkExecutor work_executor = WorkExecutor::own_pool();  ///< executes works that slaves send; not in_place
    LinkOptions link{};                                     ///< options of its connections
    Log log{};  ///< empty: warnings and errors to the standard error; NoLog{}: discards all lines
};

/// The address of a master, for a slave.
struct MasterAddress {
    std::string host;        ///< a host's name, or an IPv4 or IPv6 address; else bad_address
    std::uint16_t port = 0;  ///< 1 to 65,535; 0: bad_address

    /// `host:port`, with brackets around an IPv6 address.
    std::string to_string() const { return detail::host_and_port(host, port); }
};

/// When a slave connects again after its connection has ended, or could not be made.
enum class Reconnect {
    never,      ///< its run ends with the first session, or without one
    until_bye,  ///< until a master has stopped or let it go, and said so: then its run ends. It waits for a master that
                ///< is not there
    always,     ///< until the slave is stopped
};

/// Options of a slave. Values out of range throw Errc::bad_option from its constructor, unless another error is named.
struct SlaveOptions {
    std::string name{};  ///< told to the master; bytes after the 256th are cut off; empty: host:pid
    /// Works executed at a time, 1 to 1,048,576; 0: zero_slots. Default: one for each thread of `own_pool(n)`, one in
    /// place, else one for each processor that affinity and the quotas of cgroups leave to the process. More slots than
    /// threads are useful to coroutine works only: other works would wait for a thread, and no other slave would be
    /// given them.
    std::optional<std::size_t> slots{};
    std::size_t max_suspended = 10'000;  ///< coroutine works that await calls at a time; any value; beyond it:
                                         ///< too_many_suspended
    std::vector<std::string>
        labels{};  ///< what the slave offers: see SubmitOptions::label; at most 256, of at most 256
                   ///< bytes each
    /// Resources that works may ask for, each with how much there is of it: `{{"memory_mb", 16000}, {"gpu", 2}}`. From
    /// 0.0001 to 10^12, in steps of 0.0001; at most 64 names of at most 256 bytes. Nothing but the master's count limits
    /// what a work uses.
    std::map<std::string, double> amounts{};
    /// Those of `amounts` whose units are told apart, such as GPUs: whole numbers, 64 units in all. A work sees which it was
    /// given: Context::indices.
    std::vector<std::string> indexed{};
    bool insecure_plaintext = false;  ///< must be true to connect to an address beyond loopback, else
                                      ///< needs_credentials
    WorkExecutor work_executor = WorkExecutor::own_pool();  ///< executes the works
    Reconnect reconnect = Reconnect::always;                ///< when it connects again
    std::chrono::milliseconds reconnect_after{100};  ///< pause when no master of the list took it; positive; doubles,
                                                     ///< with jitter,
    std::chrono::milliseconds reconnect_at_most{30'000};  ///< up to this, until a session is opened; at least
                                                          ///< reconnect_after
    LinkOptions link{};                                   ///< options of its connection
    Log log{};  ///< as MasterOptions::log; each line begins with `Slave name: `
};

}  // namespace distwork
