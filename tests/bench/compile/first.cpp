// The first program of the README.
#include <distwork.hpp>
#include <iostream>

double area(double width, double height) {
    return width * height;
}
DISTWORK_REGISTER_FUNCTION(area)

asio::awaitable<void> ask(distwork::Master<>& master) {
    const double twelve = co_await master.async_call<area>(3.0, 4.0);
    std::cout << "3 x 4 = " << twelve << '\n';
}

int main() {
    asio::io_context io;
    distwork::Master master{io.get_executor(), 12345};
    master.start();

    // Usually in another process: a program that has the same functions registered.
    distwork::Slave slave{io.get_executor(), "127.0.0.1", 12345};
    slave.start();

    asio::co_spawn(io, ask(master), [&](std::exception_ptr error) {
        io.stop();
        if (error) std::rethrow_exception(error);
    });
    io.run();
}
