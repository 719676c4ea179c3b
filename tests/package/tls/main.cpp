// A master and a slave that share a secret, and one that does not have it.
#include <asio/io_context.hpp>
#include <asio/use_future.hpp>
#include <chrono>
#include <cstdio>
#include <distwork.hpp>
#include <distwork/tls.hpp>
#include <future>
#include <iostream>

int add(int left, int right) {
    return left + right;
}
DISTWORK_REGISTER_FUNCTION(add)

int main() {
    using namespace distwork;
    std::remove("farm.key");
    make_secret("farm.key");
    asio::io_context io;
    Master<RoundRobin, Tls> master{Tls{io.get_executor(), secret_file("farm.key")}, {.log = NoLog{}}};
    master.start();
    Slave<Tls> slave{
        Tls{io.get_executor(), secret_file("farm.key")}, {{"127.0.0.1", master.local_endpoint().port()}}, {}};
    slave.start();
    auto sum = master.async_call<add>(1, 2, asio::use_future);
    while (sum.wait_for(std::chrono::seconds{0}) != std::future_status::ready)
        io.run_one_for(std::chrono::milliseconds{10});
    const int three = sum.get();
    std::cout << "1 + 2 = " << three << '\n';
    return three == 3 ? 0 : 1;
}
