#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "../base/asio.hpp"
#include "../base/probe.hpp"
#include "../error.hpp"
#include "../types/registry.hpp"
#include "../wire/byte_buffer.hpp"
#include "../wire/progress_body.hpp"
#include "../wire/shared_body.hpp"
#include "../work.hpp"

namespace distwork::detail {

class Peer;

/// One work that was sent or will be sent, and the caller that waits for its outcome.
///
/// Answers, cancellations, timeouts and the end of a session race for a call. The one that wins `claim` calls exactly
/// one of `succeed` and `fail`, and then delivers the call.
///
/// *Lifetime*: shared by the structure that holds it, by the outbox that refers to its large body, and by the one that
/// settles it.
class Call {
public:
    explicit Call(const WorkType& type) : type_{&type}, own_type_{type} {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    virtual ~Call() = default;

    /// Its type. After `enter`, this is the entry in the registry of its role.
    const WorkType& type() const noexcept { return *type_; }

    /// The type's entry in the library that made the work. Only its functions may be called with the object.
    const WorkType& own_type() const noexcept { return own_type_; }

    /// Replaces `type()` with the entry of this registry, whose number is valid for its role. To be called before the
    /// call is shared. Throws Error (foreign_type).
    void enter(const Registry& registry) {
        if (type_->registry != &registry) [[unlikely]]
            type_ = &registry.own(*type_);
    }

    virtual const IWork& work() const noexcept = 0;

    /// Its name for errors and logs: the one that it was given, else its type's.
    virtual std::string_view name() const noexcept { return own_type_.name; }

    /// The number of this attempt; 1 is the first.
    virtual unsigned attempt() const noexcept { return 1; }

    /// How many works it is: more than one if it is a chunk.
    std::size_t elements() const noexcept { return elements_; }

    /// How long its execution may take at the peer; zero: no limit. A chunk has none.
    virtual std::chrono::milliseconds execution_timeout() const noexcept { return {}; }

    // The body. Most works are copied into an outbox at once. So a small body stays in the buffer of the function that
    // sends it, and `keep_body` copies it only if the call has to wait.

    /// Encodes the work into `room`, which must live until the call was sent, kept or given up. A large body is moved
    /// out of `room` and owned by the call. Returns whether equal works have equal bytes. Throws Error (too_large,
    /// shared_pointer, malformed) that names the work, and what the work's own serialization throws.
    bool encode(ByteBuffer& room, const ArchiveLimits& limits) {
        bool is_canonical = true;
        try {
            is_canonical = encode_work(room, limits);
        } catch (const Error&) {
            rethrow_named();
        }
        if (room.size() >= large_body_bytes) [[unlikely]]
            set_large_body(std::move(room));
        else set_body({room.view(), nullptr});
        return is_canonical;
    }

    /// Sets a body that was encoded already and that others may share: a broadcast is encoded once.
    void set_body(SharedBody body) noexcept {
        body_ = body.bytes.data();
        body_bytes_ = body.bytes.size();
        owner_ = std::move(body.owner);
    }

    /// Copies the body into memory that the call owns. To be called when the function that encoded it returns before
    /// the call is sent.
    void keep_body() {
        if (owner_ || !body_) return;
        auto owner = std::make_shared_for_overwrite<std::byte[]>(body_bytes_);
        std::memcpy(owner.get(), body_, body_bytes_);
        body_ = owner.get();
        owner_ = std::move(owner);
    }

    /// Releases the body, which an outbox has copied. Another attempt encodes it again.
    void release_body() noexcept {
        body_ = nullptr;
        owner_.reset();
    }

    /// The encoded work; empty after `release_body`.
    std::span<const std::byte> body() const noexcept { return {body_, body_ ? body_bytes_ : 0}; }
    std::size_t body_bytes() const noexcept { return body_bytes_; }

    /// A large body, shared with the outbox that refers to it.
    SharedBody shared_body() const { return {body(), owner_}; }

    /// Returns true to one caller only, which then settles the call. `outcome` is its outcome; zero: it succeeded.
    bool claim(Errc outcome = {}) noexcept {
        if (claimed_.exchange(true, std::memory_order_acq_rel) && !DISTWORK_PLANTED(deliver_twice)) return false;
        outcome_ = outcome;
        return true;
    }
    /// The outcome of a settled call.
    Errc outcome() const noexcept { return outcome_; }
    bool claimed() const noexcept { return claimed_.load(std::memory_order_acquire); }

    /// Sets the result of a work that `peer` executed, from its bytes. If they cannot be decoded, the outcome becomes
    /// Errc::malformed.
    virtual void succeed(std::span<const std::byte> value, const std::shared_ptr<Peer>& peer) noexcept = 0;

    /// Some works of a chunk were executed; the others are still to be. Not called once it was claimed, but claims may
    /// come meanwhile.
    virtual void succeed_partly(std::span<const std::byte> value, const std::shared_ptr<Peer>& peer) noexcept {
        static_cast<void>(value), static_cast<void>(peer);
    }

    /// Its execution reports how far it is. Not called once it was claimed, but claims may come meanwhile.
    virtual void note_progress(const ProgressBody&) noexcept {}

    /// Sets the exception of a work that threw or was not executed.
    virtual void fail(std::exception_ptr error) noexcept = 0;

    /// Calls the handler. `call` is released first, so that its memory is free when the handler runs.
    virtual void deliver(std::shared_ptr<Call> call) = 0;

    /// Whether the handler has an executor of its own. If not, `deliver` runs on the role's executor.
    bool has_own_executor() const noexcept { return has_own_executor_; }

    /// Posts `deliver` to the handler's own executor.
    virtual void post(std::shared_ptr<Call>) noexcept {}

    /// Whether it is a Submission, which a SocketContainer sent and counts.
    bool is_submission() const noexcept { return is_submission_; }

    std::uint64_t id = 0;  ///< in the session on which it was sent; guarded by that session

    // Set before it is sent.
    std::uint64_t given_units = 0;  ///< of indexed resources, one bit each
    std::uint64_t parent_id = 0;    ///< the peer's id of the work that makes this call; 0: no work does
    bool is_awaited = false;        ///< a work awaits it, and holds no slot meanwhile

protected:
    void outcome(Errc value) noexcept { outcome_ = value; }

    /// Appends what is sent: the encoded work, or a chunk. Throws as WorkOperations::encode.
    /// Returns whether equal works have equal bytes.
    virtual bool encode_work(ByteBuffer& room, const ArchiveLimits& limits) {
        return own_type_.encode(work(), room, limits);
    }

private:
    std::atomic<bool> claimed_{false};
    Errc outcome_{};

protected:
    bool has_own_executor_ = false;
    bool is_submission_ = false;
    std::uint32_t elements_ = 1;

private:
    [[noreturn, gnu::cold]] void rethrow_named() const { rethrow_naming(std::string{name()} + ": "); }

    void set_large_body(ByteBuffer&& body) {
        auto owner = std::make_shared<ByteBuffer>(std::move(body));
        set_body({owner->view(), owner});
    }

    const WorkType* type_;
    const WorkType& own_type_;
    const std::byte* body_ = nullptr;
    std::size_t body_bytes_ = 0;
    std::shared_ptr<const void> owner_;  // of the body; null while the body is in the sender's buffer
};

}  // namespace distwork::detail
