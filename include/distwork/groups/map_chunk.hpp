#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../archive/codec.hpp"
#include "../base/probe.hpp"
#include "../base/surely.hpp"
#include "../calls/answer.hpp"
#include "../calls/kept_work.hpp"
#include "../error.hpp"
#include "../function_work.hpp"
#include "../submit_options.hpp"
#include "../tcp/address.hpp"
#include "../types/registry.hpp"
#include "../wire/chunk.hpp"
#include "../wire/reply.hpp"
#include "../wire/shared_body.hpp"
#include "chunk_size.hpp"
#include "group_core.hpp"
#include "group_submission.hpp"

namespace distwork::detail {

/// An element of a map: its number, and the call that it is an argument of.
template <auto F>
struct MapElement {
    std::size_t index = 0;
    StoredId id{};  // in a group with a journal
    FunctionWork<F> work;
};

/// Whether the values of a map may be kept.
template <class Core>
concept has_store = requires(const Core& core) {
    core.store();
};

/// What all works of a map share.
struct MapPlan {
    SubmitOptions options;
    ChunkSize size;
};

/// One or several elements of a map that travel as one work. Each element has an outcome of its own: results come for
/// some of them at a time, and are handed over to `Core::take`. When the work is lost after it had begun, its elements
/// without an outcome go again, each in a work of its own, so that one that crashes its slave takes no other along.
///
/// `Core` has `flow()` and `take(work, results, mean time)`. *Lifetime*: keeps its core.
template <auto F, class Core>
class MapChunk final : public GroupSubmission {
    using R = typename FunctionWork<F>::result_type;
    using Results = std::vector<MapResult<R>>;

public:
    using Elements = std::vector<MapElement<F>>;

    /// Submits the first elements as one work, as many as fit, and removes them from `elements`. `past`: what they went
    /// through as parts of other works. *Errors*: std::bad_alloc.
    static void submit(const std::shared_ptr<Core>& core, const std::shared_ptr<MapPlan>& plan, Elements& elements,
                       const Past& past = {}) {
        const auto work = std::make_shared<MapChunk>(core, plan);
        AnyScheduler& scheduler = *core->flow().scheduler();
        const bool is_encoded = elements.size() != 1 && work->encode_several(elements, scheduler);
        work->continues(past);
        work->was_admitted = past.attempts != 0 || past.losses != 0;
        if (is_encoded) work->enter(scheduler.registry());
        work->take_elements(elements, is_encoded ? work->elements() : 1);
        work->index = work->works_->front().index;
        const auto failed = exception_of([&] { core->flow().submit(work, is_encoded); });
        if (!failed) return;
        work->return_elements(elements);
        std::rethrow_exception(failed);
    }

    MapChunk(std::shared_ptr<Core> core, std::shared_ptr<MapPlan> plan)
        : GroupSubmission{work_type<FunctionWork<F>>()}, core_{std::move(core)}, plan_{std::move(plan)} {
        options = plan_->options;
        pinned = options.slave();
    }

    const IWork& work() const noexcept override {
        return (*works_)[std::min(done_.load(std::memory_order_relaxed), works_->size() - 1)].work;
    }

    void note_execution(std::chrono::nanoseconds time) noexcept override {
        if (elements() == 1) source->note_execution(time);
        executed_ =
            elements() == 1 ? time : std::min<std::chrono::nanoseconds>(executed_ + time, std::chrono::hours{24});
    }

    // A chunk of one element goes again as other works do. One of several that had begun is split.

    bool is_to_split() const noexcept override {
        const std::size_t left = works_->size() - done_;
        return left == 0 || (left != 1 && (was_begun() || has_answers_));
    }
    void split() noexcept override {
        DISTWORK_MARK(chunk_split);
        if (DISTWORK_PLANTED(repeat_a_whole_chunk)) done_ = 0;
        give_back(numbers_of_rest(), surely([&] { return past(); }), true);
    }

    // How it ends. One of `succeed` and `fail` is called by whoever claimed it, and then `deliver`. `succeed_partly` is
    // called before `succeed`, but `fail` and `deliver` may be called by others meanwhile.

    void succeed_partly(std::span<const std::byte> value, const std::shared_ptr<Peer>& peer) noexcept override {
        if (elements() == 1) return;  // the peer breaks the protocol
        DISTWORK_MARK(chunk_partly_answered);
        const std::lock_guard lock{mutex_};
        static_cast<void>(take_answers(value, *peer));
    }

    void succeed(std::span<const std::byte> value, const std::shared_ptr<Peer>& peer) noexcept override {
        const std::lock_guard lock{mutex_};
        if (elements() == 1) return take_value(value, *peer);
        const bool is_right = take_answers(value, *peer);
        plan_->size.measured(done_, executed_);
        if (done_ == works_->size()) return;
        if (is_right && has_answers_) {  // it was ended early: the rest had not begun
            DISTWORK_MARK(chunk_cut_short);
            if (DISTWORK_PLANTED(forget_the_rest_of_a_chunk)) return static_cast<void>(numbers_of_rest());
            auto past = surely([&] { return this->past(); });
            --past.attempts;
            return give_back(numbers_of_rest(), std::move(past), false);
        }
        error_ = malformed(*peer);
        outcome(Errc::malformed);
    }

