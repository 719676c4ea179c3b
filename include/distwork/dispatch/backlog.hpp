#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../types/registry.hpp"
#include "submission.hpp"

namespace distwork::detail {

/// Admitted works that wait for a slave with credit: the deepest first, then by priority, then first in, first out.
/// Bounded by its user.
///
/// Works of equal depth, priority, type, labels and pin stand in one lane: if no slave can take the first of them, none can
/// take the others, so that a round looks at lanes and not at every work.
class Backlog {
public:
    enum class Verdict {
        sent,       ///< it left the backlog
        declined,   ///< the selector passed it over: the next of its lane is offered
        no_socket,  ///< no slave has credit for its lane
    };

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    std::size_t bytes() const noexcept { return bytes_; }

    /// Whether older works of its lane wait here.
    bool has_lane_of(const Submission& work) const noexcept { return !empty() && find_lane(work); }

    /// The first of all; null when there is none.
    SubmissionPtr front() const {
        SubmissionPtr best;
        for (const auto& lane : lanes_)
            if (!best || is_before(*lane->works.front(), *best)) best = lane->works.front();
        return best;
    }

    /// Whether an older work of its lane waits because no slave has credit for it: then this one waits behind it.
    bool holds_up(const Submission& work) const noexcept {
        const Lane* const lane = empty() ? nullptr : find_lane(work);  // usually it is
        return lane && lane->no_socket;
    }

    /// Takes the one work of `node`. `no_socket`: it was offered, and no slave has credit for it. True: it is the first
    /// of its lane. All or nothing: where it throws std::bad_alloc the node is as it was.
    bool push(std::list<SubmissionPtr>& node, bool no_socket = false) {
        Submission& work = *node.front();
        Lane& lane = lane_of(work);
        if (no_socket) lane.no_socket = true;
        size_ += 1;
        bytes_ += work.bytes();
        // One that was sent before comes back to where it stood: before most, or all, that wait.
        auto behind = lane.works.end();
        if (!lane.works.empty() && lane.works.back()->sequence > work.sequence) {
            behind = lane.works.begin();
            while ((*behind)->sequence < work.sequence) ++behind;
        }
        work.at = node.begin();
        lane.works.splice(behind, node);
        return lane.works.size() == 1;
    }

    /// Makes a lane for it, so that its `push`, which follows, throws nothing.
    void expect(const Submission& work) { lane_of(work); }

    /// Calls `visit(const Submission& first, std::size_t works, bool no_socket)` for each lane.
    template <class Visit>
    void for_each_lane(Visit visit) const {
        for (const auto& lane : lanes_) visit(*lane->works.front(), lane->works.size(), lane->no_socket);
    }

    /// Calls `report(const Submission& first)` for each lane that it did not return true for before.
    template <class Report>
    void report_lanes(Report report) {
        for (const auto& lane : lanes_)
            if (!lane->reported) lane->reported = report(*lane->works.front());
    }

    /// Takes it out: a list of one.
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

    /// Offers every work to `offer(SubmissionPtr&)` once, in order, until each lane is exhausted or has no slave left.
    /// `any_credit()` tells when nobody has credit at all. Where `offer` throws, its work and all that were not offered
    /// yet wait on.
    template <class Offer, class AnyCredit>
    void round(Offer offer, AnyCredit any_credit) {
        for (const auto& lane : lanes_) lane->next = lane->works.begin(), lane->no_socket = false;
        struct Finish {
            Backlog& backlog;
            ~Finish() {
                // Those that were not offered any more: nobody has credit for them either.
                for (const auto& lane : backlog.lanes_)
                    if (lane->next != lane->works.end()) lane->no_socket = true;
                std::erase_if(backlog.lanes_, [](const auto& lane) { return lane->works.empty(); });
            }
        } finish{*this};
        while (any_credit()) {
            Lane* const lane = first();
            if (!lane) break;
            SubmissionPtr& work = *lane->next;
            switch (offer(work)) {
                case Verdict::sent:
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

    /// Takes out all works that `which(Submission&)` holds for.
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
    struct Lane {
        unsigned depth;
        int priority;
        const WorkType* type;
        std::uint64_t pinned;
        std::vector<std::string> labels;
        std::list<SubmissionPtr> works;
        std::list<SubmissionPtr>::iterator next{};  // to be offered in this round; the end: no more
        bool no_socket = false;                     // nobody has credit for one of them
        bool reported = false;                      // that nobody can take them at all
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
                lane->pinned == work.pinned && lane->labels == work.options.labels())
                return lane.get();
        return nullptr;
    }

    Lane& lane_of(const Submission& work) {
        if (Lane* const lane = find_lane(work)) return *lane;
        lanes_.push_back(std::make_unique<Lane>(
            Lane{work.depth, work.options.priority(), &work.type(), work.pinned, work.options.labels(), {}}));
        lanes_.back()->next = lanes_.back()->works.end();
        return *lanes_.back();
    }

    /// The lane whose next work is the first of all; null when none has one.
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
