#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "../base/surely.hpp"
#include "../calls/answer.hpp"
#include "../statistics.hpp"
#include "admission.hpp"
#include "affinities.hpp"
#include "answer_counts.hpp"
#include "choice.hpp"
#include "news.hpp"
#include "recaller.hpp"
#include "slave_table.hpp"
#include "submission.hpp"
#include "waiting_report.hpp"
#include "waiting_works.hpp"

namespace distwork::detail {

/// Decides which slave gets which work: the state machine of a SocketContainer, without its lock. The caller sets `now`.
///
/// An admitted work is always in exactly one place: it waits, or it is in flight on a socket. `quiet` means that there
/// is no such work.
template <class Selector>
class Dispatcher {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Duration = std::chrono::nanoseconds;
    using Stage = Submission::Stage;

    Dispatcher(Selector chooses, ContainerLimits limits) : selector{std::move(chooses)}, waits_{limits} {}

    Selector selector;
    SlaveTable table;
    TimePoint now{};
    Statistics counted;  // without the outcomes
    News news;
    Recaller recaller;
    bool closed = false;  // admits only works that other works submit
    bool ended = false;   // sends no work again either

    std::size_t backlog_size() const noexcept { return waits_.backlog_size(); }
    bool quiet() const noexcept { return waits_.empty() && in_flight_ == 0; }

    // Scheduler

    /// Sends a work, or enters it into the backlog, or, if `may_wait`, into the line that waits for room there.
    /// *Errors*: std::bad_alloc; then the work was not admitted.
    Admission submit(const SubmissionPtr& work, bool may_wait) {
        work->sequence = ++last_sequence_;
        if (work->is_observed) work->note_submission(now);
        const bool is_closed = work->is_start ? is_over_ : work->was_admitted ? ended : closed;
        if (const auto refused = why_refused(table, *work, is_closed)) return *refused;
        if (work->claimed()) return Admission::queued;  // cancelled before it arrived here
        const Verdict verdict = waits_.is_behind(*work) ? Verdict::no_socket : offer(work);
        if (verdict == Verdict::sent) {
            admit(*work);
            return Admission::sent;
        }
        if (waits_.has_room(*work) || work->is_start) {
            enter_backlog({work}, verdict == Verdict::no_socket);
            admit(*work);
            if (work->elements() != 1) split_chunks();
            return Admission::queued;
        }
        DISTWORK_MARK(backlog_full);
        if (!may_wait) return Admission::backlog_full;
        if (!waits_.line_has_room(*work)) return Admission::too_many_waiting;
        const bool no_socket = verdict == Verdict::no_socket;
        if (waits_.enter_line({work}, no_socket) && no_socket) look_for_stranded();
        return Admission::in_line;
    }

    void cancel(Submission& work) noexcept {
        if (work.stage == Stage::in_flight) {
            DISTWORK_MARK(cancel_in_flight);
            if (DISTWORK_PLANTED(no_cancel_frame)) return;
            static_cast<void>(exception_of([&] { work.socket->peer->cancel(work); }));  // on bad_alloc it goes on
        } else if (waits_.cancel(work)) {
            table.forget_shortage(work);
            dispatch();
        }
    }

    /// Claims and removes a work that was never sent. False: it was sent, or another caller has claimed it.
    bool expire(Submission& work) noexcept {
        if (DISTWORK_PLANTED(ignore_queue_timeout)) return false;
        // A fresh work is just being submitted: `submit` waits for the lock, and will find the work claimed.
        const bool waits = work.stage == Stage::fresh || work.stage == Stage::in_line || work.stage == Stage::backlog;
        if (!waits || work.was_sent || !work.claim(Errc::queue_timeout)) return false;
        DISTWORK_MARK(queue_timeout);
        cancel(work);
        return true;
    }

