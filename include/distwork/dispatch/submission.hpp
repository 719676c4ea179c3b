#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../base/backoff.hpp"
#include "../base/probe.hpp"
#include "../calls/call.hpp"
#include "../submit_options.hpp"
#include "../wire/frame.hpp"

namespace distwork::detail {

class CreditWindow;
struct Socket;

/// A call that the master distributes: it may wait for a slave, and a selector chooses one.
class Submission : public Call {
public:
    explicit Submission(const WorkType& type) : Call{type} { chosen_ = true; }

    SubmitOptions options;

    /// 0, or one more than that of the work that had it distributed: deeper ones go first, or works that wait for them
    /// would never end.
    unsigned depth = 0;

    /// Only this socket will do: one part of a broadcast. 0: any.
    std::uint64_t pinned = 0;

    std::string_view name() const noexcept override {
        return options.name().empty() ? Call::name() : std::string_view{options.name()};
    }
    unsigned attempt() const noexcept override { return attempts; }
    std::chrono::milliseconds execution_timeout() const noexcept override { return options.execution_timeout(); }

    /// Bytes that it takes in backlog, outbox and at the slave.
    std::size_t bytes() const noexcept {
        return body_bytes() + (options.execution_timeout().count() > 0 ? timeout_bytes : 0);
    }

    /// Called once, outside of any lock, when it was sent or entered the backlog.
    virtual void admitted() noexcept {}

    /// It was not admitted. True: whoever waits for its admission was given the error, and nobody waits for its
    /// outcome.
    virtual bool take_refusal(std::exception_ptr&) noexcept { return false; }

    enum class Stage { fresh, waiting, backlog, in_flight, returning, done };

    // guarded by the container
    Stage stage = Stage::fresh;
    bool is_admitted = false;
    bool was_sent = false;       ///< ever, whatever became of it there
    std::uint64_t sequence = 0;  ///< order of admission
    unsigned attempts = 0;       ///< sendings whose slave began it, or did not say that it had not
    std::list<std::shared_ptr<Submission>>::iterator at{};  ///< in its lane, or in the line that waits for room
    Socket* socket = nullptr;                               ///< that it was sent to

    /// Its slave is being lost: remembers whether it had begun there, before others take its place.
    void note_whether_begun() noexcept { was_begun_ = begun_ && !DISTWORK_PLANTED(free_a_begun_work); }

    /// After the loss of `slave`: whether it goes again. The master cannot know of a work whether it had begun that
    /// others answered before it was lost on their way: one that may be executed once only counts as begun.
    bool may_go_again(const std::string& slave) {
        History& history = this->history();
        ++history.losses;
        if (!history.slaves.empty()) history.slaves += ", ";
        history.slaves += slave;
        const bool once = options.max_attempts() == 1 && !DISTWORK_PLANTED(ignore_at_most_once);
        if (claimed() || (pinned && !DISTWORK_PLANTED(resend_a_part_of_a_broadcast))) return false;
        if (was_begun_ || once || DISTWORK_PLANTED(blame_a_waiting_work)) {
            const bool again = attempts - history.retries < options.max_attempts();
            if (!again) DISTWORK_MARK(lost_for_good);
            return again;
        }
        if (history.freed == most_freed) return false;
        DISTWORK_MARK(freed_requeue);
        ++history.freed;
        --attempts;
        return true;
    }

    /// Before it goes again after a loss. Slaves that died together are missed one after the other: at once it would go
    /// from each to the next, until all its attempts were spent on the dead. `random` is any number.
    std::chrono::nanoseconds pause_after_loss(std::uint64_t random) const noexcept {
        const unsigned losses = history_ ? history_->losses : 0;
        if (losses == 0) return {};
        constexpr std::chrono::nanoseconds first = std::chrono::milliseconds{100};
        const auto most = static_cast<std::uint64_t>(backoff(first, losses - 1, first * 64).count());
        return std::chrono::nanoseconds{static_cast<std::int64_t>(most - random % (most / 2))};
    }

    /// Whether an answer with this error is not the last word.
    bool wants_retry(Errc error) const noexcept {
        if (DISTWORK_PLANTED(no_retry)) return false;
        const unsigned wanted = DISTWORK_PLANTED(retry_unasked) ? 2 : options.retry_on_error().count;
        return error == Errc::work_failed && wanted != 0 && !pinned && !claimed() && retries() < wanted;
    }
    void note_retry() { ++history().retries; }
    unsigned retries() const noexcept { return history_ ? history_->retries : 0; }

    /// For people: where it was lost. Empty if it never was.
    std::string_view lost_on() const noexcept { return history_ ? std::string_view{history_->slaves} : ""; }

    /// What is to happen to it at some time: called off when it ends.
    struct Timers {
        std::shared_ptr<void> queue_timeout;
        std::shared_ptr<void> deadline;
        std::shared_ptr<void> next_attempt;
    };
    Timers& timers() { return history().timers; }

private:
    friend class CreditWindow;

    /// What few submissions have.
    struct History {
        unsigned losses = 0;   // of its slaves
        unsigned freed = 0;    // sendings that did not count
        unsigned retries = 0;  // of the attempts: after its own exception
        std::string slaves;    // that were lost with it
        Timers timers;
    };
    static constexpr unsigned most_freed = 10;

    History& history() {
        if (!history_) history_ = std::make_unique<History>();
        return *history_;
    }

    // Its links in the list of what its slave holds, and what it counts for there.
    Submission* older_ = nullptr;
    Submission* newer_ = nullptr;
    std::chrono::nanoseconds estimate_{};
    std::chrono::steady_clock::time_point began_{};
    bool begun_ = false;
    bool was_begun_ = false;
    bool blocks_ = false;
    bool suspended_ = false;
    bool has_told_ = false;  // of its slot: it has surely begun
    bool recalled_ = false;
    std::unique_ptr<History> history_;
};

using SubmissionPtr = std::shared_ptr<Submission>;

/// For people: its name, its attempts, and the slaves that were lost with it; `slave`, if none was.
inline std::string attempts_of(const Call& call, std::string_view slave) {
    const std::string_view lost_on = call.chosen() ? static_cast<const Submission&>(call).lost_on() : "";
    std::string text{call.name()};
    text += call.attempt() == 1 ? ", 1 attempt" : ", " + std::to_string(call.attempt()) + " attempts";
    return text.append(" on ").append(lost_on.empty() ? slave : lost_on);
}

}  // namespace distwork::detail
