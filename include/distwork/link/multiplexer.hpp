#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "../base/probe.hpp"
#include "../base/surely.hpp"
#include "../calls/call.hpp"
#include "../calls/call_table.hpp"
#include "../error.hpp"
#include "../types/peer_types.hpp"
#include "../wire/byte_buffer.hpp"
#include "../wire/frame.hpp"
#include "../wire/outbox.hpp"
#include "deferred_flushes.hpp"

namespace distwork::detail {

/// The half of a session that any thread uses: the frames that wait to leave, and the calls that await their answers.
/// No I/O.
///
/// Functions that queue bytes return whether the caller must wake the session's writer. After one such `true`, they
/// return false until `take` finds nothing: one wake for everything that gathers meanwhile.
///
/// Invariant: a call is in the table or held back until `give_up` or `close` gives all calls up at once. Later calls
/// are refused, so no call is forgotten in between.
///
/// *Thread-safety*: all functions.
class Multiplexer {
public:
    explicit Multiplexer(std::size_t max_outbox_bytes) : max_outbox_bytes_{max_outbox_bytes} {}

    struct Sent {
        std::error_code error;  ///< set: nothing was queued
        bool wake = false;      ///< the caller must wake the writer
    };

    /// Queues a call and enters it into the table. Beyond the peer's window, the call is held back until answers come.
    ///
    /// *Errors*: `Errc::lost` after `give_up`; `unknown_type`, `shape_differs` or `foreign_type` if the peer cannot be
    /// sent the type; `version_mismatch` if the peer does not know chunks, or submissions of works; `too_many_waiting` if
    /// another work waits for the call, and the window is full; `too_large`; `outbox_full`. It may throw std::bad_alloc.
    /// In all these cases the call is not taken.
    Sent send(const std::shared_ptr<Call>& call) {
        const std::lock_guard lock{mutex_};
        if (given_up_) return {Errc::lost};
        const std::uint32_t number = types_.number(call->type());
        if (number >= PeerTypes::unknown) return {types_.why_unknown(call->type())};
        const std::uint32_t timeout = timeout_of(*call);
        const std::size_t bytes = frame_bytes(*call, timeout);
        if ((call->parent_id != 0 && version_ < 2) || (call->elements() != 1 && version_ < 3))
            return {Errc::version_mismatch};
        // A call that a work waits for must not wait for calls that other works wait for.
        if (call->is_awaited && calls_.size() >= window_) return {Errc::too_many_waiting};
        if (bytes - frame_header_bytes > max_body_bytes_) return {Errc::too_large};
        const std::size_t waiting = outbox_.size() + leaving_bytes_ + held_bytes_;
        if (waiting != 0 && waiting + bytes > max_outbox_bytes_) {
            refused_ = true;
            return {Errc::outbox_full};
        }
        if (calls_.size() >= window_ || (!held_.empty() && !call->is_awaited)) return hold(call, bytes), Sent{};
        enter(call, number, timeout);
        return {{}, wake()};
    }

    /// Queues the answer to a work that the peer sent. A small body is copied and stays with the caller. Returns
    /// whether the caller must wake the writer.
    bool reply(FrameHeader header, ByteBuffer&& body) {
        const std::lock_guard lock{mutex_};
        if (header.flags != flag_goes_on) ++replies_;
        if (closed_) DISTWORK_MARK(late_answer);  // the session of the work has ended
        return queue(header, std::move(body));
    }

    /// Queues a frame that is not answered. A small body is copied and stays with the caller. Returns whether the
    /// caller must wake the writer.
    bool send(FrameHeader header, ByteBuffer&& body) {
        const std::lock_guard lock{mutex_};
        return queue(header, std::move(body));
    }
    bool send(FrameHeader header, std::span<const std::byte> body = {}) {
        const std::lock_guard lock{mutex_};
        if (closed_) return false;
        outbox_.append(header, body);
        return wake();
    }

    /// The number of final answers queued so far.
    std::uint64_t replies() const {
        const std::lock_guard lock{mutex_};
        return replies_;
    }

    /// Whether more waits to leave than max_outbox_bytes. Then nothing should be read or begun that causes more. It
    /// becomes false when no more than half of max_outbox_bytes waits.
    bool is_overfull() const noexcept { return overfull_.load(std::memory_order_acquire); }

    /// Queues a cancel frame, once, if the call awaits its answer here. Returns whether the caller must wake the writer.
    bool cancel(const Call& call) {
        const std::lock_guard lock{mutex_};
        if (closed_ || !calls_.note_cancelled(call.id)) return false;
        outbox_.append({.kind = FrameKind::cancel, .id = call.id}, {});
        return wake();
    }

