#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <distwork.hpp>
#include <distwork/sim/simulation.hpp>
#include <exception>
#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "simulation/ledger.hpp"
#include "simulation/roles.hpp"
#include "simulation/storm_groups.hpp"
#include "simulation/strange_master.hpp"
#include "simulation/strangers.hpp"
#include "simulation/tree.hpp"
#include "support/probe.hpp"

// One seed's run: a master or two, slaves that crash, freeze, drain and come back, strangers, a network that does what
// networks do, and works of all kinds; in the end everything is calm, and the promises are checked.

namespace storm {

class Storm {
    using Master = distwork::Master<distwork::RoundRobin, sim::Transport>;
    using Slave = distwork::Slave<sim::Transport>;

    /// One process of a master, and what was submitted to it.
    struct Station {
        std::size_t number = 0;
        sim::Host* host = nullptr;
        Master* master = nullptr;
        std::uint64_t submitted = 0;
        std::uint64_t completed = 0;
        std::size_t losses = 0;      // of sessions
        std::uint64_t blamed = 0;    // works that went again after them, and count an attempt more
        std::uint64_t freed = 0;     // and that do not
        std::uint64_t attempts = 0;  // before this event, if they are looked at
        std::vector<distwork::SocketInformation> sockets;  // likewise
        int trees = 0;
        int trees_done = 0;
        int broadcasts = 0;
        int broadcasts_done = 0;
        int groups = 0;
        int groups_done = 0;
        int leavers = 0;
        int leavers_gone = 0;
        std::map<Errc, std::uint64_t> parts;  // how they ended

        /// Nothing that it began is under way.
        bool is_quiet() const {
            return submitted == completed && trees == trees_done && broadcasts == broadcasts_done &&
                   groups == groups_done && leavers == leavers_gone && master->backlog_size() == 0 &&
                   !is_any_starting();
        }
        bool is_any_starting() const {
            const auto all = master->sockets();
            return std::any_of(all.begin(), all.end(), [](const auto& socket) { return socket.starting; });
        }
    };

public:
    explicit Storm(std::uint64_t seed, std::size_t log_size = 0)
        : random_{seed * 0x2545f4914f6cdd1d + 7}, simulation_{seed, options(log_size)} {
        ledger_.now = [this] { return simulation_.now(); };
        if (weather_.calm) ledger_.until_told = 2 * weather_.most_latency + 10ms;
        Ledger::current() = &ledger_;
    }

