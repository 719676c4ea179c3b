#pragma once

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
};

struct MasterOptions {
    std::string address = "127.0.0.1";     ///< to listen on; "0.0.0.0" for all of IPv4
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
    Log log{};  ///< default: nowhere
};

/// Where a slave finds a master.
struct MasterAddress {
    std::string host;
    std::uint16_t port = 0;

    std::string to_string() const { return host + ':' + std::to_string(port); }
};

struct SlaveOptions {
    std::string name{};  ///< what the master is told; default: "slave"
    /// Works executed at a time. By default one for each processor that affinity and the quotas of cgroups leave to the
    /// process; in place one, where more are of use to coroutine works only.
    std::optional<std::size_t> slots{};
    std::size_t max_suspended = 10'000;  ///< coroutine works that await calls at a time; beyond: too_many_suspended
    std::vector<std::string> labels{};   ///< what it has: see SubmitOptions::label
    bool insecure_plaintext = false;     ///< needed to connect to addresses beyond loopback
    WorkExecutor work_executor = WorkExecutor::own_pool();  ///< where works are executed
    bool reconnect = true;                           ///< false: its run ends with its first session, or without one
    std::chrono::milliseconds reconnect_after{100};  ///< when no master of the list took it; doubles, with jitter,
    std::chrono::milliseconds reconnect_at_most{30'000};  ///< up to this, until a session is opened
    LinkOptions link{};
    Log log{};  ///< default: nowhere
};

namespace detail {

/// Works that a master may have unanswered at a slave, where credit is finer.
inline constexpr std::uint32_t slave_window = 1u << 20;

/// Throws Error (bad_address, needs_credentials) unless the address may be used as it is.
inline void check_reachable(const std::string& host, bool insecure_plaintext) {
    check_host(host);
    if (!insecure_plaintext && !is_loopback(host)) throw Error{Errc::needs_credentials, host};
}

inline void check(const LinkOptions& link) {
    using std::chrono::milliseconds;
    if (link.heartbeat <= milliseconds{0}) throw Error{Errc::bad_option, "heartbeat must be positive"};
    if (link.dead_after <= link.heartbeat) throw Error{Errc::bad_option, "dead_after must exceed heartbeat"};
    if (link.handshake_timeout <= milliseconds{0}) throw Error{Errc::bad_option, "handshake_timeout must be positive"};
    if (link.max_frame_bytes < least_max_frame_bytes || link.max_frame_bytes > 0xffff'ffff)
        throw Error{Errc::bad_option, "max_frame_bytes must be from 64 KiB to 4 GiB"};
    if (link.stalled_after <= milliseconds{0}) throw Error{Errc::bad_option, "stalled_after must be positive"};
}

/// Throws Error (bad_address, needs_credentials, zero_slots, bad_option, duplicate_type).
inline MasterOptions checked(MasterOptions options) {
    Registry::instance().check();
    check_reachable(options.address, options.insecure_plaintext);
    check(options.link);
    if (options.slots == 0) throw Error{Errc::zero_slots, "MasterOptions::slots"};
    if (options.max_slave_works == 0) throw Error{Errc::bad_option, "max_slave_works must be positive"};
    if (options.work_executor.is_in_place())
        throw Error{Errc::bad_option, "a master executes works of slaves on a pool or the host's executor"};
    options.log = guarded(std::move(options.log));
    return options;
}

/// Throws likewise.
inline SlaveOptions checked(const std::vector<MasterAddress>& masters, SlaveOptions options) {
    Registry::instance().check();
    if (masters.empty()) throw Error{Errc::bad_address, "no master is named"};
    for (const auto& [host, port] : masters) {
        check_reachable(host, options.insecure_plaintext);
        if (port == 0) throw Error{Errc::bad_address, host + ":0"};
    }
    check(options.link);
    if (!options.slots) options.slots = options.work_executor.is_in_place() ? 1 : usable_processors();
    if (*options.slots == 0) throw Error{Errc::zero_slots, "SlaveOptions::slots"};
    if (*options.slots > slave_window) throw Error{Errc::bad_option, "SlaveOptions::slots"};
    if (options.reconnect_after.count() <= 0 || options.reconnect_at_most < options.reconnect_after)
        throw Error{Errc::bad_option, "reconnect_after must be positive and at most reconnect_at_most"};
    if (options.name.empty()) options.name = "slave";
    options.log = guarded(std::move(options.log));
    return options;
}

inline SessionSettings session_settings(const LinkOptions& link, Role role, const std::string& name, const Log& log) {
    SessionSettings settings;
    settings.role = role;
    settings.name = name.substr(0, max_name_bytes);
    settings.handshake_timeout = link.handshake_timeout;
    settings.heartbeat = link.heartbeat;
    settings.dead_after = link.dead_after;
    settings.stalled_after = link.stalled_after;
    settings.max_frame_bytes = link.max_frame_bytes;
    settings.max_outbox_bytes = link.max_outbox_bytes;
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
