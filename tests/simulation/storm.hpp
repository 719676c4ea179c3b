#pragma once

#include <algorithm>
#include <array>
#include <cereal/types/string.hpp>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <distwork.hpp>
#include <distwork/sim/simulation.hpp>
#include <functional>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/probe.hpp"

// One seed's run: a master, slaves that crash, freeze, drain and come back, a network that does what networks do, and
// works of all kinds; in the end everything is calm, and the promises are checked.

namespace storm {

namespace sim = distwork::sim;
using distwork::Errc;
using sim::Duration;
using namespace std::chrono_literals;

/// What is known of a submission from outside of the library.
struct Entry {
    distwork::SubmitOptions options;
    bool throws = false;
    bool is_final = false;   // what it throws is not to be retried
    bool malformed = false;  // it encodes, and does not decode
    bool cancelled = false;
    sim::TimePoint cancelled_at{};
    sim::TimePoint submitted{};
    sim::TimePoint completed_at{};
    int completions = 0;
    int executions = 0;
    sim::TimePoint last_executed{};
    Errc outcome{};
    unsigned attempt = 0;  // that a RemoteError names
    std::unique_ptr<asio::cancellation_signal> cancel = std::make_unique<asio::cancellation_signal>();
};

struct Ledger {
    std::vector<Entry> entries;
    std::uint64_t retries = 0;  // that may stand in the backlog beyond its bound
    std::function<sim::TimePoint()> now;
    static Ledger*& current() {
        static Ledger* ledger = nullptr;
        return ledger;
    }
};

struct Final : std::runtime_error, distwork::NoRetry {
    using std::runtime_error::runtime_error;
};

inline std::uint64_t answer_to(std::uint64_t number) {
    return number * 0x9e3779b97f4a7c15 + 1;
}

class Work : public distwork::RpcWork<std::uint64_t> {
public:
    Work() = default;
    Work(std::uint64_t number, std::size_t bytes) : number_{number}, payload_(bytes, static_cast<char>(number)) {}

    std::uint64_t execute_work(distwork::Context&) override {
        Entry& entry = Ledger::current()->entries.at(number_);
        ++entry.executions;
        entry.last_executed = Ledger::current()->now();
        if (payload_ != std::string(payload_.size(), static_cast<char>(number_))) throw std::logic_error{"other bytes"};
        if (entry.is_final) throw Final{"for good"};
        if (entry.throws) Ledger::current()->retries += entry.options.retry_on_error().count;
        if (entry.throws) throw std::runtime_error{"as planned"};
        return answer_to(number_);
    }