    /// What is wrong; empty if the promises held.
    std::string run() {
        begin_masters();
        for (std::size_t i = 0; i < slave_count_; ++i) begin_slave(i);
        plan_submissions();
        plan_faults();
        plan_strangers();
        simulation_.run_until([this] { return !watch(); }, storm_time);
        end_faults();
        if (second_) go_over_and_back();
        settle(second_ && first_is_gone_ ? *second_ : *first_);
        simulation_.run_until([this] { return are_strangers_gone() || !failure_.empty(); }, 150s);
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
    static constexpr std::chrono::milliseconds handshake_timeout{2000};

    sim::SimulationOptions options(std::size_t log_size) {
        sim::SimulationOptions options;
        weather_.calm = random_.chance(0.1);
        is_paused_ = !weather_.calm && random_.chance(0.05);
        if (!weather_.calm && !is_paused_) options.network = sim::NetworkOptions::faulty(random_.next());
        options.least_work_time = random_.chance(0.3) ? Duration{} : Duration{100us};
        options.most_work_time = random_.chance(0.5) ? 5ms : random_.chance(0.5) ? 200ms : 2s;
        weather_.most_work_time = options.most_work_time;
        weather_.most_latency = options.network.most_latency;
        has_trees_ = random_.chance(0.25);
        is_mixed_ = random_.chance(0.3);
        if (is_mixed_) weather_.most_work_time = 2s;
        is_large_ = random_.chance(0.03);
        is_close_ = random_.chance(0.1);
        has_groups_ = random_.chance(0.25);
        has_favourites_ = random_.chance(0.15);
        lets_go_ = random_.chance(0.2);
        ledger_.has_starts = random_.chance(0.15);
        if (ledger_.has_starts && random_.chance(0.3)) ledger_.failing_starts = 4;
        newest_credentials_ = random_.chance(0.15) ? 1 : 0;
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
        link.handshake_timeout = handshake_timeout;
        link.max_frame_bytes = 64 * 1024;
        link.max_outbox_bytes = outbox_bytes_;
        link.max_log_lines = 0;  // what they tell is counted
        return link;
    }

    void begin_masters() {
        outbox_bytes_ = random_.chance(0.3) ? 4 * 1024 : 64 * 1024;
        slave_count_ = is_large_ ? 6 + random_.below(7) : 1 + random_.below(5);
        max_backlog_ = random_.chance(0.3) ? 1 + random_.below(10) : 1000;
        max_waiting_ = weather_.max_waiting = random_.chance(0.5) ? random_.below(10) : 1000;
        first_ = &begin_master("master");
        port_ = first_->master->local_endpoint().port();
        empty_host_ = &simulation_.add_host("empty");
        if (!weather_.calm && !is_paused_ && random_.chance(0.25)) second_ = &begin_master("second");
        hosts_.resize(slave_count_);
        slaves_.resize(slave_count_);
        searches_.resize(slave_count_);
        for (std::size_t i = 0; i < slave_count_; ++i) slots_.push_back(1 + random_.below(3));
        credentials_.assign(slave_count_, newest_credentials_);
    }

    /// Where the one before it was, if there was one.
    Station& begin_master(const std::string& name) {
        Station& station = stations_.emplace_back();
        distwork::MasterOptions options;
        options.waiting.max_backlog = max_backlog_;
        options.waiting.max_waiting = max_waiting_;
        options.link = link();
        options.log = [this, &station](distwork::LogLevel, std::string_view line) { listen(station, line); };
        station.number = stations_.size() - 1;
        station.host = &simulation_.add_host(name);
        station.host->credentials(newest_credentials_);
        options.address = station.host->address();
        options.port = port_;
        station.master = &station.host->make<Master>(station.host->transport(), options);
        station.master->accept_submission<Tree>();
        if (ledger_.has_starts) distwork::on_start<prepare>(*station.master);
        station.master->start();
        return station;
    }

    void begin_slave(std::size_t i) {
        distwork::SlaveOptions options;
        options.name = "slave" + std::to_string(i);
        options.slots = slots_[i];
        if (i % 2 == 1 || slave_count_ == 1) options.labels = {"rare"};
        options.link = link();
        options.amounts = {{"gpu", 1.0 + static_cast<double>(random_.below(2))}};
        options.reconnect_at_most = 1000ms;
        if (random_.chance(0.2)) options.work_executor = distwork::WorkExecutor::in_place();
        hosts_[i] = &simulation_.add_host(options.name);
        hosts_[i]->credentials(credentials_[i]);
        // Long works among short ones: nobody knows beforehand which they are.
        const bool is_mixed = is_mixed_;
        const auto [least, most] =
            std::pair{simulation_.options().least_work_time, simulation_.options().most_work_time};
        hosts_[i]->work_time([is_mixed, least, most](std::string_view type, sim::Random& random) {
            // The elements of a map are short, but for some.
            if (type == "storm::member_of_map")
                return random.chance(0.005) ? random.between(5ms, 500ms) : random.between(0us, 100us);
            if (!is_mixed) return random.between(least, most);
            return random.chance(0.02) ? random.between(20ms, 2s) : random.between(50us, 200us);
        });
        std::vector<distwork::MasterAddress> masters{{first_->host->address(), port_}};
        if (second_) masters.push_back({second_->host->address(), port_});
        // Some go down a list, of which the first is not there, or none of ours.
        if (random_.chance(0.2)) masters.insert(masters.begin(), {empty_host_->address(), port_});
        options.log = [this, i, named = "Slave " + options.name + ": "](distwork::LogLevel, std::string_view line) {
            listen(i, line.substr(named.size()));
        };
        searches_[i] = {};
        slaves_[i] = &hosts_[i]->make<Slave>(hosts_[i]->transport(), masters, options);
        slaves_[i]->start();
    }

    /// To a master.
    void listen(Station& station, std::string_view line) {
        if (!line.starts_with("Disconnected")) return;
        listen_for_misjudgements(line);
        ++station.losses;
        check_blame(station, line);
        for (Stranger& stranger : strangers_)
            if (line.find(stranger.host->address() + ':') != line.npos) return void(stranger.logged = line);
        listen_for_breaks(line);
    }

    /// Of what a lost slave had, only as many works as it has slots can have begun.
    void check_blame(Station& station, std::string_view line) {
        if (!station.host->is_alive() || has_trees_) return;  // works that are suspended have begun, too
        std::size_t slots = 1;                                // a stranger's
        for (std::size_t i = 0; i < slave_count_; ++i)
            if (line.find(hosts_[i]->address() + ':') != line.npos) slots = slots_[i];
        for (const Stranger& stranger : strangers_)  // this one says that its works are suspended
            if (stranger.manner == Stranger::returns_unasked && line.find(stranger.host->address() + ':') != line.npos)
                slots = std::numeric_limits<std::uint32_t>::max();
        const auto counted = station.master->statistics();
        const std::uint64_t blamed = counted.requeued - counted.freed;
        if (blamed > std::exchange(station.blamed, blamed) + slots)
            fail("works that had not begun count an attempt: " + std::string{line});
        const std::uint64_t freed = counted.freed - std::exchange(station.freed, counted.freed);
        if (counted.attempts != station.attempts) return;  // it was sent more since it was looked at
        for (const auto& socket : station.sockets) {
            std::size_t begun = 0;  // fewer than slots where works of an earlier session occupy some
            for (const auto& [type, count] : socket.running) begun += count;
            if (line.find(distwork::detail::to_string(socket.endpoint) + "):") != line.npos &&
                freed > socket.in_flight - begun)
                fail("works that had begun count no attempt: " + std::string{line});
        }
    }

    /// To a slave.
    void listen(std::size_t i, std::string_view line) {
        listen_for_knocks(searches_[i], hosts_[i]->now(), line);
        if (line.find(distwork::make_error_code(Errc::not_authenticated).message()) != line.npos)
            DISTWORK_MARK(unproven_slave);
        if (line.starts_with("Disconnected")) listen_for_misjudgements(line);
        if (line.starts_with("Disconnected") && line.find(empty_host_->address() + ':') == line.npos)
            listen_for_breaks(line);
        if (!has_strange_master_ || !line.starts_with("No connection to " + empty_host_->address() + ':')) return;
        const bool is_proven = newest_credentials_ == 0;
        const std::string reason =
            distwork::make_error_code(is_proven ? strange_master_.reason() : Errc::not_authenticated).message();
        if (line.find(reason) != line.npos) DISTWORK_MARK(strange_master);
        else if (weather_.calm) fail("of a strange master it was said: " + std::string{line});
    }

    /// What a slave did last with its list of masters.
    struct Search {
        bool is_connected = false;
        sim::TimePoint pauses_until{};
    };

    /// Who lost a master that it was connected with, and understood, pauses before it asks anybody.
    void listen_for_knocks(Search& search, sim::TimePoint now, std::string_view line) {
        const bool connects = line.starts_with("Connected");
        if ((connects || line.starts_with("No connection to ")) && now < search.pauses_until)
            fail("a slave knocks at once: " + std::string{line});
        // Nor with whom it could not start, as the next line says.
        const bool is_understood = line.find("broke the protocol") == line.npos && line.find("on_start") == line.npos;
        if (search.is_connected && is_understood && line.starts_with("Disconnected")) search.pauses_until = now + 50ms;
        search.is_connected = connects;
    }

    /// Where all that goes wrong is that everybody stops and goes on together, nobody is gone.
    void listen_for_misjudgements(std::string_view line) {
        for (const Errc judged : {Errc::peer_silent, Errc::peer_stalled})
            if (is_paused_ && line.find(distwork::make_error_code(judged).message()) != line.npos)
                fail("frozen together: " + std::string{line});
    }

    void listen_for_breaks(std::string_view line) {
        if (line.find("broke the protocol") != line.npos || line.find("announced a frame") != line.npos)
            fail("a session broke: " + std::string{line});
    }

    // Works

    void plan_submissions() {
        const std::size_t count = is_large_ ? 100 + random_.below(201) : 20 + random_.below(60);
        ledger_.entries.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            simulation_.after(random_.between(0ms, random_.chance(0.5) ? 2s : 15s), [this] {
                if (failure_.empty()) submit(any_master());
            });
        }
        if (random_.chance(0.5))
            for (std::size_t i = 0; i < 3; ++i)
                simulation_.after(random_.between(1s, 15s), [this] { broadcast(any_master()); });
        if (has_trees_)
            for (std::uint64_t i = 0; i <= random_.below(3); ++i)
                simulation_.after(random_.between(0ms, 15s), [this] { grow_tree(any_master()); });
        if (has_groups_)
            for (std::uint64_t i = 0; i <= random_.below(3); ++i)
                simulation_.after(random_.between(0ms, 15s), [this] { begin_group(any_master()); });
    }

