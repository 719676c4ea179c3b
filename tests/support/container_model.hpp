#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "distwork/dispatch/socket_container.hpp"
#include "support/distributor.hpp"

// A model of the container, by which it is checked.

namespace support {

/// What a slave may be sent, from the rules as they are written down.
struct ModelSocket {
    struct Held {
        Task* work;
        Nanoseconds estimate;
        bool begun = false;
        bool blocks = false;  // from its beginning: it has no estimate, or a long one
        TimePoint began{};
        TimePoint sent{};

        /// Perhaps it has run for far too long, by a round trip of any length.
        bool is_overlong(TimePoint now, Nanoseconds more) const {
            return now > began + std::max<Nanoseconds>(4 * estimate, 5ms) + more;
        }
    };

    std::size_t who = 0;
    std::size_t slots = 0;
    std::size_t window = 0;
    std::vector<std::string> labels;
    std::vector<bool> knows;
    bool draining = false;
    std::size_t heard_refused = 0;  // refusals when it was last heard of
    Nanoseconds round_trip{};
    std::size_t allowance = 0;
    TimePoint doubled{};
    bool limited = false;
    std::vector<Held> held;                                                // in the order of sending
    std::vector<Nanoseconds> means = std::vector<Nanoseconds>(all_types);  // of its own; zero: none

    /// A slave's own times count, and where it has none, those of all.
    Nanoseconds estimate(std::size_t type, Nanoseconds of_all) const {
        return means[type] != 0ns ? means[type] : of_all;
    }

    /// The oldest have begun, as many as there are slots.
    void begin(TimePoint now) {
        for (std::size_t i = 0; i < std::min(held.size(), slots); ++i) {
            if (std::exchange(held[i].begun, true)) continue;
            held[i].began = now;
            held[i].blocks = held[i].estimate == 0ns || held[i].estimate > 4 * (round_trip + 2ms);
        }
    }

    std::size_t waiting() const { return held.size() - std::min(held.size(), slots); }
    /// `surely`: whatever was noticed of works that run for too long.
    bool has_credit_for(Nanoseconds estimate, std::size_t bytes, TimePoint now, bool surely) const {
        if (held.size() < slots) return true;
        const auto blocked = static_cast<std::size_t>(std::count_if(held.begin(), held.end(), [&](const Held& at) {
            return at.begun && (at.blocks || at.is_overlong(now, surely ? 0ms : 6ms));
        }));
        Nanoseconds time = estimate;
        for (std::size_t i = slots; i < held.size(); ++i) time += held[i].estimate, bytes += held[i].work->bytes();
        return estimate > 0ns && held.size() < window && waiting() < allowance &&
               time <= (round_trip + 2ms) * static_cast<int>(slots - blocked) && bytes <= 16 * mebibyte;
    }
};

template <class Selector>
class Model {
public:
    explicit Model(unsigned seed) : random_{seed}, master_{limits(), Selector()} {}

    void step() {
        const auto what = random_() % 100;
        if (what < 45) submit();
        else if (what < 75) answer();
        else if (what < 80) cancel();
        else if (what < 83) connect();
        else if (what < 85) disconnect();
        else if (what < 89) round_trip();
        else if (what < 91) refuse();
        else if (what < 93) know_types();
        else if (what < 94) drain();
        else update_information();
        check();
    }

    /// Lets everything come to its end.
    void finish() {
        for (auto& socket : sockets_) {
            master_.peers[socket.who]->refuses = {};
            socket.knows.assign(all_types, true);
            master_.container.know_types(master_.ids[socket.who], socket.knows);
        }
        AbsentSlave able{.slots = 2, .labels = {"gpu"}};
        add(able);
        for (int i = 0; i < 100'000 && !master_.container.quiet() && failure.empty(); ++i) {
            for (auto& socket : sockets_)
                if (socket.draining && socket.held.empty()) {
                    remove(socket.who);
                    break;
                }
            const std::size_t who = sockets_[random_() % sockets_.size()].who;
            if (socket_of(who).held.empty()) pong(who, 1ms);
            else answer(who, 1);
            check();
        }
        for (const auto& [work, outcome] : outcomes_)
            if (work->stage != Stage::done && work->stage != Stage::fresh)
                fail("work " + std::to_string(work->number) + ", pinned to " + std::to_string(work->pinned) +
                     ", stays in stage " + std::to_string(static_cast<int>(work->stage)));
        if (!master_.container.quiet()) fail("it does not become quiet");
        for (const auto& [work, outcome] : outcomes_)
            if (outcome == Outcome::pending) fail("a submission has no outcome");
        if (outcomes_.size() != submitted_) fail("a submission is not accounted");
    }