    template <class Archive>
    void serialize(Archive& archive) {
        archive(number_, payload_);
        if constexpr (Archive::is_loading::value)
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

class Storm {
    using Master = distwork::Master<distwork::RoundRobin, sim::Transport>;
    using Slave = distwork::Slave<sim::Transport>;

public:
    explicit Storm(std::uint64_t seed, std::size_t log_size = 0)
        : random_{seed * 0x2545f4914f6cdd1d + 7}, simulation_{seed, options(log_size)} {
        ledger_.now = [this] { return simulation_.now(); };
        Ledger::current() = &ledger_;
    }

    /// What is wrong; empty if the promises held.
    std::string run() {
        begin_master();
        for (std::size_t i = 0; i < slave_count_; ++i) begin_slave(i);
        plan_submissions();
        plan_faults();
        if (random_.chance(0.1)) simulation_.after(random_.between(0ms, 5s), [this] { send_stranger(); });
        simulation_.run_until([this] { return !watch(); }, storm_time);
        end_faults();
        if (!simulation_.run_until([this] { return all_done() || !watch(); }, 600s) && failure_.empty())
            fail("not everything completed: " + pending());
        if (failure_.empty() && !simulation_.run_until([this] { return all_back(); }, 120s))
            fail("not all slaves came back: " + std::to_string(master_->connected_slave_count()) + " of " +
                 std::to_string(slave_count_));
        if (failure_.empty()) simulation_.run_for(5s);  // answers of works that nobody waits for
        check();
        return failure_;
    }

    std::uint64_t trace_hash() const { return simulation_.trace_hash(); }
    std::uint64_t events() const { return simulation_.timeline().event_count(); }
    const sim::Timeline& timeline() const { return simulation_.timeline(); }

private:
    static constexpr Duration storm_time = 20s;
    static constexpr std::chrono::milliseconds heartbeat{500};
    static constexpr std::chrono::milliseconds dead_after{1500};

    sim::SimulationOptions options(std::size_t log_size) {
        sim::SimulationOptions options;
        calm_ = random_.chance(0.1);
        if (!calm_) options.network = sim::NetworkOptions::faulty(random_.next());
        options.least_work_time = random_.chance(0.3) ? Duration{} : Duration{100us};
        options.most_work_time = random_.chance(0.5) ? 5ms : random_.chance(0.5) ? 200ms : 2s;
        most_work_time_ = options.most_work_time;
        most_latency_ = options.network.most_latency;
        options.log_size = log_size;
        return options;
    }

    void fail(const std::string& text) {
        if (failure_.empty()) failure_ = text;
    }

    // The processes

    distwork::LinkOptions link() {
        distwork::LinkOptions link;
        link.heartbeat = heartbeat;
        link.dead_after = dead_after;
        link.stalled_after = 1000ms;
        link.handshake_timeout = 2000ms;
        link.max_frame_bytes = 64 * 1024;
        link.max_outbox_bytes = outbox_bytes_;
        return link;
    }

    void begin_master() {
        distwork::MasterOptions options;
        outbox_bytes_ = random_.chance(0.3) ? 4 * 1024 : 64 * 1024;
        slave_count_ = 1 + random_.below(5);
        max_backlog_ = random_.chance(0.3) ? 1 + random_.below(10) : 1000;
        max_waiting_ = random_.chance(0.5) ? random_.below(10) : 1000;
        options.waiting.max_backlog = max_backlog_;
        options.waiting.max_waiting = max_waiting_;
        options.link = link();
        options.log = [this](distwork::LogLevel, std::string_view line) { listen(line); };
        master_host_ = &simulation_.add_host("master");
        options.address = master_host_->address();
        master_ = &master_host_->make<Master>(master_host_->transport(), options);
        master_->start();
        empty_host_ = &simulation_.add_host("empty");
        port_ = master_->local_endpoint().port();
        hosts_.resize(slave_count_);
        slaves_.resize(slave_count_);
    }

    void begin_slave(std::size_t i) {
        distwork::SlaveOptions options;
        options.name = "slave" + std::to_string(i);
        options.slots = 1 + random_.below(3);
        if (i % 2 == 1 || slave_count_ == 1) options.labels = {"rare"};
        options.link = link();
        options.reconnect_at_most = 1000ms;
        if (random_.chance(0.2)) options.work_executor = distwork::WorkExecutor::in_place();
        hosts_[i] = &simulation_.add_host(options.name);
        // Some go down a list, of which the first is not there.
        std::vector<distwork::MasterAddress> masters{{master_host_->address(), port_}};
        if (random_.chance(0.2)) masters.insert(masters.begin(), {empty_host_->address(), port_});
        slaves_[i] = &hosts_[i]->make<Slave>(hosts_[i]->transport(), masters, options);
        slaves_[i]->start();
    }

    void listen(std::string_view line) {
        if (line.starts_with("Disconnected") &&
            (line.find("broke the protocol") != line.npos || line.find("announced a frame") != line.npos))
            fail("a session broke: " + std::string{line});
    }

    // Works

    void plan_submissions() {
        const std::size_t count = 20 + random_.below(60);
        ledger_.entries.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            simulation_.after(random_.between(0ms, random_.chance(0.5) ? 2s : 15s), [this] {
                if (failure_.empty()) submit();
            });
        }
        if (random_.chance(0.5))
            for (std::size_t i = 0; i < 3; ++i) simulation_.after(random_.between(1s, 15s), [this] { broadcast(); });
    }

    void submit() {
        const std::uint64_t number = ledger_.entries.size();
        Entry& entry = ledger_.entries.emplace_back();
        entry.submitted = simulation_.now();
        distwork::SubmitOptions& options = entry.options;
        if (random_.chance(0.3)) options.max_attempts(1 + static_cast<unsigned>(random_.below(3)));
        if (random_.chance(0.2)) options.priority(static_cast<int>(random_.below(3)));
        if (random_.chance(0.2)) entry.throws = true;
        if (random_.chance(0.05)) entry.is_final = true;
        if (random_.chance(0.05)) entry.malformed = true;
        if (random_.chance(0.3)) options.retry_on_error(distwork::RetryPolicy{2, 50ms, 500ms});
        if (random_.chance(0.1)) options.queue_timeout(1ms + std::chrono::milliseconds{random_.below(2000)});
        if (random_.chance(0.1)) options.execution_timeout(1ms + std::chrono::milliseconds{random_.below(1000)});
        if (random_.chance(0.1)) options.deadline(1ms + std::chrono::milliseconds{random_.below(5000)});
        const bool rare = random_.chance(0.1);
        if (rare) options.label("rare");
        else if (random_.chance(0.03)) options.label("nowhere").queue_timeout(500ms);
        const std::size_t bytes = random_.chance(0.1) ? 3000 : random_.below(100);
        auto done = [this, number](const std::exception_ptr& error, std::uint64_t value) {
            complete(number, error, value);
        };
        const auto slot = entry.cancel->slot();
        if (rare) master_->async_call(Rare{number, bytes}, options, asio::bind_cancellation_slot(slot, done));
        else master_->async_call(Work{number, bytes}, options, asio::bind_cancellation_slot(slot, done));
        check_line();
        if (random_.chance(0.25))
            simulation_.after(random_.between(0ms, random_.chance(0.5) ? 20ms : 3s),
                              [this, number] { cancel(number); });
    }

    void cancel(std::uint64_t number) {
        Entry& entry = ledger_.entries[number];
        entry.cancelled = true;
        entry.cancelled_at = simulation_.now();
        entry.cancel->emit(asio::cancellation_type::terminal);
    }

    void complete(std::uint64_t number, const std::exception_ptr& error, std::uint64_t value) {
        Entry& entry = ledger_.entries[number];
        if (++entry.completions > 1) return fail("work " + std::to_string(number) + " completed twice");
        entry.completed_at = simulation_.now();
        try {
            if (error) std::rethrow_exception(error);
            if (value != answer_to(number)) fail("work " + std::to_string(number) + " has another's value");
        } catch (const distwork::RemoteError& failed) {
            entry.outcome = Errc::work_failed;
            entry.attempt = failed.attempt();
        } catch (const distwork::Error& failed) {
            entry.outcome = distwork::errc_of(failed.code(), Errc::session_failed);
        } catch (const std::exception& failed) {
            fail(std::string{"an unknown exception: "} + failed.what());
        }
    }

    void broadcast() {
        if (!failure_.empty()) return;
        ++broadcasts_;
        master_->async_broadcast_work(
            Part{}, [this](const std::exception_ptr&, const std::vector<distwork::BroadcastOutcome<void>>& outcomes) {
                ++broadcasts_done_;
                for (const auto& outcome : outcomes) ++parts_[outcome.error ? 1 : 0];
            });
    }

    // Faults

    void plan_faults() {
        if (calm_) {
            if (random_.chance(0.5))
                simulation_.after(random_.between(1s, 10s), [this] { drain(random_.below(slave_count_)); });
            return;
        }
        const std::size_t count = random_.below(8);
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t who = random_.below(slave_count_);
            const std::uint64_t kind = random_.below(7);
            simulation_.after(random_.between(100ms, storm_time), [this, who, kind] { strike(who, kind); });
        }
    }

