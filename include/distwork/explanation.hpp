#pragma once

#include "base/requirements.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "statistics.hpp"

namespace distwork {

/// Why a slave does not take a work now.
enum class Obstacle {
    none,           ///< it could: older works come first, or the selector declined
    unknown_type,   ///< the type is not registered there
    shape_differs,  ///< the type has another shape there
    label_missing,  ///< it has not all of the labels
    too_little,     ///< it has less of an amount than the work asks for
    amount_taken,   ///< other works have the amounts, or they are kept for a work that waits for longer
    too_large,      ///< it takes no bodies of that size
    too_old,        ///< its version takes no works of several elements
    other_slave,    ///< the work is for another slave only: SubmitOptions::slave
    draining,       ///< it is to leave
    starting,       ///< its on_start functions run
    suspected,      ///< two pings in a row were not answered
    outbox_full,    ///< too much waits to be sent to it
    busy,           ///< its slots are taken
};

/// The obstacle in words.
inline std::string_view to_string(Obstacle obstacle) noexcept {
    switch (obstacle) {
        case Obstacle::none: return "could take it";
        case Obstacle::unknown_type: return "does not know its type";
        case Obstacle::shape_differs: return "knows its type in another shape";
        case Obstacle::label_missing: return "has not all of its labels";
        case Obstacle::too_little: return "has less than it asks for";
        case Obstacle::amount_taken: return "has given what it asks for to others";
        case Obstacle::too_large: return "takes no works of its size";
        case Obstacle::too_old: return "takes no works of several elements";
        case Obstacle::other_slave: return "is not the slave that it is for";
        case Obstacle::draining: return "is to leave";
        case Obstacle::starting: return "is starting";
        case Obstacle::suspected: return "does not answer";
        case Obstacle::outbox_full: return "takes what was sent to it too slowly";
        case Obstacle::busy: return "is busy";
    }
    return "?";
}

/// Why a work waits: what stands between it and each slave.
struct Explanation {
    struct Slave {
        std::uint64_t id = 0;  ///< SocketInformation::id
        std::string name;      ///< SlaveOptions::name
        Obstacle obstacle{};   ///< why it does not take the work now
    };

    std::string name;           ///< SubmitOptions::name, else that of its type
    WaitReason reason{};        ///< why it waits
    unsigned attempts = 0;      ///< how often it was sent before
    std::size_t alike = 0;      ///< works that wait for the same reasons, with this one
    std::vector<Slave> slaves;  ///< all that are connected

    /// For people, without an end of line: "render waits: the slaves that can take it are busy: Ada is busy; …".
    /// `most_slaves`: how many are named.
    std::string text(std::size_t most_slaves = 10) const {
        std::string all = name + " waits: " + std::string{to_string(reason)};
        for (std::size_t i = 0; i != slaves.size(); ++i) {
            if (i == most_slaves) return all + "; and " + std::to_string(slaves.size() - i) + " more";
            all += (i == 0 ? ": " : "; ") + slaves[i].name + ' ' + std::string{to_string(slaves[i].obstacle)};
        }
        return all;
    }
};

/// A slave that went.
struct Departure {
    std::uint64_t id = 0;                          ///< SocketInformation::id; never used again
    std::string name;                              ///< SlaveOptions::name
    std::string reason;                            ///< for people
    std::chrono::steady_clock::time_point when{};  ///< by the clock of the master's transport
};

}  // namespace distwork
