// A master and its slaves, each with a certificate of one authority: the role stands in the certificate.
//
// tls master FOLDER PORT       calls a function 1,000 times on slaves as they come, and ends
// tls slave FOLDER HOST PORT   a slave, until its master leaves
//
// FOLDER has NAME.pem, NAME.key (NAME is master or slave) and authority.pem. OpenSSL makes them:
//
//     new="openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365"
//     by="-CA authority.pem -CAkey authority.key -addext basicConstraints=critical,CA:FALSE"
//     as_master="-addext extendedKeyUsage=serverAuth -addext subjectAltName=DNS:localhost"
//     $new -subj /CN=farm -keyout authority.key -out authority.pem
//     $new $by $as_master -subj /CN=master -keyout master.key -out master.pem
//     $new $by -addext extendedKeyUsage=clientAuth -subj /CN=slave -keyout slave.key -out slave.pem
//
// A machine gets its own certificate and key, and authority.pem; authority.key stays where certificates are made.

#include <asio/io_context.hpp>
#include <cstdint>
#include <distwork.hpp>
#include <distwork/map.hpp>
#include <distwork/tls.hpp>
#include <exception>
#include <iostream>
#include <numeric>
#include <ranges>
#include <stdexcept>
#include <string>
#include <vector>

using namespace distwork;
using TlsMaster = Master<RoundRobin, Tls>;

long cube(int number) {
    return static_cast<long>(number) * number * number;
}
DISTWORK_REGISTER_FUNCTION(cube)

Credentials credentials_of(const std::string& role, const std::string& folder) {
    return Certificates{folder + '/' + role + ".pem", folder + '/' + role + ".key", folder + "/authority.pem"};
}

asio::awaitable<void> add_cubes(TlsMaster& master) {
    const std::vector<long> cubes = co_await async_map<&cube>(master, std::views::iota(1, 1001));
    std::cout << "The sum of the first 1000 cubes is " << std::accumulate(cubes.begin(), cubes.end(), 0L) << std::endl;
    co_await master.async_stop(std::chrono::seconds{1});
}

void run_master(const std::string& folder, std::uint16_t port) {
    asio::io_context io{1};
    TlsMaster master{Tls{io.get_executor(), credentials_of("master", folder)}, {.address = "0.0.0.0", .port = port}};
    master.start();
    asio::co_spawn(io, add_cubes(master), [](const std::exception_ptr& error) {
        if (error) std::rethrow_exception(error);
    });
    io.run();
}

void run_slave(const std::string& folder, const std::string& host, std::uint16_t port) {
    asio::io_context io{1};
    Slave<Tls> slave{
        Tls{io.get_executor(), credentials_of("slave", folder)}, {{host, port}}, {.reconnect = Reconnect::until_bye}};
    slave.async_run([](const std::exception_ptr& error) {
        if (error) std::rethrow_exception(error);
    });
    io.run();
}

int main(int argc, char** argv) try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    const auto port = [&] { return static_cast<std::uint16_t>(std::stoi(arguments.back())); };
    if (arguments.size() == 3 && arguments[0] == "master") run_master(arguments[1], port());
    else if (arguments.size() == 4 && arguments[0] == "slave") run_slave(arguments[1], arguments[2], port());
    else throw std::invalid_argument{"master FOLDER PORT | slave FOLDER HOST PORT"};
} catch (const std::exception& error) {
    std::cerr << "tls: " << error.what() << '\n';
    return 1;
}