    std::string failure;
    std::map<std::string, std::size_t> reached;

private:
    enum class Outcome { pending, refused, answered, cancelled, lost };

    static ContainerLimits limits() {
        return {.max_backlog = 12, .max_backlog_bytes = 30 * mebibyte, .max_waiting = 4};
    }

    void fail(const std::string& text) {
        if (failure.empty()) failure = text;
    }

    // What is done

    void submit() {
        SubmitOptions options;
        options.max_attempts(1).priority(static_cast<int>(random_() % 6 ? 0 : random_() % 3));
        // Who pins a work to a slave saw to it that it has the labels.
        const bool pinned = random_() % 10 == 0 && !sockets_.empty();
        if (random_() % 4 == 0 && !pinned) options.label("gpu");
        if (random_() % 20 == 0) options.when_unavailable(WhenUnavailable::refuse);
        const std::size_t bytes = random_() % 8 ? 10 : random_() % 3 ? 100 * 1024 : (1 + random_() % 9) * mebibyte;
        const auto work = task(options, random_() % 3, bytes);
        work->number = static_cast<int>(++submitted_);
        if (pinned) work->pinned = master_.ids[sockets_[random_() % sockets_.size()].who];
        outcomes_[work] = Outcome::pending;
        sent_now_ = nullptr;
        const Admission admission = master_.submit(work, random_() % 2);
        ++reached["admission " + std::to_string(static_cast<int>(admission))];
        const bool is_sent = work->stage == Stage::in_flight;
        switch (admission) {
            case Admission::sent:
                if (!is_sent || sent_now_ != work.get()) fail("it was not sent");
                break;
            case Admission::queued:
                if (work->stage != Stage::backlog) fail("it is not in the backlog");
                break;
            case Admission::in_line:
                if (work->stage != Stage::in_line) fail("it is not in the line");
                line_.push_back(work.get());
                break;
            default:
                if (is_sent) fail("it was refused and sent");
                settle(work, Outcome::refused);
        }
    }

    void answer() {
        if (sockets_.empty()) return;
        const std::size_t who = sockets_[random_() % sockets_.size()].who;
        const std::size_t held = socket_of(who).held.size();
        if (held != 0) answer(who, 1 + random_() % std::min<std::size_t>(held, 4));
    }

    /// Some of what it holds, in any order.
    void answer(std::size_t who, std::size_t count) {
        ModelSocket& socket = socket_of(who);
        auto& sent = master_.peers[who]->sent;
        std::vector<Answer> answers(count);
        struct Measured {
            std::size_t type;
            Nanoseconds time;
            TimePoint since;
        };
        std::vector<Measured> measured;
        for (Answer& answer : answers) {
            const std::size_t index = random_() % sent.size();
            answer.call = sent[index];
            sent.erase(sent.begin() + static_cast<std::ptrdiff_t>(index));
            auto& work = static_cast<Task&>(*answer.call);
            constexpr std::int64_t times[] = {5'000, 400'000, 70'000'000};
            answer.reply.execution_time =
                Nanoseconds{static_cast<std::int64_t>(random_() % 4 + 1) * times[work.type().number]};
            answer.reply.error = random_() % 5 ? Errc{} : Errc::work_failed;
            const auto found = std::find_if(socket.held.begin(), socket.held.end(),
                                            [&](const auto& one) { return one.work == &work; });
            measured.push_back({work.type().number, answer.reply.execution_time, found->sent});
            std::erase_if(socket.held, [&](const auto& held) { return held.work == &work; });
            const auto pointer = std::static_pointer_cast<Task>(answer.call);
            if (outcomes_.at(pointer) != Outcome::cancelled) settle(pointer, Outcome::answered);
        }
        now_ += std::chrono::microseconds{random_() % 3000};
        told_ = now_;
        for (const auto& [type, said, since] : measured) {
            const Nanoseconds time = std::min<Nanoseconds>(said, now_ - since);  // it has waited no longer
            const auto add = [](Nanoseconds& mean, Nanoseconds sample) {
                mean = std::max<Nanoseconds>(mean == 0ns ? sample : mean + (sample - mean) / 8, 1ns);
            };
            Nanoseconds& of_all = means_[type];
            add(of_all, of_all == 0ns ? time : std::clamp<Nanoseconds>(time, of_all / 4, of_all * 4));
            add(socket.means[type], time);
        }
        if (socket.limited && now_ - socket.doubled >= socket.round_trip) {
            socket.allowance = std::min(socket.allowance * 2, socket.window);
            socket.doubled = now_;
            socket.limited = false;
        }
        socket.heard_refused = master_.peers[who]->refused;
        socket.begin(now_);
        if (socket.held.size() >= socket.slots) ++reached["answer with works waiting there"];
        master_.container.answered(master_.ids[who], answers, {}, now_);
    }

