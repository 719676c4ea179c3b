#pragma once

#include <any>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/asio.hpp"
#include "slave_state.hpp"
#include "types/registry.hpp"

namespace distwork {

using detail::WorkType;

/// What a master knows of one connected slave. Selectors read it; `sockets()` returns copies.
struct SocketInformation {
    // The fields that each choice and each answer uses come first: with thousands of slaves every cache line counts.

    std::size_t slots = 0;        ///< works that it executes at a time
    std::size_t free_slots = 0;   ///< slots without a work: the next work begins at once
    std::size_t in_flight = 0;    ///< works sent to it and not answered
    std::size_t place = 0;        ///< its place in the round of all sockets; reused after a slave left
    std::uint64_t id = 0;         ///< never used twice by a master; a slave that reconnects gets a new one
    std::uint64_t completed = 0;  ///< works answered without an error
    std::uint64_t failed = 0;     ///< works answered by an error
    std::chrono::nanoseconds mean_execution_time{};  ///< of its latest works, weighted exponentially

    /// Each type among its oldest `slots` works, which it executes now, and how many of these works have the type.
    std::vector<std::pair<const WorkType*, std::size_t>> running;
    const WorkType* last_finished = nullptr;  ///< type of the work that was answered last; null before the first

    std::uint64_t bytes_sent = 0;                        ///< bytes sent to it
    std::uint64_t bytes_received = 0;                    ///< bytes received from it
    std::chrono::steady_clock::time_point last_heard{};  ///< when it last sent a byte, as known at its latest answer or
                                                         ///< pong
    bool draining = false;                               ///< it gets no new works
    bool starting = false;                               ///< its on_start functions run: it gets no works before they
                                                         ///< have returned
    bool suspected = false;  ///< two pings in a row were not answered: it gets no new works until it is heard from

    std::string name;                                         ///< SlaveOptions::name
    std::string certified_name;                               ///< the common name in its certificate; empty without one
    asio::ip::tcp::endpoint endpoint;                         ///< the slave's end of the connection
    std::vector<std::string> labels;                          ///< SlaveOptions::labels, sorted
    std::map<std::string, double> amounts;                    ///< SlaveOptions::amounts
    std::vector<std::string> indexed;                         ///< SlaveOptions::indexed
    std::string pool;                                         ///< slaves with the same one share `amounts`
    std::chrono::nanoseconds round_trip{};                    ///< zero until it is measured
    SlaveState state;                                         ///< as the slave reported it with its last heartbeat
    std::chrono::steady_clock::time_point connected_since{};  ///< by the clock of the master's transport

    /// The application's own value; see Master::update_socket_information.
    std::any value;

    /// Works in flight for each slot.
    double load() const noexcept { return static_cast<double>(in_flight) / static_cast<double>(slots); }
};

}  // namespace distwork
