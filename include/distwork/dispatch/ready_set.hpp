#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "../base/separate.hpp"
#include "../socket_information.hpp"

namespace distwork::detail {

/// A set of sockets by place. It gives a dense span to selectors that choose at random, and the next socket in order of
/// place to selectors that go round. Each operation takes constant time up to 4,096 places; beyond, the time grows with
/// a 4,096th of the places.
class ReadySet {
public:
    /// Makes room for all places below `places`, so that `insert` does not throw for them. *Errors*: std::bad_alloc.
    void reserve(std::size_t places);

    bool contains(std::size_t place) const noexcept { return place < at_.size() && at_[place] != absent; }

    void insert(std::size_t place, const SocketInformation* socket);
    void erase(std::size_t place) noexcept;

    /// All sockets of the set, in no order.
    const std::vector<const SocketInformation*>& sockets() const noexcept { return sockets_; }
    bool empty() const noexcept { return sockets_.empty(); }

    /// The first socket at `place` or behind it, going round; null if the set is empty.
    const SocketInformation* from(std::size_t place) const noexcept;

private:
    static constexpr std::uint32_t absent = std::numeric_limits<std::uint32_t>::max();
    static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

    static constexpr std::uint64_t bit(std::size_t index) noexcept { return std::uint64_t{1} << (index % 64); }
    static constexpr std::uint64_t not_before(std::size_t index) noexcept { return ~std::uint64_t{0} << (index % 64); }

    std::size_t at_or_behind(std::size_t place) const noexcept;

    std::vector<const SocketInformation*> sockets_;
    std::vector<std::uint32_t> places_;  // the place of each element of sockets_
    std::vector<std::uint32_t> at_;      // by place: the index into sockets_
    std::vector<std::uint64_t> bits_;
    std::vector<std::uint64_t> summary_;
};

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/ready_set.ipp"
#endif
