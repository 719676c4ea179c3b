// A slave with the works of the tests, for as long as its master lives: slave_process PORT [SLOTS]

#include <cstdlib>
#include <distwork.hpp>

#define SUPPORT_REGISTER_WORKS
#include "support/works.hpp"

int main(int count, char** arguments) {
    asio::io_context io;
    distwork::SlaveOptions options;
    options.name = "process";
    options.reconnect = distwork::Reconnect::never;
    options.slots = count > 2 ? static_cast<std::size_t>(std::atoi(arguments[2])) : 1;
    distwork::Slave slave{io.get_executor(), "127.0.0.1", static_cast<std::uint16_t>(std::atoi(arguments[1])), options};
    slave.start();
    io.run();
}
