#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../archive/codec.hpp"
#include "../base/asio.hpp"
#include "../base/completion.hpp"
#include "../base/surely.hpp"
#include "../calls/kept_work.hpp"
#include "../context.hpp"
#include "../dispatch/admission.hpp"
#include "../dispatch/submission.hpp"
#include "../error.hpp"
#include "../outcome.hpp"
#include "../socket_information.hpp"
#include "../wire/byte_buffer.hpp"
#include "any_scheduler.hpp"
#include "make_submission.hpp"

namespace distwork::detail {

/// A broadcast under way: gathers the outcome of each part, and completes when the last part has ended.
template <class Work, class Handler>
class Broadcast : public std::enable_shared_from_this<Broadcast<Work, Handler>> {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Result = kept_result_t<Work>;
    using Outcome = distwork::Outcome<Result>;

    /// *Errors*: std::bad_alloc; then `handler` is unchanged.
    Broadcast(Work&& work, Handler& handler, const asio::any_io_executor& fallback)
        : work_{std::move(work)}, completion_{std::move(handler), fallback} {}

    /// The part of one slave: a submission that is pinned to its socket.
    class Part final : public Submission {
    public:
        Part(const WorkType& type, std::shared_ptr<Broadcast> whole, std::size_t index)
            : Submission{type}, whole_{std::move(whole)}, index_{index} {
            is_observed = true;
        }

        const IWork& work() const noexcept override { return whole_->work(); }

        void note_submission(TimePoint now) noexcept override { submitted_ = now; }
        void note_sending(const Socket&, TimePoint now, HungrySources&) noexcept override {
            whole_->outcomes_[index_].attempt = 1;
            whole_->outcomes_[index_].waited = now - submitted_;
        }
        void note_execution(std::chrono::nanoseconds time) noexcept override {
            whole_->outcomes_[index_].executed = time;
        }

        void succeed(std::span<const std::byte> value, const std::shared_ptr<Peer>& peer) noexcept override {
            Outcome& outcome = whole_->outcomes_[index_];
            try {
                if constexpr (!std::is_void_v<Result>) decode(value, outcome.result, peer->limits());
                if (this->own_type().execute_return) {
                    // All parts share one object: execute_return is called for one part after the other.
                    const std::lock_guard lock{whole_->mutex_};
                    Context context{peer};
                    this->own_type().execute_return(whole_->mutable_work(), value, context, peer->limits());
                }
            } catch (...) {
                outcome.error = exception_of(
                    [&] { rethrow_naming(std::string{this->name()} + " on " + peer->name() + ": its answer: "); });
                this->outcome(Errc::malformed);
            }
        }
        void fail(std::exception_ptr error) noexcept override { whole_->outcomes_[index_].error = std::move(error); }
        void deliver(std::shared_ptr<Call> call) override {
            const auto whole = std::move(whole_);
            call.reset();
            whole->part_done();
        }

    private:
        std::shared_ptr<Broadcast> whole_;
        const std::size_t index_;
        TimePoint submitted_{};
    };

    const IWork& work() const noexcept {
        if constexpr (is_pointer<Work>) return *work_;
        else return work_;
    }

    /// Creates the parts, one for each element of `outcomes`, which names its slave. Without parts, the caller
    /// completes the broadcast with an empty result.
    std::vector<SubmissionPtr> split(std::vector<Outcome> outcomes, const SharedBody& body,
                                     const SubmitOptions& options) {
        outcomes_ = std::move(outcomes);
        left_ = outcomes_.size();
        std::vector<SubmissionPtr> parts;
        for (std::size_t i = 0; i < outcomes_.size(); ++i) {
            auto part = std::make_shared<Part>(work_type_of(typeid(work())), this->shared_from_this(), i);
            part->set_body(body);
            part->options = options;
            part->pinned = outcomes_[i].socket;
            part->is_part = true;
            outcomes_[i].index = i;
            parts.push_back(std::move(part));
        }
        return parts;
    }

