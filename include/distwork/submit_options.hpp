#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/amounts.hpp"
#include "base/backoff.hpp"
#include "error.hpp"

namespace distwork {

/// What happens to a submission when no connected slave can take it: none has its type, its labels and room for it.
enum class WhenUnavailable {
    wait,    ///< it waits for a slave
    refuse,  ///< it fails with Errc::no_slave at once
};

/// How often a work that threw is sent again, and after which pause: a random time from 0 to `first_pause`; this bound
/// doubles with each retry up to `longest_pause`.
///
/// *Source*: M. Brooker, "Exponential Backoff And Jitter", 2015 (full jitter).
struct RetryPolicy {
    using Milliseconds = std::chrono::milliseconds;  ///< short for the declarations below

    // A constructor is needed: g++ 12 destroys aggregates twice that are made inside an awaited call.
    /// No retry.
    RetryPolicy() = default;
    /// At most `retries`, with pauses of at most `first`, doubling up to `longest`.
    explicit RetryPolicy(unsigned retries, Milliseconds first = Milliseconds{100},
                         Milliseconds longest = Milliseconds{10'000})
        : count{retries}, first_pause{first}, longest_pause{longest} {}

    unsigned count = 0;                  ///< the number of retries; any value
    Milliseconds first_pause{100};       ///< the longest pause before the first retry; any value; below 0 is 0
    Milliseconds longest_pause{10'000};  ///< the longest pause before any retry; any value; below 0 is 0

    /// The pause before a retry; `retry` is counted from 1, `random` is any number.
    std::chrono::nanoseconds pause(unsigned retry, std::uint64_t random) const noexcept {
        const auto most = detail::backoff(first_pause, retry - 1, longest_pause).count();
        const auto nanoseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(most, 0)) * 1'000'000;
        return std::chrono::nanoseconds{static_cast<std::int64_t>(random % (nanoseconds + 1))};
    }
};

/// Options of one submission: `SubmitOptions{}.priority(3).label("gpu")`. Values out of range throw Error (bad_option).
class SubmitOptions {
public:
    /// Works of a higher priority leave the backlog first. Any int; default 0. Priorities are strict: while works of a
    /// higher priority keep the slaves busy, works of a lower priority stay in the backlog.
    SubmitOptions& priority(int value) {
        priority_ = value;
        return *this;
    }
    /// Only slaves with this label get the work. May be called several times: a slave must have all of the labels.
    SubmitOptions& label(std::string value) {
        auto& labels = rare().labels;
        const auto at = std::lower_bound(labels.begin(), labels.end(), value);
        if (at == labels.end() || *at != value) labels.insert(at, std::move(value));
        return *this;
    }
    /// Only this slave gets the work, by SocketInformation::id: if it is not connected, or leaves before the work has its
    /// outcome, the work fails with Errc::lost; if it lacks a label, with Errc::no_slave. Default 0: any slave.
    SubmitOptions& slave(std::uint64_t id) {
        rare().slave = id;
        return *this;
    }
    /// Only a slave that has so much of this free gets the work, which takes it until it returns: see SlaveOptions::amounts.
    /// Such a work waits for a free slot, too. When it has waited for a second, one slave is kept free for it: works of its
    /// priority that came later take no amounts there. From 0.0001 to 10^12. May be called for several names.
    SubmitOptions& amount(std::string name, double value) {
        const auto units = detail::amount_units(value, "SubmitOptions::amount \"" + name + '"');
        detail::set_amount(rare().amounts, std::move(name), units);
        return *this;
    }
    /// Prefers the slave that had the last work with this key, for example because it has read a file then. If that slave
    /// is busy, another one that is free gets the work, and is preferred from then on. While all are busy, a work may go
    /// before up to 1,024 older ones of its priority to the slave that it prefers. 65,536 keys are remembered.
    SubmitOptions& affinity(std::string_view key) {
        rare().affinity = std::hash<std::string_view>{}(key) | 1;
        return *this;
    }
    /// What a group with a Journal knows the work by: works of one type with the same key are one. Default: by its bytes,
    /// and by how many works with the same bytes were added before.
    SubmitOptions& key(std::string value) {
        rare().key = std::move(value);
        return *this;
    }
    /// The name in errors and log lines. Default: the name of the work's type.
    SubmitOptions& name(std::string value) {
        rare().name = std::move(value);
        return *this;
    }
    /// What happens when no connected slave can take the work. Default: it waits.
    SubmitOptions& when_unavailable(WhenUnavailable value) {
        when_unavailable_ = value;
        return *this;
    }

    /// How many attempts the work has: it is sent again when its slave is lost. Positive; default 3. With 1 it is
    /// executed at most once, always. A loss before the work began counts no attempt; this happens at most 10 times.
    SubmitOptions& max_attempts(unsigned value) {
        if (value == 0) throw Error::with_text(Errc::bad_option, "SubmitOptions::max_attempts must be positive");
        max_attempts_ = value;
        return *this;
    }
    /// Sends the work again when it throws, unless it throws a NoRetry. Default: no retries.
    SubmitOptions& retry_on_error(RetryPolicy value) {
        rare().retry = value;
        return *this;
    }
    /// Maximum time before the work is first sent; then it fails with Errc::queue_timeout. Positive, in milliseconds;
    /// more than 49 days count as 49 days. Default: unlimited.
    SubmitOptions& queue_timeout(std::chrono::milliseconds value) {
        rare().queue_timeout = positive(value, "queue_timeout");
        return *this;
    }
    /// Maximum time of each attempt, by the slave's clock; then the work fails with Errc::execution_timeout and is not
    /// sent again. The work is asked to stop, and keeps its slot until it returns. Range and default as queue_timeout.
    SubmitOptions& execution_timeout(std::chrono::milliseconds value) {
        rare().execution_timeout = positive(value, "execution_timeout");
        return *this;
    }
    /// Maximum time from the submission to the outcome, by the master's clock; then the work fails with Errc::deadline.
    /// Range and default as queue_timeout.
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
    bool has_amounts() const noexcept { return rare_ && !rare_->amounts.empty(); }    ///< whether `amount` was called
    /// Units of 1/10,000, sorted by name.
    const std::vector<std::pair<std::string, std::uint64_t>>& amounts() const noexcept { return set().amounts; }
    std::uint64_t slave() const noexcept { return rare_ ? rare_->slave : 0; }        ///< 0: any slave
    std::uint64_t affinity() const noexcept { return rare_ ? rare_->affinity : 0; }  ///< a hash of the key; 0: none
    const std::string& name() const noexcept { return set().name; }                  ///< empty: its type's name is used
    const std::string& key() const noexcept { return set().key; }                    ///< empty: its bytes are used

private:
    /// Options that few submissions set. They are behind a pointer, so that the other submissions are cheap to copy.
    struct Rare {
        std::vector<std::string> labels;
        detail::Amounts amounts;
        std::string name;
        std::string key;
        std::uint64_t slave = 0;
        std::uint64_t affinity = 0;
        RetryPolicy retry;
        std::chrono::milliseconds queue_timeout{};
        std::chrono::milliseconds execution_timeout{};
        std::chrono::milliseconds deadline{};
    };

    /// Bounds the value to what a u32 on the wire can hold.
    static std::chrono::milliseconds positive(std::chrono::milliseconds value, const char* name) {
        if (value.count() <= 0)
            throw Error::with_text(Errc::bad_option, std::string{"SubmitOptions::"} + name + " must be positive");
        return std::min(value, std::chrono::milliseconds{0xffff'ffff});
    }

    /// Called several times for each work, so it does not look at the defaults.
    std::chrono::milliseconds time(std::chrono::milliseconds Rare::*which) const noexcept {
        return rare_ ? (*rare_).*which : std::chrono::milliseconds{};
    }

    static const Rare none;
    const Rare& set() const noexcept { return rare_ ? *rare_ : none; }
    Rare& rare() {
        rare_ = std::make_shared<Rare>(set());  // copies share the options until one of them changes
        return *rare_;
    }

    int priority_ = 0;
    unsigned max_attempts_ = 3;
    WhenUnavailable when_unavailable_ = WhenUnavailable::wait;
    std::shared_ptr<Rare> rare_;
};

inline const SubmitOptions::Rare SubmitOptions::none{};

}  // namespace distwork