    void cancel() {
        std::vector<TaskPtr> pending;
        for (const auto& [work, outcome] : outcomes_)
            if (outcome == Outcome::pending) pending.push_back(work);
        if (pending.empty()) return;
        const TaskPtr work = pending[random_() % pending.size()];
        const Stage stage = work->stage;
        ++reached["cancel in stage " + std::to_string(static_cast<int>(stage))];
        if (!work->claim()) fail("it was claimed twice");
        std::erase(line_, work.get());
        const std::size_t told = stage == Stage::in_flight ? master_.peers[work_socket(*work)]->cancelled.size() : 0;
        settle(work, Outcome::cancelled);
        master_.container.cancel(*work);
        if (stage != Stage::in_flight) {
            if (work->stage != Stage::done) fail("it was cancelled and is not done");
        } else if (master_.peers[work_socket(*work)]->cancelled.size() != told + 1) {
            fail("its slave was not told");
        }
    }

    std::size_t work_socket(const Task& work) const {
        for (const auto& socket : sockets_)
            for (const auto& held : socket.held)
                if (held.work == &work) return socket.who;
        return 0;
    }

    void connect() {
        if (sockets_.size() > 5) return;
        AbsentSlave slave{.slots = 1 + random_() % 3};
        if (random_() % 2) slave.labels = {"gpu"};
        if (random_() % 4 == 0) slave.knows = {true, random_() % 2 == 0, random_() % 2 == 0};
        slave.window = 4 + random_() % 30;
        add(slave);
    }

    void add(const AbsentSlave& slave) {
        // As Distributor::connect, but the model has to know the slave before it is sent anything.
        const std::size_t who = master_.peers.size();
        sockets_.push_back({.who = who,
                            .slots = slave.slots,
                            .window = std::max(slave.window, slave.slots),
                            .labels = slave.labels,
                            .knows = slave.knows,
                            .allowance = slave.slots,
                            .held = {}});
        on_send_ = [this](std::size_t to, Task& work) { sent(to, work); };
        master_.peers.push_back(std::make_shared<FakePeer>());
        master_.peers.back()->on_send = [this, who](Call& call) { on_send_(who, static_cast<Task&>(call)); };
        SocketInformation information;
        information.slots = slave.slots;
        information.labels = slave.labels;
        master_.ids.push_back(master_.ids.size() + 1);
        if (master_.container.add_socket(master_.peers.back(), std::move(information), slave.knows, slave.window) !=
            master_.ids.back())
            fail("an id was used twice");
    }

    void disconnect() {
        if (!sockets_.empty()) remove(sockets_[random_() % sockets_.size()].who);
    }

    void remove(std::size_t who) {
        for (const auto& held : socket_of(who).held) lose(*held.work);
        std::erase_if(sockets_, [&](const auto& socket) { return socket.who == who; });
        const auto given_back = master_.disconnect(who);
        for (const auto& work : given_back) {
            if (work->pinned != master_.ids[who]) fail("a work was given back that others could take");
            std::erase(line_, work.get());
            lose(static_cast<Task&>(*work));
        }
        for (const auto& [work, outcome] : outcomes_)
            if (outcome == Outcome::pending && work->pinned == master_.ids[who]) fail("a pinned work was forgotten");
    }