    /// A work that has others distributed, which have others distributed, …
    void grow_tree(Station& station) {
        if (!failure_.empty() || !station.host->is_alive() || station.host->is_frozen()) return;
        DISTWORK_MARK(tree);
        ++station.trees;
        const auto depth = static_cast<std::uint32_t>(1 + random_.below(5));
        auto options = distwork::SubmitOptions{}.max_attempts(1 + static_cast<unsigned>(random_.below(3)));
        if (random_.chance(0.2)) options.deadline(1ms + std::chrono::milliseconds{random_.below(3000)});
        if (random_.chance(0.2)) options.priority(1);
        auto cancel = std::make_shared<asio::cancellation_signal>();
        auto done = [this, &station, depth, cancel, completions = 0](const std::exception_ptr& error,
                                                                     std::uint64_t leaves) mutable {
            if (++completions > 1) fail("a tree completed twice");
            ++station.trees_done;
            if (!error && leaves != Tree::leaves(depth)) fail("a tree has another's leaves");
        };
        station.master->async_call(Tree{depth, random_.chance(0.5), random_.chance(0.2)}, options,
                                   asio::bind_cancellation_slot(cancel->slot(), std::move(done)));
        if (random_.chance(0.2))
            simulation_.after(random_.between(0ms, 1s), [cancel, &station] {
                if (station.host->is_alive() && !station.host->is_frozen())
                    cancel->emit(asio::cancellation_type::terminal);
            });
    }

    void begin_group(Station& station) {
        if (!failure_.empty() || !station.host->is_alive() || station.host->is_frozen()) return;
        ++station.groups;
        auto& group = groups_.emplace_back(
            simulation_, random_.next(), *station.host, *station.master, [&station] { ++station.groups_done; },
            [this](const std::string& text) { fail(text); });
        group.begin();
    }

    Station& any_master() {
        const bool second = second_ && (random_.chance(0.5) || !first_->host->is_alive());
        return second ? *second_ : *first_;
    }

    void submit(Station& station) {
        if (station.host->is_frozen()) return;
        const std::uint64_t number = ledger_.entries.size();
        Entry& entry = ledger_.entries.emplace_back();
        entry.station = station.number;
        ++station.submitted;
        entry.submitted = simulation_.now();
        entry.losses = station.losses;
        distwork::SubmitOptions& options = entry.options;
        if (random_.chance(0.4)) options.max_attempts(1 + static_cast<unsigned>(random_.below(3)));
        if (random_.chance(0.2)) options.priority(static_cast<int>(random_.below(3)));
        if (random_.chance(0.2)) entry.throws = true;
        if (random_.chance(0.05)) entry.is_final = true;
        if (random_.chance(0.05)) entry.malformed = true;
        if (random_.chance(0.3)) options.retry_on_error(distwork::RetryPolicy{2, 50ms, 500ms});
        if (random_.chance(0.1)) options.queue_timeout(1ms + std::chrono::milliseconds{random_.below(2000)});
        if (random_.chance(0.1)) options.execution_timeout(1ms + std::chrono::milliseconds{random_.below(1000)});
        if (random_.chance(0.1)) options.deadline(1ms + std::chrono::milliseconds{random_.below(5000)});
        const bool rare = random_.chance(0.1);
        if (random_.chance(0.15)) options.amount("gpu", random_.chance(0.3) ? 1 : 0.25);
        if (random_.chance(0.15)) options.affinity(std::to_string(random_.below(8)));
        if (rare) options.label("rare");
        else if (random_.chance(0.03)) options.label("nowhere").queue_timeout(500ms);
        if (has_favourites_ && random_.chance(0.4))
            if (const auto chosen = any_slave(station)) options.slave(chosen);
        const std::size_t bytes = random_.chance(0.1) ? 3000 : random_.below(100);
        if (random_.chance(0.1)) entry.answer_bytes = 3000;
        auto done = [this, number](const std::exception_ptr& error, const Value& value) {
            complete(number, error, value);
        };
        const auto slot = entry.cancel->slot();
        Master& master = *station.master;
        if (rare) master.async_call(Rare{number, bytes}, options, asio::bind_cancellation_slot(slot, done));
        else master.async_call(Work{number, bytes}, options, asio::bind_cancellation_slot(slot, done));
        check_line(master);
        if (random_.chance(0.25))
            simulation_.after(random_.between(0ms, random_.chance(0.5) ? 20ms : 3s),
                              [this, number] { cancel(number); });
    }