    /// Queues a recall frame if the call awaits its answer here. `Errc::lost`: it does not, or was recalled before.
    Sent recall(const Call& call) {
        const std::lock_guard lock{mutex_};
        if (closed_ || !calls_.may_recall(call.id)) return {Errc::lost};
        outbox_.append({.kind = FrameKind::recall, .id = call.id}, {});
        calls_.note_recalled(call.id);
        return {{}, wake()};
    }

    /// The call that awaits its answer under this id; null if there is none.
    std::shared_ptr<Call> look_up(std::uint64_t id) {
        const std::lock_guard lock{mutex_};
        return calls_.look_up(id);
    }

    /// Sets `call` of each answer, and removes from the table the calls that have no further answer. `call` stays null
    /// if the answer is late or its id is unknown, and if a work comes back that was not recalled. Returns whether
    /// `release_held` must be called.
    template <class Answers>
    bool take_calls(Answers& answers) noexcept {
        const std::lock_guard lock{mutex_};
        for (auto& answer : answers) {
            if (answer.is_last()) answer.call = calls_.take(answer.id);
            else if (answer.is_of_slot() || answer.reply.goes_on) answer.call = calls_.look_up(answer.id);
            else answer.call = calls_.take_recalled(answer.id);
        }
        return !held_.empty();
    }

    /// Queues calls that were held back, as far as the peer's window allows.
    void release_held() {
        const std::lock_guard lock{mutex_};
        while (!held_.empty() && calls_.size() < window_) {
            const std::shared_ptr<Call> call = held_.front();
            const std::uint32_t timeout = timeout_of(*call);
            const std::size_t bytes = frame_bytes(*call, timeout);
            const bool is_wanted = !call->claimed() || call->is_submission();
            if (is_wanted) enter(call, types_.number(call->type()), timeout);
            held_bytes_ -= bytes;
            held_.pop_front();
            // It was cancelled while it was held back, and not in the table: send the cancel frame now. Its answer
            // gives its credit back.
            if (is_wanted && call->claimed() && calls_.note_cancelled(call->id))
                outbox_.append({.kind = FrameKind::cancel, .id = call->id}, {});
        }
    }

    /// Called by the writer: takes everything that has gathered. False: nothing has, and the next caller that queues
    /// something must wake the writer.
    bool take(Outbox& leaving) {
        const std::lock_guard lock{mutex_};
        leaving_bytes_ = outbox_.size();
        gathered_by_ = nullptr;
        if (outbox_.empty()) {
            awake_ = false;
            return false;
        }
        std::swap(outbox_, leaving);
        return true;
    }

    /// What the outbox has room for again.
    struct Room {
        bool for_calls = false;    ///< calls were refused before
        bool for_answers = false;  ///< is_overfull() was true before
    };

    /// Called by the writer: it wrote `bytes` of what it took.
    Room left(std::size_t bytes) {
        const std::lock_guard lock{mutex_};
        leaving_bytes_ -= bytes;
        const std::size_t waiting = outbox_.size() + leaving_bytes_;
        if (waiting > max_outbox_bytes_ / 2) return {};
        const Room room{refused_, is_overfull()};
        refused_ = refused_ && waiting != 0;  // a very large call needs an empty outbox: report once more then
        if (room.for_answers) overfull_.store(false, std::memory_order_release);
        return room;
    }

    /// Called on the session's strand, which is about to queue frames and then calls the writer itself: no wake until
    /// then.
    void stay_awake() {
        const std::lock_guard lock{mutex_};
        awake_ = true;
        gathered_by_ = nullptr;
    }

    /// Takes what the peer introduced itself with. Called again for each further introduction.
    void introduce(PeerTypes types, std::size_t window, std::size_t max_body_bytes,
                   std::uint16_t version = newest_protocol_version) {
        const std::lock_guard lock{mutex_};
        version_ = version;
        types_ = std::move(types);
        window_ = std::min(window, CallTable::most_calls);
        max_body_bytes_ = max_body_bytes;
    }

    std::error_code why_unknown(const WorkType& type) const {
        const std::lock_guard lock{mutex_};
        return types_.why_unknown(type);
    }

    /// The number of calls that await their answers, including those held back.
    std::size_t awaiting() const {
        const std::lock_guard lock{mutex_};
        return calls_.size() + held_.size();
    }

    /// Gives up and returns all calls that await an answer. From now on calls are refused. Blocks only while memory
    /// lacks.
    std::vector<std::shared_ptr<Call>> give_up() noexcept {
        const std::lock_guard lock{mutex_};
        given_up_ = true;
        std::vector<std::shared_ptr<Call>> calls;
        surely([&] { calls.reserve(calls_.size() + held_.size()); });
        calls_.take_all(calls);
        for (auto& call : held_) calls.push_back(std::move(call));
        held_.clear();
        held_bytes_ = 0;
        return calls;
    }

