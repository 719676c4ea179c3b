#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <distwork/map.hpp>
#include <distwork/sim/simulation.hpp>
#include <distwork/work_group.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace storm {

/// A work of a group: its value tells which one it was.
class Member : public distwork::RpcWork<std::uint64_t> {
public:
    Member() = default;
    explicit Member(std::uint64_t number) : number_{number} {}

    static std::uint64_t value_of(std::uint64_t number) { return 3 * number + 1; }
    static bool throws(std::uint64_t number) { return number % 13 == 7; }

    std::uint64_t execute_work(distwork::Context&) override {
        if (throws(number_)) throw std::runtime_error{"unlucky"};
        return value_of(number_);
    }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number_);
    }

private:
    std::uint64_t number_ = 0;
};

/// The same, as an element of a map.
inline std::uint64_t member_of_map(std::uint64_t number) {
    if (Member::throws(number)) throw std::runtime_error{"unlucky"};
    return Member::value_of(number);
}

}  // namespace storm

DISTWORK_REGISTER_FUNCTION(storm::member_of_map)

namespace storm {

/// A group that is filled and read in some way, and is cancelled or destroyed now and then. Each of its works has one
/// outcome, the right one, and no other work has.
class GroupRun {
    using Master = distwork::Master<distwork::RoundRobin, distwork::sim::Transport>;
    using Group = distwork::WorkGroup<std::uint64_t>;

public:
    /// `done` is called when the group has ended; `fail` with what is wrong.
    GroupRun(distwork::sim::Simulation& simulation, std::uint64_t seed, distwork::sim::Host& host, Master& master,
             std::function<void()> done, std::function<void(const std::string&)> fail)
        : simulation_{simulation},
          random_{seed},
          host_{host},
          done_{std::move(done)},
          fail_{std::move(fail)},
          group_{std::in_place, master, options_of(random_)} {}

    void begin() {
        using namespace std::chrono_literals;
        count_ = 1 + random_.below(random_.chance(0.2) ? 300 : 60);
        seen_.resize(count_);
        pauses_ = random_.chance(0.3);
        if (random_.chance(0.2)) cancels_at_ = 1 + random_.below(count_);
        if (random_.chance(0.3)) {
            add_one();
        } else if (random_.chance(0.5)) {
            if (random_.chance(0.5)) count_ *= 1 + random_.below(30);
            seen_.resize(count_);
            distwork::SubmitOptions options;
            retries_ = random_.chance(0.3);
            if (retries_) options.retry_on_error(distwork::RetryPolicy{2});
            const auto make = [this]() -> std::optional<std::uint64_t> {
                if (is_cancelled_) fail_("a map that was cancelled takes elements");
                return made_ == count_ ? std::nullopt : std::optional{made_++};
            };
            distwork::detail::add_elements<&member_of_map>(distwork::detail::PartsOf::core(*group_),
                                                           distwork::detail::elements_of(make), options);
            group_->close();
        } else {
            group_->add_all([this]() -> std::optional<Member> {
                if (is_cancelled_) fail_("a group that was cancelled makes works");
                if (made_ == count_) return std::nullopt;
                return Member{made_++};
            });
            group_->close();
        }
        if (random_.chance(0.2)) after(random_.between(0ms, 2s), [this] { cancel(); });
        if (random_.chance(0.1)) after(random_.between(0ms, 2s), [this] { destroy(); });
        after(random_.chance(0.2) ? random_.between(0ms, 3s) : 0ms, [this] { read(); });
    }

    std::string state() const {
        return std::to_string(outcomes_) + " outcomes of " + std::to_string(made_) + " works of " +
               std::to_string(count_);
    }

private:
    /// Nothing happens on a master that is dead; on a frozen one later.
    void after(distwork::sim::Duration time, std::function<void()> action) {
        using namespace std::chrono_literals;
        simulation_.after(time, [this, action = std::move(action)] {
            if (!host_.is_alive() || is_done_) return;
            if (host_.is_frozen()) return after(10ms, action);
            action();
        });
    }

    static distwork::GroupOptions options_of(distwork::sim::Random& random) {
        distwork::GroupOptions options;
        if (random.chance(0.3)) options.straggler_factor = 1.5;
        return options;
    }

    void add_one() {
        if (!group_ || is_cancelled_) return;
        if (made_ == count_) return group_->close();
        group_->async_add(Member{made_++}, [this](const std::exception_ptr& error, std::size_t index) {
            if (error && !is_cancelled_) return fail_("a group took no work");
            if (!error && index + 1 != made_) return fail_("a group numbers its works in another order");
            add_one();
        });
    }

    void read() {
        if (!group_) return;
        group_->async_next(
            [this](const std::exception_ptr& error, std::optional<distwork::Outcome<std::uint64_t>> outcome) {
                using namespace std::chrono_literals;
                if (is_done_) return;  // it was destroyed
                if (error) return fail_("reading from a group failed");
                if (!outcome) return end();
                look_at(*outcome);
                if (pauses_) after(random_.between(0ms, 50ms), [this] { read(); });
                else read();
            });
    }

    void look_at(distwork::Outcome<std::uint64_t>& outcome) {
        if (++outcomes_ == cancels_at_) cancel();
        if (outcome.index >= made_) return fail_("a group has an outcome of a work that it has not");
        if (seen_[outcome.index]) return fail_("a work of a group has two outcomes");
        seen_[outcome.index] = true;
        if (outcome.attempt > (retries_ ? 6u : 4u))  // a second copy is one more
            fail_("a work of a group had " + std::to_string(outcome.attempt) + " attempts");
        try {
            if (outcome.value() != Member::value_of(outcome.index)) fail_("a work of a group has another's value");
            if (Member::throws(outcome.index)) fail_("a work of a group that throws has a value");
            if (outcome.attempt == 0 || outcome.slave.empty()) fail_("a work of a group ended nowhere");
        } catch (const distwork::Error& error) {
            const auto code = error.code();
            const bool is_right = code == distwork::Errc::lost || code == distwork::Errc::too_many_waiting ||
                                  (code == distwork::Errc::work_failed && Member::throws(outcome.index)) ||
                                  (code == distwork::Errc::cancelled && is_cancelled_);
            if (!is_right) fail_(std::string{"a work of a group ended so: "} + error.what());
        }
    }

    void end() {
        if (!is_cancelled_ && outcomes_ != count_) fail_("a group ended early: " + state());
        finish();
    }
    void cancel() {
        if (!group_) return;
        is_cancelled_ = true;
        group_->cancel();
    }
    void destroy() {
        is_cancelled_ = true;
        finish();
        group_.reset();
    }
    void finish() {
        if (!std::exchange(is_done_, true)) done_();
    }

    distwork::sim::Simulation& simulation_;
    distwork::sim::Random random_;
    distwork::sim::Host& host_;
    const std::function<void()> done_;
    const std::function<void(const std::string&)> fail_;
    std::uint64_t count_ = 0;
    std::uint64_t made_ = 0;
    std::uint64_t outcomes_ = 0;
    std::uint64_t cancels_at_ = 0;  // that many outcomes; 0: never
    std::vector<bool> seen_;
    bool pauses_ = false;
    bool retries_ = false;
    bool is_cancelled_ = false;
    bool is_done_ = false;
    std::optional<Group> group_;
};

}  // namespace storm

DISTWORK_REGISTER_WORK(storm::Member)
