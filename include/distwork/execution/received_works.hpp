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

    void push(std::shared_ptr<WorkBatch> batch) { batches_.push_back(std::move(batch)); }

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
                item = found.items[found.next++];
                if (batch != *at) batch = *at;
                if (found.next == found.items.size()) batches_.erase(at);
                return true;
            }
        }
        return false;
    }

    bool contains(const Peer& peer, std::uint64_t id) const { return find(peer, id) != nullptr; }

    /// Drops a work. Returns false if it is not here.
    bool drop(const Peer& peer, std::uint64_t id) {
        WorkBatch::Item* const item = find(peer, id);
        if (item) item->dropped = true;
        return item != nullptr;
    }

    void drop_all(const Peer& peer) {
        std::erase_if(batches_, [&](const auto& batch) { return batch->peer.get() == &peer; });
    }

    void clear() { batches_.clear(); }

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
    WorkBatch::Item* find(const Peer& peer, std::uint64_t id) const {
        for (const auto& batch : batches_) {
            if (batch->peer.get() != &peer) continue;
            for (std::size_t i = batch->next; i < batch->items.size(); ++i)
                if (batch->items[i].id == id && !batch->items[i].dropped) return &batch->items[i];
        }
        return nullptr;
    }

    std::deque<std::shared_ptr<WorkBatch>> batches_;
};

}  // namespace distwork::detail
