#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../base/probe.hpp"
#include "../base/separate.hpp"
#include "../calls/call.hpp"
#include "../submit_options.hpp"
#include "../wire/frame.hpp"

namespace distwork::detail {

class CreditWindow;
class HungrySources;
struct Socket;

/// A call that a master distributes: it may wait for a slave, and a selector chooses the slave.
class Submission : public Call {
public:
    explicit Submission(const WorkType& type) : Call{type} { is_submission_ = true; }

    SubmitOptions options;

    /// 0, or one more than the depth of the work that submitted this one. Deeper works go first, else works that wait
    /// for them might never end.
    unsigned depth = 0;

    /// The id of the only socket that may take this work; 0: any socket may.
    std::uint64_t pinned = 0;
    bool is_part = false;       ///< of a broadcast: it is sent only once
    bool was_admitted = false;  ///< as a part of another submission: it is not refused because the master is stopping
    bool is_start = false;      ///< it is sent to a slave that is starting, before all others

    std::string_view name() const noexcept override {
        return options.name().empty() ? Call::name() : std::string_view{options.name()};
    }
    unsigned attempt() const noexcept override { return attempts; }
    std::chrono::milliseconds execution_timeout() const noexcept override { return options.execution_timeout(); }

    /// The bytes that it takes in the backlog, in the outbox and at the slave.
    std::size_t bytes() const noexcept {
        return body_bytes() + (options.execution_timeout().count() > 0 ? timeout_bytes : 0) +
               (options.has_amounts() ? given_bytes : 0);
    }

    /// Called once, without a lock, after it was sent or entered the backlog.
    virtual void admitted() noexcept {}

    /// Called before it fails. True: the caller waited only for its admission and was given the error, and no caller
    /// waits for the outcome.
    virtual bool take_refusal(std::exception_ptr&) noexcept { return false; }

    // What a work of a group or a broadcast notes of itself, if `is_observed`: under the container's lock, so these
    // functions must not block.

    bool is_observed = false;
    /// It is being submitted.
    virtual void note_submission(std::chrono::steady_clock::time_point) noexcept {}
    /// It was sent to a slave, as often as it is. May add its source to `hungry`.
    virtual void note_sending(const Socket&, std::chrono::steady_clock::time_point, HungrySources&) noexcept {}
    /// It was executed, in this time. Not called once it was claimed: it may have been delivered then.
    virtual void note_execution(std::chrono::nanoseconds) noexcept {}

    /// Where the container has the work. Each change happens under the container's lock.
    enum class Stage {
        /// Not in the container. `Dispatcher::submit` moves it on to in_flight, backlog or in_line; a refused work
        /// stays fresh. `cancel` and `expire` move it on to done.
        fresh,
        /// In the line that waits for room in the backlog, not admitted yet. `Dispatcher::dispatch` moves it on to
        /// in_flight or backlog; `cancel`, `expire`, `end` and the removal of its only socket move it on to done.
        in_line,
        /// Admitted and in the backlog, until a slave has credit. `Dispatcher::dispatch` moves it on to in_flight;
        /// `cancel`, `expire`, `end` and the removal of its only socket move it on to done.
        backlog,
        /// Sent to `socket`, and not answered. `Dispatcher::answered`, `remove`, `forget` and `clear` move it on to
        /// done, or to returning if it is to be sent again. A cancelled work stays in_flight until its answer.
        in_flight,
        /// Back from a slave, without a body, until the Scheduler calls `send_again`, which moves it on to backlog.
        /// `cancel` and `end` move it on to done.
        returning,
        /// Not in the container any more; its outcome is known or about to be. No function moves it on.
        done
    };

    /// The units of indexed resources that it was given, one bit each: whole ones, and those of which it has a part.
    struct Given {
        std::uint64_t whole = 0;
        std::uint64_t part = 0;
    };

    /// How long a work has lacked the amounts that it asks for, and which slave is kept free for it.
    struct Shortage {
        std::chrono::steady_clock::time_point
            until{};            ///< then a slave, or another one, is kept free; zero: none is short
        std::size_t tries = 0;  ///< how many were kept free
        bool keeps_pool = false;
    };

    // guarded by the container
    Stage stage = Stage::fresh;
    bool is_admitted = false;
    bool was_sent = false;       ///< it was sent at least once
    std::uint64_t sequence = 0;  ///< the order of submission
    unsigned attempts = 0;       ///< how often it was sent, without the times that it came back before it had begun
    std::list<std::shared_ptr<Submission>>::iterator at{};  ///< its position in the list in which it waits
    Socket* socket = nullptr;                               ///< where it is in flight
    Given given{};                                          ///< set before it is sent
    Shortage shortage{};                                    ///< of the amounts that it asks for