    /// Completes the broadcast. `error`, if set, is the error of the whole broadcast: no part was submitted.
    void complete(std::exception_ptr error) noexcept {
        if (error) outcomes_.clear();
        completion_.post(std::move(error), std::move(outcomes_));
    }

private:
    IWork& mutable_work() noexcept {
        if constexpr (is_pointer<Work>) return *work_;
        else return work_;
    }

    void part_done() {
        if (left_.fetch_sub(1) == 1) complete(nullptr);
    }

    Work work_;
    Completion<Handler> completion_;
    std::vector<Outcome> outcomes_;     // each part writes its own element
    std::atomic<std::size_t> left_{0};  // parts that have not ended
    std::mutex mutex_;                  // guards calls of execute_return
};

/// Encodes the work of a broadcast once, and submits a part for each connected slave that has the labels.
///
/// `may_wait`: parts may wait for room in the backlog, and an error completes the broadcast. Else the error is thrown,
/// and no part was submitted. *Errors*: Error (backlog_full, no_slave, stopped, too_large, shared_pointer,
/// unregistered_type, foreign_type), std::bad_alloc, and exceptions of the work's serialize function. An error of a
/// single part, such as too_many_waiting, is in its Outcome.
template <class Whole, class Slot>
void broadcast(const std::shared_ptr<AnyScheduler>& scheduler, Whole& whole, const SubmitOptions& options,
               bool may_wait, Slot slot) {
    std::vector<typename Whole::Outcome> outcomes;
    std::vector<std::uint64_t> targets;
    std::vector<SubmissionPtr> parts;
    std::shared_ptr<std::vector<std::weak_ptr<Submission>>> weak;
    std::exception_ptr refused = exception_of([&] {
        const WorkType* type = &work_type_of(typeid(whole.work()));
        const auto body = std::make_shared<ByteBuffer>();
        try {
            type->encode(whole.work(), *body, scheduler->limits());
        } catch (const Error&) {
            rethrow_naming((options.name().empty() ? type->name : options.name()) + ": ");
        }
        type = &scheduler->registry().own(*type);
        scheduler->enumerate_sockets([&](const SocketInformation& socket) {
            if (options.slave() != 0 && options.slave() != socket.id) return;
            const auto& wanted = options.labels();
            if (!std::includes(socket.labels.begin(), socket.labels.end(), wanted.begin(), wanted.end()) ||
                !has_amounts(socket.amounts, options.amounts()))
                return;
            auto& outcome = outcomes.emplace_back();
            outcome.socket = socket.id;
            outcome.slave = socket.name;
            targets.push_back(socket.id);
        });
        if (scheduler->is_closed()) throw refusal(Admission::stopped, type->name);
        if (outcomes.empty() && options.when_unavailable() == WhenUnavailable::refuse)
            throw refusal(Admission::no_slave, type->name);
        if (!may_wait && !scheduler->has_room_for_all(targets, *type, body->size()))
            throw refusal(Admission::backlog_full, type->name);
        parts = whole.split(std::move(outcomes), {body->view(), body}, options);
        for (const auto& part : parts) part->enter(scheduler->registry());
        weak = std::make_shared<std::vector<std::weak_ptr<Submission>>>(parts.begin(), parts.end());
    });
    if (refused && !may_wait) std::rethrow_exception(refused);
    if (refused || parts.empty()) return whole.complete(std::move(refused));
    // From here on nothing throws

    cancel_each_through(scheduler, slot, [weak](auto cancel) {
        for (const auto& part : *weak)
            if (const auto still = part.lock()) cancel(still);
    });
    for (const auto& part : parts) scheduler->submit_encoded(part);
}

/// Broadcasts a work; `handler` completes with the outcomes.
template <class Kept, class Handler>
void broadcast(const std::shared_ptr<AnyScheduler>& scheduler, Kept&& work, const SubmitOptions& options,
               Handler& handler, bool may_wait) {
    using Whole = Broadcast<Kept, Handler>;
    const auto slot = asio::get_associated_cancellation_slot(handler);
    const auto whole = std::make_shared<Whole>(std::forward<Kept>(work), handler, scheduler->executor());
    broadcast(scheduler, *whole, options, may_wait, slot);
}

}  // namespace distwork::detail
