#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string_view>
#include <utility>

#include "call.hpp"
#include "submit_options.hpp"

namespace distwork {

class InFlight;
struct Socket;

/// A call that the master distributes: it may wait for a slave, and a selector chooses one.
class Submission : public Call {
public:
    explicit Submission(const WorkType& type) : Call{type} { chosen_ = true; }

    SubmitOptions options;

    /// Only this socket will do: one part of a broadcast. 0: any.
    std::uint64_t pinned = 0;

    std::string_view name() const noexcept override {
        return options.name().empty() ? Call::name() : std::string_view{options.name()};
    }
    unsigned attempt() const noexcept override { return attempts; }

    /// Bytes that it takes in backlog, outbox and at the slave.
    std::size_t bytes() const noexcept { return body_bytes(); }

    /// Called once, outside of any lock, when it was sent or entered the backlog.
    virtual void admitted() {}

    /// It was not admitted. True: whoever waits for its admission was given the error, and nobody waits for its outcome.
    virtual bool take_refusal(std::exception_ptr&) { return false; }

    enum class Stage { fresh, waiting, backlog, in_flight, done };

    // guarded by the container
    Stage stage = Stage::fresh;
    std::uint64_t sequence = 0;  ///< order of admission
    unsigned attempts = 0;
    std::list<std::shared_ptr<Submission>>::iterator at{};  ///< in its lane, or in the line that waits for room
    Socket* socket = nullptr;                               ///< that it was sent to

private:
    friend class InFlight;

    // Its links in the list of what its slave holds, and what it counts for there.
    Submission* older_ = nullptr;
    Submission* newer_ = nullptr;
    std::chrono::nanoseconds estimate_{};
    bool begun_ = false;
};

using SubmissionPtr = std::shared_ptr<Submission>;

}  // namespace distwork
