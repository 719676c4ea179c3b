// The ancestor's program: works go from a master to its slaves in turn, and each sends a work back.
//
// ping_pong                    a master and ten slaves in this process
// ping_pong master PORT        a master; slaves join as they come
// ping_pong slave HOST PORT    a slave, until its master leaves
//   --forever                  one round a second, without end; else 20 rounds
//   --secret=FILE              beyond this machine: who has the same 32 random bytes may join
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
#ifdef DISTWORK_TLS  // where OpenSSL is
#include <distwork/tls.hpp>
#endif

using namespace std::chrono_literals;

bool forever = false;
bool insecure_plaintext = false;
std::string secret;

// Of what a role tells: who connected, and what went wrong.
void print(distwork::LogLevel level, std::string_view line) {
    if (level >= distwork::LogLevel::warning || line.find("Connected") != line.npos)
        std::cout << std::string{line} + '\n' << std::flush;
}

template <class Master>
void play_rounds(Master& master) try {
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

template <class Transport>
void run_master(asio::thread_pool& io, const Transport& transport, std::uint16_t port, std::size_t own_slaves) {
    distwork::Master<distwork::RoundRobin, Transport> master{
        transport,
        {.address = insecure_plaintext || !secret.empty() ? "0.0.0.0" : "127.0.0.1",
         .port = port,
         .insecure_plaintext = insecure_plaintext,
         .log = print}};
    master.template accept_work<MasterWork>();
    master.start();
    asio::signal_set signals{io, SIGINT, SIGTERM};
    signals.async_wait([&](std::error_code error, int) {
        if (!error) master.async_stop(10s, asio::detached);
    });

    std::vector<distwork::Slave<Transport>> slaves;
    for (std::size_t i = 0; i < own_slaves; ++i)
        slaves
            .emplace_back(transport, std::vector<distwork::MasterAddress>{{"127.0.0.1", port}},
                          distwork::SlaveOptions{})
            .start();
    master.async_wait_for_slaves(own_slaves, asio::use_future).get();
    play_rounds(master);
    master.async_stop(1s, asio::use_future).get();
}

template <class Transport>
void run_slave(asio::thread_pool& io, const Transport& transport, const std::string& host, std::uint16_t port) {
    distwork::Slave<Transport> slave{
        transport,
        {{host, port}},
        {.insecure_plaintext = insecure_plaintext, .reconnect = distwork::Reconnect::never, .log = print}};
    asio::signal_set signals{io, SIGINT, SIGTERM};
    signals.async_wait([&](std::error_code error, int) {
        if (!error) slave.async_stop(10s, asio::detached);
    });
    auto ended = slave.async_run(asio::use_future);
    ended.wait();
    asio::post(io, [&] { signals.cancel(); });
    io.join();
    ended.get();
}

std::uint16_t parse_port(const std::string& text) {
    std::uint16_t port = 0;
    const char* const end = text.data() + text.size();
    if (const auto [at, error] = std::from_chars(text.data(), end, port);
        error != std::errc{} || at != end || port == 0)
        throw std::invalid_argument{text + " is not a port"};
    return port;
}

void play(const std::vector<std::string>& arguments, auto transport) {
    asio::thread_pool io{1};
    const auto over = transport(io.get_executor());
    if (arguments.empty()) run_master(io, over, 12345, 10);
    else if (arguments.size() == 2 && arguments[0] == "master") run_master(io, over, parse_port(arguments[1]), 0);
    else if (arguments.size() == 3 && arguments[0] == "slave")
        run_slave(io, over, arguments[1], parse_port(arguments[2]));
    else
        throw std::invalid_argument{
            "[master PORT | slave HOST PORT] [--forever] [--secret=FILE | --insecure-plaintext]"};
}

int main(int argc, char** argv) try {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    forever = std::erase(arguments, "--forever") != 0;
    insecure_plaintext = std::erase(arguments, "--insecure-plaintext") != 0;

    std::erase_if(arguments, [](const std::string& argument) {
        const bool is_secret = argument.starts_with("--secret=");
        if (is_secret) secret = argument.substr(argument.find('=') + 1);
        return is_secret;
    });

    if (secret.empty()) return play(arguments, [](auto executor) { return distwork::Tcp{executor}; }), 0;
#ifdef DISTWORK_TLS
    play(arguments, [](auto executor) { return distwork::Tls{executor, distwork::secret_file(secret)}; });
#else
    throw std::invalid_argument{"--secret needs OpenSSL: this program was built without it"};
#endif
} catch (const std::exception& error) {
    std::cerr << "ping_pong: " << error.what() << '\n';
    return 1;
}
