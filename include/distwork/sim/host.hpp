#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "executor.hpp"
#include "operation.hpp"
#include "random.hpp"
#include "ready_queue.hpp"
#include "timeline.hpp"

namespace distwork::sim {

class Network;
class Transport;

/// How a process is ended from outside.
enum class Crash {
    killed,     ///< the machine goes on: what was written is still sent, then the system closes the connections
    power_loss  ///< the machine sends nothing more until a new process is begun on it
};

class Host;

/// Finds the Host of an execution context. Only hosts have this service.
class HostService final : public asio::execution_context::service {
public:
    using key_type = HostService;
    static inline asio::execution_context::id id;

    HostService(asio::execution_context& context, Host& host)
        : asio::execution_context::service{context}, host_{host} {}
    /// Required by Asio, and never called: other contexts do not have this service.
    explicit HostService(asio::execution_context& context) : HostService{context, reinterpret_cast<Host&>(context)} {}
    Host& host() const noexcept { return host_; }

private:
    void shutdown() override {}
    Host& host_;
};

/// One process on a machine of the simulation: an execution context with a clock and a random number generator of its
/// own.
///
/// Its tasks run one at a time. Tasks that are ready together run in any order, as on several threads: code that needs
/// an order needs a strand.
///
/// *Lifetime*: made by the Simulation, and kept until that ends. After a crash nothing on the host is run or destroyed,
/// as in a real process, but its memory stays valid until then.
class Host final : public asio::execution_context {
public:
    class TimerState;
    using executor_type = Executor;
    /// Draws how long a work of a type runs.
    using WorkTime = std::function<Duration(std::string_view type, Random& random)>;

    Host(Timeline& timeline, Network& network, std::string name, std::size_t number, std::size_t machine,
         std::uint64_t seed, bool shuffle)
        : timeline_{timeline},
          network_{network},
          name_{std::move(name)},
          number_{number},
          machine_{machine},
          random_{seed},
          ready_{random_, shuffle} {
        lanes_.emplace_back(*this, ready_, false);
        asio::make_service<HostService>(*this, *this);
    }
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;
    ~Host();

    const std::string& name() const noexcept { return name_; }
    std::string address() const { return "127.0.0." + std::to_string(machine_ + 1); }
    std::size_t number() const noexcept { return number_; }    ///< of this process
    std::size_t machine() const noexcept { return machine_; }  ///< a restarted process runs on the same machine

    Executor get_executor() noexcept { return Executor{lanes_.front()}; }
    Executor make_strand() { return Executor{lanes_.emplace_back(*this, ready_, true)}; }
    Transport transport() noexcept;

    /// The time by the clock of this process.
    TimePoint now() const noexcept { return timeline_.now() + clock_offset_; }
    Random& random() noexcept { return random_; }

    /// Makes an object, such as a role, that lives as long as the memory of the process.
    template <class T, class... Arguments>
    T& make(Arguments&&... arguments) {
        auto owned = std::make_shared<T>(std::forward<Arguments>(arguments)...);
        owned_.push_back(owned);
        return *owned;
    }

    /// Sets how long works take: each waits for this virtual time before it runs, while other events happen. Works with
    /// a time of zero run at once.
    void work_time(WorkTime time) { work_time_ = std::move(time); }
    Duration draw_work_time(std::string_view type) { return work_time_ ? work_time_(type, random_) : Duration{}; }

    /// Sets by what this process proves who it is; 0: nothing. If two processes have not the same when one connects to the
    /// other, no byte passes: connecting fails with Errc::not_authenticated, and so does reading at the other end.
    void credentials(std::uint64_t which) noexcept { credentials_ = which; }
    std::uint64_t credentials() const noexcept { return credentials_; }

    // Faults

    /// Ends the process at once: no task, handler or destructor on it runs any more.
    void crash(Crash how = Crash::killed);
    bool is_alive() const noexcept { return alive_; }

    /// Stops the process until `wake`, as SIGSTOP does: bytes arrive and timers expire, but nothing runs.
    void freeze() noexcept { frozen_ = true; }
    void wake() noexcept { frozen_ = false; }
    bool is_frozen() const noexcept { return frozen_; }

    /// Sets the clock of the process forward, as after a pause of its machine. Its timers expire by this clock.
    void jump(Duration forward);

    // Used by other parts of the simulation

    Timeline& timeline() noexcept { return timeline_; }
    Network& network() noexcept { return network_; }
    void push(std::unique_ptr<Task> task) { ready_.push(std::move(task)); }

