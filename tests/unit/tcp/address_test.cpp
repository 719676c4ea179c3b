#include "distwork/tcp/address.hpp"

#include <string>

#include "distwork/error.hpp"
#include "distwork/role_options.hpp"
#include "distwork/transport.hpp"
#include "support/catch.hpp"

namespace address_test {

using namespace distwork;
using namespace distwork::detail;

static_assert(Transport<Tcp>);

TEST_CASE("only localhost and loopback addresses stay on this machine", "[unit]") {
    for (const char* host : {"localhost", "127.0.0.1", "127.255.3.4", "::1"}) CHECK(detail::is_loopback(host));
    for (const char* host : {"0.0.0.0", "::", "192.168.0.1", "128.0.0.1", "10.0.0.1", "localhost.example", "example",
                             "", "127.0.0.1.example", "::2"})
        CHECK_FALSE(detail::is_loopback(host));
}

TEST_CASE("what counts for an address counts for a whole network of IPv6", "[unit]") {
    const auto of = [](const char* address) { return network_of(asio::ip::make_address(address)).to_string(); };
    CHECK(of("10.1.2.3") == "10.1.2.3");
    CHECK(of("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::");
    CHECK(of("2001:db8:1:2:ffff::") == "2001:db8:1:2::");
    CHECK(of("::ffff:10.1.2.3") == "10.1.2.3");
    CHECK(of("64:ff9b::10.1.2.3") == "10.1.2.3");
    CHECK(of("64:ff9b:1::10.1.2.3") == "64:ff9b:1::");
    CHECK(of("::1") == "::");
}

TEST_CASE("a host is an address, or could be a name", "[unit]") {
    for (const char* host : {"127.0.0.1", "::1", "fe80::1", "localhost", "node-7.example.org", "my_node", "7up"})
        CHECK_NOTHROW(detail::check_host(host));
    CHECK_NOTHROW(detail::check_host(std::string(253, 'a')));
    for (const char* host :
         {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "12345", "a b", "host:80", "[::1]", "http://a", "a\n"})
        CHECK_THROWS_AS(detail::check_host(host), Error);
    CHECK_THROWS_AS(detail::check_host(std::string(254, 'a')), Error);
    try {
        detail::check_host("1.2.3");
    } catch (const Error& error) {
        CHECK(error.code() == Errc::bad_address);
        CHECK(std::string{error.what()}.find("\"1.2.3\"") != std::string::npos);
    }
}

TEST_CASE("an endpoint is written with its port, brackets about an IPv6 address", "[unit]") {
    CHECK(detail::to_string(asio::ip::tcp::endpoint{asio::ip::make_address("127.0.0.1"), 80}) == "127.0.0.1:80");
    CHECK(detail::to_string(asio::ip::tcp::endpoint{asio::ip::make_address("::1"), 80}) == "[::1]:80");
}

TEST_CASE("an IPv6 address stands in brackets wherever a port follows", "[unit]") {
    CHECK(detail::host_and_port("fd77::1", 15210) == "[fd77::1]:15210");
    CHECK(detail::host_and_port("node.example", 80) == "node.example:80");
    CHECK(MasterAddress{"fd77::1", 15210}.to_string() == "[fd77::1]:15210");
    CHECK(detail::to_string(asio::ip::tcp::endpoint{asio::ip::make_address("fd77::1"), 1}) == "[fd77::1]:1");
}

}  // namespace address_test
