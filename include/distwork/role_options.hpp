#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "archive_limits.hpp"
#include "detail/processors.hpp"
#include "error.hpp"
#include "log.hpp"
#include "registry.hpp"
#include "session_host.hpp"
#include "socket_container.hpp"
#include "transport.hpp"
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
    LinkOptions link{};
    Log log{};  ///< default: warnings and errors to the standard error; NoLog{}: nowhere
};

/// Where a slave finds a master.
struct MasterAddress {
    std::string host;
    std::uint16_t port = 0;

    std::string to_string() const { return detail::host_and_port(host, port); }
};

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
    LinkOptions link{};
    Log log{};  ///< as MasterOptions::log; its lines begin with `Slave name: `
};

namespace detail {

/// Works that a master may have unanswered at a slave, where credit is finer.
inline constexpr std::uint32_t slave_window = 1u << 20;

/// What a slave without credentials is told.
inline std::string beyond_this_machine(const std::string& address) {
    return address + " is beyond this machine: to connect there needs credentials, or SlaveOptions::insecure_plaintext";
}

/// Throws Error (bad_option, zero_slots) where it does not hold.
inline void require(bool holds, const char* text, Errc error = Errc::bad_option) {
    if (!holds) throw Error::with_text(error, text);
}

/// What is meant by a time without an end: sums of a few of these and the time of day do not overflow.
inline constexpr std::chrono::milliseconds longest_time = std::chrono::hours{24 * 365 * 100};

/// Throws Error (bad_option).
inline LinkOptions checked(LinkOptions link) {
    using std::chrono::milliseconds;
    require(link.heartbeat > milliseconds{0}, "LinkOptions::heartbeat must be positive");
    require(link.dead_after > link.heartbeat, "LinkOptions::dead_after must exceed heartbeat");
    require(link.handshake_timeout > milliseconds{0}, "LinkOptions::handshake_timeout must be positive");
    require(link.max_frame_bytes >= least_max_frame_bytes && link.max_frame_bytes <= 0xffff'ffff,
            "LinkOptions::max_frame_bytes must be from 64 KiB to 4 GiB");
    require(link.stalled_after > milliseconds{0}, "LinkOptions::stalled_after must be positive");
    require(link.archive.max_bytes == ArchiveLimits{}.max_bytes,
            "LinkOptions::archive.max_bytes follows from max_frame_bytes: set that");
    require(link.archive.max_depth != 0, "LinkOptions::archive.max_depth must be positive");
    for (milliseconds* const time : {&link.handshake_timeout, &link.heartbeat, &link.dead_after, &link.stalled_after})
        *time = std::min(*time, longest_time);
    return link;
}

/// Whether the address is of this machine is known when it is listened on. `otherwise`: the log of who names none.
/// *Errors*: Error (bad_address, zero_slots, bad_option, duplicate_type).
inline MasterOptions checked(MasterOptions options, const Log& otherwise) {
    Registry::instance().check();
    check_host(options.address);
    options.link = checked(options.link);
    require(options.slots != 0, "MasterOptions::slots must be positive", Errc::zero_slots);
    require(options.max_slave_works != 0, "MasterOptions::max_slave_works must be positive");
    require(!options.work_executor.is_in_place(),
            "MasterOptions::work_executor must be a pool or the host's executor, not in place");
    options.log = guarded(options.log ? std::move(options.log) : otherwise);
    return options;
}

/// `name` is that of a slave that was given none. What a host's name resolves to is known when it connects.
/// *Errors*: Error (bad_address, needs_credentials, zero_slots, bad_option, duplicate_type).
inline SlaveOptions checked(const std::vector<MasterAddress>& masters, SlaveOptions options, const std::string& name,
                            const Log& otherwise) {
    Registry::instance().check();
    require(!masters.empty(), "a slave needs the address of at least one master", Errc::bad_address);
    for (const MasterAddress& master : masters) {
        check_host(master.host);
        if (!options.insecure_plaintext && is_address(master.host) && !is_loopback(master.host))
            throw Error::with_text(Errc::needs_credentials, beyond_this_machine(master.to_string()));
        if (master.port == 0) throw Error::with_text(Errc::bad_address, master.to_string() + " has no port");
    }
    options.link = checked(options.link);
    if (!options.slots) options.slots = options.work_executor.slots_for(usable_processors());
    require(*options.slots != 0, "SlaveOptions::slots must be positive", Errc::zero_slots);
    require(*options.slots <= slave_window, "SlaveOptions::slots must be at most 1,048,576");
    require(options.reconnect_after.count() > 0 && options.reconnect_at_most >= options.reconnect_after,
            "SlaveOptions::reconnect_after must be positive, and at most reconnect_at_most");
    options.reconnect_after = std::min(options.reconnect_after, longest_time);
    options.reconnect_at_most = std::min(options.reconnect_at_most, longest_time);
    if (options.name.empty()) options.name = name;
    options.log = guarded(options.log ? std::move(options.log) : otherwise, "Slave " + options.name + ": ");
    return options;
}

inline SessionSettings session_settings(const LinkOptions& link, Role role, const std::string& name, const Log& log) {
    SessionSettings settings;
    settings.role = role;
    settings.types = std::make_shared<RoleTypes>();
    settings.name = name.substr(0, max_name_bytes);
    settings.handshake_timeout = link.handshake_timeout;
    settings.heartbeat = link.heartbeat;
    settings.dead_after = link.dead_after;
    settings.stalled_after = link.stalled_after;
    settings.max_frame_bytes = link.max_frame_bytes;
    settings.max_outbox_bytes = link.max_outbox_bytes;
    settings.limits = link.archive;
    // An answer has a head before its value.
    settings.limits.max_bytes = link.max_frame_bytes - reply_head_bytes;
    settings.log = log;
    return settings;
}

inline std::shared_ptr<const SessionSettings> settings_of(const MasterOptions& options) {
    auto settings = session_settings(options.link, Role::master, options.name, options.log);
    settings.window = options.max_slave_works;
    return std::make_shared<const SessionSettings>(std::move(settings));
}

inline std::shared_ptr<const SessionSettings> settings_of(const SlaveOptions& options) {
    auto settings = session_settings(options.link, Role::slave, options.name, options.log);
    settings.slots = static_cast<std::uint32_t>(*options.slots);
    settings.window = slave_window;
    settings.labels = options.labels;
    return std::make_shared<const SessionSettings>(std::move(settings));
}

}  // namespace detail
}  // namespace distwork
