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

/// The half of a session that any thread uses: what waits to leave, and which calls await their answers. No I/O.
///
/// Functions that queue bytes return whether the caller must wake the session's writer. Between one such `true` and the
/// writer's `take` that finds nothing, nobody else is told: one wake for all that gathers meanwhile.
///
/// Invariant: a call is in the table or held back until `give_up` or `close` gives all of them up at once; what comes
/// later is refused, so that no call is forgotten between the two.
///
/// *Thread-safety*: all functions.
class Multiplexer {
public:
    explicit Multiplexer(std::size_t max_outbox_bytes) : max_outbox_bytes_{max_outbox_bytes} {}

    struct Sent {
        std::error_code error;
        bool wake = false;
    };

    /// Queues a call and enters it into the table; beyond the peer's window it is held back until answers come.
    Sent send(const std::shared_ptr<Call>& call) {
        const std::lock_guard lock{mutex_};
        if (given_up_) return {Errc::lost};
        const std::uint32_t number = types_.number(call->type());
        if (number >= PeerTypes::unknown) return {types_.why_unknown(call->type())};
        const std::uint32_t timeout = timeout_of(*call);
        const std::size_t bytes = frame_bytes(*call, timeout);
        if (call->parent_id != 0 && version_ < 2) return {Errc::version_mismatch};
        // What a work waits for must not wait for what other works wait for.
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

    /// Queues the answer of a work that the peer sent. A small body is copied and stays with the caller.
    bool reply(FrameHeader header, ByteBuffer&& body) {
        const std::lock_guard lock{mutex_};
        if (header.flags != flag_goes_on) ++replies_;
        if (closed_) DISTWORK_MARK(late_answer);  // of a work whose session is no more
        return queue(header, std::move(body));
    }

    /// Queues a frame that no answer comes for. A small body is copied and stays with the caller.
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

    /// Answers queued so far.
    std::uint64_t replies() const {
        const std::lock_guard lock{mutex_};
        return replies_;
    }

    /// Whether more waits to leave than may: then nothing should be read, or begun, that causes more. It lasts until half
    /// of it has left.
    bool is_overfull() const noexcept { return overfull_.load(std::memory_order_acquire); }

    /// Queues a cancel frame if the call awaits its answer here.
    bool cancel(const Call& call) {
        const std::lock_guard lock{mutex_};
        if (closed_ || !calls_.contains(call.id)) return false;
        outbox_.append({.kind = FrameKind::cancel, .id = call.id}, {});
        return wake();
    }

    /// Queues a recall frame if the call awaits its answer here; `error`: it does not, or was recalled before.
    Sent recall(const Call& call) {
        const std::lock_guard lock{mutex_};
        if (closed_ || !calls_.may_recall(call.id)) return {Errc::lost};
        outbox_.append({.kind = FrameKind::recall, .id = call.id}, {});
        calls_.note_recalled(call.id);
        return {{}, wake()};
    }

    /// The call that awaits its answer by this id; null if there is none.
    std::shared_ptr<Call> look_up(std::uint64_t id) {
        const std::lock_guard lock{mutex_};
        return calls_.look_up(id);
    }

    /// Looks up the calls that `answers` are for; `call` is left null for late and unknown ones, and for works that come
    /// back unasked. One whose work goes on stays until it is answered once more. True: `release_held` has something to
    /// do.
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

    /// Sends what was held back, as far as the peer's window lets it.
    void release_held() {
        const std::lock_guard lock{mutex_};
        while (!held_.empty() && calls_.size() < window_) {
            const std::shared_ptr<Call> call = held_.front();
            const std::uint32_t timeout = timeout_of(*call);
            const std::size_t bytes = frame_bytes(*call, timeout);
            const bool is_wanted = !call->claimed() || call->chosen();
            if (is_wanted) enter(call, types_.number(call->type()), timeout);
            held_bytes_ -= bytes;
            held_.pop_front();
            // Who cancelled it was not heard then: it was not in the table. Its place is given back by its answer.
            if (is_wanted && call->claimed()) outbox_.append({.kind = FrameKind::cancel, .id = call->id}, {});
        }
    }

    /// The writer, on its strand, takes all that gathered. False: nothing did, and the next to queue must wake it.
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

    /// What there is room for, and was not before.
    struct Room {
        bool for_calls = false;  ///< one was refused
        bool for_answers = false;
    };

    /// The writer wrote so much of what it took.
    Room left(std::size_t bytes) {
        const std::lock_guard lock{mutex_};
        leaving_bytes_ -= bytes;
        const std::size_t waiting = outbox_.size() + leaving_bytes_;
        if (waiting > max_outbox_bytes_ / 2) return {};
        const Room room{refused_, is_overfull()};
        refused_ = refused_ && waiting != 0;  // a call beyond the bound needs all of it: it is told again then
        if (room.for_answers) overfull_.store(false, std::memory_order_release);
        return room;
    }

    /// The session's own strand is about to queue and will call the writer when it is done: no wake until then.
    void stay_awake() {
        const std::lock_guard lock{mutex_};
        awake_ = true;
        gathered_by_ = nullptr;
    }

    /// What the peer said of itself; again when it says so again.
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

    std::size_t awaiting() const {
        const std::lock_guard lock{mutex_};
        return calls_.size() + held_.size();
    }

    /// Gives up every call that awaits an answer; none is taken from now on.
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

    /// The same, and nothing leaves any more.
    std::vector<std::shared_ptr<Call>> close() noexcept {
        auto calls = give_up();
        const std::lock_guard lock{mutex_};
        closed_ = true;
        outbox_ = Outbox{};
        overfull_.store(false, std::memory_order_release);
        return calls;
    }

private:
    /// In the wire's milliseconds; zero: none.
    static std::uint32_t timeout_of(const Call& call) noexcept {
        constexpr std::int64_t most = std::numeric_limits<std::uint32_t>::max();
        return static_cast<std::uint32_t>(std::clamp<std::int64_t>(call.execution_timeout().count(), 0, most));
    }

    static std::size_t frame_bytes(const Call& call, std::uint32_t timeout) noexcept {
        return frame_header_bytes + call.body_bytes() + (timeout != 0 ? timeout_bytes : 0) +
               (call.parent_id != 0 ? parent_bytes : 0);
    }

    [[gnu::cold]] void hold(const std::shared_ptr<Call>& call, std::size_t bytes) {
        call->keep_body();
        call->id = 0;  // that of another session means another call here
        held_.push_back(call);
        held_bytes_ += bytes;
    }

    void enter(const std::shared_ptr<Call>& call, std::uint32_t number, std::uint32_t timeout) {
        FrameHeader header{.kind = FrameKind::work, .type = static_cast<std::uint16_t>(number), .id = calls_.next_id()};
        std::byte prefix[timeout_bytes + parent_bytes];
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

    /// After something was queued. Who gathers writers to wake will wake this one, but only for itself: others do not
    /// wait for that.
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
    std::size_t leaving_bytes_ = 0;  // what the writer took and has not written
    PeerTypes types_;
    std::uint16_t version_ = oldest_protocol_version;
    std::size_t window_ = 0;
    std::size_t max_body_bytes_ = 0;
    std::uint64_t replies_ = 0;
    bool refused_ = false;  // a call, for want of room
    bool awake_ = false;
    const DeferredFlushes* gathered_by_ = nullptr;  // awake, and this one will wake the writer; only compared
    bool given_up_ = false;
    bool closed_ = false;
    std::atomic<bool> overfull_{false};  // also read without it
};

}  // namespace distwork::detail
