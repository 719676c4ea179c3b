#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <system_error>

#include "../base/asio.hpp"
#include "../error.hpp"

namespace distwork::detail {

/// The peer's end of the connection; a default endpoint if the connection is closed already. A socket pair has its other
/// end on this machine: loopback, without a port.
template <class Socket>
asio::ip::tcp::endpoint remote_endpoint_of(const Socket& socket) {
    std::error_code error;
    auto endpoint = socket.remote_endpoint(error);
    if (error) return {};
    const int family = endpoint.data()->sa_family;
    const bool is_of_internet = family == asio::ip::tcp::v4().family() || family == asio::ip::tcp::v6().family();
    return is_of_internet ? endpoint : asio::ip::tcp::endpoint{asio::ip::address_v4::loopback(), 0};
}

/// What stands for all addresses that one machine may choose from: of IPv6 the first 64 bits (RFC 4291 gives the others
/// to the interface), of IPv4 the address, also where it stands in one of IPv6 (RFC 4291, 6052).
inline asio::ip::address network_of(const asio::ip::address& address) {
    if (!address.is_v6()) return address;
    const auto v6 = address.to_v6();
    auto bytes = v6.to_bytes();
    constexpr std::array<unsigned char, 12> translated{0, 0x64, 0xff, 0x9b};
    if (v6.is_v4_mapped() || std::equal(translated.begin(), translated.end(), bytes.begin()))
        return asio::ip::address_v4{{bytes[12], bytes[13], bytes[14], bytes[15]}};
    std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
    return asio::ip::address_v6{bytes};
}

/// `host:port`, with brackets around an IPv6 address.
inline std::string host_and_port(const std::string& host, std::uint16_t port) {
    const bool is_v6 = host.find(':') != std::string::npos;
    return (is_v6 ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

inline std::string to_string(const asio::ip::tcp::endpoint& endpoint) {
    return host_and_port(endpoint.address().to_string(), endpoint.port());
}

/// A peer's name and address, for people. The end of a socket pair has no address.
inline std::string name_and_address(const std::string& name, const asio::ip::tcp::endpoint& endpoint) {
    return endpoint.port() == 0 ? name : name + " (" + to_string(endpoint) + ')';
}

/// Whether a host is known to be this machine: a loopback address or "localhost". Other names give false.
inline bool is_loopback(const std::string& host) {
    if (host == "localhost") return true;
    std::error_code error;
    const auto address = asio::ip::make_address(host, error);
    return !error && address.is_loopback();
}

inline bool is_address(const std::string& host) {
    std::error_code error;
    static_cast<void>(asio::ip::make_address(host, error));
    return !error;
}

/// *Errors*: throws Error (bad_address) unless `host` is an address or has the form of a host's name.
inline void check_host(const std::string& host) {
    if (is_address(host)) return;
    const bool only_digits_and_dots = host.find_first_not_of("0123456789.") == std::string::npos;
    const bool only_name_letters =
        host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") ==
        std::string::npos;
    if (host.empty() || host.size() > 253 || only_digits_and_dots || !only_name_letters)
        throw Error::with_text(Errc::bad_address, '"' + host + "\" is neither an address nor a host's name");
}

}  // namespace distwork::detail
