#include "distwork/wire/slave_state_body.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/hex.hpp"

namespace slave_state_body_test {

using namespace distwork;
using namespace distwork::detail;

namespace {

std::vector<std::byte> load_bytes(const SlaveState& state) {
    const auto body = encode(state);
    return {body.begin() + 8, body.begin() + 12};
}

}  // namespace

TEST_CASE("the body of a slave's heartbeat is these bytes, and comes back", "[unit]") {
    SlaveState state;
    state.running = 0x04030201;
    state.queued = 5;
    state.load_average = 1.5;
    state.free_memory = 0x1817161514131211;
    const auto body = encode(state);
    CHECK(hex(body) == "01 02 03 04 05 00 00 00 dc 05 00 00 00 00 00 00 11 12 13 14 15 16 17 18");
    SlaveState again;
    REQUIRE_FALSE(decode(body, again));
    CHECK(again == state);
    // No load of a machine is more than fits, or less than nothing.
    state.load_average = 1e12;
    CHECK(hex(load_bytes(state)) == "ff ff ff ff");
    state.load_average = -1;
    CHECK(hex(load_bytes(state)) == "00 00 00 00");
    state.load_average = std::numeric_limits<double>::quiet_NaN();
    CHECK(hex(load_bytes(state)) == "00 00 00 00");
}

TEST_CASE("each load of a slave's heartbeat is encoded to what it was decoded from", "[unit]") {
    SlaveState state;
    for (std::uint32_t load = 0; load < 100'000; ++load) {
        state.load_average = load / 1000.0;
        SlaveState again;
        REQUIRE_FALSE(decode(encode(state), again));
        if (again.load_average != state.load_average) FAIL(load << " thousandths");
    }
}

TEST_CASE("a slave's heartbeat of any other length is refused, what is reserved is not looked at", "[unit]") {
    SlaveState state;
    for (std::size_t size = 0; size < 64; ++size) {
        const std::vector<std::byte> body(size, std::byte{0xff});
        CAPTURE(size);
        CHECK(!decode(body, state) == (size == slave_state_bytes));
    }
    CHECK(state.running == 0xffff'ffff);
    CHECK(state.load_average > 4e6);
}

}  // namespace slave_state_body_test
