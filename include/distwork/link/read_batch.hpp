#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "../base/surely.hpp"
#include "../error.hpp"
#include "../execution/work_batch.hpp"
#include "../wire/frame.hpp"
#include "../wire/frame_reader.hpp"
#include "../wire/reply.hpp"
#include "multiplexer.hpp"
#include "session_handler.hpp"

namespace distwork::detail {

/// The works and answers that one read brought. They are gathered while the frames are parsed. Then all works are
/// handed over to the WorkQueue at once, and all answers are settled at once. No I/O.
///
/// *Executor*: the session's strand.
template <class Transport>
class ReadBatch {
    using SessionPtr = std::shared_ptr<Session<Transport>>;

public:
    /// `window`: how many unanswered works the peer may have here, as it was told. `own`: the role of this end.
    /// `received`: counts the bytes of its works; may be null.
    ReadBatch(std::uint32_t window, Role own, std::shared_ptr<ReceivedBytes> received = nullptr)
        : window_{window},
          peer_{own == Role::master ? Role::slave : Role::master},
          received_bytes_{std::move(received)} {}

    /// Whether nothing more is to be read until some works have begun, or answers were settled.
    bool has_too_much() const noexcept {
        return (received_bytes_ && received_bytes_->is_too_much()) || *unsettled_ > most_unsettled;
    }

    /// Counts a received work. False: the peer exceeded its window.
    bool has_room(const Multiplexer& multiplexer) {
        if (++received_works_ - replies_seen_ <= window_) return true;
        replies_seen_ = multiplexer.replies();
        return received_works_ - replies_seen_ <= window_;
    }

    void add_work(Frame&& frame, const WorkType& type, Session<Transport>& session,
                  SessionHandler<Transport>& handler) {
        WorkBatch::Item item{frame.header.id, &type, frame.body};
        item.is_chunk = (frame.header.flags & flag_chunk) != 0;
        if (frame.header.flags & flag_timeout) {
            item.timeout_ms = detail::load<std::uint32_t>(frame.body.data());
            item.body = frame.body.subspan(timeout_bytes);
        }
        if (frame.header.flags & flag_given) {
            item.given_units = detail::load<std::uint64_t>(item.body.data());
            item.body = item.body.subspan(given_bytes);
        }
        if (!frame.own) return works_.push_back(item);
        const SessionPtr self = session.shared_from_this();
        hand_over_works(self, handler);
        push(WorkBatch::single(self, item, std::move(frame.own)), handler);
    }

    /// Counts a request to cancel or to recall a work. False: there were more of them than works.
    bool has_work_for(FrameKind request) noexcept {
        return ++(request == FrameKind::cancel ? cancels_ : recalls_) <= received_works_;
    }

    /// Removes a work that was not handed over yet. False: it is not among the last few.
    bool drop_work(std::uint64_t id) {
        constexpr std::size_t most = 64;  // else a read that is full of both would take quadratic time
        const auto last = works_.size() <= most ? works_.begin() : works_.end() - most;
        const auto found = std::find_if(last, works_.end(), [id](const auto& item) { return item.id == id; });
        if (found == works_.end()) return false;
        DISTWORK_MARK(cancel_in_outbox);  // one read brought both: it was cancelled before it left the outbox
        works_.erase(found);
        return true;
    }

    void hand_over_works(const SessionPtr& session, SessionHandler<Transport>& handler) {
        if (works_.empty()) return;
        auto batch = WorkBatch::copy(session, works_);
        works_.clear();
        push(std::move(batch), handler);
    }

    /// Adds an answer. False: it does not decode, or is invalid.
    bool add_answer(Frame&& frame) {
        Answer& answer = answers_.emplace_back();
        answer.id = frame.header.id;
        answer.own = std::move(frame.own);
        answer.reply.goes_on = frame.header.flags == flag_goes_on && !DISTWORK_PLANTED(free_a_slot_that_is_taken);
        const bool broken{decode(frame.header.kind, frame.body, answer.reply, peer_)};
        if (!broken && (!answer.reply.goes_on || answer.is_partial() || answer.reply.error == Errc::execution_timeout))
            return true;
        answers_.pop_back();
        return false;
    }

