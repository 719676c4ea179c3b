#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "operation.hpp"
#include "random.hpp"

namespace distwork::sim {

/// The tasks of one process that are ready to run. No virtual time passes while they run.
class ReadyQueue {
public:
    /// `shuffle`: tasks that are ready together run in random order.
    ReadyQueue(Random& random, bool shuffle) : random_{random}, shuffle_{shuffle} {}

    void push(std::unique_ptr<Task> task) { tasks_.push_back(std::move(task)); }
    bool empty() const noexcept { return tasks_.empty(); }
    bool is_running() const noexcept { return running_; }

    /// Runs tasks, and those that they push, while `may_go_on()`. *Errors*: what a task throws; std::runtime_error
    /// after `most_at_a_time` tasks.
    template <class MayGoOn>
    void run(const std::string& name, MayGoOn may_go_on) {
        struct Running {
            explicit Running(bool& flag) : running{flag} { running = true; }
            ~Running() { running = false; }
            bool& running;
        } const running{running_};
        for (std::size_t ran = 0; !tasks_.empty() && may_go_on(); ++ran) {
            if (ran == most_at_a_time) throw std::runtime_error{name + " runs tasks without end"};
            if (shuffle_ && tasks_.size() > 1)
                std::swap(tasks_.front(), tasks_[random_.below(std::min(tasks_.size(), farthest))]);
            auto task = std::move(tasks_.front());
            tasks_.pop_front();
            Task& next = *task;
            next.run(std::move(task));
        }
    }

    /// Destroys all tasks, and those that their destructors push. Returns false if there were none.
    bool drop() {
        const bool any = !tasks_.empty();
        while (!tasks_.empty()) {
            const auto dropped = std::move(tasks_.front());
            tasks_.pop_front();
        }
        return any;
    }

private:
    static constexpr std::size_t most_at_a_time = 1'000'000;
    static constexpr std::size_t farthest = 4;

    Random& random_;
    const bool shuffle_;
    bool running_ = false;
    std::deque<std::unique_ptr<Task>> tasks_;
};

}  // namespace distwork::sim
