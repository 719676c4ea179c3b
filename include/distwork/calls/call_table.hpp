#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "call.hpp"

namespace distwork::detail {

/// The calls of one session that await their answers, found by id in constant time and without hashing.
///
/// An id is `generation << 24 | place`: a place is used again, each time with its next generation, so that no id is
/// used twice and a late or invented answer finds nothing.
class CallTable {
public:
    static constexpr std::size_t most_calls = std::size_t{1} << 24;

    /// The id that the next call is held under; `insert` then finds its place.
    std::uint64_t next_id() {
        if (first_free_ == places_.size()) places_.emplace_back().next_free = first_free_ + 1;
        return (places_[first_free_].generation + 1) << 24 | first_free_;
    }

    /// Holds the call under the id that `next_id` gave, which is also written to it.
    void insert(std::shared_ptr<Call> call) noexcept {
        const std::size_t place = first_free_;
        Place& at = places_[place];
        first_free_ = at.next_free;
        at.id = ++at.generation << 24 | place;
        call->id = at.id;
        at.call = std::move(call);
        at.recalled = false;
        ++size_;
    }

    /// Whether the peer may be asked to return that call: it is here, and was not asked for before.
    bool may_recall(std::uint64_t id) noexcept {
        const Place* const at = find(id);
        return at && !at->recalled;
    }
    void note_recalled(std::uint64_t id) noexcept { find(id)->recalled = true; }

    /// Gives the call of that id, if the peer was asked to return it, and forgets it.
    std::shared_ptr<Call> take_recalled(std::uint64_t id) noexcept {
        const Place* const at = find(id);
        return at && at->recalled ? take(id) : nullptr;
    }

    /// Gives the call of that id, and forgets it; null if there is none.
    std::shared_ptr<Call> take(std::uint64_t id) noexcept {
        Place* at = find(id);
        if (!at) return nullptr;
        --size_;
        at->next_free = std::exchange(first_free_, id % most_calls);
        at->id = 0;
        return std::move(at->call);
    }

    /// Gives the call of that id, which stays; null if there is none.
    std::shared_ptr<Call> look_up(std::uint64_t id) noexcept {
        const Place* const at = find(id);
        return at ? at->call : nullptr;
    }

    bool contains(std::uint64_t id) noexcept { return find(id) != nullptr; }

    /// Appends all calls to `all`, which has room for them, in no order, and forgets them.
    void take_all(std::vector<std::shared_ptr<Call>>& all) noexcept {
        for (Place& place : places_)
            if (place.id != 0) all.push_back(std::move(place.call));
        places_.clear();
        first_free_ = size_ = 0;
    }

    std::size_t size() const noexcept { return size_; }

private:
    struct Place {
        std::uint64_t id = 0;  // 0: free
        std::uint64_t generation = 0;
        std::shared_ptr<Call> call;
        std::size_t next_free = 0;  // of a free one: the place that is used after it
        bool recalled = false;
    };

    Place* find(std::uint64_t id) noexcept {
        const std::size_t place = id % most_calls;
        if (id == 0 || place >= places_.size()) return nullptr;
        Place& at = places_[place];
        return at.id == id || (DISTWORK_PLANTED(ignore_the_generation) && at.id != 0) ? &at : nullptr;
    }

    std::vector<Place> places_;
    std::size_t first_free_ = 0;  // one behind the last: a new one
    std::size_t size_ = 0;
};

}  // namespace distwork::detail
