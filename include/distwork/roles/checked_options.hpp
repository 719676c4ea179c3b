#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../base/amounts.hpp"
#include "../base/processors.hpp"
#include "../error.hpp"
#include "../link/session_settings.hpp"
#include "../log.hpp"
#include "../role_options.hpp"
#include "../tcp/address.hpp"
#include "../types/peer_types.hpp"
#include "../types/registry.hpp"
#include "../types/type_table.hpp"
#include "../wire/frame.hpp"
#include "../wire/plain_fields.hpp"
#include "../wire/reply.hpp"

namespace distwork::detail {

/// The window of a slave: how many works a master may have unanswered there. Credit is much smaller.
inline constexpr std::uint32_t slave_window = 1u << 20;

/// The text of Errc::needs_credentials for a slave.
inline std::string beyond_this_machine(const std::string& address) {
    return address + " is beyond this machine: connecting there needs credentials, or SlaveOptions::insecure_plaintext";
}

/// Throws Error with this code and text if `holds` is false. *Errors*: Error (`error`: bad_option, bad_address,
/// zero_slots).
inline void require(bool holds, const char* text, Errc error = Errc::bad_option) {
    if (!holds) throw Error::with_text(error, text);
}

/// Longer times, which mean "unlimited", are replaced by this one, 100 years: sums of a few of these and the current
/// time do not overflow.
inline constexpr std::chrono::milliseconds longest_time = std::chrono::hours{24 * 365 * 100};

/// Checks the options of a link, in the ranges that the texts below give. *Errors*: Error (bad_option).
inline LinkOptions checked(LinkOptions link) {
    using std::chrono::milliseconds;
    require(link.heartbeat > milliseconds{0}, "LinkOptions::heartbeat must be positive");
    require(link.dead_after > link.heartbeat, "LinkOptions::dead_after must exceed heartbeat");
    require(link.handshake_timeout > milliseconds{0}, "LinkOptions::handshake_timeout must be positive");
    require(link.max_frame_bytes >= least_max_frame_bytes && link.max_frame_bytes <= 0xffff'ffff,
            "LinkOptions::max_frame_bytes must be from 64 KiB to 4 GiB less one byte");
    require(link.stalled_after > milliseconds{0}, "LinkOptions::stalled_after must be positive");
    require(link.archive.max_bytes == ArchiveLimits{}.max_bytes,
            "LinkOptions::archive.max_bytes must keep its default: it follows from max_frame_bytes");
    require(link.archive.max_depth != 0, "LinkOptions::archive.max_depth must be positive");
    for (milliseconds* const time : {&link.handshake_timeout, &link.heartbeat, &link.dead_after, &link.stalled_after})
        *time = std::min(*time, longest_time);
    return link;
}

/// Checks the options of a master. Whether the address belongs to this machine is checked later, when the master
/// listens. `otherwise`: the log if the options have none. *Errors*: Error (bad_address, zero_slots, bad_option,
/// duplicate_type).
inline MasterOptions checked(MasterOptions options, const Log& otherwise) {
    Registry::instance().check();
    if (!options.address.empty()) check_host(options.address);
    options.link = checked(options.link);
    require(options.slots != 0, "MasterOptions::slots must be positive", Errc::zero_slots);
    require(options.max_slave_works != 0, "MasterOptions::max_slave_works must be positive");
    require(options.max_strangers != 0, "MasterOptions::max_strangers must be positive");
    require(!options.work_executor.is_in_place(),
            "MasterOptions::work_executor must be a pool or the application's executor, not in place");
    options.log = guarded(options.log ? std::move(options.log) : otherwise);
    return options;
}

/// Checks the options of a slave. The addresses that a host name resolves to are checked later, when the slave
/// connects. `name` and `otherwise`: the name and the log if the options have none. *Errors*: Error (bad_address,
/// needs_credentials, zero_slots, bad_option, duplicate_type).
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
    require(are_labels(options.labels), "SlaveOptions::labels must be at most 256 labels of at most 256 bytes");
    if (options.name.empty()) options.name = name;
    options.log = guarded(options.log ? std::move(options.log) : otherwise, "Slave " + options.name + ": ");
    return options;
}

/// `clock`: for the limit of lines that peers cause; empty: there is none.
inline SessionSettings session_settings(const LinkOptions& link, Role role, const std::string& name, const Log& log,
                                        PeerLog::Clock clock) {
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
    settings.max_types = link.max_types;
    settings.limits = link.archive;
    // The head of an answer, before its value, counts for max_frame_bytes.
    settings.limits.max_bytes = link.max_frame_bytes - reply_head_bytes;
    settings.log = log;
    settings.peer_log = std::make_shared<PeerLog>(log, std::move(clock), link.max_log_lines);
    return settings;
}

inline std::shared_ptr<const SessionSettings> settings_of(const MasterOptions& options, PeerLog::Clock clock = {}) {
    auto settings = session_settings(options.link, Role::master, options.name, options.log, std::move(clock));
    settings.window = options.max_slave_works;
    settings.max_peer_work_bytes = options.max_slave_work_bytes;
    settings.received_bytes = std::make_shared<ReceivedBytes>(options.max_work_bytes);
    settings.submitted_bytes = std::make_shared<ReceivedBytes>(options.max_work_bytes);
    return std::make_shared<const SessionSettings>(std::move(settings));
}

inline std::shared_ptr<const SessionSettings> settings_of(const SlaveOptions& options, PeerLog::Clock clock = {}) {
    auto settings = session_settings(options.link, Role::slave, options.name, options.log, std::move(clock));
    settings.accepted = std::make_shared<TypeSet>();
    settings.slots = static_cast<std::uint32_t>(*options.slots);
    settings.window = slave_window;
    settings.labels = options.labels;
    settings.amounts = amount_units(options.amounts, "SlaveOptions::amounts");
    settings.indexed = indexed_amounts(options.amounts, options.indexed, "SlaveOptions::indexed");
    return std::make_shared<const SessionSettings>(std::move(settings));
}

}  // namespace distwork::detail
