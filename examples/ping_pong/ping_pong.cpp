// The ancestor's program: works go from a master to its slaves in turn, and each sends a work back.
//
// ping_pong                    a master and ten slaves in this process
// ping_pong master PORT        a master; slaves join as they come
// ping_pong slave HOST PORT    a slave, until its master leaves
//   --forever                  one round a second, without end; else 20 rounds
//   --insecure-plaintext       beyond this machine: anyone who reaches the port may join
// SIGTERM ends each of them when what it has begun is done.

#include <asio/signal_set.hpp>
#include <asio/thread_pool.hpp>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "works.hpp"

using namespace std::chrono_literals;

bool forever = false;
bool insecure_plaintext = false;

// Of what a role tells: who connected, and what went wrong.
void print(distwork::LogLevel level, std::string_view line) {
    if (level >= distwork::LogLevel::warning || line.find("Connected") != line.npos)
        std::cout << std::string{line} + '\n' << std::flush;
}

void play_rounds(distwork::Master<>& master) try {
    std::cout << "Start!" << std::endl;
    for (int round = 0; forever || round < 20; ++round) {
        master.async_wait_for_slaves(1, asio::use_future).get();
        master.distribute_work(SlaveWork{});
        if (!returned.wait_for(10s)) std::cout << "A slave was lost in the middle of its round" << std::endl;
        if (forever) std::this_thread::sleep_for(1s);
    }
} catch (const distwork::Error& error) {
    if (error.code() != distwork::Errc::stopped) throw;  // by a signal
}

void run_master(std::uint16_t port, std::size_t own_slaves) {
    asio::thread_pool io{1};
    distwork::Master master{io.get_executor(),
                            {.address = insecure_plaintext ? "0.0.0.0" : "127.0.0.1",
                             .port = port,
                             .insecure_plaintext = insecure_plaintext,
                             .log = print}};
    master.accept_work<MasterWork>();
    master.start();
    asio::signal_set signals{io, SIGINT, SIGTERM};
    signals.async_wait([&](std::error_code error, int) {
        if (!error) master.async_stop(10s, asio::detached);
    });

    std::vector<distwork::Slave<>> slaves;
    for (std::size_t i = 0; i < own_slaves; ++i) slaves.emplace_back(io.get_executor(), "127.0.0.1", port).start();
    master.async_wait_for_slaves(own_slaves, asio::use_future).get();
    play_rounds(master);
    master.async_stop(1s, asio::use_future).get();
}

void run_slave(const std::string& host, std::uint16_t port) {
    asio::io_context io{1};
    distwork::Slave slave{
        io.get_executor(),
        host,
        port,
        {.insecure_plaintext = insecure_plaintext, .reconnect = distwork::Reconnect::never, .log = print}};
    asio::signal_set signals{io, SIGINT, SIGTERM};
    signals.async_wait([&](std::error_code error, int) {
        if (!error) slave.async_stop(10s, asio::detached);
    });
    slave.async_run([&](std::exception_ptr error) {
        signals.cancel();
        if (error) std::rethrow_exception(error);
    });
    io.run();
}

std::uint16_t parse_port(const std::string& text) {
    std::uint16_t port = 0;
    const char* const end = text.data() + text.size();
    if (const auto [at, error] = std::from_chars(text.data(), end, port);
        error != std::errc{} || at != end || port == 0)
        throw std::invalid_argument{text + " is not a port"};
    return port;
}

int main(int argc, char** argv) try {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    forever = std::erase(arguments, "--forever") != 0;
    insecure_plaintext = std::erase(arguments, "--insecure-plaintext") != 0;

    if (arguments.empty()) run_master(12345, 10);
    else if (arguments.size() == 2 && arguments[0] == "master") run_master(parse_port(arguments[1]), 0);
    else if (arguments.size() == 3 && arguments[0] == "slave") run_slave(arguments[1], parse_port(arguments[2]));
    else throw std::invalid_argument{"[master PORT | slave HOST PORT] [--forever] [--insecure-plaintext]"};
} catch (const std::exception& error) {
    std::cerr << "ping_pong: " << error.what() << '\n';
    return 1;
}