    /// Its slave is being lost: records whether it had begun there, before the removal of other works changes that.
    void note_whether_begun() noexcept { was_begun_ = begun_ && !DISTWORK_PLANTED(free_a_begun_work); }

    /// After the loss of `slave`: whether it is sent again. If answers were lost in transit, the master cannot tell
    /// whether this work had begun. So a work that may be executed only once counts as begun. *Errors*: std::bad_alloc.
    bool may_go_again(const std::string& slave);

    /// The pause before it is sent again after a loss: 100 ms, doubled for each further loss up to 6.4 s, less up to
    /// half of that at random. Slaves that die together are found dead one after the other: without a pause the work
    /// would go from each to the next, and spend all its attempts on dead slaves. `random` is any random number.
    std::chrono::nanoseconds pause_after_loss(std::uint64_t random) const noexcept;

    /// Whether it is not sent again: it is a chunk whose works go on by themselves. Then `split` is called, once it was
    /// claimed, before it is delivered.
    virtual bool is_to_split() const noexcept { return false; }
    virtual void split() noexcept {}

    /// What a work went through before it became a part of another submission.
    struct Past {
        unsigned attempts = 0;
        unsigned losses = 0;
        unsigned retries = 0;
        std::string slaves{};  ///< that were lost with it
    };
    /// To be called where the submission is answered, or after it was claimed. *Errors*: std::bad_alloc.
    Past past() const;
    /// For a new submission. *Errors*: std::bad_alloc.
    void continues(const Past& past);

    /// Whether it counts as begun at the slave that was lost last.
    bool was_begun() const noexcept { return was_begun_; }

    /// Whether it is to be executed again after an answer with this error.
    bool wants_retry(Errc error) const noexcept {
        if (DISTWORK_PLANTED(no_retry)) return false;
        const unsigned wanted = DISTWORK_PLANTED(retry_unasked) ? 2 : options.retry_on_error().count;
        return error == Errc::work_failed && wanted != 0 && !is_part && !claimed() && retries() < wanted;
    }
    void note_retry() { ++history().retries; }
    unsigned retries() const noexcept { return history_ ? history_->retries : 0; }

    /// The names of the slaves that were lost with it; empty if none was.
    std::string_view lost_on() const noexcept { return history_ ? std::string_view{history_->slaves} : ""; }

    /// Its timers. Each is cancelled when its pointer is destroyed.
    struct Timers {
        std::shared_ptr<void> queue_timeout;
        std::shared_ptr<void> deadline;
        std::shared_ptr<void> next_attempt;
    };
    Timers& timers() { return history().timers; }

private:
    friend class CreditWindow;

    /// State that few submissions need.
    struct History {
        unsigned losses = 0;   // how often its slave was lost
        unsigned freed = 0;    // of these, how often it had not begun: no attempt was counted
        unsigned retries = 0;  // how many of the attempts followed its own exception
        std::string slaves;    // the slaves that were lost with it
        Timers timers;
    };
    static constexpr unsigned most_freed = 10;

    History& history() {
        if (!history_) history_ = std::make_unique<History>();
        return *history_;
    }

    // Its links in the list of its slave's CreditWindow, and its state there.
    Submission* older_ = nullptr;
    Submission* newer_ = nullptr;
    std::chrono::nanoseconds estimate_{};
    std::chrono::steady_clock::time_point sent_{};
    std::chrono::steady_clock::time_point began_{};
    bool begun_ = false;
    bool was_begun_ = false;
    bool blocks_ = false;
    bool suspended_ = false;
    bool has_told_ = false;  // its slave reported that it gave its slot free: it has certainly begun
    bool recalled_ = false;
    std::unique_ptr<History> history_;
};

using SubmissionPtr = std::shared_ptr<Submission>;

/// The submission that a call is. Null: it is a call that was sent directly to a peer.
///@{
inline Submission* submission_of(Call& call) noexcept {
    return call.is_submission() ? static_cast<Submission*>(&call) : nullptr;
}
inline const Submission* submission_of(const Call& call) noexcept {
    return call.is_submission() ? static_cast<const Submission*>(&call) : nullptr;
}
///@}

/// The text for an error: the name of the call, its attempts, and the slaves that were lost with it, or `slave` if none
/// was.
DISTWORK_DECL std::string attempts_of(const Call& call, std::string_view slave);

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/submission.ipp"
#endif
