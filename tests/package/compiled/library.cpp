#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <distwork/impl/roles.hpp>

#include "parts.hpp"

int twice(int value) {
    return value * 2;
}
DISTWORK_REGISTER_FUNCTION(twice)

int twice_by_own_selector(int value) {
    asio::io_context io;
    distwork::Master master{io, 0,
                            [](const distwork::DistributeContext& context) { return context.sockets().front(); }};
    master.start();
    distwork::Slave<> slave{io, "127.0.0.1", master.local_endpoint().port()};
    slave.start();
    int answer = 0;
    const auto ask = [&]() -> asio::awaitable<void> {
        answer = co_await master.async_call<&twice>(value);
        io.stop();
    };
    asio::co_spawn(io, ask, asio::detached);
    io.run();
    return answer;
}
