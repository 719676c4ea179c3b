#pragma once

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <distwork.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// Running roles in a test: no sleeps, but deadlines that only a hang reaches.

inline constexpr std::chrono::seconds deadline{60};

/// Runs the context until the coroutine has ended, and throws what it threw.
inline void run(asio::io_context& io, asio::awaitable<void> body) {
    bool done = false;
    std::exception_ptr thrown;
    asio::co_spawn(io, std::move(body), [&](std::exception_ptr error) {
        done = true;
        thrown = std::move(error);
    });
    const auto until = std::chrono::steady_clock::now() + deadline;
    io.restart();
    while (!done && std::chrono::steady_clock::now() < until) io.run_one_for(std::chrono::seconds{1});
    if (thrown) std::rethrow_exception(thrown);
    if (!done) throw std::runtime_error{"the test did not end before its deadline"};
}

/// Runs the context until the condition holds; false at the deadline.
inline bool run_until(asio::io_context& io, const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + deadline;
    io.restart();
    while (!condition()) {
        if (std::chrono::steady_clock::now() > until) return false;
        io.run_one_for(std::chrono::milliseconds{5});
    }
    return true;
}

/// What an exception says; empty for none.
inline std::string text_of(const std::exception_ptr& error) {
    return error ? distwork::detail::describe(error).text : std::string{};
}

/// The code that a call fails with; success if it does not.
template <class R>
asio::awaitable<std::error_code> error_of(asio::awaitable<R> call) {
    try {
        co_await std::move(call);
    } catch (const distwork::Error& error) {
        co_return error.code();
    }
    co_return std::error_code{};
}

/// A master and some slaves on one context.
template <class Selector = distwork::RoundRobin>
struct Cluster {
    explicit Cluster(int slave_count, distwork::SlaveOptions slave_options = {}, distwork::MasterOptions options = {},
                     Selector selector = {})
        : master{io.get_executor(), quiet(std::move(options)), std::move(selector)} {
        master.start();
        for (int i = 0; i < slave_count; ++i) {
            distwork::SlaveOptions each = slave_options;
            if (each.name.empty()) each.name = "slave " + std::to_string(i);
            add_slave(std::move(each));
        }
    }

    void add_slave(distwork::SlaveOptions options) {
        const std::size_t before = slaves.size();
        slaves.push_back(std::make_unique<distwork::Slave<>>(
            io.get_executor(), "127.0.0.1", master.local_endpoint().port(), quiet(std::move(options))));
        slaves.back()->start();
        // One after the other: their order is their turn.
        if (!run_until(io, [&] { return master.connected_slave_count() == before + 1; }))
            throw std::runtime_error{"a slave did not connect"};
    }

    /// What a test provokes is not told, unless it listens.
    template <class Options>
    static Options quiet(Options options) {
        if (!options.log) options.log = distwork::NoLog{};
        return options;
    }

    asio::io_context io{1};
    distwork::Master<Selector> master;
    std::vector<std::unique_ptr<distwork::Slave<>>> slaves;
};
