#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../base/asio.hpp"

namespace distwork::detail {

using Endpoints = std::vector<asio::ip::tcp::endpoint>;

/// The order in which the addresses of a host are tried: IPv6 and IPv4 alternate, starting with the kind that the
/// resolver returned first. If `last`, the address that was tried last, is among them, the order starts after it.
inline Endpoints order_of(const Endpoints& found, const std::optional<asio::ip::tcp::endpoint>& last) {
    Endpoints kinds[2];
    for (const auto& endpoint : found)
        kinds[endpoint.address().is_v6() == found.front().address().is_v6() ? 0 : 1].push_back(endpoint);
    Endpoints order;
    order.reserve(found.size());
    for (std::size_t i = 0; order.size() != found.size(); ++i)
        for (const Endpoints& kind : kinds)
            if (i < kind.size()) order.push_back(kind[i]);
    const auto ended = last ? std::find(order.begin(), order.end(), *last) : order.end();
    if (ended != order.end()) std::rotate(order.begin(), ended + 1, order.end());
    return order;
}

/// One attempt to connect to a host with several addresses: decides which address is tried next, and when. An address
/// is tried when an earlier one failed, or 250 ms after the last one was begun. The first address that answers wins. No
/// I/O, no clock.
///
/// *Source*: RFC 8305, "Happy Eyeballs".
class AddressRace {
public:
    static constexpr std::chrono::milliseconds next_after{250};

    explicit AddressRace(Endpoints order) : order_{std::move(order)} {}

    /// The next address to try, beside those in progress; null if all were tried.
    const asio::ip::tcp::endpoint* begin_next() noexcept {
        if (begun_ == order_.size()) return nullptr;
        ++under_way_;
        return &order_[begun_++];
    }
    void failed() noexcept { --under_way_; }

    /// Time until the next address is tried, unless one fails earlier; none if there is no further address.
    std::optional<std::chrono::milliseconds> pause() const noexcept {
        if (begun_ == order_.size()) return std::nullopt;
        return next_after;
    }
    bool is_lost() const noexcept { return begun_ == order_.size() && under_way_ == 0; }

private:
    const Endpoints order_;
    std::size_t begun_ = 0;
    std::size_t under_way_ = 0;
};

/// The address of each host that was tried last. *Thread-safety*: all functions.
class LastAddresses {
public:
    std::optional<asio::ip::tcp::endpoint> of(const std::string& host, std::uint16_t port) const {
        const std::lock_guard lock{mutex_};
        const auto found = addresses_.find({host, port});
        if (found == addresses_.end()) return std::nullopt;
        return found->second;
    }
    void set(const std::string& host, std::uint16_t port, const asio::ip::tcp::endpoint& address) {
        const std::lock_guard lock{mutex_};
        addresses_.insert_or_assign({host, port}, address);
    }

private:
    mutable std::mutex mutex_;
    // guarded by mutex_
    std::map<std::pair<std::string, std::uint16_t>, asio::ip::tcp::endpoint>
        addresses_;  // one entry for each host and port
};

}  // namespace distwork::detail
