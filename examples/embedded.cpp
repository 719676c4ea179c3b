// Roles as members of an application's own classes: two masters and four slaves in one process, run by four threads.

#include <asio/thread_pool.hpp>
#include <cstdint>
#include <distwork.hpp>
#include <future>
#include <iostream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

std::uint64_t collatz_steps(std::uint64_t number) {
    std::uint64_t steps = 0;
    for (; number != 1; ++steps) number = number % 2 == 0 ? number / 2 : 3 * number + 1;
    return steps;
}
DISTWORK_REGISTER_FUNCTION(collatz_steps)

// A service that has its numbers looked into elsewhere.
class Laboratory {
public:
    Laboratory(asio::any_io_executor executor, std::string name)
        : name_{std::move(name)}, master_{std::move(executor), distwork::MasterOptions{.name = name_}} {
        master_.start();
    }

    std::uint16_t port() const { return master_.local_endpoint().port(); }

    std::string report() {
        std::vector<std::future<std::uint64_t>> steps;
        for (std::uint64_t number = 1; number <= 1000; ++number)
            steps.push_back(master_.async_call<collatz_steps>(number, asio::use_future));
        const auto add = [](std::uint64_t sum, auto& more) { return sum + more.get(); };
        return name_ + ": " + std::to_string(std::accumulate(steps.begin(), steps.end(), std::uint64_t{0}, add));
    }

private:
    std::string name_;
    distwork::Master<> master_;  // as a member it names its parameters, if only by <>
};

// An application that lends a slot to a laboratory.
class Volunteer {
public:
    Volunteer(asio::any_io_executor executor, std::uint16_t port)
        : slave_{std::move(executor), "127.0.0.1", port, distwork::SlaveOptions{.slots = 1}} {
        slave_.start();
    }

private:
    distwork::Slave<> slave_;
};

int main() {
    asio::thread_pool io{4};  // outlives all roles; it runs their I/O, works have threads of their own
    Laboratory paris{io.get_executor(), "Paris"};
    Laboratory tokyo{io.get_executor(), "Tokyo"};
    std::vector<std::unique_ptr<Volunteer>> volunteers;
    for (const auto* laboratory : {&paris, &tokyo, &paris, &tokyo})
        volunteers.push_back(std::make_unique<Volunteer>(io.get_executor(), laboratory->port()));

    std::future<std::string> from_tokyo = std::async(std::launch::async, [&] { return tokyo.report(); });
    std::cout << paris.report() << " steps\n";
    std::cout << from_tokyo.get() << " steps\n";
}
