#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../dispatch/ready_set.hpp"

namespace distwork::detail {

inline std::size_t lowest_bit(std::uint64_t word) noexcept {
    return static_cast<std::size_t>(std::countr_zero(word));
}

DISTWORK_DECL void ReadySet::reserve(std::size_t places) {
    if (places <= at_.size()) return;
    const std::size_t capacity = std::max(places, 2 * at_.size());
    sockets_.reserve(capacity);
    places_.reserve(capacity);
    bits_.resize((capacity + 63) / 64);
    summary_.resize((capacity + 4095) / 4096);
    at_.resize(capacity, absent);  // last: its size is the number of places that there is room for
}

DISTWORK_DECL void ReadySet::insert(std::size_t place, const SocketInformation* socket) {
    if (place >= at_.size()) reserve(place + 1);
    if (at_[place] != absent) return;
    at_[place] = static_cast<std::uint32_t>(sockets_.size());
    sockets_.push_back(socket);
    places_.push_back(static_cast<std::uint32_t>(place));
    bits_[place / 64] |= bit(place);
    summary_[place / 4096] |= bit(place / 64);
}

DISTWORK_DECL void ReadySet::erase(std::size_t place) noexcept {
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

DISTWORK_DECL const SocketInformation* ReadySet::from(std::size_t place) const noexcept {
    if (sockets_.empty()) return nullptr;
    std::size_t found = at_or_behind(place);
    if (found == none) found = at_or_behind(0);
    return sockets_[at_[found]];
}

DISTWORK_DECL std::size_t ReadySet::at_or_behind(std::size_t place) const noexcept {
    std::size_t word = place / 64;
    if (word >= bits_.size()) return none;
    if (const std::uint64_t rest = bits_[word] & not_before(place)) return word * 64 + lowest_bit(rest);
    // The summary has a bit for each word of bits_ that is not zero.
    if (++word >= bits_.size()) return none;
    std::uint64_t words = summary_[word / 64] & not_before(word);
    for (std::size_t block = word / 64; block < summary_.size(); words = summary_[block]) {
        if (words != 0) {
            const std::size_t found = block * 64 + lowest_bit(words);
            return found * 64 + lowest_bit(bits_[found]);
        }
        if (++block == summary_.size()) break;
    }
    return none;
}

}  // namespace distwork::detail
