#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <utility>

#include "../base/type_name.hpp"
#include "../calls/peer.hpp"
#include "../dispatch/submission.hpp"
#include "../error.hpp"
#include "../execution/received_bytes.hpp"
#include "../link/session_handler.hpp"
#include "../types/type_set.hpp"
#include "../wire/byte_buffer.hpp"
#include "../wire/frame.hpp"
#include "../wire/reply.hpp"
#include "../work.hpp"

namespace distwork::detail {

/// A work that a work on a slave submitted to the master. Its outcome is sent to that slave. The encoded value is
/// forwarded and not decoded by the master.
class NestedSubmission final : public Submission {
public:
    /// `allowed`: the types that the master distributes. *Errors*: throws Error (not_accepted, cancelled); what decoding
    /// throws.
    static std::shared_ptr<NestedSubmission> make(SubmittedWork submitted, const TypeSet& allowed,
                                                  const ArchiveLimits& limits, std::weak_ptr<Peer> to) {
        if (!allowed.contains(submitted.type))
            throw Error::with_text(Errc::not_accepted,
                                   "the master does not distribute works of that type (accept_submission)");
        // A parent that is claimed later has its children cancelled on the session's strand, after this function.
        if (!submitted.parent || submitted.parent->claimed())
            throw Error::with_text(Errc::cancelled, "the work that submitted it has ended");
        return std::make_shared<NestedSubmission>(std::move(submitted), limits, std::move(to));
    }

    /// The peer `to` awaits the outcome. The submission inherits labels, priority and max_attempts of its parent, unless
    /// the parent is a call that a work on the master sent directly to the slave. *Errors*: throws what decoding throws.
    NestedSubmission(SubmittedWork submitted, const ArchiveLimits& limits, std::weak_ptr<Peer> to)
        : Submission{submitted.type},
          work_{submitted.type.decode(submitted.body, limits)},
          to_{std::move(to)},
          number_{submitted.id},
          counted_{std::move(submitted.counted)} {
        depth = 1;
        if (const Submission* const of = submission_of(*submitted.parent)) inherit(*of);
    }

    const IWork& work() const noexcept override { return *work_; }

    void succeed(std::span<const std::byte> value, const std::shared_ptr<Peer>&) noexcept override {
        error_ = exception_of([&] {
            answer_.extend(reply_head_bytes);
            write_execution_time(answer_, {});
            answer_.append(value.data(), value.size());
        });
        if (error_) outcome(Errc::too_large);
    }
    void fail(std::exception_ptr error) noexcept override { error_ = std::move(error); }

    void deliver(std::shared_ptr<Call>) override {
        const auto to = to_.lock();
        if (!to) return;
        try {
            if (!error_) to->reply({.kind = FrameKind::answer, .id = number_}, std::move(answer_));
            else to->reply({.kind = FrameKind::error, .id = number_}, error_body());
        } catch (...) {
            to->fail(std::current_exception());
        }
    }

private:
    void inherit(const Submission& parent) {
        depth = parent.depth + 1;
        options.priority(parent.options.priority()).max_attempts(parent.options.max_attempts());
        for (const std::string& label : parent.options.labels()) options.label(label);
    }

    /// Encodes the error as if the master had executed the work itself.
    ByteBuffer error_body() const {
        try {
            std::rethrow_exception(error_);
        } catch (const RemoteError& error) {
            return distwork::detail::error_body({}, Errc::work_failed, error.type(), error.text());
        } catch (const Error& error) {
            return distwork::detail::error_body({}, errc_of(error.code(), Errc::lost), "", error.what());
        } catch (...) {
            return distwork::detail::error_body({}, Errc::malformed, "", describe(error_).text);
        }
    }

    const std::unique_ptr<IWork> work_;
    const std::weak_ptr<Peer> to_;
    const std::uint64_t number_;
    const CountedBytes counted_;
    ByteBuffer answer_;
    std::exception_ptr error_;
};

}  // namespace distwork::detail