    void cancel(std::uint64_t number) {
        Entry& entry = ledger_.entries[number];
        const sim::Host& host = *stations_[entry.station].host;
        if (!host.is_alive() || host.is_frozen()) return;
        entry.cancelled = true;
        entry.cancelled_at = simulation_.now();
        entry.cancel->emit(asio::cancellation_type::terminal);
    }

    void complete(std::uint64_t number, const std::exception_ptr& error, const Value& value) {
        const std::string wrong = ledger_.complete(number, error, value);
        if (!wrong.empty()) fail(wrong);
        Entry& entry = ledger_.entries[number];
        Station& station = stations_[entry.station];
        if (!station.host->is_alive()) fail("work " + std::to_string(number) + " completed on a dead master");
        entry.losses = station.losses - entry.losses;
        ++station.completed;
    }

    void broadcast(Station& station) {
        if (!failure_.empty() || !station.host->is_alive() || station.host->is_frozen()) return;
        ++station.broadcasts;
        station.master->async_broadcast_work(
            Part{}, [&station](const std::exception_ptr&, const std::vector<distwork::Outcome<void>>& outcomes) {
                ++station.broadcasts_done;
                for (const auto& outcome : outcomes) ++station.parts[errc_of(outcome.error)];
            });
    }

    // Faults

    void plan_faults() {
        if (is_paused_) {
            for (Duration at = 0s; at < storm_time; at += 8s)
                simulation_.after(at + random_.between(100ms, 2s), [this] { freeze_all(random_.between(100ms, 5s)); });
            return;
        }
        if (is_large_ && random_.chance(0.7)) simulation_.after(random_.between(1s, 10s), [this] { kill_most(); });
        if (is_mixed_)
            for (int i = 0; i < 3; ++i) simulation_.after(random_.between(1s, 15s), [this] { rush(120); });
        if (lets_go_)
            for (int i = 0; i < 3; ++i) simulation_.after(random_.between(1s, 15s), [this] { let_go(any_master()); });
        if (newest_credentials_ != 0)
            for (int i = 0; i < 3; ++i) simulation_.after(random_.between(1s, 15s), [this] { renew_credentials(); });
        if (weather_.calm) {
            if (random_.chance(0.5))
                simulation_.after(random_.between(1s, 10s), [this] { drain(random_.below(slave_count_)); });
            return;
        }
        const std::size_t count = random_.below(8);
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t who = random_.below(slave_count_);
            const std::uint64_t kind = random_.below(11);
            simulation_.after(random_.between(100ms, storm_time), [this, who, kind] { strike(who, kind); });
        }
        if (random_.chance(0.3))
            simulation_.after(random_.between(1s, 12s), [this] {
                rush(40);
                simulation_.after(random_.between(0ms, 100ms),
                                  [this] { strike(random_.below(slave_count_), random_.below(2)); });
            });
        if (!second_) return;
        first_is_gone_ = random_.chance(0.3);
        simulation_.after(random_.between(1s, 12s), [this] { strike_the_first(); });
    }

    /// The masters have new credentials at once, and each slave some time later. Sessions that are open stay so.
    void renew_credentials() {
        if (is_over_) return;
        ++newest_credentials_;
        for (const Station& station : stations_) station.host->credentials(newest_credentials_);
        for (std::size_t i = 0; i < slave_count_; ++i)
            simulation_.after(random_.between(0ms, 3s), [this, i] { know_credentials(i); });
    }

    void know_credentials(std::size_t i) {
        credentials_[i] = newest_credentials_;
        hosts_[i]->credentials(newest_credentials_);
    }

