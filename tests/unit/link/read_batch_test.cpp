#include "distwork/link/read_batch.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "distwork/error.hpp"
#include "distwork/link/multiplexer.hpp"
#include "distwork/link/session_handler.hpp"
#include "distwork/wire/frame_reader.hpp"
#include "distwork/wire/large_blocks.hpp"
#include "distwork/wire/reply.hpp"
#include "support/calls.hpp"
#include "support/catch.hpp"
#include "support/queue.hpp"
#include "support/type_table.hpp"

/// A session without a socket.
template <>
class distwork::detail::Session<support::Clock> : public support::FakePeer,
                                                  public std::enable_shared_from_this<Session<support::Clock>> {
public:
    using FakePeer::FakePeer;
    const std::string& description() const { return name(); }
};

namespace read_batch_test {

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;
using namespace support;

namespace {

using Numbers = std::vector<int>;
using FakeSession = Session<Clock>;

/// A role that notes what its session hands to it.
class Role final : public SessionHandler<Clock> {
public:
    explicit Role(std::shared_ptr<WorkQueue<Clock>> works) : works_{std::move(works)} {}

    void answered(const SessionPtr&, std::span<Answer> answers) noexcept override {
        log.push_back("answered " + std::to_string(answers.size()));
        calls_found = static_cast<std::size_t>(
            std::count_if(answers.begin(), answers.end(), [](const Answer& answer) { return answer.call != nullptr; }));
    }
    void deliver(std::vector<std::shared_ptr<Call>> settled) noexcept override {
        log.push_back("deliver " + std::to_string(settled.size()));
    }
    std::shared_ptr<WorkQueue<Clock>> works() noexcept override { return works_; }

    std::error_code admit(const Session<Clock>&, const Greeting&, std::string&) override { return {}; }
    void opened(const SessionPtr&, const Introduction&, const PeerTypes&) override {}
    void types_changed(const SessionPtr&, const PeerTypes&) override {}
    bool accepts(const WorkType&) const override { return true; }
    void has_room(const SessionPtr&) override {}
    void round_trip(const SessionPtr&, std::chrono::nanoseconds, const SlaveState&) override {}
    void peer_drains(const SessionPtr&) override {}
    void closed(const SessionPtr&, std::error_code, const std::string&,
                std::vector<std::shared_ptr<Call>>) noexcept override {}

    std::vector<std::string> log;
    std::size_t calls_found = 0;

private:
    std::shared_ptr<WorkQueue<Clock>> works_;
};

/// What one read brings, and the role behind it.
struct Read {
    /// A work whose body is its number. `own`: in a buffer of its own, as large bodies are.
    void work(int id, bool own = false) {
        Frame frame{.header = {.kind = FrameKind::work, .id = static_cast<std::uint64_t>(id)}, .body = {}, .own = {}};
        buffer.at(static_cast<std::size_t>(id)) = static_cast<std::byte>(id);
        frame.body = std::span{buffer}.subspan(static_cast<std::size_t>(id), 1);
        if (own) {
            frame.own = make_large_bytes(1);
            frame.own.get()[0] = static_cast<std::byte>(id);
            frame.body = {frame.own.get(), 1};
        }
        batch.add_work(std::move(frame), scripted(), *session, role);
    }
    void hand_over() {
        batch.hand_over_works(session, role);
        std::fill(buffer.begin(), buffer.end(), std::byte{0xff});  // the next read comes
    }

    bool answer(std::uint64_t id, FrameKind kind, const ByteBuffer& body, std::uint8_t flags = 0) {
        return batch.add_answer({.header = {.kind = kind, .flags = flags, .id = id}, .body = body.view(), .own = {}});
    }
    std::vector<std::uint64_t> replies() const {
        std::vector<std::uint64_t> ids;
        batch.for_each_reply([&](std::uint64_t id) { ids.push_back(id); });
        return ids;
    }