    void strike(std::size_t who, std::uint64_t kind) {
        sim::Host& host = *hosts_[who];
        if (!host.is_alive()) return;
        switch (kind) {
            case 0:
            case 1: {
                host.crash(kind == 0 ? sim::Crash::killed : sim::Crash::power_loss);
                simulation_.after(random_.between(1ms, 5s), [this, who] { restart(who); });
                break;
            }
            case 2: {
                host.freeze();
                simulation_.after(random_.between(10ms, 6s), [&host] { host.wake(); });
                break;
            }
            case 3: drain(who); break;
            case 4: simulation_.network().reset(*master_host_, host); break;
            case 5: {
                const bool from = random_.chance(0.5);
                if (from) simulation_.network().partition_one_way(host, *master_host_);
                else simulation_.network().partition_one_way(*master_host_, host);
                simulation_.after(random_.between(10ms, 8s),
                                  [this, &host] { simulation_.network().heal(*master_host_, host); });
                break;
            }
            default: host.jump(random_.between(1ms, 3s)); break;
        }
    }

    /// The slave leaves as planned, and another takes its place.
    void drain(std::size_t who) {
        sim::Host& host = *hosts_[who];
        if (!host.is_alive()) return;
        ++drains_;
        asio::post(host.get_executor(), [this, who, slave = slaves_[who], &host] {
            slave->async_drain([this, who, &host](const std::exception_ptr&) {
                simulation_.after(1ms, [this, who, &host] {
                    if (hosts_[who] != &host) return;
                    host.crash();
                    restart(who);
                });
            });
        });
    }

