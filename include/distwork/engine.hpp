#pragma once

#include "base/requirements.hpp"

#include <algorithm>
#include <compare>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "error.hpp"

namespace distwork {

/// The name by which an engine knows one allocation: 1 to 128 letters, digits, `.`, `_` and `-` of ASCII, of which the
/// first is a letter or a digit. So it may be an argument of a command, or a part of a file's name.
class Ticket {
public:
    static constexpr std::size_t max_bytes = 128;

    /// *Errors*: throws Error (bad_option) if `id` is no such name.
    explicit Ticket(std::string id) : id_{std::move(id)} {
        if (!is_valid(id_))
            throw Error::with_text(Errc::bad_option,
                                   "a ticket must be 1 to 128 letters, digits, '.', '_' and '-', the first a letter "
                                   "or a digit");
    }

    static bool is_valid(std::string_view id) noexcept {
        const auto is_plain = [](char c) {
            return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        };
        return !id.empty() && id.size() <= max_bytes && is_plain(id.front()) &&
               std::all_of(id.begin(), id.end(),
                           [&](char c) { return is_plain(c) || c == '.' || c == '_' || c == '-'; });
    }

    const std::string& id() const noexcept { return id_; }

    std::strong_ordering operator<=>(const Ticket& other) const noexcept { return id_.compare(other.id_) <=> 0; }
    bool operator==(const Ticket& other) const noexcept = default;

private:
    std::string id_;
};

/// What an engine says of an allocation.
enum class TicketState {
    unknown,  ///< it knows no such ticket
    queued,   ///< it waits for a place
    running,  ///< it has a place; its slave connects, or is connected
    ended,    ///< it is over, and nothing went wrong
    failed,   ///< it is over, and something went wrong
};

/// The state of one allocation.
struct TicketStatus {
    Ticket ticket;
    TicketState state = TicketState::unknown;
    std::string text{};  ///< of a failed one: what the engine, or the allocation itself, said about it; may be empty
};

/// The engine did not start what it was asked for. The text is the engine's own.
class SubmissionRefused : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The engine did not answer, so nothing is known. The text says why.
class EngineUnreachable : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// What places slaves on machines, and ends them: a cluster's scheduler, or the user's own commands. One allocation is
/// the place of one slave, and has a ticket. A slave tells its master the ticket of its allocation.
///
/// *Executor*: the functions may block, for instance until a command has run. They are never called on a thread of the
/// master's executor. *Thread-safety*: called by one thread at a time. *Errors*: each function throws EngineUnreachable
/// if there is no answer; the engine is asked again later. So does any other exception of `status` and `cancel`; one of
/// `start` or `dry_run` counts as SubmissionRefused.
class Engine {
public:
    Engine() = default;
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    virtual ~Engine() = default;

    /// Submits `count` allocations, and returns the ticket of each that was submitted, which may be fewer. *Errors*:
    /// SubmissionRefused, EngineUnreachable. Either tells that nothing was submitted: an engine that cannot be sure of
    /// that must find out, or cancel what it has submitted.
    virtual std::vector<Ticket> start(std::size_t count) = 0;

    /// Returns if `start(count)` would be accepted, and submits nothing. An engine that cannot know returns. *Errors*:
    /// SubmissionRefused, EngineUnreachable.
    virtual void dry_run(std::size_t count) { static_cast<void>(count); }

    /// What became of these allocations. One that the answer lacks is unknown. *Errors*: EngineUnreachable.
    virtual std::vector<TicketStatus> status(const std::vector<Ticket>& tickets) = 0;

    /// The ticket of a slave of that name (SlaveOptions::name); anything else: it is of no allocation. By default a slave
    /// is named after its ticket, alone or as in `1234@machine`.
    virtual std::string ticket_of(const std::string& slave) const { return slave.substr(0, slave.find('@')); }

    /// Ends an allocation, whether it is queued or runs. Returns when the engine has taken note; nothing happens if it
    /// knows no such ticket. It may be called again for the same one. *Errors*: EngineUnreachable.
    virtual void cancel(const Ticket& ticket) = 0;
};

}  // namespace distwork
