#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "distwork/engine.hpp"
#include "distwork/factory/plan.hpp"
#include "distwork/sim/random.hpp"

/// An engine of the worst kind and the slaves that it places, without any network, in virtual time.
namespace factory_storm {

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;
using sim::Random;
using TimePoint = std::chrono::steady_clock::time_point;

/// How bad it is: probabilities. None of all that is fair weather.
struct Weather {
    double refuses = 0;         // a submission
    double is_unreachable = 0;  // at a call
    double lies = 0;            // about an allocation
    double forgets = 0;         // at a question: an allocation, from then on, for a while
    double starts_fewer = 0;    // than it was asked for
    double fails = 0;           // an allocation, before its slave is connected
    double hangs = 0;           // an allocation: it runs, and no slave connects
    double dies = 0;            // a slave, within ten minutes
    double reconnects = 0;      // the same, a slave that loses its connection
    double loses_a_cancel = 0;
};

struct Job {
    enum class State { queued, running, over };

    State state = State::queued;
    bool has_failed = false;
    TimePoint next{};                         // when it runs, and later when it is over
    std::optional<TimePoint> connects{};      // its slave
    TimePoint dies = TimePoint::max();        // its slave
    TimePoint reconnects = TimePoint::max();  // its slave
    TimePoint forgotten_until = TimePoint::min();
    bool was_said_over = false;  // and was not
    std::uint64_t slave = 0;     // id; 0: none is connected
    bool is_draining = false;
    std::vector<TimePoint> works{};  // when they end
    std::uint64_t done = 0;
    TimePoint last_busy{};
};

class LyingEngine {
public:
    LyingEngine(Random& random, std::size_t slots, std::chrono::nanoseconds duration)
        : slots_{slots}, random_{random}, duration_{duration} {}

    Weather weather;
    std::size_t waiting = 0;  // works
    std::map<std::string, Job> jobs;

    std::chrono::nanoseconds duration() const { return duration_; }  // of a work

    std::size_t under_way() const {
        std::size_t count = 0;
        for (const auto& [id, job] : jobs) count += job.works.size();
        return count;
    }

    void step(TimePoint now) {
        for (auto& [id, job] : jobs) step(now, job);
        for (auto& [id, job] : jobs)
            while (job.slave != 0 && !job.is_draining && waiting != 0 && job.works.size() < slots_) {
                --waiting;
                job.works.push_back(now + duration_);
            }
    }

    std::vector<FactorySlave> slaves() const {
        std::vector<FactorySlave> all;
        for (const auto& [id, job] : jobs)
            if (job.slave != 0) all.push_back({job.slave, id, slots_, job.works.size(), job.done, job.is_draining});
        return all;
    }

    void drain(std::uint64_t slave) {
        for (auto& [id, job] : jobs)
            if (job.slave == slave) job.is_draining = true;
    }

    bool answers() { return !random_.chance(weather.is_unreachable); }
    bool accepts() { return !random_.chance(weather.refuses); }

    std::vector<Ticket> start(TimePoint now, std::size_t count) {
        if (random_.chance(weather.starts_fewer)) count = random_.below(count);
        std::vector<Ticket> tickets;
        for (std::size_t i = 0; i != count; ++i) {
            const std::string id = std::to_string(++last_job_);
            jobs[id].next = now + random_.between(0s, random_.chance(0.2) ? 200s : 10s);
            tickets.emplace_back(id);
        }
        return tickets;
    }

    std::vector<TicketStatus> status(TimePoint now, const std::vector<Ticket>& tickets) {
        std::vector<TicketStatus> answer;
        for (const Ticket& ticket : tickets) {
            Job& job = jobs.at(ticket.id());
            if (random_.chance(weather.forgets)) job.forgotten_until = now + random_.between(10s, 400s);
            // Long after its end an allocation is unknown to any engine.
            if (now < job.forgotten_until || (job.state == Job::State::over && now - job.next > 100s)) continue;
            TicketState state = job.state == Job::State::queued    ? TicketState::queued
                                : job.state == Job::State::running ? TicketState::running
                                : job.has_failed                   ? TicketState::failed
                                                                   : TicketState::ended;
            if (random_.chance(weather.lies)) state = static_cast<TicketState>(random_.below(5));
            const bool is_said_over = state == TicketState::ended || state == TicketState::failed;
            if (is_said_over && job.state != Job::State::over) job.was_said_over = true;
            answer.push_back({ticket, state, "exit code 1"});
        }
        if (random_.chance(weather.lies) && !answer.empty()) answer.push_back({Ticket{"4711000"}, TicketState::failed});
        return answer;
    }

    void cancel(TimePoint now, const Ticket& ticket) {
        if (random_.chance(weather.loses_a_cancel)) return;
        Job& job = jobs.at(ticket.id());
        if (job.state == Job::State::over) return;
        lose_slave(job);
        job.connects.reset();
        job.next = std::min(job.state == Job::State::queued ? now : job.next, now + random_.between(0s, 10s));
        if (job.state == Job::State::queued) job.state = Job::State::over;
    }

private:
    void step(TimePoint now, Job& job) {
        if (job.state == Job::State::queued && now >= job.next) run(now, job);
        if (job.state != Job::State::running) return;
        if (job.connects && now >= *job.connects) {
            job.connects.reset();
            job.slave = ++last_slave_;
            job.last_busy = now;
            job.is_draining = false;
        }
        if (job.slave != 0) work(now, job);
        if (now >= job.next) {
            lose_slave(job);
            job.connects.reset();
            job.state = Job::State::over;
        }
    }

    void run(TimePoint now, Job& job) {
        job.state = Job::State::running;
        job.next = TimePoint::max();
        if (random_.chance(weather.fails)) {
            job.has_failed = random_.chance(0.8);
            job.next = now + random_.between(0s, 5s);
        } else if (!random_.chance(weather.hangs)) {
            job.connects = now + random_.between(0s, 10s);
            if (random_.chance(weather.dies)) job.dies = now + random_.between(0s, 600s);
            if (random_.chance(weather.reconnects)) job.reconnects = now + random_.between(0s, 600s);
        }
    }

    void work(TimePoint now, Job& job) {
        const std::size_t ended = std::erase_if(job.works, [now](TimePoint end) { return end <= now; });
        if (ended != 0 || !job.works.empty()) job.last_busy = now;
        job.done += ended;
        if (now >= job.dies) {
            lose_slave(job);
            job.has_failed = true;
            if (random_.chance(0.8)) job.next = now + random_.between(0s, 20s);  // else it hangs
        } else if (now >= job.reconnects) {
            lose_slave(job);
            job.reconnects = TimePoint::max();
            job.connects = now + random_.between(0s, 20s);
        } else if (job.is_draining && job.works.empty()) {
            lose_slave(job);
            job.next = now + random_.between(0s, 10s);
        }
    }

    void lose_slave(Job& job) {
        waiting += job.works.size();
        job.works.clear();
        job.slave = 0;
    }

    const std::size_t slots_;
    Random& random_;
    const std::chrono::nanoseconds duration_;
    std::uint64_t last_job_ = 0;
    std::uint64_t last_slave_ = 0;
};

}  // namespace factory_storm