    /// Enters a returning work, which has its body again, into the backlog at its old position. False: it is not
    /// returning any more, or was claimed. *Errors*: std::bad_alloc; then it is still returning.
    bool send_again(const SubmissionPtr& work) {
        auto node = waits_.leave_returning(*work);
        if (node.empty() || work->claimed()) return false;
        try {
            enter_backlog(std::move(node), false);
        } catch (...) {
            waits_.enter_returning(std::move(node));
            throw;
        }
        if (work->elements() != 1) split_chunks();
        dispatch();
        look_for_stranded();
        return true;
    }

    // Answers and losses

    /// Counts the answers of one read. Removes works that are to be sent again from `answers`, and returns them.
    AgainWorks answered(Socket* socket, std::span<Answer> answers) noexcept {
        AgainWorks again;
        for (Answer& answer : answers) {
            if (!answer.call && !answer.is_of_slot()) {
                DISTWORK_MARK(duplicate_answer);
                ++counted.late_answers;
            }
            Submission* const answered = answer.call ? submission_of(*answer.call) : nullptr;
            if (!socket || !answered || answered->stage != Stage::in_flight) continue;
            Submission& work = *answered;
            if (!answer.is_last()) {
                note(*socket, work, answer, again.recalled);
                continue;
            }
            count(*socket, work, answer.reply);
            if (ended || !work.wants_retry(answer.reply.error)) continue;
            if (exception_of([&] { work.note_retry(); })) continue;  // allocation failure: its exception is its outcome
            DISTWORK_MARK(retry);
            ++counted.retries;
            take_out(answer, again.retries);
        }
        if (socket) socket->in_flight.answered(now);
        if (!again.retries.empty() || !again.recalled.empty()) drop_partial_answers(answers);
        return again;
    }

    /// Removes a socket. `unanswered` are the works that were in flight there; those that are to be sent again are
    /// removed from it and returned.
    LostWorks remove(Socket& socket, std::vector<std::shared_ptr<Call>>& unanswered,
                     const std::string& slave) noexcept {
        LostWorks lost;
        // First, for all of them: removing a work makes others count as begun.
        for (const auto& call : unanswered)
            if (Submission* const work = submission_of(*call)) work->note_whether_begun();
        const std::uint64_t id = socket.information.id;
        std::erase_if(unanswered, [&](const std::shared_ptr<Call>& call) {
            if (!submission_of(*call)) return false;
            const auto work = std::static_pointer_cast<Submission>(call);
            const unsigned attempts = work->attempts;
            if (!take_back(*work) || ended) return false;
            bool again = false;
            static_cast<void>(exception_of([&] { again = work->may_go_again(slave); }));  // not on allocation failure
            if (!again) return false;
            DISTWORK_MARK(requeued);
            ++counted.requeued;
            if (work->attempts != attempts) ++counted.freed;
            if (DISTWORK_PLANTED(forget_the_requeue)) return true;
            enter_returning(work, lost.again);
            return true;
        });
        lost.again.sort([](const auto& one, const auto& other) { return one->sequence > other->sequence; });
        const std::uint64_t here = DISTWORK_PLANTED(resend_a_part_of_a_broadcast) ? 0 : id;
        lost.waited = extract([here](const Submission& work) { return here != 0 && work.pinned == here; });
        in_flight_ -= socket.information.in_flight;
        counted.bytes_sent += socket.information.bytes_sent;
        counted.bytes_received += socket.information.bytes_received;
        socket.in_flight.abandon();
        lost.socket = table.remove(socket);
        split_chunks();
        dispatch();
        return lost;
    }

    /// Notes that works which a session gave up before its removal are no longer in flight.
    void forget(std::span<const std::shared_ptr<Call>> unanswered) noexcept {
        for (const auto& call : unanswered)
            if (Submission* const work = submission_of(*call)) take_back(*work);
    }

    /// The slave drains: it gets no new works, except children that no other slave could take.
    void drain(Socket& socket) noexcept {
        table.drain(socket);
        split_chunks();
    }
    /// Likewise, and it is told to leave when it holds no work any more.
    void let_leave(Socket& socket) noexcept {
        drain(socket);
        if (!std::exchange(socket.is_leaving, true) && !DISTWORK_PLANTED(let_nobody_go)) tell_if_left(socket);
    }

