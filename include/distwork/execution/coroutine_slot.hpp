#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <system_error>
#include <type_traits>
#include <utility>

#include "../base/asio.hpp"
#include "../base/surely.hpp"
#include "../calls/peer.hpp"
#include "../context.hpp"

namespace distwork::detail {

class CoroutineSlot;

/// The interface that lends slots to coroutine works. WorkQueue implements it.
class SlotLender {
public:
    /// A handler of the work is ready to run. Returns true if the work has a slot. If not, `slot` is kept in a line,
    /// and posted when the work has a slot again.
    virtual bool enter(CoroutineSlot& slot) noexcept = 0;
    /// A handler of the work has run.
    virtual void leave(CoroutineSlot& slot) noexcept = 0;
    /// The work begins a call to its peer. *Errors*: returns too_many_suspended.
    virtual std::error_code begin_call(CoroutineSlot& slot) noexcept = 0;
    /// A call of the work has ended.
    virtual void end_call(CoroutineSlot& slot) noexcept = 0;

protected:
    ~SlotLender() = default;
};

/// The slot of one coroutine work. The work is suspended, and holds no slot, while it awaits calls to its peer and none
/// of its handlers runs. It takes a slot again before its next handler runs.
///
/// *Thread-safety*: all functions. *Lifetime*: shared by the coroutine, its calls and its handlers.
class CoroutineSlot : public std::enable_shared_from_this<CoroutineSlot> {
public:
    /// `pool`: the executor on which the work's handlers run.
    CoroutineSlot(std::shared_ptr<SlotLender> lender, asio::any_io_executor pool, std::shared_ptr<Peer> of,
                  std::uint64_t number)
        : peer{std::move(of)}, id{number}, lender_{std::move(lender)}, pool_{std::move(pool)}, busy_{pool_} {}

    SlotLender& lender() const noexcept { return *lender_; }
    asio::execution_context& context() const noexcept { return asio::query(pool_, asio::execution::context); }

    /// Runs a function on the pool as soon as the work has a slot. The strand in front of it passes one function at a
    /// time. `may_block`: the function may run inside this call if this thread belongs to the pool.
    template <class Function>
    void execute(Function function, bool may_block) {
        turn_ = surely([&] { return std::make_shared<FunctionTurn<Function>>(std::move(function)); });
        if (!lender_->enter(*this)) return;
        if (!may_block) return post();
        const Run run = take_turn();
        try {
            asio::dispatch(pool_, run);
        } catch (const std::bad_alloc&) {
            if (run.turn->has_begun) throw;
            post_surely(pool_, run);
        }
    }

    /// Posts the function that waited. The work has a slot again.
    void post() noexcept { post_surely(pool_, take_turn()); }

    /// A queue of the works that want a slot again, in order. Guarded by the lender.
    class Line {
    public:
        bool empty() const noexcept { return !first_; }
        void push(std::shared_ptr<CoroutineSlot> slot) noexcept {
            CoroutineSlot& added = *slot;
            (last_ ? last_->next_ : first_) = std::move(slot);
            last_ = &added;
        }
        std::shared_ptr<CoroutineSlot> pop() noexcept {
            auto first = std::move(first_);
            if (first) first_ = std::move(first->next_);
            if (!first_) last_ = nullptr;
            return first;
        }

    private:
        std::shared_ptr<CoroutineSlot> first_;
        CoroutineSlot* last_ = nullptr;
    };

    const std::shared_ptr<Peer> peer;
    const std::uint64_t id;

    // Guarded by the lender.
    std::size_t scheduled = 0;  // handlers that run or are ready to run
    std::size_t calls = 0;      // outstanding calls to its peer
    bool is_suspended = false;  // it holds no slot
    bool has_ended = false;
    std::chrono::steady_clock::time_point suspended_since{};
    std::chrono::nanoseconds waited{};

private:
    struct Turn {
        virtual ~Turn() = default;
        virtual void run() = 0;
        bool has_begun = false;
    };
    template <class Function>
    struct FunctionTurn final : Turn {
        explicit FunctionTurn(Function f) : function{std::move(f)} {}
        void run() override {
            has_begun = true;
            std::move(function)();
        }
        Function function;
    };

    /// The task on the pool. It owns the function, so that no reference cycle remains if the pool drops it.
    struct Run {
        std::shared_ptr<CoroutineSlot> slot;
        std::shared_ptr<Turn> turn;
        void operator()() const {
            struct Leave {
                CoroutineSlot& slot;
                ~Leave() { slot.lender_->leave(slot); }
            } leave{*slot};
            turn->run();
        }
    };
    Run take_turn() noexcept { return {shared_from_this(), std::move(turn_)}; }

    const std::shared_ptr<SlotLender> lender_;
    const asio::any_io_executor pool_;
    const asio::executor_work_guard<asio::any_io_executor>
        busy_;                             // keeps the pool's context running until the work ends
    std::shared_ptr<Turn> turn_;           // the function that waits for a slot
    std::shared_ptr<CoroutineSlot> next_;  // the next in Line; guarded by the lender
};

/// The executor under the strand of a coroutine work.
class SlotExecutor {
public:
    explicit SlotExecutor(std::shared_ptr<CoroutineSlot> slot, bool may_block = true) noexcept
        : slot_{std::move(slot)}, may_block_{may_block} {}

    asio::execution_context& query(asio::execution::context_t) const noexcept { return slot_->context(); }
    asio::execution::blocking_t query(asio::execution::blocking_t) const noexcept {
        if (may_block_) return asio::execution::blocking.possibly;
        return asio::execution::blocking.never;
    }
    SlotExecutor require(asio::execution::blocking_t::possibly_t) const noexcept { return SlotExecutor{slot_, true}; }
    SlotExecutor require(asio::execution::blocking_t::never_t) const noexcept { return SlotExecutor{slot_, false}; }

    template <class Function>
    void execute(Function&& function) const {
        slot_->execute(std::decay_t<Function>(std::forward<Function>(function)), may_block_);
    }

    friend bool operator==(const SlotExecutor& a, const SlotExecutor& b) noexcept {
        return a.slot_ == b.slot_ && a.may_block_ == b.may_block_;
    }
    friend bool operator!=(const SlotExecutor& a, const SlotExecutor& b) noexcept { return !(a == b); }

private:
    std::shared_ptr<CoroutineSlot> slot_;
    bool may_block_;
};

/// Connects the Context of a coroutine work with its slot. All handlers of the work run on its strand, one at a time.
class CoroutineCalls final : public Context::Calls {
public:
    explicit CoroutineCalls(const std::shared_ptr<CoroutineSlot>& slot)
        : slot_{slot}, executor_{asio::strand<SlotExecutor>{SlotExecutor{slot}}} {}

    asio::any_io_executor get_executor() const override { return executor_; }
    std::uint64_t id() const noexcept override { return slot_->id; }
    std::error_code begin_call() noexcept override { return slot_->lender().begin_call(*slot_); }
    void end_call() noexcept override { slot_->lender().end_call(*slot_); }

private:
    const std::shared_ptr<CoroutineSlot> slot_;
    const asio::any_io_executor executor_;
};

}  // namespace distwork::detail
