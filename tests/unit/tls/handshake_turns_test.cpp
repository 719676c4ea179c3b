#include "distwork/tls/handshake_turns.hpp"

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/ip/address.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "distwork/transport.hpp"
#include "support/catch.hpp"

namespace handshake_turns_test {

using namespace distwork::detail;
using namespace std::chrono_literals;

struct Handshake : WaitingHandshake {
    bool is_open() const noexcept override { return open; }
    void begin() noexcept override { has_begun = true; }
    bool open = true;
    bool has_begun = false;
};

struct Scene {
    std::shared_ptr<Handshake> wait(const std::string& address) {
        auto handshake = std::make_shared<Handshake>();
        turns->wait(asio::ip::make_address(address), 1h, handshake);
        return handshake;
    }
    asio::io_context io;
    std::shared_ptr<HandshakeTurns> turns = std::make_shared<HandshakeTurns>(distwork::Tcp{io.get_executor()});
};

TEST_CASE("handshakes whose connections were closed do not pile up behind one that waits", "[unit]") {
    Scene scene;
    CHECK(scene.wait("10.0.0.1")->has_begun);
    const auto honest = scene.wait("10.0.0.1");
    std::vector<std::weak_ptr<Handshake>> all;
    for (int i = 0; i < 10'000; ++i) {
        const auto handshake = scene.wait("10.0.0.1");
        handshake->open = false;
        all.push_back(handshake);
    }
    CHECK(std::count_if(all.begin(), all.end(), [](const auto& one) { return !one.expired(); }) <= 200);
    CHECK_FALSE(honest->has_begun);
    CHECK(honest.use_count() == 2);
}

}  // namespace handshake_turns_test
