#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "operation.hpp"
#include "ready_queue.hpp"

namespace distwork::sim {

/// Passes functions to a host: directly to its queue of ready tasks, or in order, as a strand does.
class Lane {
public:
    Lane(asio::execution_context& host, ReadyQueue& ready, bool in_order)
        : context{host}, ready_{ready}, in_order_{in_order} {}
    Lane(const Lane&) = delete;

    asio::execution_context& context;  // the host

    /// Runs the function inside this call if `may_block`, if the host is running a task, and if no earlier function of
    /// the strand waits, as Asio's executors do. Otherwise the function waits its turn.
    template <class Function>
    void execute(Function function, bool may_block) {
        if (may_block && ready_.is_running()) {
            if (!in_order_ || running_) return void(std::move(function)());
            if (waiting_.empty()) {
                const Running running{*this};
                return void(std::move(function)());
            }
        }
        auto task = std::make_unique<FunctionTask<Function>>(std::move(function));
        if (!in_order_) return ready_.push(std::move(task));
        waiting_.push_back(std::move(task));
        if (!running_ && waiting_.size() == 1) schedule();
    }

    /// The simulation ends: destroys the functions that wait. Returns false if there were none.
    bool drop() {
        const auto dropped = std::exchange(waiting_, {});
        return !dropped.empty();
    }

private:
    /// Marks the lane as running. At the end it schedules a turn for the functions that wait then, behind the tasks
    /// that are ready.
    struct Running {
        explicit Running(Lane& it) : lane{it} { lane.running_ = true; }
        ~Running() {
            lane.running_ = false;
            if (!lane.waiting_.empty()) lane.schedule();
        }
        Lane& lane;
    };

    struct Turn {
        Lane* lane;
        void operator()() const { lane->run(); }
    };

    void schedule() { ready_.push(std::make_unique<FunctionTask<Turn>>(Turn{this})); }

    void run() {
        const Running running{*this};
        struct Batch {
            explicit Batch(Lane& it) : lane{it} { lane.turn_.swap(lane.waiting_); }
            /// If a function throws, those behind it wait for the next turn.
            ~Batch() {
                auto& rest = lane.turn_;
                rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(next));
                if (rest.empty()) return;
                for (auto& task : lane.waiting_) rest.push_back(std::move(task));
                lane.waiting_.swap(rest);
                rest.clear();
            }
            Lane& lane;
            std::size_t next = 0;
        } batch{*this};
        while (batch.next != turn_.size()) {
            auto task = std::move(turn_[batch.next++]);
            Task& next = *task;
            next.run(std::move(task));
        }
    }

    ReadyQueue& ready_;
    const bool in_order_;
    bool running_ = false;
    std::vector<std::unique_ptr<Task>> waiting_;  // if not empty and not running, a turn is scheduled
    std::vector<std::unique_ptr<Task>> turn_;     // the functions of the current turn
};

/// The executor of a host, or a strand on it. Functions given to a strand run in order.
class Executor {
public:
    explicit Executor(Lane& lane, bool may_block = true) noexcept : lane_{&lane}, may_block_{may_block} {}

    asio::execution_context& query(asio::execution::context_t) const noexcept { return lane_->context; }
    asio::execution::blocking_t query(asio::execution::blocking_t) const noexcept {
        if (may_block_) return asio::execution::blocking.possibly;
        return asio::execution::blocking.never;
    }
    Executor require(asio::execution::blocking_t::possibly_t) const noexcept { return Executor{*lane_, true}; }
    Executor require(asio::execution::blocking_t::never_t) const noexcept { return Executor{*lane_, false}; }

    template <class Function>
    void execute(Function&& function) const {
        lane_->execute(std::decay_t<Function>(std::forward<Function>(function)), may_block_);
    }

    friend bool operator==(const Executor& a, const Executor& b) noexcept {
        return a.lane_ == b.lane_ && a.may_block_ == b.may_block_;
    }
    friend bool operator!=(const Executor& a, const Executor& b) noexcept { return !(a == b); }

private:
    Lane* lane_;
    bool may_block_;
};

}  // namespace distwork::sim
