#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/backoff.hpp"
#include "error.hpp"

namespace distwork {

/// What a submission does when no slave is connected that can take it: that has its type, its labels, and room for it.
enum class WhenUnavailable {
    wait,    ///< for a slave
    refuse,  ///< Errc::no_slave at once, as the ancestor did
};

/// How often a work goes again that threw, and how long it waits before: a random time up to `first_pause`, doubled
/// with each retry up to `longest_pause`.
///
/// *Source*: M. Brooker, "Exponential Backoff And Jitter", 2015 (full jitter).
struct RetryPolicy {
    using Milliseconds = std::chrono::milliseconds;  ///< short for the declarations below

    // A constructor instead of braces: g++ 12 frees aggregates twice that are made inside an awaited call.
    /// No retry.
    RetryPolicy() = default;
    /// At most `retries`, with pauses from `first` to `longest`.
    explicit RetryPolicy(unsigned retries, Milliseconds first = Milliseconds{100},
                         Milliseconds longest = Milliseconds{10'000})
        : count{retries}, first_pause{first}, longest_pause{longest} {}

    unsigned count = 0;                  ///< retries at most
    Milliseconds first_pause{100};       ///< the longest pause before the first retry
    Milliseconds longest_pause{10'000};  ///< the longest pause before any retry

    /// The pause before that retry, 1 for the first; `random` is any number.
    std::chrono::nanoseconds pause(unsigned retry, std::uint64_t random) const noexcept {
        const auto most = detail::backoff(first_pause, retry - 1, longest_pause).count();
        const auto nanoseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(most, 0)) * 1'000'000;
        return std::chrono::nanoseconds{static_cast<std::int64_t>(random % (nanoseconds + 1))};
    }
};

/// How one work wants to be distributed: `SubmitOptions{}.priority(3).label("gpu")`.
class SubmitOptions {
public:
    /// Works of a higher priority leave the backlog first. Default 0. It is strict: while works of a higher priority keep
    /// coming as fast as slaves execute them, those of a lower one never leave.
    SubmitOptions& priority(int value) {
        priority_ = value;
        return *this;
    }
    /// Only slaves that have this label, and every other one asked for, get the work.
    SubmitOptions& label(std::string value) {
        auto& labels = rare().labels;
        const auto at = std::lower_bound(labels.begin(), labels.end(), value);
        if (at == labels.end() || *at != value) labels.insert(at, std::move(value));
        return *this;
    }
    /// What errors and the log call it; default its type's name.
    SubmitOptions& name(std::string value) {
        rare().name = std::move(value);
        return *this;
    }
    /// What happens when no slave is connected that can take it. Default: it waits for one.
    SubmitOptions& when_unavailable(WhenUnavailable value) {
        when_unavailable_ = value;
        return *this;
    }

    /// How often slaves may begin it: it goes again when its slave is lost. Default 3; 1: at most once, whatever
    /// happens. When its slave was lost before it began, it goes again without counting, at most 10 times.
    SubmitOptions& max_attempts(unsigned value) {
        if (value == 0) throw Error::with_text(Errc::bad_option, "SubmitOptions::max_attempts must be positive");
        max_attempts_ = value;
        return *this;
    }
    /// Has it go again when it throws, unless it throws a NoRetry. Default: it does not.
    SubmitOptions& retry_on_error(RetryPolicy value) {
        rare().retry = value;
        return *this;
    }
    /// Until it was first sent to a slave: then Errc::queue_timeout. Default: without end, as for the others.
    SubmitOptions& queue_timeout(std::chrono::milliseconds value) {
        rare().queue_timeout = positive(value, "queue_timeout");
        return *this;
    }
    /// Of each attempt, by the slave's clock from where it begins: then Errc::execution_timeout, and it does not go
    /// again. The work is asked to stop; its slot stays taken until it returns.
    SubmitOptions& execution_timeout(std::chrono::milliseconds value) {
        rare().execution_timeout = positive(value, "execution_timeout");
        return *this;
    }
    /// Altogether, from its submission, by the master's clock: then Errc::deadline.
    SubmitOptions& deadline(std::chrono::milliseconds value) {
        rare().deadline = positive(value, "deadline");
        return *this;
    }

    int priority() const noexcept { return priority_; }                         ///< what was set, or the default
    unsigned max_attempts() const noexcept { return max_attempts_; }            ///< what was set, or the default
    const RetryPolicy& retry_on_error() const noexcept { return set().retry; }  ///< what was set, or no retry
    std::chrono::milliseconds queue_timeout() const noexcept { return time(&Rare::queue_timeout); }  ///< zero: none
    /// Zero: none.
    std::chrono::milliseconds execution_timeout() const noexcept { return time(&Rare::execution_timeout); }
    std::chrono::milliseconds deadline() const noexcept { return time(&Rare::deadline); }  ///< zero: none
    WhenUnavailable when_unavailable() const noexcept { return when_unavailable_; }   ///< what was set, or the default
    const std::vector<std::string>& labels() const noexcept { return set().labels; }  ///< sorted, each once
    const std::string& name() const noexcept { return set().name; }  ///< empty: its type's name is used

private:
    /// What few submissions set, behind a pointer: the others cost nothing to pass on.
    struct Rare {
        std::vector<std::string> labels;
        std::string name;
        RetryPolicy retry;
        std::chrono::milliseconds queue_timeout{};
        std::chrono::milliseconds execution_timeout{};
        std::chrono::milliseconds deadline{};
    };

    /// Of a u32 on the wire, too.
    static std::chrono::milliseconds positive(std::chrono::milliseconds value, const char* name) {
        if (value.count() <= 0)
            throw Error::with_text(Errc::bad_option, std::string{"SubmitOptions::"} + name + " must be positive");
        return std::min(value, std::chrono::milliseconds{0xffff'ffff});
    }

    /// Asked for each work, several times: without a look at the defaults.
    std::chrono::milliseconds time(std::chrono::milliseconds Rare::*which) const noexcept {
        return rare_ ? (*rare_).*which : std::chrono::milliseconds{};
    }

    static const Rare none;
    const Rare& set() const noexcept { return rare_ ? *rare_ : none; }
    Rare& rare() {
        rare_ = std::make_shared<Rare>(set());  // copies share what they were copied from
        return *rare_;
    }

    int priority_ = 0;
    unsigned max_attempts_ = 3;
    WhenUnavailable when_unavailable_ = WhenUnavailable::wait;
    std::shared_ptr<Rare> rare_;
};

inline const SubmitOptions::Rare SubmitOptions::none{};

}  // namespace distwork
