#include "distwork/dispatch/socket_container.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "distwork/link/multiplexer.hpp"
#include "distwork/selector.hpp"
#include "distwork/wire/frame_reader.hpp"
#include "support/catch.hpp"
#include "support/container_model.hpp"
#include "support/distributor.hpp"
#include "support/type_table.hpp"

namespace socket_container_test {

using namespace support;

TEST_CASE("a slave that left gets nothing, and what was in flight on it is in flight no more", "[unit]") {
    Distributor<> master;
    for (int i = 0; i < 3; ++i) master.connect({.slots = 2});
    const auto works = master.submit_many(1, 8, SubmitOptions{}.max_attempts(1));
    master.take_sent();
    CHECK(master.disconnect(1).empty());
    CHECK(master.container.size() == 2);
    CHECK(works[1]->stage == Stage::done);
    CHECK(works[4]->stage == Stage::done);
    CHECK(works[0]->stage == Stage::in_flight);
    CHECK(master.sent.empty());
    master.answer(0, 1s, 2);
    master.answer(2, 1s, 2);
    CHECK(master.sent == Distributor<>::Sent{{0, 7}, {0, 8}});
    master.answer(0, 1s, 2);
    CHECK(master.container.quiet());

    // Its place is used again, its id is not.
    master.connect();
    CHECK(master.information(3).place == 1);
    CHECK(master.ids[3] == 4);
    // Nobody knows it any more.
    CHECK(master.disconnect(1).empty());
    master.container.drain(master.ids[1]);
    master.container.round_trip(master.ids[1], 1ms, {}, {});
    CHECK(master.container.size() == 3);
}

TEST_CASE("works that a session gave up are in flight nowhere, while others of it are still answered", "[unit]") {
    // The role stops: it settles what is in flight before the session's end comes round to the container.
    Distributor<> master;
    master.connect({.slots = 4});
    master.submit_many(1, 3);
    std::vector<Answer> answers(1);
    answers[0].call = master.peers[0]->sent[1];
    auto given_up = std::exchange(master.peers[0]->sent, {});
    given_up.erase(given_up.begin() + 1);
    master.container.forget(given_up);
    for (const auto& call : given_up) CHECK(static_cast<Task&>(*call).stage == Stage::done);
    given_up.clear();  // settled, and gone

    master.container.answered(master.ids[0], answers, {}, master.now);
    CHECK(master.information(0).in_flight == 0);
    CHECK(master.container.quiet());
    master.disconnect(0);
    CHECK(master.container.quiet());
}

TEST_CASE("nothing is admitted once the container was closed, and what waits is given out", "[unit]") {
    Distributor<> master{{.max_backlog = 2}};
    master.connect();
    std::vector<TaskPtr> works;
    for (int i = 1; i <= 5; ++i) works.push_back(numbered(i)), master.submit(works.back(), true);
    master.container.close();
    CHECK(master.submit(numbered(6), true) == Admission::stopped);
    master.answer(0);
    CHECK(master.held(0) == Numbers{2});  // what was admitted goes on
    const auto waiting = master.container.take_waiting();
    Numbers numbers;
    for (const auto& work : waiting) {
        numbers.push_back(number_of(*work));
        CHECK(work->stage == Stage::done);
    }
    CHECK(numbers == Numbers{3, 4, 5});
    CHECK_FALSE(master.container.quiet());
    master.answer(0);
    CHECK(master.container.quiet());
    CHECK(master.sent.size() == 2);
}

TEST_CASE("a container that lets go of its sockets holds no session, and nothing is in flight", "[unit]") {
    Distributor<> master;
    for (int i = 0; i < 3; ++i) master.connect({.slots = 2});
    const auto works = master.submit_many(1, 8);
    master.disconnect(1);
    master.container.close();
    master.container.take_waiting();
    master.container.clear();
    CHECK(master.container.size() == 0);
    CHECK(master.container.quiet());
    for (const auto& peer : master.peers) CHECK(peer.use_count() == 1);
    for (const auto& work : works) CHECK(work->stage == Stage::done);
    // Who cancels now finds nobody to tell.
    REQUIRE(works[0]->claim());
    master.container.cancel(*works[0]);
    CHECK(master.peers[0]->cancelled.empty());
    CHECK(master.disconnect(0).empty());
}

TEST_CASE("a work whose session gave it up, and left before that was told, is not looked for there", "[unit]") {
    Distributor<> master;
    master.connect();
    const auto work = master.submit_many(1, 1).front();
    const auto given_up = std::exchange(master.peers[0]->sent, {});
    master.disconnect(0);
    CHECK(work->stage == Stage::done);
    REQUIRE(work->claim());
    master.container.cancel(*work);
    master.container.forget(given_up);
    CHECK(master.container.quiet());
}

TEST_CASE("late and unknown answers, and those of calls that nobody chose, count nowhere", "[unit]") {
    class Direct final : public Call {
    public:
        Direct() : Call{work_type_number(0)} {}
        const IWork& work() const noexcept override { return nobody_->work(); }
        void succeed(std::span<const std::byte>, const std::shared_ptr<Peer>&) noexcept override {}
        void fail(std::exception_ptr) noexcept override {}
        void deliver(std::shared_ptr<Call>) override {}

    private:
        TaskPtr nobody_ = task();
    };
    Distributor<> master;
    master.connect();
    master.submit_many(1, 2);
    const std::shared_ptr<Call> held = master.peers[0]->sent[0];
    std::vector<Answer> answers(3);
    answers[1].call = std::make_shared<Direct>();
    answers[2].call = held;
    master.container.answered(master.ids[0], answers, {}, master.now);
    CHECK(master.information(0).completed == 1);
    CHECK(master.information(0).in_flight == 1);
    // The same again.
    master.container.answered(master.ids[0], answers, {}, master.now);
    CHECK(master.information(0).completed == 1);
    CHECK(master.information(0).in_flight == 1);
    master.container.answered(77, answers, {}, master.now);
    CHECK(master.information(0).in_flight == 1);
}

namespace {

/// A peer whose calls go through a session's real queue, of which every frame is read.
class QueuedPeer final : public FakePeer {
public:
    explicit QueuedPeer(std::size_t window) : multiplexer_{mebibyte} {
        Introduction peer;
        peer.types.emplace_back(work_type_number(0).name, 0);
        multiplexer_.introduce(PeerTypes{table_of({&work_type_number(0)}), peer}, window, mebibyte);
    }