    void fail(std::exception_ptr error) noexcept override { error_ = std::move(error); }

    void deliver(std::shared_ptr<Call> call) override {
        {
            const std::lock_guard lock{mutex_};
            const std::size_t first = done_.exchange(works_->size());
            Results results;
            for (std::size_t i = first; i != works_->size(); ++i) result_of(results, i).error = error_;
            if (!results.empty())
                core_->take(this, results, works_->size() == 1 ? executed_ : std::chrono::nanoseconds{});
        }
        core_->flow().release(*this);
        const auto core = core_;
        call.reset();
        core->flow().settled();
    }

protected:
    /// When it is sent again, or if it is one element.
    bool encode_work(ByteBuffer& room, const ArchiveLimits& limits) override {
        if (straggling) return GroupSubmission::encode_work(room, limits);
        const std::size_t first = done_;
        const std::size_t count = works_->size() - first;
        if (count == 0) return true;  // it was cancelled meanwhile
        elements_ = static_cast<std::uint32_t>(count);
        if (count == 1) return encode_value((*works_)[first].work, room, limits);
        for (std::size_t i = first; i != works_->size(); ++i)
            append_element(room, [&] { encode_value((*works_)[i].work, room, limits); });
        return true;
    }

private:
    /// Encodes the first elements that fit, as the body of this work. Returns false if there are not at least two.
    bool encode_several(const Elements& elements, const AnyScheduler& scheduler) {
        const ArchiveLimits& limits = scheduler.limits();
        const std::size_t most = scheduler.max_chunk_bytes();
        const auto body = std::make_shared<ByteBuffer>();
        std::size_t count = 0;
        for (; count != elements.size(); ++count) {
            const std::size_t before = body->size();
            const auto failed = exception_of(
                [&] { append_element(*body, [&] { encode_value(elements[count].work, *body, limits); }); });
            if (failed) break;  // it goes alone, and fails alone
            if (body->size() <= most) continue;
            body->truncate(before);
            break;
        }
        if (count < 2) return false;
        elements_ = static_cast<std::uint32_t>(count);
        set_body({body->view(), body});
        return true;
    }

    void take_elements(Elements& elements, std::size_t count) {
        if (count == elements.size()) return works_->swap(elements);
        const auto last = elements.begin() + static_cast<std::ptrdiff_t>(count);
        works_->assign(std::make_move_iterator(elements.begin()), std::make_move_iterator(last));
        elements.erase(elements.begin(), last);
    }

    /// Undoes take_elements.
    void return_elements(Elements& elements) {
        elements.insert(elements.begin(), std::make_move_iterator(works_->begin()),
                        std::make_move_iterator(works_->end()));
    }

    MapResult<R>& result_of(Results& results, std::size_t number) noexcept {
        return add_result(results, (*works_)[number].index);
    }

    void take_value(std::span<const std::byte> value, const Peer& peer) noexcept {
        const std::size_t first = done_.exchange(works_->size());
        if (first == works_->size()) return;
        Results results;
        decode_result(result_of(results, first), first, value, peer);
        if (results.front().error) outcome(Errc::malformed);
        plan_->size.measured(1, executed_);
        core_->take(this, results, executed_);
    }

    /// Takes the outcomes of the next elements. Returns false if the answer is malformed.
    bool take_answers(std::span<const std::byte> value, const Peer& peer) noexcept {
        const std::size_t count = answered_elements(value);
        std::size_t first = done_;
        if (count > works_->size() - first) return false;
        if (!done_.compare_exchange_strong(first, first + count)) return true;  // it was cancelled meanwhile
        if (count == 0) return value.size() == sizeof(std::uint32_t);
        has_answers_ = true;
        Results results;
        std::vector<std::size_t> again;
        std::size_t number = first;
        surely([&] { results.reserve(count); });
        const bool is_right = for_each_answer(value, [&](bool is_error, std::span<const std::byte> bytes) {
            take_answer(number++, is_error, bytes, peer, results, again);
            return true;
        });
        for (; number < first + count; ++number) result_of(results, number).error = malformed(peer);
        if (!results.empty()) core_->take(this, results, executed_ / static_cast<std::int64_t>(done_));
        if (!again.empty()) {
            auto past = surely([&] { return this->past(); });
            ++past.retries;
            give_back(std::move(again), std::move(past), true);
        }
        return is_right;
    }

    void take_answer(std::size_t number, bool is_error, std::span<const std::byte> bytes, const Peer& peer,
                     Results& results, std::vector<std::size_t>& again) noexcept {
        if (!is_error) return decode_result(result_of(results, number), number, bytes, peer);
        Reply reply;
        if (decode(FrameKind::error, bytes, reply)) {
            result_of(results, number).error = malformed(peer);
        } else if (reply.error == Errc::work_failed && retries() < options.retry_on_error().count) {
            DISTWORK_MARK(chunk_retry);
            surely([&] { again.push_back(number); });
        } else {
            result_of(results, number).error = to_exception(
                reply, *this, surely([&] { return name_and_address(peer.name(), peer.remote_endpoint()); }));
        }
    }

