#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <utility>

#include "../calls/peer.hpp"
#include "../context.hpp"
#include "../error.hpp"
#include "../types/registry.hpp"
#include "../wire/byte_buffer.hpp"
#include "../wire/chunk.hpp"
#include "../wire/frame.hpp"
#include "../wire/reply.hpp"
#include "work_batch.hpp"
#include "work_reply.hpp"

namespace distwork::detail {

/// Executes the works of a chunk one after the other, and answers them: all of them at the end, or some of them earlier,
/// so that little is executed again when the slave is lost. A chunk whose works turn out long is ended early, and so is
/// one whose answers the peer does not read: the master sends the rest elsewhere. No clock.
///
/// *Lifetime*: the item's batch must outlive it.
class ChunkExecution {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// A chunk is ended, and works of it are left, when it has taken so long.
    static constexpr auto longest = std::chrono::milliseconds{10};
    /// Works are answered when the first of them ended so long ago, or when their answers have so many bytes.
    static constexpr auto answer_after = std::chrono::milliseconds{2};
    static constexpr std::size_t most_answer_bytes = 64 * 1024;

    ChunkExecution(std::shared_ptr<Peer> peer, const WorkBatch::Item& item, TimePoint now)
        : peer_{std::move(peer)},
          id_{item.id},
          type_{*item.type},
          works_{item.body},
          began_{now},
          answered_{now},
          looked_{now} {
        answer_.extend(head_bytes);
    }

    /// Executes the next work, or the next few if the last ones were very short: reading a clock costs as much as such a
    /// work. *Errors*: Error (malformed) if the chunk is broken; std::bad_alloc.
    void execute_some(Context& context) {
        for (unsigned i = 0; i != between_looks_; ++i) {
            execute_next(context);
            if (works_.at_end()) return;
        }
    }

    /// Executes one work. *Errors*: likewise.
    void execute_next(Context& context) {
        std::span<const std::byte> work;
        if (!works_.next(work)) throw Error{Errc::malformed, "a chunk"};
        execute(work, context);
        ++executed_;
    }

    /// To be called after either. Answers some works if it is time. Returns whether others are to be executed: not if
    /// `is_to_stop`.
    bool goes_on(TimePoint now, bool is_to_stop) {
        const auto mean = (now - looked_) / static_cast<int>(std::max(std::exchange(executed_, 0u), 1u));
        between_looks_ = mean < std::chrono::nanoseconds{500} ? 4 : 1;
        looked_ = now;
        if (works_.at_end() || is_to_stop || now - began_ >= longest || !peer_->takes_answers()) return false;
        if (now - answered_ >= answer_after || answer_.size() >= most_answer_bytes) send(flag_goes_on);
        return true;
    }

    /// Answers the works that were executed. The chunk has ended.
    void finish() { send(0); }

    /// The rest of the chunk is broken: it fails as a whole.
    void fail(const std::exception_ptr& broken) {
        if (count_ != 0) send(flag_goes_on);
        peer_->reply({.kind = FrameKind::error, .id = id_}, error_body({}, broken, type_.name));
    }

private:
    static constexpr std::size_t head_bytes = reply_head_bytes + sizeof(std::uint32_t);
    static constexpr std::size_t element_head_bytes = sizeof(std::uint32_t) + 1;

    void execute(std::span<const std::byte> work, Context& context) {
        const std::size_t before = answer_.size();
        answer_.extend(element_head_bytes);
        std::exception_ptr thrown;
        std::exception_ptr broken;
        try {
            thrown = type_.execute(work, context, answer_, peer_->limits());
        } catch (...) {
            broken = std::current_exception();
        }
        if (thrown || broken) replace(before, failure_body({}, thrown, broken, type_.name));
        else close(before, false);
        ++count_;
        const std::size_t most = peer_->max_answer_bytes();
        if (answer_.size() <= most) return;
        if (count_ != 1) answer_all_but_last(before);
        if (answer_.size() > most)
            replace(head_bytes, error_body({}, Errc::too_large, "", too_large_answer(answer_.size(), most)));
    }

    /// Writes the head of the answer to one work, which begins at `before` and reaches to the end.
    void close(std::size_t before, bool is_error) {
        store(answer_.data() + before, static_cast<std::uint32_t>(answer_.size() - before - element_head_bytes));
        answer_.data()[before + sizeof(std::uint32_t)] = is_error ? std::byte{1} : std::byte{0};
    }

    /// Replaces the answer to the last work by an error.
    void replace(std::size_t before, const ByteBuffer& error) {
        answer_.truncate(before + element_head_bytes);
        answer_.append(error.data(), error.size());
        close(before, true);
    }

    /// The answer to the last work does not fit into one frame with the others.
    void answer_all_but_last(std::size_t before) {
        ByteBuffer last;
        last.extend(head_bytes);
        last.append(answer_.data() + before, answer_.size() - before);
        answer_.truncate(before);
        --count_;
        send(flag_goes_on);
        answer_ = std::move(last);
        count_ = 1;
    }

    void send(std::uint8_t flags) {
        write_execution_time(answer_, looked_ - answered_);
        store(answer_.data() + reply_head_bytes, count_);
        peer_->reply({.kind = FrameKind::answer, .flags = flags, .id = id_}, std::move(answer_));
        answer_.clear();  // a small one was copied
        answer_.extend(head_bytes);
        answered_ = looked_;
        count_ = 0;
    }

    const std::shared_ptr<Peer> peer_;
    const std::uint64_t id_;
    const WorkType& type_;
    ChunkReader works_;
    ByteBuffer answer_;
    std::uint32_t count_ = 0;     // works that it answers
    unsigned between_looks_ = 1;  // works that are executed before the clock is read
    unsigned executed_ = 0;       // since it was read
    const TimePoint began_;
    TimePoint answered_;  // when works were answered last
    TimePoint looked_;    // when the last work had ended
};

}  // namespace distwork::detail