    std::error_code send(const std::shared_ptr<Call>& call) override { return multiplexer_.send(call).error; }
    void cancel(const Call& call) override { multiplexer_.cancel(call); }

    /// Answers every work that has arrived; false once none did.
    bool answer_all(SocketContainer<RoundRobin>& container, std::uint64_t socket) {
        Outbox leaving;
        if (!multiplexer_.take(leaving)) return false;
        FrameReader reader{mebibyte};
        std::vector<asio::const_buffer> buffers;
        leaving.gather(buffers, mebibyte);
        const auto space = reader.prepare();
        std::size_t filled = 0;
        for (const auto& buffer : buffers) {
            std::memcpy(space.data() + filled, buffer.data(), buffer.size());
            filled += buffer.size();
        }
        std::vector<Answer> answers;
        const auto error = reader.commit(filled, [&](Frame&& frame) {
            if (frame.header.kind != FrameKind::work) return true;
            answers.emplace_back().id = frame.header.id;
            answers.back().reply.execution_time = 1us;
            return true;
        });
        if (error || leaving.size() != filled) return false;
        multiplexer_.take_calls(answers);
        multiplexer_.release_held();
        container.answered(socket, answers, {}, now_ += 1s);
        return true;
    }

private:
    Multiplexer multiplexer_;
    TimePoint now_{1h};
};

}  // namespace

TEST_CASE("a work that is cancelled while its session holds it back gives its credit back all the same", "[unit]") {
    // A peer that announces fewer works than it has slots.
    SocketContainer<RoundRobin> container;
    const auto peer = std::make_shared<QueuedPeer>(1);
    SocketInformation information;
    information.slots = 3;
    const std::uint64_t socket = container.add_socket(peer, std::move(information), {true}, 1);
    std::vector<TaskPtr> works;
    for (int i = 1; i <= 5; ++i) works.push_back(numbered(i)), container.submit(works.back(), false);
    CHECK(works[1]->stage == Stage::in_flight);
    REQUIRE(works[1]->claim());
    container.cancel(*works[1]);
    while (peer->answer_all(container, socket)) {
    }
    CHECK(container.quiet());
    for (const auto& work : works) CHECK(work->stage == Stage::done);
}

TEMPLATE_TEST_CASE("never more than credit, never idle with credit, and every submission accounted once", "[unit]",
                   RoundRobin, LeastLoaded, PowerOfTwoChoices) {
    std::map<std::string, std::size_t> reached;
    for (unsigned seed = 1; seed <= 60; ++seed) {
        Model<TestType> model{seed};
        int step = 0;
        for (; step < 400 && model.failure.empty(); ++step) model.step();
        if (model.failure.empty()) model.finish();
        CAPTURE(seed, step, model.failure);
        REQUIRE(model.failure.empty());
        for (const auto& [mark, count] : model.reached) reached[mark] += count;
    }
    for (const char* mark : {"admission 0", "admission 1", "admission 2", "admission 3", "admission 4", "admission 5",
                             "admission 7", "cancel in stage 1", "cancel in stage 2", "cancel in stage 3",
                             "sent ahead of the slots", "answer with works waiting there", "admitted from the line"}) {
        CAPTURE(mark);
        CHECK(reached[mark] > 10);
    }
}

}  // namespace socket_container_test
