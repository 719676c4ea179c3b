#pragma once

#include <any>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/asio.hpp"
#include "slave_state.hpp"
#include "types/registry.hpp"

namespace distwork {

using detail::WorkType;

/// What a master knows of one connected slave. Selectors read it, `sockets()` copies it for people.
struct SocketInformation {
    // What each choice and each answer touches comes first: with thousands of slaves, every cache line counts.

    std::size_t slots = 0;        ///< works that it executes at a time
    std::size_t free_slots = 0;   ///< of these, without a work; one that gets a work now begins it at once
    std::size_t in_flight = 0;    ///< works sent to it and not answered
    std::size_t place = 0;        ///< in the round of all sockets; used again when a slave left
    std::uint64_t id = 0;         ///< never used twice by a master; a slave that reconnects gets a new one
    std::uint64_t completed = 0;  ///< answered without an error
    std::uint64_t failed = 0;     ///< answered by an error
    std::chrono::nanoseconds mean_execution_time{};  ///< of its latest works, exponentially weighted

    /// Types that it executes now, each with how many: of its oldest `slots` works.
    std::vector<std::pair<const WorkType*, std::size_t>> running;
    const WorkType* last_finished = nullptr;  ///< null before the first

    std::uint64_t bytes_sent = 0;                        ///< to it
    std::uint64_t bytes_received = 0;                    ///< from it
    std::chrono::steady_clock::time_point last_heard{};  ///< when it last sent a byte, as of its latest answer or pong
    bool draining = false;                               ///< it gets nothing new
    bool suspected = false;  ///< two pings in a row brought nothing: it gets nothing new until it is heard

    std::string name;                                         ///< SlaveOptions::name
    asio::ip::tcp::endpoint endpoint;                         ///< the other end of its connection
    std::vector<std::string> labels;                          ///< sorted
    std::chrono::nanoseconds round_trip{};                    ///< zero until measured
    SlaveState state;                                         ///< by its own word, with its last heartbeat
    std::chrono::steady_clock::time_point connected_since{};  ///< by the clock of the master's transport

    /// The host's own; see update_socket_information.
    std::any value;

    /// Works in flight for each slot: how busy it is.
    double load() const noexcept { return static_cast<double>(in_flight) / static_cast<double>(slots); }
};

}  // namespace distwork