    void lose(const Task& work) {
        for (auto& [known, outcome] : outcomes_)
            if (known.get() == &work && outcome == Outcome::pending) settle(known, Outcome::lost);
    }

    void round_trip() {
        if (!sockets_.empty())
            pong(sockets_[random_() % sockets_.size()].who, std::chrono::microseconds{random_() % 6000});
    }

    void pong(std::size_t who, Nanoseconds time) {
        socket_of(who).round_trip = time;
        socket_of(who).heard_refused = master_.peers[who]->refused;
        master_.container.round_trip(master_.ids[who], time, {}, {});
    }

    void refuse() {
        if (sockets_.empty()) return;
        auto& refuses = master_.peers[sockets_[random_() % sockets_.size()].who]->refuses;
        refuses = refuses ? std::error_code{} : make_error_code(Errc::outbox_full);
    }

    void know_types() {
        if (sockets_.empty()) return;
        ModelSocket& socket = sockets_[random_() % sockets_.size()];
        socket.knows = {random_() % 4 != 0, random_() % 4 != 0, random_() % 4 != 0};
        master_.container.know_types(master_.ids[socket.who], socket.knows);
    }

    void drain() {
        if (sockets_.empty()) return;
        ModelSocket& socket = sockets_[random_() % sockets_.size()];
        socket.draining = true;
        master_.container.drain(master_.ids[socket.who]);
    }

    void update_information() {
        if (sockets_.empty()) return;
        const std::uint64_t id = master_.ids[sockets_[random_() % sockets_.size()].who];
        if (!master_.container.update_socket_information(id, 1)) fail("a socket was not found");
    }

    // What must hold

    /// A work is put into a session.
    void sent(std::size_t who, Task& work) {
        ModelSocket& socket = socket_of(who);
        if (!may_take(socket, work, false)) fail("work " + std::to_string(work.number) + " was sent beyond credit");
        const Nanoseconds estimate = socket.estimate(work.type().number, means_[work.type().number]);
        if (socket.held.size() >= socket.slots)
            for (const ModelSocket& other : sockets_)
                if (other.held.size() < other.slots && may_take(other, work, true))
                    fail("work " + std::to_string(work.number) + " was sent to wait beside a free slot");
        socket.held.push_back({&work, estimate});
        socket.held.back().sent = told_;
        socket.begin(now_);
        if (socket.held.size() > socket.slots) {
            ++reached["sent ahead of the slots"];
            if (socket.waiting() >= socket.allowance) socket.limited = true;
        }
        // Works of one lane leave in the order in which they came.
        if (work.pinned == 0) {
            auto& last = last_sent_[lane(work)];
            if (work.sequence <= last)
                fail("work " + std::to_string(work.number) + " was overtaken by one of its own lane");
            last = work.sequence;
        }
        std::erase(line_, &work);
        sent_now_ = &work;
    }

    static std::string lane(const Task& work) {
        return std::to_string(work.type().number) + ' ' + std::to_string(work.options.priority()) + ' ' +
               std::to_string(work.options.labels().size()) + ' ' + std::to_string(work.pinned);
    }

    bool may_take(const ModelSocket& socket, const Task& work, bool surely) const {
        const Nanoseconds of_all = means_[work.type().number];
        const Nanoseconds estimate = socket.estimate(work.type().number, of_all);
        if (work.pinned && work.pinned != master_.ids[socket.who]) return false;
        if (socket.draining || master_.peers[socket.who]->refused != socket.heard_refused) return false;
        if (!(work.type().number < socket.knows.size() && socket.knows[work.type().number])) return false;
        if (!work.options.labels().empty() && socket.labels.empty()) return false;
        // A slave whose credit is nearly used up is not looked at: it must have some for a short and small work.
        if (surely && !socket.has_credit_for(250us, 64 * 1024, now_, true)) return false;
        // Nor is any slave, for a work that is too long on the whole.
        if (surely && !socket.has_credit_for(of_all, work.bytes(), now_, true)) return false;
        return socket.has_credit_for(estimate, work.bytes(), now_, surely);
    }