    /// Calls `visit(id)` for each reply that was not settled yet.
    template <class Visit>
    void for_each_reply(Visit visit) const {
        for (const Answer& answer : answers_)
            if (answer.what == Answer::What::reply && !answer.is_partial()) visit(answer.id);
    }

    /// Adds an answer without a body: a work comes back, or its slot changes.
    void add(Answer::What what, std::uint64_t id) { answers_.push_back({.id = id, .what = what}); }

    /// Settles the answers and has their calls completed. Nothing throws between the removal of the calls from the
    /// table and their completion. Returns how many answers nobody waits for.
    std::size_t settle_answers(const SessionPtr& session, SessionHandler<Transport>& handler,
                               Multiplexer& multiplexer) {
        if (answers_.empty()) return 0;
        const bool some_are_held = multiplexer.take_calls(answers_);
        const auto is_useless = [](const Answer& answer) { return answer.call == nullptr; };
        const auto useless = std::count_if(answers_.begin(), answers_.end(), is_useless);
        handler.answered(session, answers_);
        settle_later(session, handler);
        auto settled = settle(answers_, session, session->description());
        answers_.clear();
        handler.deliver(std::move(settled));
        if (some_are_held) multiplexer.release_held();
        return static_cast<std::size_t>(useless);
    }

private:
    // A value of so many bytes is decoded elsewhere: it might take a hundred times as long as the works of a whole read.
    static constexpr std::size_t long_value_bytes = 256 * 1024;
    static constexpr std::size_t most_unsettled = 16 * 1024 * 1024;

    /// Has answers settled on another thread, if one of them is large, or if earlier ones are there still: their order
    /// matters. The answers to a chunk stay: its other events come on this strand.
    void settle_later(const SessionPtr& session, SessionHandler<Transport>& handler) noexcept {
        std::size_t bytes = 0;
        for (const Answer& answer : answers_)
            if (may_be_late(answer) && answer.reply.value.size() >= long_value_bytes)
                bytes += answer.reply.value.size();
        if (bytes == 0 && unsettled_->load(std::memory_order_acquire) == 0) return;
        LateAnswers<Session<Transport>> late{session, {}, unsettled_, bytes + 1};
        surely([&] { late.answers.reserve(answers_.size()); });
        for (Answer& answer : answers_) {
            if (!may_be_late(answer)) continue;
            surely([&] { answer.keep(); });
            late.answers.push_back(std::move(answer));
            answer.call = nullptr;  // NOLINT(bugprone-use-after-move): so it is known to be elsewhere
        }
        unsettled_->fetch_add(late.weight);
        if (handler.settle_later(late)) return;
        late.done();
        for (Answer& answer : late.answers) answers_.push_back(std::move(answer));
    }

    static bool may_be_late(const Answer& answer) noexcept {
        return answer.call && answer.what == Answer::What::reply && answer.call->elements() == 1;
    }

    void push(std::shared_ptr<WorkBatch> batch, SessionHandler<Transport>& handler) {
        batch->count_in(received_bytes_);
        handler.works()->push(std::move(batch));
    }

    const std::uint32_t window_;
    const Role peer_;
    const std::shared_ptr<ReceivedBytes> received_bytes_;
    std::vector<WorkBatch::Item> works_;
    std::vector<Answer> answers_;
    /// Of answers that are settled elsewhere: the bytes of large values, and one for each read.
    const std::shared_ptr<std::atomic<std::size_t>> unsettled_ = std::make_shared<std::atomic<std::size_t>>(0);
    std::uint64_t received_works_ = 0;
    std::uint64_t cancels_ = 0;
    std::uint64_t recalls_ = 0;
    std::uint64_t replies_seen_ = 0;  // replies of the multiplexer, as last read
};

}  // namespace distwork::detail