    void restart(std::size_t who) {
        if (hosts_[who]->is_alive()) return;
        DISTWORK_MARK(reconnect);
        begin_slave(who);
    }

    void end_faults() {
        simulation_.network().calm();
        for (std::size_t i = 0; i < slave_count_; ++i) {
            hosts_[i]->wake();
            restart(i);
        }
    }

    /// A peer of a later version is told so, in words that it understands.
    void send_stranger() {
        stranger_ = &simulation_.add_host("stranger");
        asio::co_spawn(
            stranger_->get_executor(), meet(stranger_->transport(), master_host_->address(), port_),
            [this](const std::exception_ptr& error, Errc reason) {
                if (error) return;  // a fault came between
                if (reason == Errc::version_mismatch) DISTWORK_MARK(refused_version);
                else fail("a peer of another version was told " + distwork::make_error_code(reason).message());
            });
    }

    static asio::awaitable<Errc> meet(sim::Transport transport, std::string address, std::uint16_t port) {
        auto socket = co_await transport.connect(transport.make_strand(), address, port);
        const auto body = distwork::encode(
            distwork::Greeting{.oldest = 900, .newest = 901, .role = distwork::Role::slave, .name = "later"});
        std::vector<std::byte> frame(distwork::frame_header_bytes + body.size());
        distwork::write_header(frame.data(),
                               {.length = static_cast<std::uint32_t>(body.size()), .kind = distwork::FrameKind::hello});
        std::memcpy(frame.data() + distwork::frame_header_bytes, body.data(), body.size());
        for (std::size_t at = 0; at != frame.size();) {
            const std::array<asio::const_buffer, 1> rest{asio::buffer(frame.data() + at, frame.size() - at)};
            at += co_await socket.async_write_some(rest, asio::use_awaitable);
        }
        distwork::FrameReader reader{64 * 1024};
        Errc reason = Errc::malformed;
        while (reason == Errc::malformed) {
            const auto space = reader.prepare();
            const std::size_t count =
                co_await socket.async_read_some(asio::buffer(space.data(), space.size()), asio::use_awaitable);
            const auto broken = reader.commit(count, [&](distwork::Frame&& came) {
                distwork::Refusal why;
                reason = came.header.kind == distwork::FrameKind::refuse && !distwork::decode(came.body, why)
                             ? why.reason
                             : Errc::protocol_violation;
                return false;
            });
            if (broken) reason = Errc::frame_too_large;
        }
        co_return reason;
    }

