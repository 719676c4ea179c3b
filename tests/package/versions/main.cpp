#include <distwork.hpp>

static_assert(DISTWORK_VERSION_MINOR == 99);

int main() {
    asio::io_context io;
    distwork::Master<> master{io, 0};
}
