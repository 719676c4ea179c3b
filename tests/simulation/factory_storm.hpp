#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "simulation/factory_model.hpp"
#include "simulation/lying_engine.hpp"

namespace factory_storm {

/// One seed: works come, the engine and the slaves do what they like; then the weather clears, all that waits must be
/// done, and idle slaves leave; then the factory is stopped, and no allocation may be left.
class FactoryStorm {
public:
    explicit FactoryStorm(std::uint64_t seed)
        : random_{seed},
          options_{draw_options()},
          slots_{static_cast<std::size_t>(1 + random_.below(3))},
          duration_{random_.chance(0.5) ? random_.between(1ms, 1s) : random_.between(1s, 100s)},
          is_measured_{random_.chance(0.7)},
          engine_{random_, slots_, duration_},
          model_{options_, slots_},
          plan_{options_} {}

    /// What is wrong; empty: nothing.
    std::string run() {
        const auto end = now_ + random_.between(200s, 1200s);
        while (now_ < end && is_right()) {
            if (now_ >= weather_changes_) change_weather();
            if (random_.chance(0.02)) add_works();
            if (plan_.is_paused() && random_.chance(0.01)) resume();
            step(6s);
        }
        if (random_.chance(0.7)) {
            clear_up();
            go_on(std::chrono::hours{6}, "works are not done",
                  [this] { return engine_.waiting + engine_.under_way() == 0; });
            go_on(std::chrono::hours{1}, "idle slaves do not leave", [this] {
                return plan_.allocations().size() == options_.min && engine_.slaves().size() == options_.min;
            });
        }
        clear_up();
        model_.stop();
        for (const Ticket& ticket : plan_.stop()) engine_.cancel(now_, ticket);
        go_on(std::chrono::hours{1}, "the stop does not end", [this] { return plan_.is_over(); });
        for (int i = 0; i < 10; ++i) step(6s);
        for (const auto& [id, job] : engine_.jobs)
            if (job.state != Job::State::over && !job.was_said_over) model_.complain("allocation " + id + " is left");
        return model_.wrong;
    }

    const std::map<std::string, std::size_t>& reached() const { return model_.reached; }

private:
    FactoryOptions draw_options() {
        FactoryOptions options;
        options.min = static_cast<std::size_t>(random_.below(3));
        options.max = static_cast<std::size_t>(3 + random_.below(6));
        options.start_worth = 20s;
        options.unknown_worth = 5s;
        options.most_queued = static_cast<std::size_t>(1 + random_.below(3));
        options.most_starts = static_cast<std::size_t>(2 + random_.below(4));
        options.idle_after = 60s;
        options.connect_within = 60s;
        options.refusal_pauses = {0s, 20s, 60s, 120s};
        options.most_refusals = static_cast<std::size_t>(4 + random_.below(7));
        options.most_early_ends = static_cast<std::size_t>(2 + random_.below(3));
        options.ask_every = 10s;
        options.forgotten_queued = static_cast<std::size_t>(3 + random_.below(8));
        options.forgotten_running = static_cast<std::size_t>(5 + random_.below(16));
        return options;
    }

    double draw() {
        if (random_.chance(0.5)) return 0;
        if (random_.chance(0.15)) return 1;
        return 0.5 * static_cast<double>(random_.below(1000)) / 1000;
    }

    void change_weather() {
        weather_changes_ = now_ + random_.between(30s, 300s);
        engine_.weather = {};
        more_to_come_ = random_.chance(0.3);
        if (random_.chance(0.2)) return;
        for (double* const it :
             {&engine_.weather.refuses, &engine_.weather.is_unreachable, &engine_.weather.lies,
              &engine_.weather.forgets, &engine_.weather.starts_fewer, &engine_.weather.fails, &engine_.weather.hangs,
              &engine_.weather.dies, &engine_.weather.reconnects, &engine_.weather.loses_a_cancel})
            *it = draw();
    }

    void clear_up() {
        engine_.weather = {};
        more_to_come_ = false;
        for (auto& [id, job] : engine_.jobs) {
            job.forgotten_until = TimePoint::min();
            job.dies = TimePoint::max();
        }
        if (plan_.is_paused()) resume();
    }

