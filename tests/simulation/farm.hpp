#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <distwork/sim/simulation.hpp>
#include <distwork/work_group.hpp>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "simulation/roles.hpp"
#include "support/catch.hpp"

/// A master and some slaves, in virtual time.
namespace farm {

using namespace distwork;
using namespace std::chrono_literals;

inline std::error_code code_of(const std::exception_ptr& error) {
    try {
        if (error) std::rethrow_exception(error);
    } catch (const Error& failure) {
        return failure.code();
    }
    return {};
}

class Farm {
public:
    using Master = distwork::Master<RoundRobin, sim::Transport>;

    explicit Farm(std::size_t slaves = 3, std::size_t slots = 2, MasterOptions options = {}) : simulation_{7} {
        sim::Host& host = simulation_.add_host("master");
        master_host_ = &host;
        options.port = 12345;
        master = &host.make<Master>(host.transport(), options);
        master->start();
        for (std::size_t i = 0; i < slaves; ++i) add_slave(slots);
        REQUIRE(run_until([&] { return master->connected_slave_count() == slaves; }));
    }

    /// The connection between this slave and the master is reset.
    void cut(sim::Host& host) {
        simulation_.network().reset(host, *master_host_);
        simulation_.network().reset(*master_host_, host);
    }

    sim::Host& add_slave(std::size_t slots, Reconnect reconnect = Reconnect::always,
                         std::map<std::string, double> amounts = {}, std::vector<std::string> indexed = {}) {
        sim::Host& host = simulation_.add_host("slave" + std::to_string(hosts.size()));
        SlaveOptions options;
        options.slots = slots;
        options.reconnect = reconnect;
        options.amounts = std::move(amounts);
        options.indexed = std::move(indexed);
        options.name = "slave " + std::to_string(hosts.size());
        host.work_time([this](std::string_view, sim::Random&) { return draw ? draw() : work_time; });
        auto& slave =
            host.make<Slave<sim::Transport>>(host.transport(), std::string{"127.0.0.1"}, std::uint16_t{12345}, options);
        slave.async_run([this](const std::exception_ptr& error) {
            ++ended;
            if (error) ++failed;
        });
        hosts.push_back(&host);
        return host;
    }

    template <class Condition>
    bool run_until(Condition condition, sim::Duration within = 100s) {
        return simulation_.run_until(condition, within);
    }
    sim::TimePoint now() const { return simulation_.now(); }
    void run(sim::Duration time) { simulation_.run_for(time); }
    void after(sim::Duration time, std::function<void()> event) { simulation_.after(time, std::move(event)); }

    /// Reads all outcomes of a group, one after the other.
    template <class R>
    std::vector<Outcome<R>> read_all(WorkGroup<R>& group) {
        std::vector<Outcome<R>> all;
        bool is_over = false;
        std::function<void()> next = [&] {
            group.async_next([&](const std::exception_ptr& error, std::optional<Outcome<R>> outcome) {
                REQUIRE_FALSE(error);
                is_over = !outcome;
                if (is_over) return;
                all.push_back(std::move(*outcome));
                next();
            });
        };
        next();
        REQUIRE(run_until([&] { return is_over; }));
        return all;
    }

    /// The value of an operation that completes with one.
    template <class T, class Begin>
    T value_of(Begin begin) {
        std::optional<T> value;
        std::exception_ptr failure;
        begin([&](std::exception_ptr error, T got) {
            failure = error;
            value = std::move(got);
        });
        REQUIRE(run_until([&] { return value.has_value(); }));
        if (failure) std::rethrow_exception(failure);
        return std::move(*value);
    }

    /// Everything has ended, and is counted.
    void check_counts() {
        REQUIRE(run_until([&] { return master->statistics().admitted == master->statistics().completed(); }));
        CHECK(master->backlog_size() == 0);
    }

private:
    sim::Simulation simulation_;
    sim::Host* master_host_ = nullptr;

public:
    Master* master = nullptr;
    std::vector<sim::Host*> hosts;
    int ended = 0;   // runs of slaves
    int failed = 0;  // of these, with an error
    sim::Duration work_time{20us};
    std::function<sim::Duration()> draw;  // the time of the next work, if it is set
};

}  // namespace farm