    /// Removes and returns all works that wait. From now on no work is sent again. Slaves still start, for what other works
    /// submit, unless `is_over`.
    std::list<SubmissionPtr> end(bool is_over) noexcept {
        ended = true;
        is_over_ |= is_over;
        return extract([&](const Submission& work) { return is_over || !work.is_start; });
    }

    std::vector<std::unique_ptr<Socket>> clear() { return in_flight_ = 0, table.clear(); }

    // Choice

    /// Offers all works that wait. Must be called after each change of credit or room. On allocation failure the
    /// remaining works keep waiting until the next change, at the latest the next heartbeat.
    void dispatch() noexcept {
        const auto offers = [this](const SubmissionPtr& work) { return offer(work); };
        const auto any_credit = [this] { return table.anybody_has_credit(); };
        const auto expect_admission = [this] {
            auto& told = news.admitted;
            if (told.size() == told.capacity()) told.reserve(2 * told.size() + 8);
        };
        const auto admitted = [this](const SubmissionPtr& work) {
            admit(*work);
            news.admitted.push_back(work);
        };
        const auto prefers = [this](const SubmissionPtr& work) {
            return table.takes_now(affinities_.slave_of(work->options.affinity()), *work);
        };
        static_cast<void>(exception_of([&] { waits_.round(offers, prefers, any_credit, expect_admission, admitted); }));
    }

    const WaitingWorks& waits() const noexcept { return waits_; }

    /// Reports each kind of works that no connected slave can take: once, until another slave connects.
    void look_for_stranded() noexcept {
        try {
            for (Stranded& kind : report_.stranded(waits_, table)) news.stranded.push_back(std::move(kind));
        } catch (...) {  // allocation failure: the report is lost
        }
    }

    /// A slave connected or has more types. Reported kinds may have a slave now.
    void more_can_be_taken() noexcept {
        report_.forget();
        split_chunks();
        dispatch();
        look_for_stranded();
    }

private:
    /// Where slaves differ, those that are left may take no chunks, or smaller ones only.
    void split_chunks() noexcept {
        if (table.size() == 0 || table.are_alike()) return;
        news.to_split.splice(news.to_split.end(), extract([this](const Submission& work) {
                                 return work.stage != Stage::returning && work.elements() != 1 &&
                                        !table.anybody_can_take(work);
                             }));
    }

    template <class Which>
    std::list<SubmissionPtr> extract(Which which) noexcept {
        auto works = waits_.extract(which);
        table.forget_shortage(works);
        return works;
    }

    using Verdict = WaitingWorks::Verdict;

    /// Offers one work to the selector, and sends it to the socket that the selector returns. If this throws, the work
    /// was not sent.
    Verdict offer(const SubmissionPtr& work) {
        for (;;) {
            const auto candidates = table.candidates(*work);
            if (candidates.sockets.empty())
                return table.note_shortage(*work, now) ? Verdict::no_socket : Verdict::declined;
            Socket* const socket = work->pinned
                                       ? table.find(work->pinned)
                                       : choose(selector, table, affinities_, *work, candidates, news.selector_error);
            if (!socket) return table.forget_shortage(*work), Verdict::declined;
            CreditWindow& held = socket->in_flight;
            if (!held.has_free_slot() && held.look(now)) {  // a slot became blocked: the candidates have changed
                table.update(*socket);
                continue;
            }
            table.times.reserve(*socket, work->type());
            const Duration estimate = table.estimate(*socket, *work);
            const std::error_code refused = socket->send(work);
            if (!refused) {
                work->stage = Stage::in_flight;
                work->socket = socket;
                ++work->attempts;
                ++counted.attempts;
                work->was_sent = true;
                held.push(*work, estimate, now);
                table.forget_shortage(*work);
                if (held.has_waiting() && recaller.sent_ahead()) news.look = true;
                ++socket->information.in_flight;
                ++in_flight_;
                if (const auto key = work->options.affinity()) affinities_.note(key, socket->information.id);
                if (work->is_observed) work->note_sending(*socket, now, news.hungry);
                table.update(*socket);
                return Verdict::sent;
            }
            // The types of the slave have changed, and the container has not been told yet.
            if (refused == Errc::unknown_type || refused == Errc::shape_differs) return Verdict::declined;
            if (refused == Errc::outbox_full) DISTWORK_MARK(outbox_full);
            // The session is ending, or its outbox is full: try another one.
            socket->closing = true;
            table.update(*socket);
        }
    }