    /// The same, and drops everything that waits to leave. From now on nothing is queued.
    std::vector<std::shared_ptr<Call>> close() noexcept {
        auto calls = give_up();
        const std::lock_guard lock{mutex_};
        closed_ = true;
        outbox_ = Outbox{};
        overfull_.store(false, std::memory_order_release);
        return calls;
    }

private:
    /// The execution_timeout in the milliseconds of the wire; zero: none.
    static std::uint32_t timeout_of(const Call& call) noexcept {
        constexpr std::int64_t most = std::numeric_limits<std::uint32_t>::max();
        return static_cast<std::uint32_t>(std::clamp<std::int64_t>(call.execution_timeout().count(), 0, most));
    }

    static std::size_t frame_bytes(const Call& call, std::uint32_t timeout) noexcept {
        return frame_header_bytes + call.body_bytes() + (timeout != 0 ? timeout_bytes : 0) +
               (call.parent_id != 0 ? parent_bytes : 0) + (call.given_units != 0 ? given_bytes : 0);
    }

    [[gnu::cold]] void hold(const std::shared_ptr<Call>& call, std::size_t bytes) {
        call->keep_body();
        call->id = 0;  // an id of another session may be the id of another call here
        held_.push_back(call);
        held_bytes_ += bytes;
    }

    void enter(const std::shared_ptr<Call>& call, std::uint32_t number, std::uint32_t timeout) {
        FrameHeader header{.kind = FrameKind::work, .type = static_cast<std::uint16_t>(number), .id = calls_.next_id()};
        std::byte prefix[timeout_bytes + parent_bytes + given_bytes];
        std::size_t prefix_bytes = 0;
        if (timeout != 0) {
            header.flags = flag_timeout;
            detail::store(prefix, timeout);
            prefix_bytes = timeout_bytes;
        }
        if (call->parent_id != 0) {
            header.flags |= flag_submission;
            detail::store(prefix + prefix_bytes, call->parent_id);
            prefix_bytes += parent_bytes;
        }
        if (const std::uint64_t given = call->given_units; given != 0) [[unlikely]] {
            header.flags |= flag_given;
            detail::store(prefix + prefix_bytes, given);
            prefix_bytes += given_bytes;
        }
        if (call->elements() != 1) header.flags |= flag_chunk;
        const std::span<const std::byte> before{prefix, prefix_bytes};
        if (call->body_bytes() >= large_body_bytes) outbox_.append_large(header, call->shared_body(), before);
        else outbox_.append(header, call->body(), before);
        calls_.insert(call);
        call->release_body();
    }

    bool queue(FrameHeader header, ByteBuffer&& body) {
        if (closed_) return false;
        if (body.size() < large_body_bytes) {
            outbox_.append(header, body.view());
        } else {
            auto owner = std::make_shared<ByteBuffer>(std::move(body));
            outbox_.append_large(header, {owner->view(), owner});
        }
        return wake();
    }

    /// Called after something was queued. A thread that gathers writers in a DeferredFlushes wakes this writer later.
    /// Threads that do not share this object must not wait for that: they wake the writer themselves.
    bool wake() {
        if (outbox_.size() + leaving_bytes_ > max_outbox_bytes_) overfull_.store(true, std::memory_order_release);
        const DeferredFlushes* const gathering = DeferredFlushes::current();
        if (awake_ && (!gathered_by_ || gathered_by_ == gathering)) return false;
        awake_ = true;
        gathered_by_ = gathering;
        return true;
    }

    const std::size_t max_outbox_bytes_;

    mutable std::mutex mutex_;
    // guarded by mutex_
    Outbox outbox_;
    CallTable calls_;
    std::deque<std::shared_ptr<Call>> held_;
    std::size_t held_bytes_ = 0;
    std::size_t leaving_bytes_ = 0;  // what the writer has taken and not written yet
    PeerTypes types_;
    std::uint16_t version_ = oldest_protocol_version;
    std::size_t window_ = 0;
    std::size_t max_body_bytes_ = 0;
    std::uint64_t replies_ = 0;
    bool refused_ = false;                          // a call was refused for lack of room
    bool awake_ = false;                            // the writer was woken, and has not found the outbox empty since
    const DeferredFlushes* gathered_by_ = nullptr;  // which object will wake the writer; compared, never dereferenced
    bool given_up_ = false;
    bool closed_ = false;
    std::atomic<bool> overfull_{false};  // also read without the mutex
};

}  // namespace distwork::detail