    /// Many works at once, so that slaves hold more than they execute.
    void rush(int works) {
        for (int i = 0; i < works; ++i)
            if (failure_.empty()) submit(any_master());
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
            case 4: simulation_.network().reset(*any_master().host, host); break;
            case 5: {
                sim::Host& master = *any_master().host;
                const bool from = random_.chance(0.5);
                if (from) simulation_.network().partition_one_way(host, master);
                else simulation_.network().partition_one_way(master, host);
                simulation_.after(random_.between(10ms, 8s), [this, &host, &master] {
                    if (!is_over_) simulation_.network().heal(master, host);
                });
                break;
            }
            case 6: swizzle(); break;
            case 7: host.jump(random_.between(1ms, 3s)); break;
            case 10: freeze_all(random_.between(10ms, 5s)); break;
            default: disturb(any_master(), kind == 8); break;
        }
    }

    /// Everybody stops, and goes on after that time, but for what it takes to wake them one after the other.
    void freeze_all(Duration time) {
        DISTWORK_MARK(froze_together);
        std::vector<sim::Host*> all = hosts_;
        for (const Station& station : stations_) all.push_back(station.host);
        for (Entry& entry : ledger_.entries)
            if (entry.completions == 0) entry.is_disturbed = true;
        for (sim::Host* const host : all) {
            if (!host->is_alive()) continue;
            host->freeze();
            simulation_.after(time + random_.between(0ms, 10ms), [host] { host->wake(); });
        }
    }

    /// A master is frozen for a while, or its clock jumps.
    void disturb(Station& station, bool is_frozen) {
        sim::Host& host = *station.host;
        if (!host.is_alive()) return;
        for (Entry& entry : ledger_.entries)
            if (entry.station == station.number && entry.completions == 0) entry.is_disturbed = true;
        if (!is_frozen) return host.jump(random_.between(1ms, 3s));
        DISTWORK_MARK(frozen_master);
        host.freeze();
        simulation_.after(random_.between(10ms, 4s), [&host] { host.wake(); });
    }

    /// The links stop one after the other, and go on in another order.
    void swizzle() {
        const sim::Host& master = *any_master().host;
        for (const sim::Host* const host : hosts_) {
            if (random_.chance(0.3)) continue;
            simulation_.after(random_.between(0ms, 1s), [this, host, &master] {
                if (is_over_) return;
                const Duration time = random_.between(100ms, 4s);
                simulation_.network().clog(*host, master, time);
                simulation_.network().clog(master, *host, time);
            });
        }
    }

    /// The id of one that is connected, and no stranger; 0 if there is none.
    std::uint64_t any_slave(const Station& station) {
        auto sockets = station.master->sockets();
        std::erase_if(sockets, [](const auto& socket) { return !socket.name.starts_with("slave"); });
        return sockets.empty() ? 0 : sockets[random_.below(sockets.size())].id;
    }

    /// The master lets a slave go, or, in bad weather, disconnects it. It comes back.
    void let_go(Station& station) {
        if (!station.host->is_alive() || station.host->is_frozen()) return;
        const auto id = any_slave(station);
        if (id == 0) return;
        if (!weather_.calm && random_.chance(0.3)) return static_cast<void>(station.master->disconnect(id));
        ++drains_;
        ++station.leavers;
        station.master->async_drain(id, [&station](const std::exception_ptr&) { ++station.leavers_gone; });
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

    /// All slaves but one or two end in the same instant.
    void kill_most() {
        DISTWORK_MARK(mass_death);
        weather_.mass_death = true;
        weather_.power_loss = random_.chance(0.5);
        const std::size_t spared = random_.below(slave_count_);
        const std::size_t spared_too = random_.below(slave_count_);
        for (std::size_t i = 0; i < slave_count_; ++i) {
            if (i == spared || i == spared_too || !hosts_[i]->is_alive()) continue;
            hosts_[i]->crash(weather_.power_loss ? sim::Crash::power_loss : sim::Crash::killed);
            simulation_.after(random_.between(1ms, 5s), [this, i] { restart(i); });
        }
    }

    // The first of two masters

    /// It crashes, or no slave reaches it any more: for a while, or for good.
    void strike_the_first() {
        if (!first_->host->is_alive()) return;
        if (random_.chance(0.6)) first_->host->crash(any_crash());
        else part_the_first();
        if (!first_is_gone_) simulation_.after(random_.between(500ms, 6s), [this] { bring_back_the_first(); });
    }

    sim::Crash any_crash() { return random_.chance(0.5) ? sim::Crash::killed : sim::Crash::power_loss; }

    void part_the_first() {
        for (const sim::Host* const host : hosts_) simulation_.network().partition(*first_->host, *host);
    }

    void bring_back_the_first() {
        if (!first_->host->is_alive()) first_ = &begin_master("master");
        else
            for (const sim::Host* const host : hosts_) simulation_.network().heal(*first_->host, *host);
    }

    /// All slaves go over to the second, which completes all that it has; then that one is gone for good, and they find
    /// the first again.
    void go_over_and_back() {
        part_the_first();
        settle(*second_);
        if (!failure_.empty()) return;
        DISTWORK_MARK(went_over);
        if (first_is_gone_) return;
        check(*second_);
        second_->host->crash(any_crash());
        bring_back_the_first();
        DISTWORK_MARK(came_back);
    }

    void end_faults() {
        is_over_ = true;
        simulation_.network().calm();
        for (const Station& station : stations_) station.host->wake();
        for (std::size_t i = 0; i < slave_count_; ++i) {
            hosts_[i]->wake();
            know_credentials(i);
            restart(i);
        }
    }

    // Strangers

    void plan_strangers() {
        if (ledger_.has_starts) return;  // they cannot be prepared
        if (is_paused_) return;
        if (random_.chance(0.3)) {
            has_strange_master_ = true;
            strange_master_.manner = static_cast<StrangeMaster::Manner>(random_.below(StrangeMaster::manners));
            asio::co_spawn(empty_host_->get_executor(), meet_all(strange_master_, *empty_host_, port_),
                           [](const std::exception_ptr&) {});
        }
        if (!random_.chance(0.25)) return;
        const std::size_t count = 1 + random_.below(3);
        for (std::size_t i = 0; i < count; ++i) {
            Stranger& stranger = strangers_.emplace_back();
            stranger.manner = static_cast<Stranger::Manner>(random_.below(Stranger::manners));
            stranger.variant = random_.next() >> 1;
            stranger.host = &simulation_.add_host("stranger" + std::to_string(i));
            stranger.is_unproven = newest_credentials_ != 0 && random_.chance(0.5);
            weather_.strangers |= stranger.joins() && !stranger.is_unproven;
            anyone_never_reads_ |= stranger.manner == Stranger::never_reads;
            simulation_.after(random_.between(0ms, 5s), [this, &stranger] { send(stranger); });
        }
    }

    void send(Stranger& stranger) {
        stranger.begun = simulation_.now();
        if (!stranger.is_unproven) stranger.host->credentials(newest_credentials_);
        asio::co_spawn(stranger.host->get_executor(), visit(stranger, first_->host->address(), port_),
                       [this, &stranger](const std::exception_ptr&) {
                           stranger.is_over = true;
                           stranger.ended = simulation_.now();
                       });
        const Duration patience = stranger.stays() ? random_.between(500ms, 5s) : storm_time;
        simulation_.after(patience - 20ms, [&stranger] { stranger.surely_heard = stranger.unwanted; });
        simulation_.after(patience, [this, &stranger] { cut(stranger); });
    }

    void cut(const Stranger& stranger) {
        if (stranger.is_over) return;
        for (const Station& station : stations_) simulation_.network().reset(*stranger.host, *station.host);
        simulation_.after(5s, [this, &stranger] { cut(stranger); });  // it may still be on its way there
    }

    bool are_strangers_gone() const {
        return std::all_of(strangers_.begin(), strangers_.end(),
                           [](const Stranger& stranger) { return stranger.is_over; });
    }

    /// Both ends know why it went; where faults may have come between, neither was told anything else.
    void check(const Stranger& stranger) {
        const auto message = [](Errc error) { return distwork::make_error_code(error).message(); };
        const std::string who = "stranger " + std::to_string(stranger.manner) + ' ';
        if (!stranger.is_over) return fail(who + "hangs");
        if (stranger.is_unproven) {
            const bool was_heard = stranger.is_welcome || stranger.told != Errc::connection_closed;
            if (was_heard) fail(who + "was heard without credentials");
            DISTWORK_MARK(unproven_stranger);
            return;
        }
        if (stranger.manner == Stranger::breaks_an_answer && stranger.last_id == 0) return;  // it was given no work
        const bool is_told = stranger.told == stranger.farewell();
        if (!is_told && (weather_.calm || stranger.told != Errc::connection_closed))
            fail(who + "was told: " + message(stranger.told));
        if (is_told && stranger.told == Errc::version_mismatch) DISTWORK_MARK(refused_version);
        if (!weather_.calm || stranger.stays()) return;
        if (stranger.logged.find(message(stranger.reason())) == std::string::npos)
            fail(who + "ended so: " + stranger.logged);
        if (!stranger.is_hostile() && stranger.ended > stranger.begun + handshake_timeout + dead_after)
            fail(who + "stayed for too long");
        if (stranger.leaves_at_once() && !stranger.is_welcome) fail(who + "was not welcome");
    }

    // The promises

    /// Until a master is done, with all slaves; and a while more for answers of works that nobody waits for.
    void settle(Station& station) {
        if (failure_.empty() && !simulation_.run_until([&] { return station.is_quiet() || !watch(); }, 1800s))
            fail("not everything completed: " + pending(station));
        const auto all_back = [&] { return station.master->connected_slave_count() == slave_count_; };
        if (failure_.empty() && !simulation_.run_until(all_back, 120s))
            fail("not all slaves came back: " + std::to_string(station.master->connected_slave_count()) + " of " +
                 std::to_string(slave_count_));
        if (failure_.empty()) simulation_.run_for(5s);
    }

    /// After each event. False: something is wrong.
    bool watch() {
        watch(*first_);
        if (second_) watch(*second_);
        return failure_.empty();
    }

    void watch(Station& station) {
        Master& master = *station.master;
        if (!ledger_.failure.empty()) fail(ledger_.failure);
        if (is_close_) look_closely(station);
        const std::size_t backlog = master.backlog_size();
        if (backlog > max_backlog_) {
            // What was admitted before may come back all the same.
            const auto counted = master.statistics();
            if (backlog > max_backlog_ + counted.requeued + counted.recalled +
                              std::max(ledger_.retries, counted.retries) + (ledger_.has_starts ? slave_count_ : 0))
                fail("the backlog is beyond its bound");
        }
        // What nobody can be looking at for ever: an idle slave and a work for it. One whose outbox is full takes none.
        const bool may_be_full = outbox_bytes_ <= 32 * 1024 || anyone_never_reads_;
        if (weather_.calm && backlog != 0 && !may_be_full && ++looks_ % 8 == 0) look_at_the_idle(master);
        if (weather_.calm && is_mixed_ && !may_be_full && ++looks_ % 4 == 0) look_for_the_parked(station);
    }

    /// What must not be for long: a work that waits at its slave beside another's free slot.
    void look_for_the_parked(Station& station) {
        const auto sockets = station.master->sockets();
        const auto is_free = [](const distwork::SocketInformation& socket) {
            return socket.free_slots != 0 && !socket.draining && !socket.suspected && !socket.starting;
        };
        const auto has_waiting = [](const auto& socket) { return socket.in_flight > socket.slots - socket.free_slots; };
        const auto is_parked = [&](const distwork::SocketInformation& socket) {
            return has_waiting(socket) && std::any_of(sockets.begin(), sockets.end(), [&](const auto& other) {
                       return is_free(other) && other.labels.size() >= socket.labels.size();
                   });
        };
        // Parts of a broadcast wait for their own slave, strangers and the dead return nothing, and works that are
        // suspended wait for no slot.
        const bool any = station.broadcasts == station.broadcasts_done && !weather_.strangers && !weather_.mass_death &&
                         !has_trees_ && !has_favourites_ && std::any_of(sockets.begin(), sockets.end(), is_parked);
        if (!any) return parked_since_.reset();
        if (!parked_since_) parked_since_ = simulation_.now();
        DISTWORK_MARK(parked);
        if (simulation_.now() - *parked_since_ > 50ms)
            fail("works wait at a slave, and another has a free slot" + state_of(*station.master));
    }

    void look_closely(Station& station) {
        station.sockets = station.master->sockets();
        station.attempts = station.master->statistics().attempts;
        for (const auto& socket : station.sockets)
            if (socket.state.running > socket.slots) fail(socket.name + " executes more works than it has slots");
    }

    void look_at_the_idle(Master& master) {
        const auto sockets = master.sockets();
        const auto idle = std::find_if(sockets.begin(), sockets.end(), [](const auto& socket) {
            return socket.in_flight == 0 && !socket.draining && !socket.suspected && !socket.starting &&
                   !socket.amounts.empty();  // a stranger offers none
        });
        if (idle == sockets.end() || has_favourites_) return;
        for (const auto& kind : master.waiting())
            // Parts of a broadcast wait for their own slave, and strangers know no other type.
            if (kind.reason == distwork::WaitReason::no_credit && kind.labels.empty() && kind.type == "storm::Work")
                fail("works wait, and " + idle->name + " is idle");
    }

    void check_line(const Master& master) {
        std::size_t waiting = 0;
        for (const auto& kind : master.waiting()) {
            if (kind.reason == distwork::WaitReason::declined) fail("it is said that round robin declined a work");
            if (kind.reason != distwork::WaitReason::pause) waiting += kind.works;
        }
        if (waiting - master.backlog_size() > max_waiting_) fail("the line for the backlog is beyond its bound");
    }

    static std::string state_of(const Master& master) {
        std::ostringstream text;
        for (const auto& socket : master.sockets()) {
            text << "; " << socket.name << " holds " << socket.in_flight << ", of " << socket.slots << " slots "
                 << socket.free_slots << " are free, runs " << socket.state.running << ", queued "
                 << socket.state.queued << ", labels " << socket.labels.size();
            for (const auto& [type, count] : socket.running) text << ", " << count << ' ' << type->name;
        }
        for (const auto& kind : master.waiting()) text << "; " << kind.works << ' ' << kind.type << " wait";
        return text.str();
    }

    std::string pending(const Station& station) const {
        std::ostringstream text;
        for (std::size_t i = 0; i < ledger_.entries.size(); ++i)
            if (ledger_.entries[i].station == station.number && ledger_.entries[i].completions == 0) text << i << ' ';
        text << "of " << ledger_.entries.size() << ", trees " << station.trees_done << " of " << station.trees
             << ", backlog " << station.master->backlog_size() << ", broadcasts " << station.broadcasts_done << " of "
             << station.broadcasts << ", groups " << station.groups_done << " of " << station.groups;
        for (const GroupRun& group : groups_) text << ", " << group.state();
        for (const auto& waiting : station.master->waiting())
            text << "; " << waiting.works << " of " << waiting.type << ": " << to_string(waiting.reason);
        for (const auto& socket : station.master->sockets())
            text << "; " << socket.name << " has " << socket.in_flight << " and " << socket.free_slots << " free of "
                 << socket.slots << " slots" << (socket.draining ? ", drains" : "")
                 << (socket.suspected ? ", is suspected" : "") << (socket.starting ? ", starts" : "");
        return text.str();
    }

    void check() {
        if (!failure_.empty()) return;
        if (second_ && first_is_gone_) check(*second_);
        else check(*first_);
        for (const Stranger& stranger : strangers_) check(stranger);
        const bool is_heard = newest_credentials_ == 0;  // strange masters have none
        if (weather_.calm && is_heard && !strange_master_.is_understood)
            fail("a strange master was not told what it did");
        for (std::size_t i = 0; i < ledger_.entries.size(); ++i) {
            const Entry& entry = ledger_.entries[i];
            if (entry.completions == 0) continue;  // its master is no more
            const char* const broken = broken_promise(entry, weather_);
            if (broken) fail(std::to_string(i) + ": " + broken + " (" + outcome_of(entry) + ')');
        }
    }

    /// What was counted of each kind is what completed so; returns the number of parts of broadcasts.
    std::uint64_t check_outcomes(const Station& station, const distwork::Statistics& counted) {
        std::map<Errc, std::uint64_t> works;
        std::map<Errc, std::uint64_t> parts = station.parts;
        for (const Entry& entry : ledger_.entries)
            if (entry.station == station.number && entry.completions != 0)
                ++works[entry.is_strangers && entry.outcome == Errc::too_many_waiting ? Errc::malformed
                                                                                      : entry.outcome];
        const auto take = [](std::map<Errc, std::uint64_t>& from, std::initializer_list<Errc> kinds) {
            std::uint64_t sum = 0;
            for (const Errc kind : kinds) sum += std::exchange(from[kind], 0);
            return sum;
        };
        const auto sum_of = [](const std::map<Errc, std::uint64_t>& all) {
            std::uint64_t sum = 0;
            for (const auto& [kind, count] : all) sum += count;
            return sum;
        };
        const auto has = [&](const std::string& name, std::uint64_t there, std::uint64_t least, std::uint64_t most) {
            if (there < least || there > most)
                fail(std::to_string(there) + " works are counted as " + name + ", and " + std::to_string(least) +
                     " to " + std::to_string(most) + " ended so");
        };
        const std::uint64_t all_parts = sum_of(parts);
        const std::uint64_t done = take(works, {Errc{}}) + take(parts, {Errc{}});
        has("succeeded", counted.succeeded, done, done);
        has("refused", counted.refused, take(works, {Errc::too_many_waiting}), station.submitted + all_parts);
        // These may have been refused, if they had not been admitted when they ended.
        has("cancelled", counted.cancelled, 0, take(works, {Errc::cancelled}));
        const auto timeouts = {Errc::queue_timeout, Errc::execution_timeout, Errc::deadline};
        const std::uint64_t executed = works[Errc::execution_timeout];
        has("timed out", counted.timed_out, executed, take(works, timeouts));
        // A part is refused where its slave has no such type, or is gone.
        const std::uint64_t lost = take(works, {Errc::lost, Errc::stopped});
        has("lost", counted.lost, lost, lost + take(parts, {Errc::lost, Errc::stopped}));
        const std::uint64_t failed = sum_of(works);
        has("failed", counted.failed, failed, failed + sum_of(parts));
        return all_parts;
    }

    bool has_uncounted() const noexcept { return has_trees_ || has_groups_ || has_favourites_ || ledger_.has_starts; }

    void check(const Station& station) {
        if (!failure_.empty()) return;
        const auto statistics = station.master->statistics();
        // A slave that came back meanwhile may be starting.
        if (statistics.admitted != statistics.completed() && !station.is_any_starting())
            fail("admitted " + std::to_string(statistics.admitted) + ", completed " +
                 std::to_string(statistics.completed()) + state_of(*station.master));
        // How many works a tree or a group has depends on what became of it; start works are counted, too; and works for
        // a slave that is gone are refused.
        const std::uint64_t submitted = has_uncounted() ? 0 : station.submitted + check_outcomes(station, statistics);
        if (!has_uncounted() && statistics.admitted + statistics.refused != submitted)
            fail("submitted " + std::to_string(submitted) + ", admitted " + std::to_string(statistics.admitted) +
                 ", refused " + std::to_string(statistics.refused));
        for (const auto& socket : station.master->sockets())
            if (socket.in_flight != 0 && !socket.starting)
                fail(socket.name + " holds " + std::to_string(socket.in_flight) + " works");
        const bool is_disturbed = weather_.strangers || weather_.mass_death;
        if (weather_.calm && !is_disturbed && drains_ != 0 && statistics.requeued != 0)
            fail("a planned drain cost attempts");
        std::uint64_t unwanted = 0;
        std::uint64_t surely_heard = 0;
        for (const Stranger& stranger : strangers_) {
            unwanted += stranger.unwanted;
            if (weather_.calm) surely_heard += stranger.surely_heard;
        }
        if (statistics.late_answers > unwanted || statistics.late_answers < surely_heard)
            fail("of " + std::to_string(unwanted) + " answers that nobody waited for " +
                 std::to_string(statistics.late_answers) + " were counted");
        const auto& all = ledger_.entries;
        const bool any_retry = std::any_of(
            all.begin(), all.end(), [](const Entry& entry) { return entry.options.retry_on_error().count != 0; });
        if (!any_retry && !has_groups_ && statistics.retries != 0) fail("retried unasked");
    }

    sim::Random random_;
    Weather weather_;
    bool is_large_ = false;
    bool is_paused_ = false;  // nothing is wrong, but everybody freezes together now and then
    bool has_trees_ = false;
    bool has_groups_ = false;
    bool has_favourites_ = false;  // works for one slave
    bool lets_go_ = false;         // masters let slaves go
    bool is_mixed_ = false;        // long works among short ones
    bool is_close_ = false;        // its sockets are looked at after each event
    Ledger ledger_;
    std::string failure_;
    std::size_t outbox_bytes_ = 0;
    std::size_t slave_count_ = 0;
    std::size_t max_backlog_ = 0;
    std::size_t max_waiting_ = 0;
    std::uint16_t port_ = 0;  // of all masters
    bool is_over_ = false;    // what comes now is planned
    int drains_ = 0;
    unsigned looks_ = 0;
    std::optional<sim::TimePoint> parked_since_;
    std::deque<Station> stations_;
    std::deque<Stranger> strangers_;
    std::uint64_t newest_credentials_ = 0;    // 0: nobody has any
    std::vector<std::uint64_t> credentials_;  // of the slaves' machines
    StrangeMaster strange_master_;
    bool has_strange_master_ = false;
    bool anyone_never_reads_ = false;
    bool first_is_gone_ = false;  // for good, once it was struck
    sim::Simulation simulation_;
    Station* first_ = nullptr;         // the latest process of the first master
    Station* second_ = nullptr;        // where slaves go that do not reach the first; null: there is none
    sim::Host* empty_host_ = nullptr;  // no master is there, or a strange one
    std::vector<sim::Host*> hosts_;
    std::vector<Slave*> slaves_;
    std::vector<std::size_t> slots_;  // of each slave, whenever it begins
    std::vector<Search> searches_;    // likewise
    std::deque<GroupRun> groups_;
};

}  // namespace storm