    void check() {
        std::size_t backlog = 0;
        std::size_t backlog_bytes = 0;
        std::size_t in_line = 0;
        std::size_t in_flight = 0;
        std::map<std::string, Task*> first;
        for (const auto& [work, outcome] : outcomes_) {
            switch (work->stage) {
                case Stage::backlog: {
                    ++backlog;
                    backlog_bytes += work->bytes();
                    Task*& best = first[lane(*work)];
                    if (!best || work->sequence < best->sequence) best = work.get();
                    break;
                }
                case Stage::in_line: ++in_line; break;
                case Stage::in_flight: ++in_flight; break;
                default: break;
            }
            const bool somewhere =
                work->stage == Stage::backlog || work->stage == Stage::in_line || work->stage == Stage::in_flight;
            if (outcome == Outcome::pending && !somewhere) fail("a submission is nowhere");
            if (outcome != Outcome::pending && outcome != Outcome::cancelled && somewhere)
                fail("a submission that is over is somewhere");
        }
        const News news = master_.container.take_news();
        for (const auto& admitted : news.admitted) {
            std::erase_if(line_, [&](const Task* work) { return work == admitted.get(); });
            ++reached["admitted from the line"];
        }
        if (backlog != master_.container.backlog_size()) fail("the backlog counts wrong");
        if (in_line != line_.size()) fail("the line counts wrong");
        if (master_.container.quiet() != (backlog + in_line + in_flight == 0)) fail("quiet is wrong");
        if (backlog > limits().max_backlog) fail("the backlog is beyond its bound");
        if (backlog > 1 && backlog_bytes > limits().max_backlog_bytes) fail("the backlog is beyond its bytes");
        if (in_line > limits().max_waiting) fail("the line is beyond its bound");

        // Nothing waits that could go, and nobody waits for room where there is some.
        for (const auto& [key, work] : first)
            for (const auto& socket : sockets_)
                if (may_take(socket, *work, true))
                    fail("work " + std::to_string(work->number) + " waits, and slave " + std::to_string(socket.who) +
                         " has credit for it");
        if (!line_.empty() && backlog < limits().max_backlog &&
            (backlog == 0 || backlog_bytes + line_.front()->bytes() <= limits().max_backlog_bytes))
            fail("work " + std::to_string(line_.front()->number) + " waits for room, and there is some");

        std::size_t connected = 0;
        std::size_t held = 0;
        master_.container.enumerate_sockets([&](const SocketInformation& information) {
            ++connected;
            const ModelSocket& socket = socket_of(information.id - 1);
            held += socket.held.size();
            if (information.in_flight != socket.held.size()) fail("what is in flight is counted wrong");
            std::map<const WorkType*, std::size_t> running;
            for (std::size_t i = 0; i < std::min(socket.slots, socket.held.size()); ++i)
                ++running[&socket.held[i].work->type()];
            if (running !=
                std::map<const WorkType*, std::size_t>{information.running.begin(), information.running.end()})
                fail("what runs is told wrong");
        });
        if (connected != sockets_.size()) fail("the sockets are counted wrong");
        if (held != in_flight) fail("a work is in flight on no slave");
    }

    ModelSocket& socket_of(std::size_t who) {
        const auto found =
            std::find_if(sockets_.begin(), sockets_.end(), [&](const auto& socket) { return socket.who == who; });
        if (found == sockets_.end()) throw std::logic_error{"a slave that left was used"};
        return *found;
    }

    void settle(const TaskPtr& work, Outcome outcome) {
        Outcome& before = outcomes_.at(work);
        if (before != Outcome::pending) fail("a submission ended twice");
        before = outcome;
    }

    struct ByNumber {
        bool operator()(const TaskPtr& a, const TaskPtr& b) const { return a->number < b->number; }
    };

    std::mt19937 random_;
    Distributor<Selector> master_;
    std::vector<ModelSocket> sockets_;
    std::map<TaskPtr, Outcome, ByNumber> outcomes_;
    std::vector<Task*> line_;
    std::map<std::string, std::uint64_t> last_sent_;
    Nanoseconds means_[all_types]{};
    std::function<void(std::size_t, Task&)> on_send_;
    Task* sent_now_ = nullptr;
    std::size_t submitted_ = 0;
    TimePoint now_{1h};
    TimePoint told_{};  // the time that the container was told last
};

}  // namespace support
