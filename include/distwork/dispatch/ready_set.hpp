#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "../socket_information.hpp"

namespace distwork::detail {

/// A set of sockets by place. It gives a dense span to selectors that choose at random, and the next socket in order of
/// place to selectors that go round. Each operation takes constant time up to 4,096 places; beyond, the time grows with
/// a 4,096th of the places.
class ReadySet {
public:
    /// Makes room for all places below `places`, so that `insert` does not throw for them. *Errors*: std::bad_alloc.
    void reserve(std::size_t places) {
        if (places <= at_.size()) return;
        const std::size_t capacity = std::max(places, 2 * at_.size());
        sockets_.reserve(capacity);
        places_.reserve(capacity);
        bits_.resize((capacity + 63) / 64);
        summary_.resize((capacity + 4095) / 4096);
        at_.resize(capacity, absent);  // last: its size is the number of places that there is room for
    }

    bool contains(std::size_t place) const noexcept { return place < at_.size() && at_[place] != absent; }

    void insert(std::size_t place, const SocketInformation* socket) {
        if (place >= at_.size()) reserve(place + 1);
        if (at_[place] != absent) return;
        at_[place] = static_cast<std::uint32_t>(sockets_.size());
        sockets_.push_back(socket);
        places_.push_back(static_cast<std::uint32_t>(place));
        bits_[place / 64] |= bit(place);
        summary_[place / 4096] |= bit(place / 64);
    }

    void erase(std::size_t place) noexcept {
        if (!contains(place)) return;
        const std::uint32_t hole = at_[place];
        sockets_[hole] = sockets_.back();
        places_[hole] = places_.back();
        at_[places_[hole]] = hole;
        sockets_.pop_back();
        places_.pop_back();
        at_[place] = absent;
        if ((bits_[place / 64] &= ~bit(place)) == 0) summary_[place / 4096] &= ~bit(place / 64);
    }

    /// All sockets of the set, in no order.
    const std::vector<const SocketInformation*>& sockets() const noexcept { return sockets_; }
    bool empty() const noexcept { return sockets_.empty(); }

    /// The first socket at `place` or behind it, going round; null if the set is empty.
    const SocketInformation* from(std::size_t place) const noexcept {
        if (sockets_.empty()) return nullptr;
        std::size_t found = at_or_behind(place);
        if (found == none) found = at_or_behind(0);
        return sockets_[at_[found]];
    }

private:
    static constexpr std::uint32_t absent = std::numeric_limits<std::uint32_t>::max();
    static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

    static constexpr std::uint64_t bit(std::size_t index) noexcept { return std::uint64_t{1} << (index % 64); }
    static constexpr std::uint64_t not_before(std::size_t index) noexcept { return ~std::uint64_t{0} << (index % 64); }

    std::size_t at_or_behind(std::size_t place) const noexcept {
        std::size_t word = place / 64;
        if (word >= bits_.size()) return none;
        if (const std::uint64_t rest = bits_[word] & not_before(place)) return word * 64 + low(rest);
        // The summary has a bit for each word of bits_ that is not zero.
        if (++word >= bits_.size()) return none;
        std::uint64_t words = summary_[word / 64] & not_before(word);
        for (std::size_t block = word / 64; block < summary_.size(); words = summary_[block]) {
            if (words != 0) {
                const std::size_t found = block * 64 + low(words);
                return found * 64 + low(bits_[found]);
            }
            if (++block == summary_.size()) break;
        }
        return none;
    }

    static std::size_t low(std::uint64_t word) noexcept { return static_cast<std::size_t>(std::countr_zero(word)); }

    std::vector<const SocketInformation*> sockets_;
    std::vector<std::uint32_t> places_;  // the place of each element of sockets_
    std::vector<std::uint32_t> at_;      // by place: the index into sockets_
    std::vector<std::uint64_t> bits_;
    std::vector<std::uint64_t> summary_;
};

}  // namespace distwork::detail