    /// Runs a function on this host after `time`.
    void run_after(Duration time, std::function<void()> function) {
        using Later = FunctionTask<std::function<void()>>;
        timeline_.schedule(timeline_.now() + time, [this, later = std::move(function)]() mutable {
            push(std::make_unique<Later>(std::move(later)));
        });
    }

    /// Completes an operation: its handler will be called with these values.
    template <class... Values>
    void complete(std::unique_ptr<Operation<Values...>> operation, std::type_identity_t<Values>... values) {
        operation->set(std::move(values)...);
        push(std::move(operation));
    }

    /// Runs the tasks that are ready. Returns false if there were none.
    bool run_ready() {
        if (ready_.empty() || !alive_ || frozen_) return false;
        ready_.run(name_, [this] { return alive_ && !frozen_; });
        return true;
    }

    TimerState& take_timer();
    void give_back(TimerState& timer) { free_timers_.push_back(&timer); }

    // Called at the end of the simulation, in this order

    void destroy_owned() {
        while (!owned_.empty()) {
            const auto last = std::move(owned_.back());
            owned_.pop_back();
        }
    }
    bool drop_tasks();
    void end_services() { shutdown(); }

private:
    Timeline& timeline_;
    Network& network_;
    const std::string name_;
    const std::size_t number_;
    const std::size_t machine_;
    Random random_;
    ReadyQueue ready_;
    std::deque<Lane> lanes_;  // the first is the host's executor; the others are strands
    bool alive_ = true;
    bool frozen_ = false;
    Duration clock_offset_{};
    std::uint64_t credentials_ = 0;
    WorkTime work_time_;
    std::vector<std::unique_ptr<TimerState>> timers_;
    std::vector<TimerState*> free_timers_;
    std::vector<std::shared_ptr<void>> owned_;
};

/// The state of one timer: its expiry by the clock of its host, and the operations that wait for it.
class Host::TimerState {
    using Wait = std::unique_ptr<Operation<std::error_code>>;

public:
    explicit TimerState(Host& host) : host_{host} {}

    Host& host() noexcept { return host_; }
    TimePoint expiry() const noexcept { return expiry_; }

    std::size_t expires_at(TimePoint expiry) {
        const std::size_t cancelled = cancel();
        expiry_ = expiry;
        return cancelled;
    }

    std::uint64_t wait(Wait wait) {
        waits_.emplace_back(++last_wait_, std::move(wait));
        if (waits_.size() == 1) schedule();
        return last_wait_;
    }

    std::size_t cancel() { return end(asio::error::operation_aborted); }

    void cancel_one(std::uint64_t number) {
        for (auto at = waits_.begin(); at != waits_.end(); ++at) {
            if (at->first != number) continue;
            auto wait = std::move(at->second);
            waits_.erase(at);
            return host_.complete(std::move(wait), asio::error::operation_aborted);
        }
    }

    /// To be called when the clock of its host was changed.
    void look_again() {
        if (!waits_.empty()) schedule();
    }

    bool drop() {
        auto waits = std::move(waits_);
        waits_.clear();
        return !waits.empty();
    }

private:
    void schedule() {
        host_.timeline().schedule<&TimerState::expire>(expiry_ - host_.clock_offset_, *this, generation_);
    }

    void expire(std::uint64_t generation) {
        if (generation == generation_ && !waits_.empty()) end({});
    }

    std::size_t end(std::error_code error) {
        ++generation_;
        const std::size_t count = waits_.size();
        for (auto& [number, wait] : waits_) host_.complete(std::move(wait), error);
        waits_.clear();
        return count;
    }

    Host& host_;
    TimePoint expiry_{};
    std::uint64_t generation_ = 0;  // expiry events of earlier generations are ignored
    std::uint64_t last_wait_ = 0;
    std::vector<std::pair<std::uint64_t, Wait>> waits_;
};

inline Host::~Host() {
    shutdown();
}

inline Host::TimerState& Host::take_timer() {
    if (free_timers_.empty()) return *timers_.emplace_back(std::make_unique<TimerState>(*this));
    TimerState& timer = *free_timers_.back();
    free_timers_.pop_back();
    return timer;
}

inline void Host::jump(Duration forward) {
    clock_offset_ += forward;
    timeline_.record("jump", number_, static_cast<std::uint64_t>(forward.count()));
    for (const auto& timer : timers_) timer->look_again();
}

inline bool Host::drop_tasks() {
    bool any = ready_.drop();
    for (Lane& lane : lanes_) any |= lane.drop();
    for (std::size_t i = 0; i < timers_.size(); ++i) any |= timers_[i]->drop();
    return any;
}

}  // namespace distwork::sim
