#pragma once

#include <cereal/types/string.hpp>
#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <distwork/on_start.hpp>
#include <distwork/sim/simulation.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "support/probe.hpp"

// The works of a storm, what is known of each from outside of the library, and what must be true of it in the end.

namespace storm {

namespace sim = distwork::sim;
using distwork::Errc;
using sim::Duration;
using namespace std::chrono_literals;

/// What is known of a submission from outside of the library.
struct Entry {
    distwork::SubmitOptions options;
    std::size_t station = 0;  // of the master's process that it was submitted to
    bool throws = false;
    bool is_final = false;   // what it throws is not to be retried
    bool malformed = false;  // it encodes, and does not decode
    std::size_t answer_bytes = 0;
    bool is_strangers = false;  // one that is no slave of ours answered it: its outcome may be anything, once
    bool cancelled = false;
    sim::TimePoint cancelled_at{};
    sim::TimePoint submitted{};
    sim::TimePoint completed_at{};
    bool is_disturbed = false;  // its master was frozen meanwhile, or its clock jumped
    int completions = 0;
    int executions = 0;
    sim::TimePoint last_executed{};
    Errc outcome{};
    unsigned attempt = 0;    // that a RemoteError names
    std::size_t losses = 0;  // of slaves of its master, while it was under way
    std::unique_ptr<asio::cancellation_signal> cancel = std::make_unique<asio::cancellation_signal>();
};

inline std::uint64_t answer_to(std::uint64_t number) {
    return number * 0x9e3779b97f4a7c15 + 1;
}

/// What a work returns.
struct Value {
    std::uint64_t number = 0;  // strangers answer with this, and nothing behind it
    std::string padding;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number, padding);
    }
};

/// How something ended; zero: it succeeded.
inline Errc errc_of(const std::exception_ptr& error) {
    try {
        if (error) std::rethrow_exception(error);
        return Errc{};
    } catch (const distwork::Error& failed) {
        return distwork::errc_of(failed.code(), Errc::session_failed);
    } catch (...) {
        return Errc::session_failed;
    }
}

struct Ledger {
    std::vector<Entry> entries;
    std::uint64_t retries = 0;  // that may stand in the backlog beyond its bound
    std::function<sim::TimePoint()> now;
    Duration until_told{sim::Duration::max()};  // a slave that somebody cancelled: where the network has no faults
    std::string failure;                        // what a work saw
    int failing_starts = 0;
    bool has_starts = false;  // slaves prepare themselves before they get works
    static Ledger*& current() {
        static Ledger* ledger = nullptr;
        return ledger;
    }

    /// What is wrong with how a work completed; empty if nothing is.
    std::string complete(std::uint64_t number, const std::exception_ptr& error, const Value& value) {
        const std::string work = "work " + std::to_string(number);
        Entry& entry = entries[number];
        if (++entry.completions > 1) return work + " completed twice";
        entry.completed_at = now();
        entry.outcome = errc_of(error);
        try {
            if (error) std::rethrow_exception(error);
            if (value.number != answer_to(number)) return work + " has another's value";
            if (!entry.is_strangers && value.padding != std::string(entry.answer_bytes, 'v'))
                return work + " has a part of its value";
        } catch (const distwork::RemoteError& failed) {
            entry.attempt = failed.attempt();
        } catch (const distwork::Error&) {
        } catch (const std::exception& failed) {
            return std::string{"an unknown exception: "} + failed.what();
        }
        return "";
    }
};

/// What an on_start function leaves.
struct Prepared {};
inline Prepared prepare() {
    if (Ledger::current()->failing_starts > 0 && Ledger::current()->failing_starts-- % 2 == 0)
        throw std::runtime_error{"cannot be prepared"};
    return {};
}
inline bool is_prepared(const distwork::Context& peer) {
    try {
        static_cast<void>(peer.local<Prepared>());
        return true;
    } catch (const distwork::Error&) {
        return false;
    }
}

struct Final : std::runtime_error, distwork::NoRetry {
    using std::runtime_error::runtime_error;
};

class Work : public distwork::RpcWork<Value> {
public:
    Work() = default;
    Work(std::uint64_t number, std::size_t bytes) : number_{number}, payload_(bytes, static_cast<char>(number)) {}

    Value execute_work(distwork::Context& peer) override {
        Ledger& ledger = *Ledger::current();
        Entry& entry = ledger.entries.at(number_);
        ++entry.executions;
        entry.last_executed = ledger.now();
        const bool is_given_up = entry.outcome == Errc::cancelled || entry.outcome == Errc::execution_timeout;
        if (is_given_up && entry.last_executed - entry.completed_at > ledger.until_told &&
            !peer.stop_token().stop_requested())
            ledger.failure = "work " + std::to_string(number_) + " was not asked to stop";
        if (ledger.has_starts && !is_prepared(peer))
            ledger.failure = "work " + std::to_string(number_) + " was executed before its slave had started";
        if (payload_ != std::string(payload_.size(), static_cast<char>(number_))) throw std::logic_error{"other bytes"};
        if (entry.is_final) throw Final{"for good"};
        if (entry.throws) ledger.retries += entry.options.retry_on_error().count;
        if (entry.throws) throw std::runtime_error{"as planned"};
        return {answer_to(number_), std::string(entry.answer_bytes, 'v')};
    }