    /// Handles an answer that is not the last one of its work.
    void note(Socket& socket, Submission& work, Answer& answer, std::list<SubmissionPtr>& recalled) noexcept {
        if (answer.what == Answer::What::takes_slot) {
            socket.in_flight.resume(work, now);
            if (socket.in_flight.has_waiting() && recaller.sent_ahead()) news.look = true;
        } else if (answer.what == Answer::What::gives_slot) {
            if (!DISTWORK_PLANTED(ignore_a_given_slot)) socket.in_flight.suspend(work, now);
        } else if (answer.what == Answer::What::returned) {
            come_back(answer, recalled);
        } else if (answer.is_partial()) {
            measure_answer(table, socket, work, answer.reply, now);
        } else {  // the execution_timeout is over, and the work still occupies its slot
            socket.in_flight.overrun(work);
        }
    }

    /// A recalled work came back. It had not begun, so the attempt does not count.
    void come_back(Answer& answer, std::list<SubmissionPtr>& recalled) noexcept {
        auto& work = static_cast<Submission&>(*answer.call);
        if (work.claimed() || ended) {
            take_back(work);
            answer.reply.error = Errc::stopped;  // the outcome, unless another caller has claimed it
            return;
        }
        if (!DISTWORK_PLANTED(blame_a_recalled_work)) --work.attempts;
        DISTWORK_MARK(recalled);
        ++counted.recalled;
        take_back(work);
        take_out(answer, recalled);
    }

    /// Takes the work out of its answer: it is to be sent again, and is returning from now on.
    void take_out(Answer& answer, std::list<SubmissionPtr>& again) noexcept {
        enter_returning(std::static_pointer_cast<Submission>(std::exchange(answer.call, nullptr)), again);
    }

    void enter_returning(const SubmissionPtr& work, std::list<SubmissionPtr>& again) noexcept {
        surely([&] { again.push_back(work); });
        waits_.enter_returning(surely([&] { return WaitingWorks::Node{work}; }));
    }

    void count(Socket& socket, Submission& work, const Reply& reply) {
        take_back(work);
        count_answer(table, socket, work, reply, now);
    }

    /// Notes that a work is no longer in flight. False: it was not.
    bool take_back(Submission& work) {
        if (work.stage != Stage::in_flight) return false;
        work.stage = Stage::done;
        work.socket->in_flight.remove(work, now);
        if (work.socket->amounts) work.socket->amounts->give_back(work);
        --work.socket->information.in_flight;
        --in_flight_;
        tell_if_left(*work.socket);
        return true;
    }

    void tell_if_left(const Socket& socket) noexcept {
        if (socket.is_leaving && socket.information.in_flight == 0 && !DISTWORK_PLANTED(let_nobody_go))
            surely([&] { news.leaving.push_back(socket.peer); });
    }

    void admit(Submission& work) noexcept {
        work.is_admitted = true;
        ++counted.admitted;
    }

    void enter_backlog(WaitingWorks::Node&& node, bool no_socket) {
        if (waits_.enter_backlog(std::move(node), no_socket) && no_socket) look_for_stranded();
    }

    Affinities affinities_;
    WaitingWorks waits_;
    WaitingReport report_;
    std::uint64_t last_sequence_ = 0;
    bool is_over_ = false;
    std::size_t in_flight_ = 0;  // on all sockets
};

}  // namespace distwork::detail