    // The promises

    bool all_done() const {
        if (!failure_.empty()) return true;
        const auto& all = ledger_.entries;
        return broadcasts_ == broadcasts_done_ && master_->backlog_size() == 0 &&
               std::all_of(all.begin(), all.end(), [](const Entry& entry) { return entry.completions != 0; });
    }

    bool all_back() const { return master_->connected_slave_count() == slave_count_; }

    /// After each event. False: something is wrong.
    bool watch() {
        const std::size_t backlog = master_->backlog_size();
        if (backlog > max_backlog_ && backlog > max_backlog_ + master_->statistics().requeued + ledger_.retries)
            fail("the backlog is beyond its bound");
        // What nobody can be looking at for ever: an idle slave and a work for it.
        if (calm_ && backlog != 0 && outbox_bytes_ > 32 * 1024 && ++looks_ % 8 == 0) look_at_the_idle();
        return failure_.empty();
    }

    void look_at_the_idle() {
        const auto sockets = master_->sockets();
        const auto idle = std::find_if(sockets.begin(), sockets.end(),
                                       [](const auto& socket) { return socket.in_flight == 0 && !socket.draining; });
        if (idle == sockets.end()) return;
        for (const auto& kind : master_->waiting())
            // Parts of a broadcast wait for their own slave.
            if (kind.reason == distwork::WaitReason::no_credit && kind.labels.empty() && kind.type != "storm::Part")
                fail("works wait, and " + idle->name + " is idle");
    }

    void check_line() {
        std::size_t waiting = 0;
        for (const auto& kind : master_->waiting()) waiting += kind.works;
        if (waiting - master_->backlog_size() > max_waiting_) fail("the line for the backlog is beyond its bound");
    }

    std::string pending() const {
        std::ostringstream text;
        for (std::size_t i = 0; i < ledger_.entries.size(); ++i)
            if (ledger_.entries[i].completions == 0) text << i << ' ';
        text << "of " << ledger_.entries.size() << ", backlog " << master_->backlog_size() << ", broadcasts "
             << broadcasts_done_ << " of " << broadcasts_;
        return text.str();
    }

    void check() {
        if (!failure_.empty()) return;
        const auto statistics = master_->statistics();
        if (statistics.admitted != statistics.completed())
            fail("admitted " + std::to_string(statistics.admitted) + ", completed " +
                 std::to_string(statistics.completed()));
        const std::uint64_t submitted = ledger_.entries.size() + parts_[0] + parts_[1];
        if (statistics.admitted + statistics.refused != submitted)
            fail("submitted " + std::to_string(submitted) + ", admitted " + std::to_string(statistics.admitted) +
                 ", refused " + std::to_string(statistics.refused));
        for (const auto& socket : master_->sockets())
            if (socket.in_flight != 0) fail(socket.name + " holds " + std::to_string(socket.in_flight) + " works");
        bool any_retry = false;
        for (std::size_t i = 0; i < ledger_.entries.size(); ++i) {
            check(ledger_.entries[i], std::to_string(i) + ": ");
            any_retry |= ledger_.entries[i].options.retry_on_error().count != 0;
        }
        if (calm_ && drains_ != 0 && statistics.requeued != 0) fail("a planned drain cost attempts");
        if (!any_retry && statistics.retries != 0) fail("retried unasked");
    }

