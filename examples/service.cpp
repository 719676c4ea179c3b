// A service that is told what to do line by line, on an io_context with four threads, and that may be restarted.
//
// service PORT          reads: status, slave add, slave drain ID, call N, quit
// service slave PORT    a slave of it, until SIGTERM
//
// Such a slave outlives the service: Reconnect::always has it try again until a service listens there, whether the last
// one said bye (quit) or crashed. (A slave with Reconnect::until_bye, as --distwork-slave-of has it, comes back after a
// crash, but ends at a bye.) Calls that were not answered when a service ended are not known to the next one.

#include <asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <distwork.hpp>
#include <distwork/local_slaves.hpp>
#include <distwork/run_slave.hpp>
#include <iostream>
#include <list>
#include <sstream>
#include <stdexcept>
#include <string>
#include <syncstream>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

int count_primes(int below) {
    int count = 0;
    for (int n = 2, d; n < below; ++n) {
        for (d = 2; d <= n / d && n % d != 0; ++d) continue;
        count += d > n / d;
    }
    return count;
}
DISTWORK_REGISTER_FUNCTION(count_primes)

// Answers come from any of the threads, each in one piece.
void say(const std::string& text) {
    std::osyncstream{std::cout} << text << std::endl;
}

class Service {
public:
    Service(const std::string& program, std::uint16_t port)
        : slave_arguments_{program, "slave", std::to_string(port)}, master_{io_, port} {
        master_.start();
        for (int i = 0; i < 4; ++i) threads_.emplace_back([this] { io_.run(); });
    }

    // Calls are answered before it ends, if that takes no longer than 5 s. Slaves are told bye. Then the threads end.
    ~Service() {
        master_.async_stop(5s, asio::use_future).get();
        local_slaves_.clear();
    }

    void obey(const std::string& line) try {
        std::istringstream words{line};
        std::string command, what;
        std::uint64_t id = 0;
        int n = 0;
        words >> command;
        if (command == "status") status();
        else if (command == "call" && words >> n) call(n);
        else if (command == "slave" && words >> what && what == "add") add_slave();
        else if (command == "slave" && what == "drain" && words >> id) drain(id);
        else say("commands: status, slave add, slave drain ID, call N, quit");
    } catch (const std::exception& error) {
        say(error.what());
    }

private:
    void status() const {
        const distwork::Statistics counted = master_.statistics();
        std::size_t slots = 0;
        std::ostringstream text;
        for (const auto& slave : master_.sockets()) {
            slots += slave.slots;
            text << "\n  slave " << slave.id << ": " << slave.name << ", " << slave.in_flight << " under way, "
                 << slave.completed << " done" << (slave.draining ? ", drains" : "");
        }
        for (const distwork::Waiting& kind : master_.waiting())
            text << "\n  " << kind.works << ' ' << kind.type << " wait: " << to_string(kind.reason);
        say("slaves: " + std::to_string(master_.connected_slave_count()) + ", slots: " + std::to_string(slots) +
            ", backlog: " + std::to_string(master_.backlog_size()) + ", calls: " + std::to_string(counted.admitted) +
            ", succeeded: " + std::to_string(counted.succeeded) + text.str());
    }

    // With a callback a call is admitted here and now, before a quit in the next line. A coroutine on io_ begins later.
    void call(int n) {
        master_.async_call<count_primes>(n, [n](const std::exception_ptr& error, int count) {
            try {
                if (error) std::rethrow_exception(error);
                say(std::to_string(count) + " primes below " + std::to_string(n));
            } catch (const std::exception& failed) {
                say(failed.what());
            }
        });
    }

    // A process that crashes is started again; one that was drained is not.
    void add_slave() {
        local_slaves_.emplace_back(master_, distwork::LocalSlavesOptions{.count = 1, .arguments = slave_arguments_});
    }

    void drain(std::uint64_t id) {
        master_.async_drain(id, [id](const std::exception_ptr&) { say("slave " + std::to_string(id) + " has left"); });
    }

    const std::vector<std::string> slave_arguments_;
    asio::io_context io_{4};  // outlives the roles
    distwork::Master<> master_;
    std::list<distwork::LocalSlaves> local_slaves_;
    std::vector<std::jthread> threads_;  // until the master has stopped
};

int main(int argc, char** argv) try {
    if (argc < 2) throw std::invalid_argument{"service PORT, or service slave PORT"};
    const auto port = static_cast<std::uint16_t>(std::stoul(argv[argc - 1]));
    if (argc > 2) return distwork::run_slave({{"127.0.0.1", port}}, {.reconnect_at_most = 1s});  // local slaves, too
    Service service{argv[0], port};
    for (std::string line; std::getline(std::cin, line) && line != "quit";) service.obey(line);
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
