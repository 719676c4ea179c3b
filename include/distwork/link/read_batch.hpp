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

/// What one read brought: works for whoever executes them, answers for their callers. Both gather while its frames are
/// parsed, and each is handed on once. No I/O.
///
/// *Executor*: the session's strand.
template <class Transport>
class ReadBatch {
    using SessionPtr = std::shared_ptr<Session<Transport>>;

public:
    /// `window`: works that the peer may have here unanswered, as it was told.
    explicit ReadBatch(std::uint32_t window) : window_{window} {}

    /// False: the peer sends more works than it may.
    bool has_room(const Multiplexer& multiplexer) {
        if (++received_works_ - replies_seen_ <= window_) return true;
        replies_seen_ = multiplexer.replies();
        return received_works_ - replies_seen_ <= window_;
    }

    void add_work(Frame&& frame, const WorkType& type, Session<Transport>& session, SessionHandler<Transport>& host) {
        WorkBatch::Item item{frame.header.id, &type, frame.body};
        if (frame.header.flags & flag_timeout) {
            item.timeout_ms = detail::load<std::uint32_t>(frame.body.data());
            item.body = frame.body.subspan(timeout_bytes);
        }
        if (!frame.own) return works_.push_back(item);
        const SessionPtr self = session.shared_from_this();
        hand_over_works(self, host);
        host.works()->push(WorkBatch::single(self, item, std::move(frame.own)));
    }

    /// Takes out a work that nobody was handed yet. False: it is not here.
    bool drop_work(std::uint64_t id) {
        const auto found = std::find_if(works_.begin(), works_.end(), [id](const auto& item) { return item.id == id; });
        if (found == works_.end()) return false;
        DISTWORK_MARK(cancel_in_outbox);  // both came in one read: the work had not left when it was cancelled
        works_.erase(found);
        return true;
    }

    void hand_over_works(const SessionPtr& session, SessionHandler<Transport>& host) {
        if (works_.empty()) return;
        auto batch = WorkBatch::copy(session, works_);
        works_.clear();
        host.works()->push(std::move(batch));
    }

    /// False: the answer means nothing.
    bool add_answer(Frame&& frame) {
        Answer& answer = answers_.emplace_back();
        answer.id = frame.header.id;
        answer.own = std::move(frame.own);
        answer.reply.goes_on = frame.header.flags == flag_goes_on && !DISTWORK_PLANTED(free_a_slot_that_is_taken);
        const bool broken{decode(frame.header.kind, frame.body, answer.reply)};
        if (!broken && (!answer.reply.goes_on || answer.reply.error == Errc::execution_timeout)) return true;
        answers_.pop_back();
        return false;
    }

    /// Calls `visit(id)` for each reply that is not settled yet.
    template <class Visit>
    void for_each_reply(Visit visit) const {
        for (const Answer& answer : answers_)
            if (answer.what == Answer::What::reply) visit(answer.id);
    }

    /// A work comes back, or its slot changes.
    void add(Answer::What what, std::uint64_t id) { answers_.push_back({.id = id, .what = what}); }

    /// From where the calls leave their table until they are called back nothing throws.
    void settle_answers(const SessionPtr& session, SessionHandler<Transport>& host, Multiplexer& multiplexer) {
        if (answers_.empty()) return;
        const bool some_are_held = multiplexer.take_calls(answers_);
        host.answered(session, answers_);
        auto settled = settle(answers_, session, session->description());
        answers_.clear();
        host.deliver(std::move(settled));
        if (some_are_held) multiplexer.release_held();
    }

private:
    const std::uint32_t window_;
    std::vector<WorkBatch::Item> works_;
    std::vector<Answer> answers_;
    std::uint64_t received_works_ = 0;
    std::uint64_t replies_seen_ = 0;  // answers queued when it was looked last
};

}  // namespace distwork::detail
