#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <iostream>

#include "parts.hpp"

#ifndef DISTWORK_SEPARATE_COMPILATION
#error "this file is to contain little of the library"
#endif

int thrice(int value) {
    return value * 3;
}
DISTWORK_REGISTER_FUNCTION(thrice)

int main() {
    asio::io_context io;
    distwork::Master<> master{io, 0};
    master.start();
    const auto slave = make_slave(io, master.local_endpoint().port());
    slave->start();

    int sum = 0;
    const auto calls = [&]() -> asio::awaitable<void> {
        sum += co_await master.async_call<&half>(8);
        sum += co_await master.async_call<&twice>(8);
        sum += co_await master.async_call<&thrice>(8);
        io.stop();
    };
    asio::co_spawn(io, calls, asio::detached);
    io.run();
    std::cout << "8 / 2 + 8 * 2 + 8 * 3 = " << sum << '\n';
    return sum == 44 && twice_by_own_selector(8) == 16 ? 0 : 1;
}
