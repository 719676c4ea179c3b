#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "../calls/peer.hpp"
#include "work_batch.hpp"

namespace distwork::detail {

/// The works that peers sent and that have not begun, in the order of arrival. Guarded by the mutex of the queue.
class ReceivedWorks {
public:
    bool empty() const noexcept { return batches_.empty(); }

    void push(std::shared_ptr<WorkBatch> batch) {
        if (batches_.empty()) search_ = {};
        search_.pushed += batch->items.size();
        const WorkBatch& added = *batches_.emplace_back(std::move(batch));
        if (search_.is_indexed) index(added);
    }

    /// Takes the first work whose peer takes answers into `item`; `batch` then owns its memory and has its peer.
    /// Returns false if there is none.
    bool take(std::shared_ptr<WorkBatch>& batch, WorkBatch::Item& item) {
        for (auto at = batches_.begin(); at != batches_.end();) {
            WorkBatch& found = **at;
            while (found.next != found.items.size() && found.items[found.next].dropped) ++found.next;
            if (found.next == found.items.size()) {
                at = batches_.erase(at);
            } else if (!found.peer->takes_answers()) {
                DISTWORK_MARK(answers_wait);
                ++at;
            } else {
                item = found.take();
                forget(*found.peer, item.id);
                if (batch != *at) batch = *at;
                if (found.next == found.items.size()) batches_.erase(at);
                return true;
            }
        }
        return false;
    }

    bool contains(const Peer& peer, std::uint64_t id) { return find(peer, id) != nullptr; }

    /// Drops a work. Returns false if it is not here.
    bool drop(const Peer& peer, std::uint64_t id) {
        WorkBatch::Item* const item = find(peer, id);
        if (!item) return false;
        item->dropped = true;
        forget(peer, id);
        return true;
    }

    void drop_all(const Peer& peer) {
        std::erase_if(batches_, [&](const auto& batch) { return batch->peer.get() == &peer; });
        search_ = {};
    }

    void clear() {
        batches_.clear();
        search_ = {};
    }

    /// The types of the works, each with their number.
    std::vector<std::pair<const WorkType*, std::size_t>> types() const {
        std::map<const WorkType*, std::size_t> counts;
        for (const auto& batch : batches_)
            for (const auto& item : batch->items.subspan(batch->next))
                if (!item.dropped) ++counts[item.type];
        return {counts.begin(), counts.end()};
    }

    /// The number of works, including those dropped. It is counted by batches, as there may be a million works; few of
    /// them are dropped.
    std::size_t size() const {
        std::size_t count = 0;
        for (const auto& batch : batches_) count += batch->items.size() - batch->next;
        return count;
    }

private:
    /// Looks through all works, or into an index of them. The works that came pay for some looking; if a peer asks for
    /// more, the index is made, and kept until no work is left. So usual traffic needs no index, and no traffic needs
    /// quadratic time.
    WorkBatch::Item* find(const Peer& peer, std::uint64_t id) {
        constexpr std::size_t steps_a_work = 64;
        if (!search_.is_indexed && search_.steps > search_.pushed * steps_a_work) make_index();
        if (search_.is_indexed) {
            const auto found = search_.index.find({&peer, id});
            return found == search_.index.end() ? nullptr : found->second;
        }
        for (const auto& batch : batches_) {
            ++search_.steps;
            if (batch->peer.get() != &peer) continue;
            for (std::size_t i = batch->next; i < batch->items.size(); ++i, ++search_.steps)
                if (batch->items[i].id == id && !batch->items[i].dropped) return &batch->items[i];
        }
        return nullptr;
    }

    void make_index() {
        search_.index.clear();
        for (const auto& batch : batches_) index(*batch);
        search_.is_indexed = true;
    }

    void index(const WorkBatch& batch) {
        for (WorkBatch::Item& item : batch.items.subspan(batch.next))
            if (!item.dropped) search_.index.try_emplace({batch.peer.get(), item.id}, &item);
    }

    void forget(const Peer& peer, std::uint64_t id) {
        if (search_.is_indexed) [[unlikely]]
            search_.index.erase({&peer, id});
    }

    struct Search {
        std::size_t pushed = 0;  // works that came
        std::size_t steps = 0;   // works that were looked at
        bool is_indexed = false;
        std::map<std::pair<const Peer*, std::uint64_t>, WorkBatch::Item*> index{};  // sorted: peers choose the ids
    };

    std::deque<std::shared_ptr<WorkBatch>> batches_;
    Search search_;
};

}  // namespace distwork::detail
