#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "call.hpp"
#include "detail/probe.hpp"

namespace distwork {

/// The calls of one session that await their answers, found by id in constant time and without hashing.
///
/// An id is `generation << 24 | place`: a place is used again, each time with its next generation, so that no id is
/// used twice and a late or invented answer finds nothing.
class CallTable {
public:
    static constexpr std::size_t most_calls = std::size_t{1} << 24;

    /// Holds the call under a new id, which is also written to it.
    std::uint64_t insert(std::shared_ptr<Call> call) {
        if (free_.empty()) {
            free_.push_back(static_cast<std::uint32_t>(places_.size()));
            places_.emplace_back();
        }
        const std::uint32_t place = free_.back();
        free_.pop_back();
        Place& at = places_[place];
        at.id = ++at.generation << 24 | place;
        call->id = at.id;
        at.call = std::move(call);
        at.recalled = false;
        ++size_;
        return at.id;
    }

    /// The peer is asked to return that call. False: there is none, or it was asked before.
    bool recall(std::uint64_t id) noexcept {
        Place* const at = find(id);
        return at && !std::exchange(at->recalled, true);
    }

    /// Gives the call of that id, if the peer was asked to return it, and forgets it.
    std::shared_ptr<Call> take_recalled(std::uint64_t id) {
        const Place* const at = find(id);
        return at && at->recalled ? take(id) : nullptr;
    }

    /// Gives the call of that id, and forgets it; null if there is none.
    std::shared_ptr<Call> take(std::uint64_t id) {
        Place* at = find(id);
        if (!at) return nullptr;
        --size_;
        free_.push_back(static_cast<std::uint32_t>(id % most_calls));
        at->id = 0;
        return std::move(at->call);
    }

    /// Gives the call of that id, which stays; null if there is none.
    std::shared_ptr<Call> look_up(std::uint64_t id) {
        const Place* const at = find(id);
        return at ? at->call : nullptr;
    }

    bool contains(std::uint64_t id) { return find(id) != nullptr; }

    /// Gives all calls, in no order, and forgets them.
    std::vector<std::shared_ptr<Call>> take_all() {
        std::vector<std::shared_ptr<Call>> all;
        all.reserve(size_);
        for (Place& place : places_)
            if (place.id != 0) all.push_back(std::move(place.call));
        places_.clear();
        free_.clear();
        size_ = 0;
        return all;
    }

    std::size_t size() const noexcept { return size_; }

private:
    struct Place {
        std::uint64_t id = 0;  // 0: free
        std::uint64_t generation = 0;
        std::shared_ptr<Call> call;
        bool recalled = false;
    };

    Place* find(std::uint64_t id) {
        const std::size_t place = id % most_calls;
        if (id == 0 || place >= places_.size()) return nullptr;
        Place& at = places_[place];
        return at.id == id || (DISTWORK_PLANTED(ignore_the_generation) && at.id != 0) ? &at : nullptr;
    }

    std::vector<Place> places_;
    std::vector<std::uint32_t> free_;
    std::size_t size_ = 0;
};

}  // namespace distwork
