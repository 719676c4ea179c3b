#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "byte_buffer.hpp"
#include "detail/asio.hpp"
#include "outbox.hpp"
#include "registry.hpp"
#include "rpc_work.hpp"

namespace distwork {

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
    explicit Call(const WorkType& type) : type_{type} {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    virtual ~Call() = default;

    const WorkType& type() const noexcept { return type_; }
    virtual const IWork& work() const noexcept = 0;

    /// What people call it: the name it was given, or its type's.
    virtual std::string_view name() const noexcept { return type_.name; }

    /// 1 for the first sending.
    virtual unsigned attempt() const noexcept { return 1; }

    /// Encodes the work, once for all attempts. Throws Error (too_large, shared_pointer).
    void encode(const ArchiveLimits& limits) { type_.encode(work(), body_, limits); }

    /// Takes a body that others share: a broadcast is encoded once.
    void share_body(SharedBody body) { shared_ = std::move(body); }

    std::span<const std::byte> body() const noexcept { return shared_.owner ? shared_.bytes : body_.view(); }

    /// The body for an outbox that refers to it.
    static SharedBody shared_body(const std::shared_ptr<Call>& call) {
        return call->shared_.owner ? call->shared_ : SharedBody{call->body_.view(), call};
    }

    /// True for one caller only: it settles the call.
    bool claim() noexcept { return !claimed_.exchange(true, std::memory_order_acq_rel); }
    bool claimed() const noexcept { return claimed_.load(std::memory_order_acquire); }

    /// The work was executed by `peer`: decodes the value.
    virtual void succeed(std::span<const std::byte> value, const std::shared_ptr<Peer>& peer) noexcept = 0;

    /// It was not, or threw.
    virtual void fail(std::exception_ptr error) noexcept = 0;

    /// Calls the caller back. Gives up `call` first, so that the handler finds its memory free.
    virtual void deliver(std::shared_ptr<Call> call) = 0;

    /// Whether the handler has an executor of its own; if not, `deliver` is to be run on the role's.
    bool has_own_executor() const noexcept { return has_own_executor_; }

    /// Has `deliver` run on the handler's own executor.
    virtual void post(std::shared_ptr<Call>) {}

    /// Whether it went through a SocketContainer: then it is a Submission, and counts there.
    bool chosen() const noexcept { return chosen_; }

    std::uint64_t id = 0;  ///< in the session that it was sent on; guarded by that session

protected:
    bool has_own_executor_ = false;
    bool chosen_ = false;

private:
    const WorkType& type_;
    ByteBuffer body_;
    SharedBody shared_;
    std::atomic<bool> claimed_{false};
};

namespace detail {

/// Calls back one after the other; when a handler throws, the others go on in a task of their own.
class DeliverEach {
public:
    DeliverEach(asio::any_io_executor executor, std::vector<std::shared_ptr<Call>> calls)
        : executor_{std::move(executor)}, calls_{std::move(calls)} {}

    void operator()() {
        struct Rest {
            DeliverEach& each;
            ~Rest() {
                if (each.next_ != each.calls_.size()) asio::post(each.executor_, std::move(each));
            }
        } rest{*this};
        while (next_ != calls_.size()) {
            auto call = std::move(calls_[next_++]);
            Call& settled = *call;
            settled.deliver(std::move(call));
        }
    }

private:
    asio::any_io_executor executor_;
    std::vector<std::shared_ptr<Call>> calls_;
    std::size_t next_ = 0;
};

}  // namespace detail

/// Has every settled call of `calls` call back: those without an executor of their own in one task on `executor`.
/// Never calls back from inside.
inline void deliver_all(const asio::any_io_executor& executor, std::vector<std::shared_ptr<Call>> calls) {
    std::erase_if(calls, [](std::shared_ptr<Call>& call) {
        if (!call->has_own_executor()) return false;
        Call& settled = *call;
        settled.post(std::move(call));
        return true;
    });
    // A continuation of what the strand does now: it runs when the strand was left, on this thread if that is free.
    if (!calls.empty()) asio::defer(executor, detail::DeliverEach{executor, std::move(calls)});
}

inline void deliver_one(const asio::any_io_executor& executor, std::shared_ptr<Call> call) {
    std::vector<std::shared_ptr<Call>> calls;
    calls.push_back(std::move(call));
    deliver_all(executor, std::move(calls));
}

namespace detail {

/// A value that has not come yet; nothing for void.
template <class R>
struct Value {
    R value{};
};
template <>
struct Value<void> {};

}  // namespace detail

}  // namespace distwork