    template <class Archive>
    void serialize(Archive& archive) {
        archive(number_, payload_);  // strangers read the number, which comes first
        if constexpr (std::is_same_v<Archive, distwork::detail::WireInputArchive>)  // not where its shape is found out
            if (Ledger::current()->entries.at(number_).malformed) throw std::runtime_error{"malformed"};
    }

private:
    std::uint64_t number_ = 0;
    std::string payload_;
};

/// A type that most slaves lack the label for.
class Rare : public Work {
public:
    using Work::Work;
    template <class Archive>
    void serialize(Archive& archive) {
        Work::serialize(archive);
    }
};

class Part : public distwork::IWork {
public:
    void execute(distwork::Context&) override {}
    template <class Archive>
    void serialize(Archive&) {}
};

/// What a seed's works went through, as far as it matters for what may have become of them.
struct Weather {
    bool calm = false;       // the network has no faults, and slaves only leave as planned
    bool strangers = false;  // that take works, and are cut off
    bool mass_death = false;
    bool power_loss = false;  // in that: the dead are missed one after the other
    Duration most_work_time{};
    Duration most_latency{};
    std::size_t max_waiting = 0;

    bool may_lose(const Entry& entry) const {
        if (entry.losses < entry.options.max_attempts()) return false;
        if (!calm || strangers) return true;
        // Slaves that were killed together are all missed before their works go again.
        return mass_death && (power_loss || entry.options.max_attempts() == 1);
    }
};

inline bool is_allowed(const Entry& entry, const Weather& weather) {
    if (entry.outcome == Errc{} || entry.is_strangers) return true;
    const bool is_pinned = entry.options.slave() != 0;
    if (is_pinned && entry.outcome == Errc::lost) return true;  // its slave left
    if (is_pinned && entry.outcome == Errc::no_slave) return !entry.options.labels().empty();
    switch (entry.outcome) {
        case Errc::work_failed:
        case Errc::malformed: return true;
        case Errc::cancelled: return entry.cancelled;
        case Errc::queue_timeout: return entry.options.queue_timeout() != 0ms;
        case Errc::deadline: return entry.options.deadline() != 0ms;
        case Errc::execution_timeout: return entry.options.execution_timeout() != 0ms;
        case Errc::lost: return weather.may_lose(entry);
        case Errc::too_many_waiting: return weather.max_waiting < 1000;
        default: return false;
    }
}

inline std::string outcome_of(const Entry& entry) {
    return entry.outcome == Errc{} ? "it succeeded" : distwork::make_error_code(entry.outcome).message();
}

/// Which promise was broken to a work that completed; null if none was.
inline const char* broken_promise(const Entry& entry, const Weather& weather) {
    const auto& options = entry.options;
    const unsigned retries = options.retry_on_error().count;
    const auto is = [&](Errc outcome) { return entry.outcome == outcome; };
    if (entry.executions > 1 && is(Errc{})) DISTWORK_MARK(executed_twice);
    if (is(Errc::malformed)) DISTWORK_MARK(malformed);
    if (is(Errc::execution_timeout)) DISTWORK_MARK(execution_timeout);
    if (!entry.is_strangers) {
        if (is(Errc{}) && entry.executions == 0) return "succeeded without being executed";
        if (is(Errc{}) && (entry.throws || entry.is_final || entry.malformed)) return "must not succeed";
        if (is(Errc::work_failed) && !entry.throws && !entry.is_final) return "failed, and threw nothing";
        if (is(Errc::work_failed) && entry.executions < 1 + (entry.is_final ? 0 : static_cast<int>(retries)))
            return "was not retried as often as it asked";
        if (is(Errc::malformed) && !entry.malformed) return "is not malformed";
    }
    if (entry.malformed && entry.executions != 0) return "was executed, and does not decode";
    // Ten sendings may go without an attempt, and have been executed all the same.
    const unsigned most = options.max_attempts() == 1 ? 1 : options.max_attempts() + 10;
    if (static_cast<unsigned>(entry.executions) > most + retries) return "was executed too often";
    if (retries == 0 && entry.attempt > options.max_attempts()) return "took too many attempts";
    if (!is_allowed(entry, weather)) return "ended as it must not";
    if (entry.is_disturbed) return nullptr;
    // At once, by the virtual clock.
    if (entry.cancelled && is(Errc::cancelled) && entry.completed_at > entry.cancelled_at + 1ms)
        return "was cancelled late";
    if (weather.calm && entry.cancelled && is(Errc::cancelled) &&
        entry.last_executed > entry.cancelled_at + 2 * weather.most_latency + weather.most_work_time + 10ms)
        return "began after it was cancelled";
    if (options.deadline() != 0ms && entry.completed_at > entry.submitted + options.deadline() + 1ms)
        return "outlived its deadline";
    if (!entry.is_strangers && is(Errc::queue_timeout) &&
        entry.completed_at > entry.submitted + options.queue_timeout() + 1ms)
        return "waited longer than its queue_timeout";
    return nullptr;
}

}  // namespace storm

DISTWORK_REGISTER_START(storm::prepare)
DISTWORK_REGISTER_WORK(storm::Work)
DISTWORK_REGISTER_WORK(storm::Rare)
DISTWORK_REGISTER_WORK(storm::Part)
