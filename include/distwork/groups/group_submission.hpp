#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "../base/separate.hpp"
#include "../base/surely.hpp"
#include "../calls/peer.hpp"
#include "../dispatch/submission.hpp"
#include "../dispatch/submission_source.hpp"
#include "../outcome.hpp"
#include "../wire/shared_body.hpp"
#include "value_store.hpp"

namespace distwork::detail {

/// What a group that looks for stragglers needs of a work, to send it to another slave, too.
struct Straggling {
    SharedBody body;  ///< encoded; set before it is submitted
    // guarded by the StragglerWatch
    std::weak_ptr<Submission> second;
    bool was_doubled = false;
    bool is_over = false;  ///< it has its outcome
};

/// A work of a group. It notes where it was sent and when, for its outcome.
class GroupSubmission : public Submission {
public:
    explicit GroupSubmission(const WorkType& type);

    void note_submission(std::chrono::steady_clock::time_point now) noexcept override;
    void note_sending(const Socket& to, std::chrono::steady_clock::time_point now,
                      HungrySources& hungry) noexcept override;
    void note_execution(std::chrono::nanoseconds time) noexcept override;
    void note_progress(const ProgressBody& progress) noexcept override;
    /// It succeeded, with this value. Copies it, if it is to be kept.
    void note_value(std::span<const std::byte> value) noexcept {
        if (stored) [[unlikely]]
            surely([&] { stored->bytes.append(value.data(), value.size()); });
    }

    /// It was executed there, by its second copy. To be called after the container has given it up.
    void was_executed_at(std::shared_ptr<Peer> peer, std::uint64_t slave, std::chrono::nanoseconds time) noexcept {
        peer_ = std::move(peer);
        socket_ = slave;
        executed_ = time;
        had_second_copy_ = true;
    }

    /// When it was sent last; zero: it was not.
    std::chrono::steady_clock::time_point sent_at() const noexcept {
        return std::chrono::steady_clock::time_point{
            std::chrono::nanoseconds{sent_at_.load(std::memory_order_relaxed)}};
    }

    /// What is known of it, without its error. To be called when it has its outcome. Throws std::bad_alloc.
    void describe(AnyOutcome& outcome) const;

    /// Its value, if it is to be kept.
    std::unique_ptr<StoredValue> stored;
    /// If its group looks for stragglers, and it may be executed twice.
    std::unique_ptr<Straggling> straggling;

    // Set by the flow, before it is submitted

    std::shared_ptr<SubmissionSource> source;
    static constexpr std::size_t no_index = static_cast<std::size_t>(-1);
    std::size_t index = no_index;  ///< its number in the group
    std::size_t position = 0;      ///< in the flow's table of works under way

    /// The share of it that is done, from 0 to 1, as it reported last.
    double reported() const noexcept {
        return static_cast<double>(reported_.load(std::memory_order_relaxed)) / ProgressBody::whole;
    }

protected:
    /// A second copy may win, and change the object, while it is encoded to be sent again: then its bytes are copied.
    bool encode_work(ByteBuffer& room, const ArchiveLimits& limits) override {
        if (!straggling) return Submission::encode_work(room, limits);
        room.append(straggling->body.bytes.data(), straggling->body.bytes.size());
        return true;
    }

    std::chrono::nanoseconds executed_{};  // guarded by the container; later by whoever delivers its outcome

private:
    // likewise
    std::chrono::steady_clock::time_point submitted_{};
    std::chrono::nanoseconds waited_{};
    std::shared_ptr<Peer> peer_;  // that it was sent to last
    std::uint64_t socket_ = 0;
    bool had_second_copy_ = false;  // which was executed: one attempt more
    std::atomic<std::uint32_t> reported_{0};
    std::atomic<std::int64_t> sent_at_{0};  // nanoseconds of the clock
};

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/group_submission.ipp"
#endif
