#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../error.hpp"
#include "../transport.hpp"
#include "endpoint.hpp"
#include "host.hpp"
#include "listener.hpp"
#include "wire.hpp"

namespace distwork::sim {

/// The connections between the hosts, and their faults. NetworkOptions cause faults at random, and a test may cause
/// faults by the functions below. Both kinds may be in force at once.
class Network {
public:
    using Connect = std::unique_ptr<Operation<std::error_code, Endpoint*>>;

    Network(Timeline& timeline, std::uint64_t seed, const NetworkOptions& options) : wire_{timeline, seed, options} {
        if (options.clog_every.count() > 0)
            timeline.schedule<&Network::clog_some>(timeline.now() + wire_.random.around(options.clog_every), *this);
        if (options.partition_every.count() > 0)
            timeline.schedule<&Network::part_some>(timeline.now() + wire_.random.around(options.partition_every),
                                                   *this);
    }
    Network(const Network&) = delete;

    /// The options. All except `clog_every` and `partition_every` may be changed while the simulation runs, e.g.
    /// `network.options().split = 1`.
    NetworkOptions& options() noexcept { return wire_.options; }

    // Faults

    /// Blocks the direction from one machine to the other until `heal`. Bytes are held meanwhile, not lost, as TCP
    /// would send them again.
    void partition_one_way(const Host& from, const Host& to) { wire_.partition(from.machine(), to.machine(), true); }
    void partition(const Host& a, const Host& b) {
        partition_one_way(a, b);
        partition_one_way(b, a);
    }
    void heal(const Host& a, const Host& b) {
        heal_one_way(a.machine(), b.machine());
        heal_one_way(b.machine(), a.machine());
    }
    void heal_all() {
        for (std::size_t from = 0; from < wire_.machine_count(); ++from)
            for (std::size_t to = 0; to < wire_.machine_count(); ++to) heal_one_way(from, to);
    }

    /// Blocks one direction for `time`.
    void clog(const Host& from, const Host& to, Duration time) { clog(from.machine(), to.machine(), time); }

    /// Resets every connection between two hosts.
    void reset(const Host& a, const Host& b) {
        for (Endpoint& endpoint : endpoints_)
            if (&endpoint.host() == &a && &endpoint.peer().host() == &b) endpoint.cut();
    }

    /// From now on the options cause no resets, clogs, partitions or split transfers. Heals what `partition` has
    /// blocked. Clogs and random partitions under way end at their time.
    void calm() {
        wire_.options.split = 0;
        wire_.options.reset_after = wire_.options.clog_every = wire_.options.partition_every = Duration{};
        calm_ = true;
        heal_all();
    }

    // Called by hosts and their transports

    /// The number of the machine of that name. The machine is made if there is none.
    std::size_t machine(const std::string& name) {
        const auto known = std::find(machines_.begin(), machines_.end(), name);
        const auto number = static_cast<std::size_t>(known - machines_.begin());
        if (known == machines_.end()) {
            machines_.push_back(name);
            wire_.add_machine();
        }
        return number;
    }

    /// Finds a machine by name or address. 127.0.0.1 is the first machine, not the one that asks.
    std::optional<std::size_t> find_machine(const std::string& host) const {
        for (std::size_t number = 0; number < machines_.size(); ++number)
            if (host == machines_[number] || host == address_of(number, 0).address().to_string()) return number;
        return std::nullopt;
    }

    /// A process was begun on a machine. From now on, what is sent to connections of an earlier process is answered
    /// with a reset.
    void up(std::size_t machine) {
        if (wire_.is_up(machine)) return;
        wire_.up(machine, true);
        for (Endpoint& endpoint : endpoints_)
            if (endpoint.host().machine() == machine) endpoint.resume();
    }

    /// Ends the connections and listeners of a host that crashed.
    void crash(Host& host, Crash how) {
        if (how == Crash::power_loss) wire_.up(host.machine(), false);
        for (Endpoint& endpoint : endpoints_) {
            if (&endpoint.host() != &host) continue;
            if (how == Crash::power_loss) endpoint.vanish();
            else endpoint.close();
        }
        for (Listener& listener : listeners_)
            if (&listener.host() == &host) listener.close();
    }

    /// Listens on an address of `host`. Port 0 takes a free port. *Errors*: Error (address_in_use, bad_address).
    Listener& listen(Host& host, const std::string& address, std::uint16_t port) {
        if (address != host.address() && address != "0.0.0.0" && address != "localhost")
            throw Error::with_text(Errc::bad_address, '"' + address + "\" is not an address of " + host.name());
        if (port == 0) port = next_port_++;
        if (find(host.machine(), port))
            throw Error{Errc::address_in_use, distwork::detail::host_and_port(address, port)};
        return listeners_.emplace_back(host, address_of(host.machine(), port));
    }

    std::uint64_t connect(Host& from, std::size_t machine, std::uint16_t port, Connect operation) {
        attempts_.emplace_back(Attempt{*this, from, machine, port, std::move(operation)}).ask();
        return attempts_.size() - 1;
    }
    void cancel_connect(std::uint64_t number) { attempts_[number].end(asio::error::operation_aborted, nullptr); }

    /// The simulation ends: destroys all waiting operations. Returns false if there were none.
    bool drop() {
        bool any = false;
        for (Endpoint& endpoint : endpoints_) any |= endpoint.drop();
        for (Listener& listener : listeners_) any |= listener.drop();
        for (Attempt& attempt : attempts_) any |= std::exchange(attempt.operation, nullptr) != nullptr;
        return any;
    }

private:
    static constexpr unsigned most_tries = 7;  // the pauses are 1 s, 2 s, 4 s, …

