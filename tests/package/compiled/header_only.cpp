#include "parts.hpp"

#ifdef DISTWORK_SEPARATE_COMPILATION
#error "this file is to contain all of the library"
#endif

int half(int value) {
    return value / 2;
}
DISTWORK_REGISTER_FUNCTION(half)

std::shared_ptr<distwork::Slave<>> make_slave(asio::io_context& io, std::uint16_t port) {
    return std::make_shared<distwork::Slave<>>(io, "127.0.0.1", port);
}