    Queue queue{1};
    Role role{queue.queue};
    std::shared_ptr<FakeSession> session = std::make_shared<FakeSession>(queue.io.get_executor());
    std::vector<std::byte> buffer = std::vector<std::byte>(16);
    ReadBatch<Clock> batch{2, distwork::detail::Role::master};
    Multiplexer multiplexer{1 << 20};
};

ByteBuffer value_of(int value) {
    ByteBuffer body;
    body.extend(reply_head_bytes);
    write_execution_time(body, 5ns);
    body.append(&value, sizeof value);
    return body;
}

}  // namespace

TEST_CASE("a peer may have as many works here as it was told, and more as they are answered", "[unit]") {
    Read read;
    CHECK(read.batch.has_room(read.multiplexer));
    CHECK(read.batch.has_room(read.multiplexer));
    read.multiplexer.reply({.kind = FrameKind::answer, .id = 1}, ByteBuffer{});
    CHECK(read.batch.has_room(read.multiplexer));
    CHECK_FALSE(read.batch.has_room(read.multiplexer));
}

TEST_CASE("the works of a read are handed over together and in order, and outlive its buffer", "[unit]") {
    Read read;
    for (const int id : {1, 2, 3}) read.work(id);
    read.queue.run();
    CHECK(read.queue.begun.empty());
    read.hand_over();
    read.queue.run();
    CHECK(read.queue.begun == Numbers{1, 2, 3});
    CHECK(read.session->replies.size() == 3);
    read.hand_over();  // once only
    read.queue.run();
    CHECK(read.queue.begun.size() == 3);
}

TEST_CASE("a large body is handed over where it is, behind the works before it", "[unit]") {
    Read read;
    read.work(1);
    read.work(2, true);
    read.work(3);
    read.hand_over();
    read.queue.run();
    CHECK(read.queue.begun == Numbers{1, 2, 3});
}

TEST_CASE("a work that is dropped before it was handed over is never executed", "[unit]") {
    Read read;
    for (const int id : {1, 2, 3}) read.work(id);
    CHECK(read.batch.drop_work(2));
    CHECK_FALSE(read.batch.drop_work(2));
    CHECK_FALSE(read.batch.drop_work(9));
    read.hand_over();
    CHECK_FALSE(read.batch.drop_work(1));
    read.queue.run();
    CHECK(read.queue.begun == Numbers{1, 3});
}

TEST_CASE("a timeout that stands before a work's body is no part of it", "[unit]") {
    Read read;
    const std::vector<std::byte> body{std::byte{50}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{7}};
    read.batch.add_work({.header = {.kind = FrameKind::work, .flags = flag_timeout, .id = 7}, .body = body, .own = {}},
                        coroutine(), *read.session, read.role);
    read.hand_over();
    read.queue.poll();
    CHECK(read.queue.begun == Numbers{7});
    read.queue.clock.pass(49ms);
    read.queue.poll();
    CHECK(read.session->replies.empty());
    read.queue.clock.pass(1ms);
    read.queue.poll();
    REQUIRE(read.session->replies.size() == 1);
    CHECK(read.session->replies[0].read().error == Errc::execution_timeout);
    read.queue.gate.open();
    read.queue.poll();
}

TEST_CASE("an answer that means nothing is refused, and does not count", "[unit]") {
    Read read;
    CHECK(read.answer(1, FrameKind::answer, value_of(1)));
    CHECK_FALSE(read.answer(2, FrameKind::answer, ByteBuffer{}));
    // A work may go on beyond its time, and for no other reason.
    CHECK(read.answer(3, FrameKind::error, error_body({}, Errc::execution_timeout, "", ""), flag_goes_on));
    CHECK_FALSE(read.answer(4, FrameKind::error, error_body({}, Errc::work_failed, "", ""), flag_goes_on));
    CHECK(read.answer(5, FrameKind::error, error_body({}, Errc::work_failed, "", "")));
    read.batch.add(Answer::What::gives_slot, 6);
    CHECK(read.replies() == std::vector<std::uint64_t>{1, 3, 5});
}

TEST_CASE("the answers of a read are counted before their calls are called back, each once", "[unit]") {
    Read read;
    Introduction peer;
    peer.types = {{"plain 0", 1}};
    read.multiplexer.introduce(PeerTypes{table_of({&plain_type(0)}), peer}, 2, 1 << 20);
    std::vector<std::shared_ptr<PlainCall>> calls;
    for (int i = 0; i < 3; ++i) {
        calls.push_back(plain());
        REQUIRE_FALSE(read.multiplexer.send(calls.back()).error);
    }
    read.batch.settle_answers(read.session, read.role, read.multiplexer);
    CHECK(read.role.log.empty());

    REQUIRE(calls[1]->claim());  // somebody gave it up
    for (const auto& call : {calls[0], calls[1]}) read.answer(call->id, FrameKind::answer, value_of(1));
    read.answer(12345, FrameKind::answer, value_of(1));
    Outbox leaving;
    REQUIRE(read.multiplexer.take(leaving));
    const std::size_t two_works = leaving.size();
    leaving = {};
    REQUIRE_FALSE(read.multiplexer.take(leaving));
    read.batch.settle_answers(read.session, read.role, read.multiplexer);
    CHECK(read.role.log == std::vector<std::string>{"answered 3", "deliver 1"});
    CHECK(read.role.calls_found == 2);
    CHECK(calls[0]->claimed());
    CHECK_FALSE(calls[2]->claimed());
    // The window has room for the call that was held back.
    REQUIRE(read.multiplexer.take(leaving));
    CHECK(leaving.size() == two_works / 2);

    read.batch.settle_answers(read.session, read.role, read.multiplexer);
    CHECK(read.role.log.size() == 2);
}

}  // namespace read_batch_test
