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
#include "../wire/shared_body.hpp"
#include "../work.hpp"

namespace distwork::detail {

class Peer;

/// One work that was sent, or is to be, and the caller that waits for what becomes of it.
///
/// Answers, cancellations, time-outs and the end of a session race for it. Whoever wins `claim` calls exactly one of
/// `succeed` and `fail`, and then has it delivered.
///
/// *Lifetime*: shared by the structure that holds it, an outbox that a large body leaves through, and whoever settles
/// it.
class Call {
public:
    explicit Call(const WorkType& type) : type_{&type}, own_type_{type} {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    virtual ~Call() = default;

    /// The entry of the registry that its role goes by, once it was entered there.
    const WorkType& type() const noexcept { return *type_; }

    /// The entry of the library that made it: its functions know the object.
    const WorkType& own_type() const noexcept { return own_type_; }

    /// Has it go by this registry's entry for its type, whose number means something there: before it is shared.
    /// Throws Error (foreign_type).
    void enter(const Registry& registry) {
        if (type_->registry != &registry) [[unlikely]]
            type_ = &registry.own(*type_);
    }

    virtual const IWork& work() const noexcept = 0;

    /// What people call it: the name it was given, or its type's.
    virtual std::string_view name() const noexcept { return own_type_.name; }

    /// 1 for the first sending.
    virtual unsigned attempt() const noexcept { return 1; }

    /// How long its execution may take at the other end; zero: as long as it likes.
    virtual std::chrono::milliseconds execution_timeout() const noexcept { return {}; }

    // The body. Most works leave at once, in the outbox's copy: the bytes of a small one stay where they were encoded,
    // in the frame of the function that sends it, and only who lets it wait keeps them.

    /// Encodes the work into `room`, which must live until the call was sent, kept or given up; a large body gets a
    /// place of its own. Throws Error (too_large, shared_pointer).
    void encode(ByteBuffer& room, const ArchiveLimits& limits) {
        try {
            own_type_.encode(work(), room, limits);
        } catch (const Error&) {
            rethrow_named();
        }
        if (room.size() >= large_body_bytes) [[unlikely]]
            return set_large_body(std::move(room));
        set_body({room.view(), nullptr});
    }

    /// Takes a body that others share: a broadcast is encoded once.
    void set_body(SharedBody body) noexcept {
        body_ = body.bytes.data();
        body_bytes_ = body.bytes.size();
        owner_ = std::move(body.owner);
    }

    /// It is not sent yet, and the function that encoded it returns: the bytes get a place of their own.
    void keep_body() {
        if (owner_ || !body_) return;
        auto owner = std::make_shared_for_overwrite<std::byte[]>(body_bytes_);
        std::memcpy(owner.get(), body_, body_bytes_);
        body_ = owner.get();
        owner_ = std::move(owner);
    }

    /// It was copied into an outbox. The body of another attempt is encoded anew.
    void release_body() noexcept {
        body_ = nullptr;
        owner_.reset();
    }

    /// Empty once it was released.
    std::span<const std::byte> body() const noexcept { return {body_, body_ ? body_bytes_ : 0}; }
    std::size_t body_bytes() const noexcept { return body_bytes_; }

    /// The body for an outbox that refers to it: of a large one.
    SharedBody shared_body() const { return {body(), owner_}; }

    /// True for one caller only: it settles the call, with that outcome; zero: it succeeded.
    bool claim(Errc outcome = {}) noexcept {
        if (claimed_.exchange(true, std::memory_order_acq_rel) && !DISTWORK_PLANTED(deliver_twice)) return false;
        outcome_ = outcome;
        return true;
    }
    /// Of a call that was settled.
    Errc outcome() const noexcept { return outcome_; }
    bool claimed() const noexcept { return claimed_.load(std::memory_order_acquire); }

    /// The work was executed by `peer`: decodes the value. One that does not decode makes it an outcome of its own.
    virtual void succeed(std::span<const std::byte> value, const std::shared_ptr<Peer>& peer) noexcept = 0;

    /// It was not, or threw.
    virtual void fail(std::exception_ptr error) noexcept = 0;

    /// Calls the caller back. Gives up `call` first, so that the handler finds its memory free.
    virtual void deliver(std::shared_ptr<Call> call) = 0;

    /// Whether the handler has an executor of its own; if not, `deliver` is to be run on the role's.
    bool has_own_executor() const noexcept { return has_own_executor_; }

    /// Has `deliver` run on the handler's own executor.
    virtual void post(std::shared_ptr<Call>) noexcept {}

    /// Whether it went through a SocketContainer: then it is a Submission, and counts there.
    bool chosen() const noexcept { return chosen_; }

    std::uint64_t id = 0;  ///< in the session that it was sent on; guarded by that session

    // Set before it is sent.
    std::uint64_t parent_id = 0;  ///< the work that has the peer distribute it, as the peer knows it; 0: none has
    bool is_awaited = false;      ///< a work waits for it, and gives its slot free meanwhile

protected:
    void outcome(Errc value) noexcept { outcome_ = value; }

private:
    std::atomic<bool> claimed_{false};
    Errc outcome_{};

protected:
    bool has_own_executor_ = false;
    bool chosen_ = false;

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
    std::shared_ptr<const void> owner_;  // of the body, where it does not lie in the sender's frame
};

}  // namespace distwork::detail
