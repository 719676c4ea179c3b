#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/amounts.hpp"
#include "../types/registry.hpp"
#include "submission.hpp"

namespace distwork::detail {

/// Works that wait for a slave with credit: the deepest first, then by priority, then first in, first out. The user of
/// this class bounds its size.
///
/// Works of equal depth, priority, type, labels, amounts and pin form a lane; chunks have their own, and so have works
/// with an affinity, by a part of the hash of their key. Amounts are equal here if they are of one power of two. If no
/// slave has credit for the first work of a lane, none has credit for the others. So a round looks at each lane, not at
/// each work.
class Backlog {
public:
    enum class Verdict {
        sent,       ///< the work was sent and leaves the backlog
        declined,   ///< the selector declined the work: the next work of its lane is offered
        no_socket,  ///< no slave has credit for the lane of the work
    };

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    std::size_t bytes() const noexcept { return bytes_; }

    /// Whether other works of its lane wait here.
    bool has_lane_of(const Submission& work) const noexcept { return !empty() && find_lane(work); }

    /// The first work of all lanes; null if there is none.
    SubmissionPtr front() const {
        SubmissionPtr best;
        for (const auto& lane : lanes_)
            if (!best || is_before(*lane->works.front(), *best)) best = lane->works.front();
        return best;
    }

    /// Whether the works of its lane wait because no slave has credit for them. Then this work must wait behind them.
    bool holds_up(const Submission& work) const noexcept {
        const Lane* const lane = empty() ? nullptr : find_lane(work);  // the backlog is usually empty
        return lane && lane->no_socket;
    }

    /// Takes the one work of `node`. `no_socket`: the work was offered, and no slave has credit for it. Returns whether
    /// it is the only work of its lane. *Errors*: std::bad_alloc; then nothing has changed.
    bool push(std::list<SubmissionPtr>& node, bool no_socket = false) {
        Submission& work = *node.front();
        Lane& lane = lane_of(work);
        if (no_socket) lane.no_socket = true;
        size_ += 1;
        bytes_ += work.bytes();
        // A work that was sent before returns to its old position, before most or all works that wait.
        auto behind = lane.works.end();
        if (!lane.works.empty() && lane.works.back()->sequence > work.sequence) {
            behind = lane.works.begin();
            while ((*behind)->sequence < work.sequence) ++behind;
        }
        work.at = node.begin();
        lane.works.splice(behind, node);
        return lane.works.size() == 1;
    }

    /// Creates the lane of a work, so that the `push` of this work that follows does not throw. *Errors*:
    /// std::bad_alloc.
    void expect(const Submission& work) { lane_of(work); }

    /// Calls `visit(const Submission& first, std::size_t works, bool no_socket)` for each lane.
    template <class Visit>
    void for_each_lane(Visit visit) const {
        for (const auto& lane : lanes_) visit(*lane->works.front(), lane->works.size(), lane->no_socket);
    }

    /// Calls `visit(const Submission& first, std::size_t works, bool no_socket)` for each lane with works of that name.
    template <class Visit>
    void for_each_lane_of(std::string_view name, Visit visit) const {
        const auto is_one = [name](const SubmissionPtr& work) { return work->name() == name; };
        for (const auto& lane : lanes_) {
            const auto first = std::find_if(lane->works.begin(), lane->works.end(), is_one);
            if (first == lane->works.end()) continue;
            visit(**first, static_cast<std::size_t>(std::count_if(first, lane->works.end(), is_one)), lane->no_socket);
        }
    }

    /// Calls `report(const Submission& first)` for each lane, until it has returned true for that lane.
    template <class Report>
    void report_lanes(Report report) {
        for (const auto& lane : lanes_)
            if (!lane->reported) lane->reported = report(*lane->works.front());
    }

    /// Removes a work that is here, and returns it as a list of one.
    std::list<SubmissionPtr> remove(Submission& work) noexcept {
        Lane& lane = *find_lane(work);
        if (lane.next == work.at) ++lane.next;
        std::list<SubmissionPtr> removed;
        removed.splice(removed.end(), lane.works, work.at);
        size_ -= 1;
        bytes_ -= work.bytes();
        if (lane.works.empty()) std::erase_if(lanes_, [&](const auto& other) { return other.get() == &lane; });
        return removed;
    }

    /// Offers each work to `offer(SubmissionPtr&)` once, in order. But a work with an affinity for which
    /// `prefers(const SubmissionPtr&)` returns true, because its slave has credit, goes before up to `most_overtaken`
    /// older ones of its depth and priority. A lane ends when all its works were offered, or when no slave has credit for
    /// it. The round ends when `any_credit()` returns false, because no slave has any credit. If `offer` throws, its work
    /// and all works that were not offered yet keep waiting.
    template <class Offer, class Prefers, class AnyCredit>
    void round(Offer offer, Prefers prefers, AnyCredit any_credit) {
        bool has_keys = false;
        for (const auto& lane : lanes_) {
            lane->next = lane->works.begin();
            lane->no_socket = lane->prefers_nobody = false;
            has_keys |= lane->affinity != 0;
        }
        struct Finish {
            Backlog& backlog;
            ~Finish() {
                // No slave has credit for the works that were not offered.
                for (const auto& lane : backlog.lanes_)
                    if (lane->next != lane->works.end()) lane->no_socket = true;
                std::erase_if(backlog.lanes_, [](const auto& lane) { return lane->works.empty(); });
            }
        } finish{*this};
        while (any_credit()) {
            Lane* const oldest = first();
            if (!oldest) break;
            Lane* const preferred = has_keys ? first_preferred(*oldest, prefers) : nullptr;
            Lane* const lane = preferred ? preferred : oldest;
            SubmissionPtr& work = *lane->next;
            lane->prefers_nobody = false;
            switch (offer(work)) {
                case Verdict::sent:
                    if (has_keys)
                        for (const auto& other : lanes_) other->prefers_nobody = false;
                    size_ -= 1;
                    bytes_ -= work->bytes();
                    lane->next = lane->works.erase(lane->next);
                    break;
                case Verdict::declined: ++lane->next; break;
                case Verdict::no_socket:
                    lane->next = lane->works.end();
                    lane->no_socket = true;
                    break;
            }
        }
    }

