#include <distwork/roles/strangers.hpp>

#include <cstdint>
#include <memory>
#include <string>

#include "support/catch.hpp"

namespace strangers_test {

struct Session {
    asio::ip::tcp::endpoint endpoint;
    std::uint64_t stranger = 0;
    asio::ip::tcp::endpoint remote_endpoint() const { return endpoint; }
};
using Strangers = distwork::detail::Strangers<Session>;

std::shared_ptr<Session> from(const std::string& address) {
    return std::make_shared<Session>(Session{{asio::ip::make_address(address), 5000}, 0});
}

TEST_CASE("of too many strangers the oldest of the address that has most has to go") {
    Strangers strangers{3};
    const auto honest = from("10.0.0.1");
    const auto first = from("10.0.0.2");
    const auto second = from("10.0.0.2");
    CHECK_FALSE(strangers.add(honest, {}));
    CHECK_FALSE(strangers.add(first, {}));
    CHECK_FALSE(strangers.add(second, {}));
    CHECK(strangers.add(from("10.0.0.2"), {}) == first);
    CHECK(strangers.add(from("10.0.0.2"), {}) == second);
    for (int i = 0; i < 100; ++i) CHECK(strangers.add(from("10.0.0.2"), {}) != honest);
}

TEST_CASE("who has many addresses of one network of IPv6 displaces his own") {
    Strangers strangers{2};
    const auto honest = from("2001:db8:1::1");
    CHECK_FALSE(strangers.add(honest, {}));
    CHECK_FALSE(strangers.add(from("2001:db8:2::1"), {}));
    for (int i = 2; i < 100; ++i) CHECK(strangers.add(from("2001:db8:2::" + std::to_string(i)), {}) != honest);
}

TEST_CASE("who was not admitted is no offender, whatever he did: else he could keep out the slaves of his address") {
    Strangers strangers{2};
    const auto address = asio::ip::make_address("10.0.0.1");
    const auto times = [&] {
        int admitted = 0;
        for (int i = 0; i < 1000; ++i) admitted += strangers.admits(address, {});
        return admitted;
    };
    using distwork::Errc;
    for (int i = 0; i < 100; ++i)
        strangers.ended(*from("10.0.0.1"), false, make_error_code(Errc::protocol_violation), {});
    CHECK(times() == 1000);
    strangers.ended(*from("10.0.0.1"), true, make_error_code(Errc::connection_closed), {});
    CHECK(times() == 1000);
    strangers.ended(*from("10.0.0.1"), true, make_error_code(Errc::protocol_violation), {});
    CHECK(times() == 20);
}

TEST_CASE("who is no stranger any more makes room") {
    Strangers strangers{2};
    const auto one = from("10.0.0.1");
    const auto other = from("10.0.0.1");
    strangers.add(one, {});
    strangers.add(other, {});
    strangers.remove(*one);
    strangers.remove(*one);
    strangers.remove(*from("10.0.0.1"));  // it was none
    CHECK_FALSE(strangers.add(from("10.0.0.3"), {}));
    CHECK(strangers.add(from("10.0.0.3"), {}));
    strangers.clear();
    CHECK_FALSE(strangers.add(one, {}));
    CHECK(one.use_count() == 2);
    strangers.clear();
    CHECK(one.use_count() == 1);
}

TEST_CASE("a single place is always the newest stranger's") {
    Strangers strangers{1};
    const auto one = from("::1");
    CHECK_FALSE(strangers.add(one, {}));
    CHECK(strangers.add(from("10.0.0.2"), {}) == one);
}

TEST_CASE("a stranger may stay for a while: others wait") {
    using std::chrono::milliseconds;
    Strangers strangers{2};
    const Strangers::TimePoint begin{};
    CHECK_FALSE(strangers.is_full(begin));
    strangers.add(from("10.0.0.1"), begin);
    const auto second = from("10.0.0.1");
    strangers.add(second, begin + milliseconds{50});
    CHECK(strangers.is_full(begin + milliseconds{199}));
    CHECK_FALSE(strangers.is_full(begin + milliseconds{200}));  // the first one goes
    strangers.add(from("10.0.0.1"), begin + milliseconds{200});
    CHECK(strangers.is_full(begin + milliseconds{249}));
    strangers.remove(*second);
    CHECK_FALSE(strangers.is_full(begin + milliseconds{249}));
}

}  // namespace strangers_test