    void decode_result(MapResult<R>& result, std::size_t number, std::span<const std::byte> bytes,
                       const Peer& peer) const noexcept {
        result.error = exception_of([&] {
            try {
                if constexpr (!std::is_void_v<R>) detail::decode(bytes, result.value.value, peer.limits());
                else if (!bytes.empty()) throw Error{Errc::malformed, "it has a value, and none was expected"};
            } catch (...) {
                rethrow_naming(std::string{name()} + " on " + peer.name() + ": its answer: ");
            }
        });
        if constexpr (has_store<Core>) {
            if (!core_->store() || result.error) return;
            surely([&] {
                result.stored = std::make_unique<StoredValue>(StoredValue{(*works_)[number].id});
                result.stored->bytes.append(bytes.data(), bytes.size());
            });
        }
    }

    std::exception_ptr malformed(const Peer& peer) const noexcept {
        return exception_of([&] {
            throw Error{Errc::malformed, std::string{name()} + " on " + peer.name() + ": its answer"};
        });
    }

    /// Takes the elements that have no outcome.
    std::vector<std::size_t> numbers_of_rest() noexcept {
        std::vector<std::size_t> numbers;
        for (std::size_t i = done_.exchange(works_->size()); i != works_->size(); ++i)
            surely([&] { numbers.push_back(i); });
        return numbers;
    }

    /// These elements are submitted again. `singly`: each alone.
    void give_back(std::vector<std::size_t> numbers, Past past, bool singly) noexcept;

    const std::shared_ptr<Core> core_;
    const std::shared_ptr<MapPlan> plan_;
    const std::shared_ptr<Elements> works_ = std::make_shared<Elements>();
    std::atomic<std::size_t> done_{0};      // so many of the first elements have an outcome, or were given back
    std::atomic<bool> has_answers_{false};  // some of them by the slave
    std::exception_ptr error_;
    std::mutex mutex_;  // held while results are taken: the last ones are taken before it has ended
};

/// Elements of a map that were parts of a work, and are to be submitted again.
template <auto F, class Core>
class ReturnedElements final : public LazyWorks {
    using Chunk = MapChunk<F, Core>;
    using Elements = typename Chunk::Elements;

public:
    /// `numbers`: of the elements in `works`. `open`: see AnyScheduler::hold_open.
    ReturnedElements(std::weak_ptr<Core> core, std::shared_ptr<MapPlan> plan, std::shared_ptr<Elements> works,
                     std::vector<std::size_t> numbers, Submission::Past past, bool singly, std::shared_ptr<void> open)
        : core_{std::move(core)},
          plan_{std::move(plan)},
          works_{std::move(works)},
          numbers_{std::move(numbers)},
          past_{std::move(past)},
          singly_{singly},
          open_{std::move(open)} {}

    bool add_next() override {
        const auto core = core_.lock();
        if (!core) return false;
        const std::size_t most = singly_ ? 1 : plan_->size.next();
        const auto failed = exception_of([&] {
            for (; elements_.size() < most && next_ != numbers_.size(); ++next_)
                elements_.push_back(std::move((*works_)[numbers_[next_]]));
            if (!elements_.empty()) Chunk::submit(core, plan_, elements_, past_);
        });
        if (failed) fail(*core, failed);
        return !elements_.empty() || next_ != numbers_.size();
    }

private:
    /// They are out of reach of the range: what is thrown here is their outcome.
    void fail(Core& core, const std::exception_ptr& why) noexcept {
        std::vector<MapResult<typename FunctionWork<F>::result_type>> results;
        for (const auto& element : elements_) add_result(results, element.index).error = why;
        for (; next_ != numbers_.size(); ++next_) add_result(results, (*works_)[numbers_[next_]].index).error = why;
        elements_.clear();
        core.take(nullptr, results, {});
    }

    const std::weak_ptr<Core> core_;  // which owns this object
    const std::shared_ptr<MapPlan> plan_;
    const std::shared_ptr<Elements> works_;
    const std::vector<std::size_t> numbers_;
    const Submission::Past past_;
    const bool singly_;
    const std::shared_ptr<void> open_;  // the master is not quiet before they were submitted
    std::size_t next_ = 0;
    Elements elements_;
};

template <auto F, class Core>
void MapChunk<F, Core>::give_back(std::vector<std::size_t> numbers, Past past, bool singly) noexcept {
    if (numbers.empty()) return;
    core_->flow().add_again(surely([&] {
                                return std::make_unique<ReturnedElements<F, Core>>(
                                    core_, plan_, works_, numbers, past, singly,
                                    core_->flow().scheduler()->hold_open());
                            }),
                            numbers.size());
}

}  // namespace distwork::detail