    /// Removes and returns all works for which `which(Submission&)` returns true.
    template <class Which>
    std::list<SubmissionPtr> extract(Which which) noexcept {
        std::list<SubmissionPtr> out;
        for (const auto& lane : lanes_)
            for (auto next = lane->works.begin(); next != lane->works.end();) {
                const auto at = next++;
                if (!which(**at)) continue;
                size_ -= 1;
                bytes_ -= (*at)->bytes();
                out.splice(out.end(), lane->works, at);
            }
        std::erase_if(lanes_, [](const auto& lane) { return lane->works.empty(); });
        return out;
    }

private:
    static constexpr std::uint64_t most_overtaken = 1024;
    static constexpr std::uint64_t lanes_of_keys = 64;

    struct Lane {
        unsigned depth;
        int priority;
        const WorkType* type;
        std::uint64_t pinned;
        std::uint64_t affinity;  // see affinity_of
        bool is_chunk;
        std::vector<std::string> labels;
        Amounts amounts;
        std::list<SubmissionPtr> works;
        std::list<SubmissionPtr>::iterator next{};  // the next work to offer in this round; the end: none
        bool no_socket = false;                     // no slave has credit for a work of this lane
        bool prefers_nobody = false;                // the slave of its next work, in this round, has no credit for it
        bool reported = false;                      // the log says that no slave can take works of this lane
    };

    static bool is_before(const Submission& one, const Submission& other) noexcept {
        if (one.depth != other.depth) return one.depth > other.depth;
        if (one.options.priority() != other.options.priority())
            return one.options.priority() > other.options.priority();
        return one.sequence < other.sequence;
    }

    Lane* find_lane(const Submission& work) const noexcept {
        for (const auto& lane : lanes_)
            if (lane->depth == work.depth && lane->priority == work.options.priority() && lane->type == &work.type() &&
                lane->pinned == work.pinned && lane->affinity == affinity_of(work) &&
                lane->is_chunk == (work.elements() != 1) && lane->labels == work.options.labels() &&
                are_alike(lane->amounts, work.options.amounts()))
                return lane.get();
        return nullptr;
    }

    Lane& lane_of(const Submission& work) {
        if (Lane* const lane = find_lane(work)) return *lane;
        lanes_.push_back(std::make_unique<Lane>(Lane{work.depth,
                                                     work.options.priority(),
                                                     &work.type(),
                                                     work.pinned,
                                                     affinity_of(work),
                                                     work.elements() != 1,
                                                     work.options.labels(),
                                                     work.options.amounts(),
                                                     {}}));
        lanes_.back()->next = lanes_.back()->works.end();
        return *lanes_.back();
    }

    /// Else works that each ask for as much as they need would each have a lane.
    static bool are_alike(const Amounts& one, const Amounts& other) noexcept {
        return std::equal(one.begin(), one.end(), other.begin(), other.end(), [](const auto& a, const auto& b) {
            return std::bit_width(a.second) == std::bit_width(b.second) && a.first == b.first;
        });
    }

    /// A part of the hash of its key: keys share lanes, so that there are not too many. 0: it has none.
    static std::uint64_t affinity_of(const Submission& work) noexcept {
        const std::uint64_t key = work.options.affinity();
        return key == 0 ? 0 : 1 + key / 2 % lanes_of_keys;
    }

    /// The first lane whose next work prefers a slave that takes it now, and may go before the next work of `oldest`.
    template <class Prefers>
    Lane* first_preferred(const Lane& oldest, Prefers prefers) {
        Lane* best = nullptr;
        const Submission& first = **oldest.next;
        for (const auto& lane : lanes_) {
            if (lane->affinity == 0 || lane->next == lane->works.end() || lane->prefers_nobody) continue;
            const Submission& next = **lane->next;
            if (next.depth != first.depth || next.options.priority() != first.options.priority() ||
                next.sequence - first.sequence > most_overtaken || (best && !is_before(next, **best->next)))
                continue;
            lane->prefers_nobody = !prefers(*lane->next);
            if (!lane->prefers_nobody) best = lane.get();
        }
        return best;
    }

    /// The lane with the first of all next works; null if no lane has a next work.
    Lane* first() {
        Lane* best = nullptr;
        for (const auto& lane : lanes_) {
            if (lane->next == lane->works.end()) continue;
            if (!best || is_before(**lane->next, **best->next)) best = lane.get();
        }
        return best;
    }

    std::vector<std::unique_ptr<Lane>> lanes_;
    std::size_t size_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace distwork::detail
