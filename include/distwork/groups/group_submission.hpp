#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "../base/separate.hpp"
#include "../base/surely.hpp"
#include "../calls/peer.hpp"
#include "../dispatch/submission.hpp"
#include "../dispatch/submission_source.hpp"
#include "../outcome.hpp"
#include "value_store.hpp"

namespace distwork::detail {

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

    /// What is known of it, without its error. To be called when it has its outcome. Throws std::bad_alloc.
    void describe(AnyOutcome& outcome) const;

    /// Its value, if it is to be kept.
    std::unique_ptr<StoredValue> stored;

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
    std::chrono::nanoseconds executed_{};  // guarded by the container; later by whoever delivers its outcome

private:
    // likewise
    std::chrono::steady_clock::time_point submitted_{};
    std::chrono::nanoseconds waited_{};
    std::shared_ptr<Peer> peer_;  // that it was sent to last
    std::uint64_t socket_ = 0;
    std::atomic<std::uint32_t> reported_{0};
};

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/group_submission.ipp"
#endif
