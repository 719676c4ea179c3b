#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "distwork/dispatch/socket_container.hpp"
#include "distwork/dispatch/submission.hpp"
#include "distwork/selector.hpp"
#include "distwork/submit_options.hpp"
#include "distwork/work.hpp"
#include "support/fake_peer.hpp"

// A container whose slaves are not there, and works that nothing executes: which slave gets which, and when.

namespace support {

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;

using Stage = Submission::Stage;
using Nanoseconds = std::chrono::nanoseconds;
using TimePoint = std::chrono::steady_clock::time_point;
using Numbers = std::vector<int>;  // of works, in the order in which they were sent or ended

inline constexpr std::size_t mebibyte = 1024 * 1024;

/// Types of works, by number; nothing of them is ever executed here.
inline const WorkType& work_type_number(std::size_t number) {
    static const std::vector<WorkType> types = [] {
        std::vector<WorkType> all(4);
        for (std::size_t i = 0; i < all.size(); ++i) {
            all[i].name = "type " + std::to_string(i);
            all[i].number = static_cast<std::uint16_t>(i);
        }
        return all;
    }();
    return types.at(number);
}

/// A submission without a caller.
class Task final : public Submission {
public:
    explicit Task(SubmitOptions how = SubmitOptions{}, std::size_t type_number = 0, std::size_t bytes = 10)
        : Submission{work_type_number(type_number)} {
        options = std::move(how);
        // Bodies are not looked at: they all are the beginning of one.
        static const auto block = std::make_shared<std::vector<std::byte>>(20 * mebibyte);
        set_body({std::span{*block}.first(bytes), block});
    }

    const IWork& work() const noexcept override { return work_; }
    void succeed(std::span<const std::byte>, const std::shared_ptr<Peer>&) noexcept override {}
    void fail(std::exception_ptr) noexcept override {}
    void deliver(std::shared_ptr<Call>) override {}

    void elements(std::uint32_t count) { elements_ = count; }

    int number = 0;

private:
    struct Nothing final : IWork {
        void execute(Context&) override {}
    };
    Nothing work_;
};

using TaskPtr = std::shared_ptr<Task>;

template <class... Arguments>
TaskPtr task(Arguments&&... arguments) {
    return std::make_shared<Task>(std::forward<Arguments>(arguments)...);
}

inline TaskPtr numbered(int number, SubmitOptions options = SubmitOptions{}, std::size_t type_number = 0) {
    auto made = task(std::move(options), type_number);
    made->number = number;
    return made;
}

inline int number_of(const Call& call) {
    return static_cast<const Task&>(call).number;
}

inline constexpr std::size_t all_types = 4;

struct AbsentSlave {
    std::size_t slots = 1;
    std::vector<std::string> labels = {};
    std::vector<bool> knows = std::vector<bool>(all_types, true);
    std::size_t window = 1000;
    std::size_t held_slots = 0;
    bool takes_chunks = true;
};

/// A container with slaves that are not there.
template <class Selector = RoundRobin>
struct Distributor {
    explicit Distributor(ContainerLimits limits = {}, Selector selector = Selector()) : container{selector, limits} {}

    /// Slaves are numbered as they connect, from 0.
    std::size_t connect(const AbsentSlave& slave = {}) {
        const std::size_t who = peers.size();
        peers.push_back(std::make_shared<FakePeer>());
        peers.back()->on_send = [this, who](const Call& call) { sent.emplace_back(who, number_of(call)); };
        peers.back()->chunks = slave.takes_chunks;
        ids.push_back(0);
        SocketInformation information;
        information.slots = slave.slots;
        information.labels = slave.labels;
        ids[who] = container.add_socket(peers.back(), std::move(information), slave.knows, slave.window,
                                        static_cast<std::size_t>(-1), slave.held_slots);
        return who;
    }

    Admission submit(const TaskPtr& work, bool may_wait = false) { return container.submit(work, may_wait); }

    /// Works of these numbers, all alike.
    std::vector<TaskPtr> submit_many(int first, int last, const SubmitOptions& options = {}, std::size_t number = 0) {
        std::vector<TaskPtr> works;
        for (int i = first; i <= last; ++i) works.push_back(numbered(i, options, number)), submit(works.back());
        return works;
    }

    /// The slave answers the oldest works that it holds.
    void answer(std::size_t who, Nanoseconds time = 1s, std::size_t count = 1, Errc error = {}) {
        std::vector<Answer> answers(count);
        auto& held = peers[who]->sent;
        for (std::size_t i = 0; i < count; ++i) {
            answers[i].call = held.at(i);
            answers[i].id = held[i]->id;
            answers[i].reply.execution_time = time;
            answers[i].reply.error = error;
        }
        held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(count));
        retries = in_vector(container.answered(ids[who], answers, {}, now += 1s).retries);
    }
    std::vector<SubmissionPtr> retries;  // of the last answers

    static std::vector<SubmissionPtr> in_vector(const std::list<SubmissionPtr>& works) {
        return {works.begin(), works.end()};
    }

    /// Time passes, with as many looks as belong to it.
    void pass(Nanoseconds time) {
        for (const TimePoint until = now + time; now < until;) {
            now = std::min(now + 5ms, until);
            container.look(now);
        }
    }

    /// The slave returns the works that it was asked for, but those that it has begun: the first `begun` that it holds.
    std::vector<SubmissionPtr> return_recalled(std::size_t who, std::size_t begun) {
        auto& held = peers[who]->sent;
        std::vector<Answer> answers;
        for (const std::uint64_t id : std::exchange(peers[who]->recalled, {}))
            for (std::size_t i = begun; i < held.size(); ++i)
                if (held[i] && held[i]->id == id) {
                    auto& answer = answers.emplace_back();
                    answer.call = std::exchange(held[i], nullptr);
                    answer.what = Answer::What::returned;
                }
        std::erase(held, nullptr);
        return in_vector(container.answered(ids[who], answers, {}, now).recalled);
    }

    /// So that the works' type is measured.
    void answer_once(std::size_t who = 0) {
        submit(numbered(0));
        answer(who, 1us);
        container.round_trip(ids[who], 1ms, {}, {});
    }

    /// Its session ends.
    std::vector<SubmissionPtr> disconnect(std::size_t who) {
        lost = std::exchange(peers[who]->sent, {});
        auto works = container.remove_socket(ids[who], lost, "slave " + std::to_string(who));
        again = in_vector(works.again);
        return in_vector(works.waited);
    }
    std::vector<std::shared_ptr<Call>> lost;  // with the last slave that left
    std::vector<SubmissionPtr> again;         // its works that go again

    SocketInformation information(std::size_t who) const {
        SocketInformation found;
        container.enumerate_sockets([&](const SocketInformation& socket) {
            if (socket.id == ids[who]) found = socket;
        });
        return found;
    }

    std::vector<int> held(std::size_t who) const {
        std::vector<int> numbers;
        for (const auto& call : peers[who]->sent) numbers.push_back(number_of(*call));
        return numbers;
    }

    using Sent = std::vector<std::pair<std::size_t, int>>;
    Sent take_sent() { return std::exchange(sent, {}); }

    SocketContainer<Selector> container;
    std::vector<std::shared_ptr<FakePeer>> peers;
    std::vector<std::uint64_t> ids;
    Sent sent;  // who, and which work, in order
    TimePoint now{1h};
};

inline TaskPtr pinned_to(std::uint64_t socket, int number, SubmitOptions options = SubmitOptions{}) {
    auto work = numbered(number, std::move(options));
    work->pinned = socket;
    return work;
}

}  // namespace support
