#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "call.hpp"

namespace distwork::detail {

/// The calls of one session that wait for their answers. A call is found by its id in constant time, without hashing.
///
/// An id is `generation << 24 | index`. An entry is used again with its next generation, so no id is used twice, and a
/// late or invented answer finds no call.
class CallTable {
public:
    static constexpr std::size_t most_calls = std::size_t{1} << 24;

    /// Returns the id of the next call that is inserted, and allocates its entry, so that `insert` cannot fail.
    std::uint64_t next_id() {
        if (first_free_ == entries_.size()) entries_.emplace_back().next_free = first_free_ + 1;
        return (entries_[first_free_].generation + 1) << 24 | first_free_;
    }

    /// Inserts the call under the id that `next_id` returned, and sets its `id`.
    void insert(std::shared_ptr<Call> call) noexcept {
        const std::size_t index = first_free_;
        Entry& at = entries_[index];
        first_free_ = at.next_free;
        at.id = ++at.generation << 24 | index;
        call->id = at.id;
        at.call = std::move(call);
        at.recalled = at.cancelled = false;
        ++size_;
    }

    /// Whether the peer may be asked to return this call: it is in the table, and was not recalled before.
    bool may_recall(std::uint64_t id) noexcept {
        const Entry* const at = find(id);
        return at && !at->recalled;
    }
    void note_recalled(std::uint64_t id) noexcept { find(id)->recalled = true; }

    /// Removes and returns the call of this id, if it was recalled; else null.
    std::shared_ptr<Call> take_recalled(std::uint64_t id) noexcept {
        const Entry* const at = find(id);
        return at && at->recalled ? take(id) : nullptr;
    }

    /// Removes and returns the call of this id; null if there is none.
    std::shared_ptr<Call> take(std::uint64_t id) noexcept {
        Entry* at = find(id);
        if (!at) return nullptr;
        --size_;
        at->next_free = std::exchange(first_free_, id % most_calls);
        at->id = 0;
        return std::move(at->call);
    }

    /// Returns the call of this id, which stays in the table; null if there is none.
    std::shared_ptr<Call> look_up(std::uint64_t id) noexcept {
        const Entry* const at = find(id);
        return at ? at->call : nullptr;
    }

    /// Whether the peer is to be told that this call is cancelled: it is in the table, and the peer was not told before.
    bool note_cancelled(std::uint64_t id) noexcept {
        Entry* const at = find(id);
        return at && !std::exchange(at->cancelled, true);
    }

    /// Removes all calls and appends them to `all`, in no particular order. `all` must have capacity for them.
    void take_all(std::vector<std::shared_ptr<Call>>& all) noexcept {
        for (Entry& entry : entries_)
            if (entry.id != 0) all.push_back(std::move(entry.call));
        entries_.clear();
        first_free_ = size_ = 0;
    }

    std::size_t size() const noexcept { return size_; }

private:
    struct Entry {
        std::uint64_t id = 0;  // 0: free
        std::uint64_t generation = 0;
        std::shared_ptr<Call> call;
        std::size_t next_free = 0;  // if it is free: the free entry that is used after this one
        bool recalled = false;
        bool cancelled = false;
    };

    Entry* find(std::uint64_t id) noexcept {
        const std::size_t index = id % most_calls;
        if (id == 0 || index >= entries_.size()) return nullptr;
        Entry& at = entries_[index];
        return at.id == id || (DISTWORK_PLANTED(ignore_the_generation) && at.id != 0) ? &at : nullptr;
    }

    std::vector<Entry> entries_;
    std::size_t first_free_ = 0;  // entries_.size() if none is free: a new entry is added
    std::size_t size_ = 0;
};

}  // namespace distwork::detail
