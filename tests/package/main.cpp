// The program of all three consumers: a master and a slave in one process, and two calls.
#include <asio/io_context.hpp>
#include <asio/use_future.hpp>
#include <chrono>
#include <future>
#include <iostream>

#include "works.hpp"

int main() {
    using namespace std::chrono_literals;
    asio::io_context io;
    distwork::Master master{io.get_executor(), 0};
    master.start();
    distwork::Slave slave{io.get_executor(), "127.0.0.1", master.local_endpoint().port()};
    slave.start();

    std::future<int> sum = master.async_call<add>(1, 2, asio::use_future);
    std::future<int> negated = master.async_call(make_negate(5), asio::use_future);
    const auto ready = [](auto& future) { return future.wait_for(0s) == std::future_status::ready; };
    while (!ready(sum) || !ready(negated)) io.run_one_for(100ms);

    const int answers[] = {sum.get(), negated.get()};
    std::cout << "1 + 2 = " << answers[0] << ", -(5) = " << answers[1] << '\n';
    return answers[0] == 3 && answers[1] == -5 ? 0 : 1;
}
