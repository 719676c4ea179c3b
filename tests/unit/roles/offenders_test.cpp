#include "distwork/roles/offenders.hpp"

#include <asio/ip/address.hpp>
#include <chrono>

#include "support/catch.hpp"

namespace offenders_test {

using namespace std::chrono_literals;
using namespace distwork;
using distwork::detail::Offenders;

namespace {

struct Door {
    Offenders offenders;
    Offenders::TimePoint now{1h};
    const asio::ip::address one = asio::ip::make_address("10.0.0.1");
    const asio::ip::address other = asio::ip::make_address("10.0.0.2");

    int admitted(const asio::ip::address& address, int tries) {
        int count = 0;
        while (tries-- > 0) count += offenders.admits(address, now);
        return count;
    }
    void offends(const asio::ip::address& address, Errc reason = Errc::protocol_violation) {
        offenders.note(address, make_error_code(reason), now);
    }
};

}  // namespace

TEST_CASE("who broke the protocol gets twenty connections and ten a second, and others as many as they like",
          "[unit]") {
    Door door;
    CHECK(door.admitted(door.one, 1000) == 1000);
    door.offends(door.one);
    CHECK(door.admitted(door.one, 1000) == 20);
    CHECK(door.admitted(door.other, 1000) == 1000);
    for (int i = 0; i < 10; ++i) {
        door.now += 1s;
        door.offends(door.one);
        CHECK(door.admitted(door.one, 1000) == 10);
    }
}

TEST_CASE("an offence is forgotten after a minute", "[unit]") {
    Door door;
    door.offends(door.one);
    CHECK(door.admitted(door.one, 1000) == 20);
    door.now += 61s;
    CHECK(door.admitted(door.one, 1000) == 1000);
}

TEST_CASE("who ends as sessions do, or is of another version, is no offender", "[unit]") {
    for (const Errc reason : {Errc::connection_closed, Errc::peer_silent, Errc::stopped, Errc::version_mismatch,
                              Errc::too_many_slaves, Errc::too_many_strangers, Errc::wrong_role,
                              Errc::handshake_timeout, Errc::not_authenticated, Errc::not_distwork}) {
        Door door;
        door.offends(door.one, reason);
        CAPTURE(make_error_code(reason).message());
        CHECK(door.admitted(door.one, 1000) == 1000);
    }
    for (const Errc reason : {Errc::protocol_violation, Errc::frame_too_large, Errc::malformed}) {
        Door door;
        door.offends(door.one, reason);
        CAPTURE(make_error_code(reason).message());
        CHECK(door.admitted(door.one, 1000) == 20);
    }
}

TEST_CASE("of more offenders than are known, new ones are known when old ones were forgotten", "[unit]") {
    Door door;
    for (unsigned i = 0; i < 10'000; ++i) door.offends(asio::ip::address_v4{i + 1});
    CHECK(door.admitted(asio::ip::address_v4{1}, 1000) == 20);
    CHECK(door.admitted(asio::ip::address_v4{10'000}, 1000) == 1000);
    door.now += 61s;
    door.offends(asio::ip::address_v4{10'000});
    CHECK(door.admitted(asio::ip::address_v4{10'000}, 1000) == 20);
}

}  // namespace offenders_test