    /// One attempt of a process to connect.
    struct Attempt {
        Network& network;
        Host& from;
        const std::size_t machine;
        const std::uint16_t port;
        Connect operation;
        unsigned tries = 0;
        std::error_code error{};
        Endpoint* endpoint = nullptr;

        Wire& wire() const noexcept { return network.wire_; }

        void ask() { wire().timeline.schedule<&Attempt::asked>(wire().arrival(), *this); }

        /// The request for the connection has arrived at the other machine, or was lost.
        void asked(std::uint64_t) {
            if (!operation) return;
            if (!wire().is_up(machine) || wire().is_blocked(from.machine(), machine) ||
                wire().is_blocked(machine, from.machine())) {
                const Duration pause = std::chrono::seconds{1} * (1u << tries);
                if (++tries == most_tries) return end(asio::error::timed_out, nullptr);
                return wire().timeline.schedule<&Attempt::asked>(wire().now() + pause, *this);
            }
            Listener* const listener = network.find(machine, port);
            if (listener) endpoint = &network.make_connection(from, *listener);
            else error = asio::error::connection_refused;
            wire().timeline.schedule<&Attempt::answered>(wire().arrival(), *this);
        }

        void answered(std::uint64_t) {
            if (operation) end(error, endpoint);
            else if (endpoint) endpoint->close();  // the attempt was cancelled
        }

        void end(std::error_code why, Endpoint* made) {
            if (!operation) return;
            wire().timeline.record("connect", from.number(), static_cast<std::uint64_t>(why.value()));
            from.complete(std::move(operation), why, made);
        }
    };

    static Endpoint::Address address_of(std::size_t machine, std::uint16_t port) {
        return {asio::ip::address_v4{0x7f00'0001u + static_cast<std::uint32_t>(machine)}, port};
    }

    Listener* find(std::size_t machine, std::uint16_t port) {
        for (Listener& listener : listeners_)
            if (listener.is_open() && listener.host().machine() == machine && listener.local_address.port() == port)
                return &listener;
        return nullptr;
    }

    Endpoint& make_connection(Host& from, Listener& listener) {
        const auto local = address_of(from.machine(), next_port_++);
        Endpoint& client = endpoints_.emplace_back(wire_, from, local, listener.local_address);
        Endpoint& server = endpoints_.emplace_back(wire_, listener.host(), listener.local_address, local);
        client.connect(server);
        server.connect(client);
        if (wire_.options.reset_after.count() > 0)
            wire_.timeline.schedule<&Network::reset_one>(wire_.now() + wire_.random.around(wire_.options.reset_after),
                                                         *this, endpoints_.size() - 1);
        listener.push(server);
        return client;
    }

    void reset_one(std::uint64_t endpoint) {
        if (!calm_) endpoints_[endpoint].cut();
    }

    void heal_one_way(std::size_t from, std::size_t to) {
        wire_.partition(from, to, false);
        resume(from, to);
    }

    void resume(std::size_t from, std::size_t to) {
        if (wire_.is_blocked(from, to)) return;
        for (Endpoint& endpoint : endpoints_)
            if (endpoint.host().machine() == to && endpoint.peer().host().machine() == from) endpoint.resume();
    }

    void clog(std::size_t from, std::size_t to, Duration time) {
        wire_.clog(from, to);
        wire_.timeline.record("clog", from, to);
        wire_.timeline.schedule<&Network::unclog>(wire_.now() + time, *this, from << 32 | to);
    }

    void unclog(std::uint64_t path) {
        wire_.unclog(path >> 32, path & 0xffff'ffff);
        resume(path >> 32, path & 0xffff'ffff);
    }

    // Clogs may overlap, and may end in another order than they began.

    void clog_some(std::uint64_t) {
        if (calm_) return;
        clog_any(wire_.options.clog_time, false);
        wire_.timeline.schedule<&Network::clog_some>(wire_.now() + wire_.random.around(wire_.options.clog_every),
                                                     *this);
    }

    void part_some(std::uint64_t) {
        if (calm_) return;
        clog_any(wire_.options.partition_time, wire_.random.chance(0.5));
        wire_.timeline.schedule<&Network::part_some>(wire_.now() + wire_.random.around(wire_.options.partition_every),
                                                     *this);
    }

    void clog_any(Duration mean, bool both_ways) {
        const std::size_t count = wire_.machine_count();
        if (count < 2) return;
        const auto from = static_cast<std::size_t>(wire_.random.below(count));
        const auto to = (from + 1 + static_cast<std::size_t>(wire_.random.below(count - 1))) % count;
        const Duration time = wire_.random.around(mean);
        clog(from, to, time);
        if (both_ways) clog(to, from, time);
    }

    Wire wire_;
    std::vector<std::string> machines_;
    std::deque<Endpoint> endpoints_;  // in pairs
    std::deque<Listener> listeners_;
    std::deque<Attempt> attempts_;
    std::uint16_t next_port_ = 32768;
    bool calm_ = false;
};

inline void Host::crash(Crash how) {
    if (!std::exchange(alive_, false)) return;
    timeline_.record("crash", number_, static_cast<std::uint64_t>(how));
    network_.crash(*this, how);
}

}  // namespace distwork::sim
