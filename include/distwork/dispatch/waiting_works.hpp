#pragma once

#include <cstddef>
#include <list>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "admission.hpp"
#include "backlog.hpp"
#include "submission.hpp"

namespace distwork::detail {

/// The works of a container that wait, each in one of three places: the backlog; the line of works that wait for room
/// in the backlog; or the list of returning works, which came back from a slave and are to be offered again. No I/O, no
/// clock.
class WaitingWorks {
public:
    using Stage = Submission::Stage;
    using Verdict = Backlog::Verdict;

    explicit WaitingWorks(ContainerLimits limits) : limits_{limits} {}

    bool empty() const noexcept { return backlog_.empty() && line_.empty() && returning_.empty(); }
    std::size_t backlog_size() const noexcept { return backlog_.size(); }

    // Room

    /// Whether the backlog has room for a new work. It has none while works wait in the line, because they came first.
    bool has_room(const Submission& work) const noexcept { return line_.empty() && backlog_has_room(work); }

    bool has_room(std::size_t works, std::size_t bytes_each) const noexcept {
        return line_.empty() && backlog_.size() + works <= limits_.max_backlog &&
               backlog_.bytes() + works * bytes_each <= limits_.max_backlog_bytes;
    }

    bool line_has_room(const Submission& work) const noexcept {
        if (DISTWORK_PLANTED(unbounded_line)) return true;
        return line_.size() < limits_.max_waiting &&
               (line_.empty() || line_.bytes() + work.bytes() <= limits_.max_backlog_bytes);
    }

    // Coming and going

    /// A list of one work, which moves from place to place. If a function throws std::bad_alloc, the work has not
    /// moved.
    using Node = std::list<SubmissionPtr>;

    /// Enters the work into the backlog. `no_socket`: the work was offered, and no slave has credit for it. Returns
    /// whether it is the only work of its lane. *Errors*: std::bad_alloc.
    bool enter_backlog(Node&& node, bool no_socket) { return enter(backlog_, Stage::backlog, node, no_socket); }

    /// The same for the line.
    bool enter_line(Node&& node, bool no_socket) { return enter(line_, Stage::in_line, node, no_socket); }

    void enter_returning(Node&& node) noexcept {
        Submission& work = *node.front();
        work.stage = Stage::returning;
        work.at = node.begin();
        returning_.splice(returning_.end(), node);
    }

    /// Takes a work out of the returning works. Empty: it is not returning any more.
    Node leave_returning(Submission& work) noexcept {
        Node node;
        if (work.stage != Stage::returning) return node;
        node.splice(node.end(), returning_, work.at);
        work.stage = Stage::done;
        return node;
    }

    /// Removes a work from the place in which it waits. True: other works may be sent or enter the backlog now.
    bool cancel(Submission& work) {
        switch (std::exchange(work.stage, Stage::done)) {
            case Stage::in_line:
                DISTWORK_MARK(cancel_waiting);
                line_.remove(work);
                return true;
            case Stage::backlog:
                DISTWORK_MARK(cancel_backlog);
                backlog_.remove(work);
                return true;
            case Stage::returning:
                DISTWORK_MARK(cancel_returning);
                returning_.erase(work.at);
                return false;
            default: return false;
        }
    }

    /// Removes and returns all works for which `which(const Submission&)` returns true.
    template <class Which>
    std::list<SubmissionPtr> extract(Which which) noexcept {
        auto works = backlog_.extract(which);
        works.splice(works.end(), line_.extract(which));
        for (auto next = returning_.begin(); next != returning_.end();) {
            const auto at = next++;
            if (which(**at) && !DISTWORK_PLANTED(forget_who_pauses)) works.splice(works.end(), returning_, at);
        }
        for (const auto& work : works) work->stage = Stage::done;
        return works;
    }

    // Turns

    /// Whether a work must wait behind others: it does not overtake works of its lane that wait for credit, or that
    /// came before it and wait for room.
    bool is_behind(const Submission& work) const noexcept {
        return (work.stage == Stage::fresh && line_.has_lane_of(work)) || backlog_.holds_up(work);
    }

    /// Offers each work that is not behind another, first those for which `prefers(const SubmissionPtr&)` returns true, to `offer(const SubmissionPtr&)`, while `any_credit()` returns true.
    /// Then moves works from the line into the backlog while it has room. Calls `admitted(const SubmissionPtr&)` for
    /// each work that left the line, and `expect_admission()` before: `admitted` must not throw if `expect_admission`
    /// did not. If a function throws, all works that were not sent keep waiting.
    template <class Offer, class Prefers, class AnyCredit, class Expect, class Admitted>
    void round(Offer offer, Prefers prefers, AnyCredit any_credit, Expect expect_admission, Admitted admitted) {
        if (!backlog_.empty()) backlog_.round(offer, prefers, any_credit);
        if (line_.empty()) return;
        // The backlog may be full of works that no slave can take. Works in the line may find a slave nevertheless.
        line_.round(
            [&](const SubmissionPtr& work) {
                expect_admission();
                const Verdict verdict = is_behind(*work) ? Verdict::no_socket : offer(work);
                if (verdict == Verdict::sent) admitted(work);
                return verdict;
            },
            prefers, any_credit);
        for (SubmissionPtr work; (work = line_.front()) && backlog_has_room(*work);) {
            expect_admission();
            backlog_.expect(*work);
            const bool no_socket = line_.holds_up(*work);
            enter_backlog(line_.remove(*work), no_socket);
            admitted(work);
        }
    }

    // Looking

    /// Calls `visit(const Submission& first, std::size_t works, bool no_socket)` for each lane of backlog and line.
    template <class Visit>
    void for_each_lane(Visit visit) const {
        backlog_.for_each_lane(visit);
        line_.for_each_lane(visit);
    }

    /// The same for each lane with works of that name, and for each returning work of that name.
    template <class Visit, class VisitReturning>
    void for_each_of(std::string_view name, Visit visit, VisitReturning visit_returning) const {
        backlog_.for_each_lane_of(name, visit);
        line_.for_each_lane_of(name, visit);
        for (const auto& work : returning_)
            if (work->name() == name) visit_returning(*work);
    }

    /// Calls `visit(const Submission&)` for each returning work.
    template <class Visit>
    void for_each_returning(Visit visit) const {
        for (const auto& work : returning_) visit(*work);
    }

    /// Calls `report(const Submission& first)` for each lane of backlog and line, until it has returned true for that
    /// lane.
    template <class Report>
    void report_lanes(Report report) {
        backlog_.report_lanes(report);
        line_.report_lanes(report);
    }

private:
    static bool enter(Backlog& place, Stage stage, Node& node, bool no_socket) {
        Submission& work = *node.front();
        work.keep_body();
        const bool is_first = place.push(node, no_socket);
        work.stage = stage;
        return is_first;
    }

    bool backlog_has_room(const Submission& work) const noexcept {
        if (DISTWORK_PLANTED(unbounded_backlog)) return true;
        return backlog_.size() < limits_.max_backlog &&
               (backlog_.empty() || backlog_.bytes() + work.bytes() <= limits_.max_backlog_bytes);
    }

    const ContainerLimits limits_;
    Backlog backlog_;
    Backlog line_;
    std::list<SubmissionPtr> returning_;
};

}  // namespace distwork::detail