    /// At most ten minutes of one slot, so that they are done in the end.
    void add_works() {
        const auto most = static_cast<std::uint64_t>(600s / duration_);
        engine_.waiting += static_cast<std::size_t>(1 + random_.below(std::min<std::uint64_t>(most, 300)));
    }

    void resume() {
        plan_.resume();
        model_.resume();
    }

    bool is_right() const { return model_.wrong.empty(); }

    template <class Condition>
    void go_on(std::chrono::seconds time, const char* otherwise, Condition condition) {
        const auto until = now_ + time;
        while (is_right() && !condition()) {
            if (now_ >= until) return model_.complain(otherwise);
            // Allocations that were lost in the storm may still end without a slave.
            if (plan_.is_paused()) resume();
            step(10s);
        }
    }

    void step(std::chrono::nanoseconds most) {
        now_ += random_.between(100ms, most);
        engine_.step(now_);
        for (std::size_t i = 0; i < answers_.size();) {
            if (answers_[i].first > now_) {
                ++i;
                continue;
            }
            const auto answer = std::move(answers_[i].second);
            answers_.erase(answers_.begin() + static_cast<std::ptrdiff_t>(i));
            answer();
            model_.compare(plan_);
        }
        if (random_.chance(0.9)) decide();
    }

    void decide() {
        FactoryDemand demand{.works = engine_.waiting, .more_to_come = more_to_come_};
        if (is_measured_) demand.worth = duration_ * engine_.waiting;
        else demand.unknown = demand.works;
        const std::vector<FactorySlave> slaves = engine_.slaves();
        const FactoryActions actions = plan_.next(now_, demand, slaves);
        model_.judge(now_, demand, slaves, engine_, actions);
        model_.compare(plan_);
        for (const std::uint64_t slave : actions.drain) engine_.drain(slave);
        for (const Ticket& ticket : actions.cancel) engine_.cancel(now_, ticket);
        if (actions.start != 0) start(actions.start, actions.is_dry_run);
        if (!actions.ask.empty()) ask(actions.ask);
    }

    void answer(std::function<void()> how) { answers_.emplace_back(now_ + random_.between(0s, 15s), std::move(how)); }

    void start(std::size_t count, bool is_dry_run) {
        if (is_starting_) model_.complain("it starts slaves before it was answered");
        is_starting_ = true;
        if (!engine_.answers())
            return answer([this] {
                is_starting_ = false;
                plan_.start_unreachable(now_, "timed out");
                model_.unreachable(now_);
            });
        std::vector<Ticket> tickets;
        const bool is_accepted = engine_.accepts();
        if (is_accepted && !is_dry_run) tickets = engine_.start(now_, count);
        answer([this, is_accepted, is_dry_run, tickets] {
            is_starting_ = false;
            if (!is_accepted) plan_.refused(now_, "no");
            else if (is_dry_run) plan_.would_start();
            else plan_.started(now_, tickets);
            if (!is_accepted || (!is_dry_run && tickets.empty())) model_.refused(now_);
            else if (is_dry_run) model_.would_start();
            else model_.started(tickets);
        });
    }

    void ask(const std::vector<Ticket>& tickets) {
        if (is_asking_) model_.complain("it asks before it was answered");
        is_asking_ = true;
        if (!engine_.answers())
            return answer([this] {
                is_asking_ = false;
                plan_.status_unreachable(now_, "timed out");
                model_.unreachable(now_);
            });
        answer([this, tickets, said = engine_.status(now_, tickets)] {
            is_asking_ = false;
            plan_.told(now_, said);
            model_.told(now_, tickets, said);
        });
    }

    Random random_;
    const FactoryOptions options_;
    const std::size_t slots_;                  // of a slave
    const std::chrono::nanoseconds duration_;  // of a work
    const bool is_measured_;
    LyingEngine engine_;
    FactoryModel model_;
    FactoryPlan plan_;
    TimePoint now_{std::chrono::hours{1}};
    TimePoint weather_changes_{};
    std::vector<std::pair<TimePoint, std::function<void()>>> answers_;  // under way, and when they come
    bool more_to_come_ = false;
    bool is_starting_ = false;
    bool is_asking_ = false;
};

}  // namespace factory_storm