    void check(const Entry& entry, const std::string& work) {
        const auto& options = entry.options;
        const unsigned retries = options.retry_on_error().count;
        const auto is = [&](Errc outcome) { return entry.outcome == outcome; };
        if (entry.executions > 1 && is(Errc{})) DISTWORK_MARK(executed_twice);
        if (is(Errc{}) && entry.executions == 0) fail(work + "succeeded without being executed");
        if (is(Errc{}) && (entry.throws || entry.is_final || entry.malformed)) fail(work + "must not succeed");
        if (is(Errc::work_failed)) {
            if (!entry.throws && !entry.is_final) fail(work + "failed, and threw nothing");
            if (entry.executions < 1 + (entry.is_final ? 0 : static_cast<int>(retries)))
                fail(work + "was not retried as often as it asked");
        }
        if (is(Errc::malformed)) DISTWORK_MARK(malformed);
        if (is(Errc::malformed) && !entry.malformed) fail(work + "is not malformed");
        if (entry.malformed && entry.executions != 0) fail(work + "was executed, and does not decode");
        if (is(Errc::execution_timeout)) DISTWORK_MARK(execution_timeout);
        // Ten sendings may go without an attempt, and have been executed all the same.
        const unsigned most = options.max_attempts() == 1 ? 1 : options.max_attempts() + 10;
        if (static_cast<unsigned>(entry.executions) > most + retries) fail(work + "was executed too often");
        if (retries == 0 && entry.attempt > options.max_attempts()) fail(work + "took too many attempts");
        if (!is_allowed(entry)) fail(work + distwork::make_error_code(entry.outcome).message());
        // At once, by the virtual clock: the master itself is never frozen.
        if (entry.cancelled && is(Errc::cancelled) && entry.completed_at > entry.cancelled_at + 1ms)
            fail(work + "was cancelled late");
        if (calm_ && is(Errc::cancelled) &&
            entry.last_executed > entry.cancelled_at + 2 * most_latency_ + most_work_time_ + 10ms)
            fail(work + "began after it was cancelled");
        if (options.deadline() != 0ms && entry.completed_at > entry.submitted + options.deadline() + 1ms)
            fail(work + "outlived its deadline");
        if (is(Errc::queue_timeout) && entry.completed_at > entry.submitted + options.queue_timeout() + 1ms)
            fail(work + "waited longer than its queue_timeout");
        if (options.queue_timeout() != 0ms && entry.executions == 0 && is(Errc{})) fail(work + "was not executed");
    }

    bool is_allowed(const Entry& entry) const {
        if (entry.outcome == Errc{}) return true;
        switch (entry.outcome) {
            case Errc::work_failed:
            case Errc::malformed: return true;
            case Errc::cancelled: return entry.cancelled;
            case Errc::queue_timeout: return entry.options.queue_timeout() != 0ms;
            case Errc::deadline: return entry.options.deadline() != 0ms;
            case Errc::execution_timeout: return entry.options.execution_timeout() != 0ms;
            case Errc::lost: return !calm_;
            case Errc::too_many_waiting: return max_waiting_ < 1000;
            default: return false;
        }
    }

    sim::Random random_;
    bool calm_ = false;
    Duration most_work_time_{};
    Duration most_latency_{};
    Ledger ledger_;
    std::string failure_;
    std::size_t outbox_bytes_ = 0;
    std::size_t slave_count_ = 0;
    std::size_t max_backlog_ = 0;
    std::size_t max_waiting_ = 0;
    std::uint16_t port_ = 0;
    int broadcasts_ = 0;
    int broadcasts_done_ = 0;
    int drains_ = 0;
    unsigned looks_ = 0;
    std::array<std::uint64_t, 2> parts_{};
    sim::Simulation simulation_;
    sim::Host* master_host_ = nullptr;
    sim::Host* empty_host_ = nullptr;  // no master is there
    sim::Host* stranger_ = nullptr;
    Master* master_ = nullptr;
    std::vector<sim::Host*> hosts_;
    std::vector<Slave*> slaves_;
};

}  // namespace storm

DISTWORK_REGISTER_WORK(storm::Work)
DISTWORK_REGISTER_WORK(storm::Rare)
DISTWORK_REGISTER_WORK(storm::Part)
