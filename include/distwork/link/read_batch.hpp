#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
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
    /// `window`: how many unanswered works the peer may have here, as it was told.
    explicit ReadBatch(std::uint32_t window) : window_{window} {}

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
        handler.works()->push(WorkBatch::single(self, item, std::move(frame.own)));
    }

    /// Removes a work that was not handed over yet. False: it is not here.
    bool drop_work(std::uint64_t id) {
        const auto found = std::find_if(works_.begin(), works_.end(), [id](const auto& item) { return item.id == id; });
        if (found == works_.end()) return false;
        DISTWORK_MARK(cancel_in_outbox);  // one read brought both: it was cancelled before it left the outbox
        works_.erase(found);
        return true;
    }

    void hand_over_works(const SessionPtr& session, SessionHandler<Transport>& handler) {
        if (works_.empty()) return;
        auto batch = WorkBatch::copy(session, works_);
        works_.clear();
        handler.works()->push(std::move(batch));
    }

    /// Adds an answer. False: it does not decode, or is invalid.
    bool add_answer(Frame&& frame) {
        Answer& answer = answers_.emplace_back();
        answer.id = frame.header.id;
        answer.own = std::move(frame.own);
        answer.reply.goes_on = frame.header.flags == flag_goes_on && !DISTWORK_PLANTED(free_a_slot_that_is_taken);
        const bool broken{decode(frame.header.kind, frame.body, answer.reply)};
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
    /// table and their completion.
    void settle_answers(const SessionPtr& session, SessionHandler<Transport>& handler, Multiplexer& multiplexer) {
        if (answers_.empty()) return;
        const bool some_are_held = multiplexer.take_calls(answers_);
        handler.answered(session, answers_);
        auto settled = settle(answers_, session, session->description());
        answers_.clear();
        handler.deliver(std::move(settled));
        if (some_are_held) multiplexer.release_held();
    }

private:
    const std::uint32_t window_;
    std::vector<WorkBatch::Item> works_;
    std::vector<Answer> answers_;
    std::uint64_t received_works_ = 0;
    std::uint64_t replies_seen_ = 0;  // replies of the multiplexer, as last read
};

}  // namespace distwork::detail
