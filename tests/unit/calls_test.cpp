// A work from the caller to whoever executes it, and back: calls, what waits to leave, and the queue of works.

// Before any work is registered: cereal binds a type to the archives that it knows by then. Clang 19 refuses the
// RapidJSON behind it (an assignment to a const member).
#ifndef __clang__
#include <cereal/archives/json.hpp>
#endif

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <set>
#include <span>
#include <sstream>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "distwork/calls/call.hpp"
#include "distwork/calls/call_table.hpp"
#include "distwork/context.hpp"
#include "distwork/wire/frame_reader.hpp"
#include "distwork/link/liveness.hpp"
#include "distwork/no_retry.hpp"
#include "distwork/link/multiplexer.hpp"
#include "distwork/register.hpp"
#include "distwork/types/registry.hpp"
#include "distwork/link/session_handler.hpp"
#include "distwork/calls/typed_call.hpp"
#include "distwork/execution/work_queue.hpp"
#include "support/catch.hpp"
#include "support/fake_peer.hpp"
#include "support/hex.hpp"
#include "support/type_table.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/io_context.hpp>

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;
using support::FakePeer;

namespace calls {

struct Add : RpcWork<int> {
    Add() = default;
    Add(int first, int second) : a{first}, b{second} {}
    int execute_work(Context&) override { return a + b; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(a, b);
    }
    int a = 0;
    int b = 0;
};

/// Writes down what came back to the original; throws if told so.
struct Returned : RpcWork<int> {
    int execute_work(Context&) override { return 5; }
    void execute_return(int value, Context& peer) override {
        log->push_back(peer.peer_name() + ' ' + std::to_string(value));
        if (value < 0) throw std::domain_error{"negative"};
    }
    template <class Archive>
    void serialize(Archive&) {}
    std::shared_ptr<std::vector<std::string>> log = std::make_shared<std::vector<std::string>>();
};

struct Silent : IWork {
    void execute(Context&) override {}
    template <class Archive>
    void serialize(Archive&) {}
};

struct Unregistered : IWork {
    void execute(Context&) override {}
    template <class Archive>
    void serialize(Archive&) {}
};

struct Fails : RpcWork<int> {
    int execute_work(Context&) override { throw std::out_of_range{"index 7"}; }
    template <class Archive>
    void serialize(Archive&) {}
};

}  // namespace calls

DISTWORK_REGISTER_WORK(calls::Add)
DISTWORK_REGISTER_WORK(calls::Returned)
DISTWORK_REGISTER_WORK(calls::Silent)
DISTWORK_REGISTER_WORK(calls::Fails)

namespace {

/// A type of which nothing is registered; its works have bodies of zeros.
const WorkType& plain_type(std::size_t number) {
    static const std::vector<WorkType> types = [] {
        std::vector<WorkType> all(3);
        for (std::size_t i = 0; i < all.size(); ++i) {
            all[i].name = std::string{"plain "} + std::to_string(i);
            all[i].registry = &Registry::instance();
            all[i].number = static_cast<std::uint16_t>(i);
            all[i].fingerprint = [] { return std::uint64_t{1}; };
        }
        return all;
    }();
    return types.at(number);
}

/// A call without a caller.
class PlainCall final : public Call {
public:
    explicit PlainCall(std::size_t bytes = 3, std::size_t type_number = 0) : Call{plain_type(type_number)} {
        const auto body = std::make_shared<std::vector<std::byte>>(bytes, std::byte{7});
        bytes_ = body->data();
        set_body({*body, body});
    }
    const IWork& work() const noexcept override { return work_; }
    void succeed(std::span<const std::byte>, const std::shared_ptr<Peer>&) noexcept override {}
    void fail(std::exception_ptr) noexcept override {}
    void deliver(std::shared_ptr<Call>) override {}
    const std::byte* bytes() const { return bytes_; }
    std::chrono::milliseconds execution_timeout() const noexcept override { return timeout; }

    std::chrono::milliseconds timeout{};

private:
    calls::Silent work_;
    const std::byte* bytes_ = nullptr;
};

std::shared_ptr<PlainCall> plain(std::size_t bytes = 3, std::size_t type_number = 0) {
    return std::make_shared<PlainCall>(bytes, type_number);
}

Errc code_of(const std::exception_ptr& error) {
    try {
        if (error) std::rethrow_exception(error);
    } catch (const Error& thrown) {
        return static_cast<Errc>(thrown.code().value());
    } catch (...) {
    }
    return {};
}

std::string text_of(const std::exception_ptr& error) {
    return error ? detail::describe(error).text : "";
}

}  // namespace

// CallTable

namespace {

std::uint64_t insert(CallTable& table, const std::shared_ptr<Call>& call) {
    const std::uint64_t id = table.next_id();
    table.insert(call);
    return id;
}

}  // namespace

TEST_CASE("a call is found by its id once, and by no other", "[unit]") {
    CallTable table;
    CHECK(table.take(0) == nullptr);
    CHECK(table.take(1) == nullptr);
    const auto a = plain();
    const auto b = plain();
    const std::uint64_t first = insert(table, a);
    const std::uint64_t second = insert(table, b);
    CHECK(first != 0);
    CHECK(first != second);
    CHECK(a->id == first);
    CHECK(table.size() == 2);
    CHECK(table.contains(second));
    CHECK(table.take(second) == b);
    CHECK_FALSE(table.contains(second));
    CHECK(table.take(second) == nullptr);
    CHECK(table.take(first + CallTable::most_calls) == nullptr);
    CHECK(table.take(first + 1000) == nullptr);
    CHECK(table.take(~std::uint64_t{0}) == nullptr);
    CHECK(table.take(first) == a);
    CHECK(table.size() == 0);
}

TEST_CASE("an id is never used twice, so that a late answer finds nothing", "[unit]") {
    std::mt19937 random{1};
    CallTable table;
    std::map<std::uint64_t, std::shared_ptr<Call>> model;
    std::set<std::uint64_t> used{0};
    std::vector<std::uint64_t> late;
    for (int step = 0; step < 5000; ++step) {
        if (random() % 2 || model.empty()) {
            const auto call = plain();
            const std::uint64_t id = insert(table, call);
            REQUIRE(used.insert(id).second);
            model.emplace(id, call);
        } else {
            const auto at = std::next(model.begin(), static_cast<std::ptrdiff_t>(random() % model.size()));
            REQUIRE(table.take(at->first) == at->second);
            late.push_back(at->first);
            model.erase(at);
        }
        REQUIRE(table.size() == model.size());
        if (!late.empty()) REQUIRE(table.take(late[random() % late.size()]) == nullptr);
    }
    std::set<std::shared_ptr<Call>> left;
    for (const auto& [id, call] : model) left.insert(call);
    std::vector<std::shared_ptr<Call>> all;
    all.reserve(table.size());
    table.take_all(all);
    CHECK(all.size() == model.size());
    CHECK(std::set<std::shared_ptr<Call>>{all.begin(), all.end()} == left);
    CHECK(table.size() == 0);
    for (const auto& [id, call] : model) CHECK(table.take(id) == nullptr);
}

// Works behind pointers

#ifndef __clang__
TEST_CASE("a work behind a pointer round-trips through cereal's JSON and through our archives", "[unit]") {
    std::stringstream json;
    {
        cereal::JSONOutputArchive out{json};
        const std::unique_ptr<IWork> work = std::make_unique<calls::Add>(3, 4);
        out(work);
    }
    std::unique_ptr<IWork> from_json;
    {
        cereal::JSONInputArchive in{json};
        in(from_json);
    }
    ByteBuffer bytes;
    detail::encode_value(from_json, bytes, {});
    std::unique_ptr<IWork> from_bytes;
    detail::decode(bytes.view(), from_bytes, {});
    const auto* const add = dynamic_cast<const calls::Add*>(from_bytes.get());
    REQUIRE(add);
    CHECK(add->a == 3);
    CHECK(add->b == 4);
}
#endif

// Liveness

TEST_CASE("a peer is silent when nothing was heard for too long", "[unit]") {
    using TimePoint = Liveness::TimePoint;
    Liveness liveness{5s, 15s};
    liveness.heard(TimePoint{100s});
    CHECK_FALSE(liveness.is_silent(TimePoint{115s}));
    CHECK(liveness.is_silent(TimePoint{115s} + 1ns));
    liveness.heard(TimePoint{115s});
    CHECK_FALSE(liveness.is_silent(TimePoint{120s}));
    CHECK(liveness.last_heard() == TimePoint{115s});
}

TEST_CASE("a peer is suspected when two heartbeats brought nothing, until it is heard", "[unit]") {
    using TimePoint = Liveness::TimePoint;
    Liveness liveness{5s, 15s};
    CHECK_FALSE(liveness.heard(TimePoint{100s}));
    CHECK_FALSE(liveness.suspect(TimePoint{105s}));  // its pong may be on its way
    CHECK(liveness.suspect(TimePoint{110s}));
    CHECK_FALSE(liveness.suspect(TimePoint{115s}));  // as before
    CHECK(liveness.heard(TimePoint{116s}));
    CHECK_FALSE(liveness.heard(TimePoint{117s}));
    CHECK_FALSE(liveness.suspect(TimePoint{120s}));
}

TEST_CASE("a pong counts once, and only for the last ping", "[unit]") {
    using TimePoint = Liveness::TimePoint;
    Liveness liveness{5s, 15s};
    CHECK_FALSE(liveness.pong(0, TimePoint{1s}));
    const auto first = liveness.ping(TimePoint{1s});
    const auto second = liveness.ping(TimePoint{6s});
    CHECK_FALSE(liveness.pong(first, TimePoint{7s}));
    CHECK_FALSE(liveness.pong(0x8000'0000'0000'0000, TimePoint{7s}));
    CHECK(liveness.pong(second, TimePoint{7s}) == Liveness::Duration{1s});
    CHECK_FALSE(liveness.pong(second, TimePoint{8s}));
}

// Multiplexer

namespace {

/// The frames that wait to leave; `taken` is what a writer would have in its hands.
struct Leaving {
    explicit Leaving(std::size_t max_bytes = 1 << 20, std::size_t window = 1000) : multiplexer{max_bytes} { open(window); }

    void open(std::size_t window) {
        Introduction peer;
        peer.types = {{"other", 1}, {"plain 0", 1}, {"plain 1", 2}};
        const auto ours = table_of({&plain_type(0), &plain_type(1), &plain_type(2)});
        multiplexer.introduce(PeerTypes{ours, peer}, window, 1 << 30);
    }

    /// As the writer does: all that gathered leaves.
    std::vector<std::pair<FrameKind, std::uint64_t>> write() {
        std::vector<std::pair<FrameKind, std::uint64_t>> frames;
        FrameReader reader{1 << 24};
        std::vector<asio::const_buffer> buffers;
        Outbox taken;
        while (multiplexer.take(taken)) {
            while (!taken.empty()) {
                const auto space = reader.prepare();
                taken.gather(buffers, space.size());
                std::size_t count = 0;
                for (const auto& buffer : buffers) {
                    std::memcpy(space.data() + count, buffer.data(), buffer.size());
                    count += buffer.size();
                }
                taken.consume(count);
                const auto error = reader.commit(count, [&](Frame&& frame) {
                    frames.emplace_back(frame.header.kind, frame.header.id);
                    return true;
                });
                REQUIRE_FALSE(error);
            }
        }
        return frames;
    }

    std::vector<Answer> answer(const std::vector<std::uint64_t>& ids) {
        std::vector<Answer> answers(ids.size());
        for (std::size_t i = 0; i < ids.size(); ++i) answers[i].id = ids[i];
        multiplexer.take_calls(answers);
        multiplexer.release_held();
        return answers;
    }

    Multiplexer multiplexer;
};

using Frames = std::vector<std::pair<FrameKind, std::uint64_t>>;

}  // namespace

TEST_CASE("a work frame is these bytes", "[unit]") {
    Leaving leaving;
    const auto call = plain(3);
    REQUIRE_FALSE(leaving.multiplexer.send(call).error);
    Outbox taken;
    REQUIRE(leaving.multiplexer.take(taken));
    std::vector<asio::const_buffer> buffers;
    taken.gather(buffers, 1000);
    REQUIRE(buffers.size() == 1);
    // The receiver's number for the type, and the first id of the first place.
    CHECK(call->id == 0x0100'0000);
    CHECK(hex({static_cast<const std::byte*>(buffers[0].data()), buffers[0].size()}) ==
          "03 00 00 00 05 00 01 00 00 00 00 01 00 00 00 00 07 07 07");
}

TEST_CASE("a work frame with a timeout is these bytes", "[unit]") {
    Leaving leaving;
    const auto sent = [&](std::chrono::milliseconds timeout, std::size_t bytes) {
        const auto call = plain(bytes);
        call->timeout = timeout;
        REQUIRE_FALSE(leaving.multiplexer.send(call).error);
        Outbox taken;
        REQUIRE(leaving.multiplexer.take(taken));
        std::vector<asio::const_buffer> buffers;
        taken.gather(buffers, 1 << 30);
        std::vector<std::byte> all;
        for (const auto& buffer : buffers) {
            const auto* from = static_cast<const std::byte*>(buffer.data());
            all.insert(all.end(), from, from + buffer.size());
        }
        REQUIRE(all.size() == taken.size());
        return all;
    };
    // The length includes the timeout.
    CHECK(hex(sent(0x4030201ms, 3)) == "07 00 00 00 05 01 01 00 00 00 00 01 00 00 00 00 01 02 03 04 07 07 07");
    CHECK(hex(sent(0ms, 1)) == "01 00 00 00 05 00 01 00 01 00 00 01 00 00 00 00 07");
    CHECK(hex(sent(-1ms, 1)) == "01 00 00 00 05 00 01 00 02 00 00 01 00 00 00 00 07");
    CHECK(hex(sent(1000h * 24 * 365, 0)) == "04 00 00 00 05 01 01 00 03 00 00 01 00 00 00 00 ff ff ff ff");
    // A large body is not copied, the timeout stands before it all the same.
    const auto large = sent(258ms, large_body_bytes);
    REQUIRE(large.size() == frame_header_bytes + timeout_bytes + large_body_bytes);
    CHECK(read_header(large.data()).length == timeout_bytes + large_body_bytes);
    CHECK(hex(std::span{large}.subspan(4, 18)) == "05 01 01 00 04 00 00 01 00 00 00 00 02 01 00 00 07 07");
}

TEST_CASE("a timeout counts for what the peer takes, and a held call keeps its own", "[unit]") {
    Leaving leaving{1 << 20, 1};
    const auto timed = [&](std::size_t bytes) {
        const auto call = plain(bytes);
        call->timeout = 1ms;
        return call;
    };
    Introduction peer;
    peer.types = {{"plain 0", 1}};
    leaving.multiplexer.introduce(PeerTypes{table_of({&plain_type(0)}), peer}, 1, 100);
    CHECK(leaving.multiplexer.send(timed(97)).error == Errc::too_large);
    const auto first = timed(96);
    REQUIRE_FALSE(leaving.multiplexer.send(first).error);
    REQUIRE_FALSE(leaving.multiplexer.send(timed(5)).error);
    CHECK(leaving.write().size() == 1);
    leaving.answer({first->id});
    Outbox taken;
    REQUIRE(leaving.multiplexer.take(taken));
    CHECK(taken.size() == frame_header_bytes + timeout_bytes + 5);
}

TEST_CASE("a registered work's body is its members", "[unit]") {
    ByteBuffer body;
    const calls::Add work{1, -2};
    work_type<calls::Add>().encode(work, body, {});
    CHECK(hex(body.view()) == "01 00 00 00 fe ff ff ff");
}

TEST_CASE("a call whose type the peer does not have in that shape is not taken", "[unit]") {
    Leaving leaving;
    CHECK(leaving.multiplexer.send(plain(3, 1)).error == Errc::shape_differs);
    CHECK(leaving.multiplexer.send(plain(3, 2)).error == Errc::unknown_type);
    CHECK(leaving.multiplexer.awaiting() == 0);
    CHECK(leaving.write().empty());
    Multiplexer stranger{1000};
    CHECK(stranger.send(plain()).error == Errc::unknown_type);
}

TEST_CASE("one wake for all that gathers until the writer finds nothing", "[unit]") {
    Leaving leaving;
    CHECK(leaving.multiplexer.send(plain()).wake);
    CHECK_FALSE(leaving.multiplexer.send(plain()).wake);
    CHECK_FALSE(leaving.multiplexer.send({.kind = FrameKind::ping}));
    Outbox taken;
    CHECK(leaving.multiplexer.take(taken));
    CHECK_FALSE(leaving.multiplexer.send(plain()).wake);  // the writer is still at it
    taken = {};
    CHECK(leaving.multiplexer.take(taken));
    taken = {};
    CHECK_FALSE(leaving.multiplexer.take(taken));
    CHECK(leaving.multiplexer.send({.kind = FrameKind::ping}, ByteBuffer{}));

    CHECK(leaving.write().size() == 1);
    leaving.multiplexer.stay_awake();
    CHECK_FALSE(leaving.multiplexer.send(plain()).wake);
    CHECK(leaving.write().size() == 1);
    CHECK(leaving.multiplexer.send(plain()).wake);
}

TEST_CASE("beyond the peer's window calls are held back, and leave in order as answers come", "[unit]") {
    Leaving leaving{1 << 20, 2};
    std::vector<std::shared_ptr<PlainCall>> calls;
    for (int i = 0; i < 5; ++i) {
        calls.push_back(plain());
        CHECK_FALSE(leaving.multiplexer.send(calls.back()).error);
    }
    CHECK(leaving.multiplexer.awaiting() == 5);
    CHECK(leaving.write() == Frames{{FrameKind::work, calls[0]->id}, {FrameKind::work, calls[1]->id}});

    const auto answers = leaving.answer({calls[1]->id});
    CHECK(answers[0].call == calls[1]);
    CHECK(leaving.write() == Frames{{FrameKind::work, calls[2]->id}});
    leaving.answer({calls[0]->id, calls[2]->id, 12345});
    CHECK(leaving.write() == Frames{{FrameKind::work, calls[3]->id}, {FrameKind::work, calls[4]->id}});
    CHECK(leaving.multiplexer.awaiting() == 2);
}

TEST_CASE("a call does not overtake those that are held back, also when the window grew", "[unit]") {
    Leaving leaving{1 << 20, 1};
    std::vector<std::shared_ptr<PlainCall>> calls;
    for (int i = 0; i < 3; ++i) calls.push_back(plain()), leaving.multiplexer.send(calls.back());
    leaving.open(10);
    calls.push_back(plain());
    leaving.multiplexer.send(calls.back());
    leaving.answer({calls[0]->id});
    Frames expected;
    for (const auto& call : calls) expected.emplace_back(FrameKind::work, call->id);
    CHECK(leaving.write() == expected);
}

TEST_CASE("a held call that nobody wants any more is not sent, and those behind it are", "[unit]") {
    Leaving leaving{1 << 20, 1};
    std::vector<std::shared_ptr<PlainCall>> calls;
    for (int i = 0; i < 3; ++i) calls.push_back(plain()), leaving.multiplexer.send(calls.back());
    REQUIRE(calls[1]->claim());
    CHECK_FALSE(leaving.multiplexer.cancel(*calls[1]));
    leaving.answer({calls[0]->id});
    CHECK(leaving.write() == Frames{{FrameKind::work, calls[0]->id}, {FrameKind::work, calls[2]->id}});
    CHECK(leaving.multiplexer.awaiting() == 1);
}

TEST_CASE("late and invented answers find no call", "[unit]") {
    Leaving leaving;
    const auto call = plain();
    leaving.multiplexer.send(call);
    CHECK(leaving.answer({call->id})[0].call == call);
    CHECK(leaving.answer({call->id})[0].call == nullptr);
    CHECK(leaving.answer({0})[0].call == nullptr);
}

TEST_CASE("a call whose work goes on beyond its time finds its last answer as well", "[unit]") {
    Leaving leaving;
    const auto call = plain();
    leaving.multiplexer.send(call);
    std::vector<Answer> early(1);
    early[0].id = call->id;
    early[0].reply.goes_on = true;
    leaving.multiplexer.take_calls(early);
    CHECK(early[0].call == call);
    CHECK(leaving.multiplexer.awaiting() == 1);
    CHECK(leaving.answer({call->id})[0].call == call);
    CHECK(leaving.multiplexer.awaiting() == 0);
    leaving.multiplexer.take_calls(early);
    CHECK(early[0].call == nullptr);
}

TEST_CASE("a cancel frame leaves for a call that awaits its answer, and for no other", "[unit]") {
    Leaving leaving;
    const auto call = plain();
    CHECK_FALSE(leaving.multiplexer.cancel(*call));
    leaving.multiplexer.send(call);
    leaving.multiplexer.cancel(*call);
    CHECK(leaving.write() == Frames{{FrameKind::work, call->id}, {FrameKind::cancel, call->id}});
    CHECK(leaving.multiplexer.cancel(*call));
    leaving.write();
    leaving.answer({call->id});
    CHECK_FALSE(leaving.multiplexer.cancel(*call));
    CHECK(leaving.write().empty());
}

TEST_CASE("what waits for a peer is bounded, and counts until it has left", "[unit]") {
    constexpr std::size_t each = frame_header_bytes + 84;
    Leaving leaving{10 * each, 5};
    for (int i = 0; i < 10; ++i) CHECK_FALSE(leaving.multiplexer.send(plain(84)).error);  // half of them held back
    CHECK(leaving.multiplexer.send(plain(84)).error == Errc::outbox_full);
    Outbox taken;
    REQUIRE(leaving.multiplexer.take(taken));
    CHECK(leaving.multiplexer.send(plain(84)).error == Errc::outbox_full);
    taken = {};
    CHECK_FALSE(leaving.multiplexer.take(taken));  // now the first half has left
    for (int i = 0; i < 5; ++i) CHECK_FALSE(leaving.multiplexer.send(plain(84)).error);
    CHECK(leaving.multiplexer.send(plain(84)).error == Errc::outbox_full);

    // A single one always passes.
    Leaving empty{10};
    CHECK_FALSE(empty.multiplexer.send(plain(100'000)).error);
    CHECK(empty.multiplexer.send(plain(1)).error == Errc::outbox_full);
}

TEST_CASE("more than may wait to leave is too much until half of it has left", "[unit]") {
    constexpr std::size_t each = frame_header_bytes + 84;
    Leaving leaving{10 * each};
    ByteBuffer body;
    body.extend(84);
    for (int i = 0; i < 10; ++i) {
        CHECK_FALSE(leaving.multiplexer.is_overfull());
        leaving.multiplexer.reply({.kind = FrameKind::answer, .id = 1}, std::move(body));  // small: it stays here
    }
    CHECK_FALSE(leaving.multiplexer.is_overfull());
    leaving.multiplexer.send({.kind = FrameKind::pong});
    CHECK(leaving.multiplexer.is_overfull());
    Outbox taken;
    REQUIRE(leaving.multiplexer.take(taken));
    CHECK_FALSE(leaving.multiplexer.left(5 * each).for_answers);
    CHECK(leaving.multiplexer.is_overfull());
    const auto room = leaving.multiplexer.left(frame_header_bytes);
    CHECK(room.for_answers);
    CHECK_FALSE(room.for_calls);  // none was refused
    CHECK_FALSE(leaving.multiplexer.is_overfull());
    CHECK_FALSE(leaving.multiplexer.left(each).for_answers);  // told once

    // Nothing waits for a link that is closed.
    while (!leaving.multiplexer.is_overfull())
        leaving.multiplexer.reply({.kind = FrameKind::answer, .id = 1}, std::move(body));
    leaving.multiplexer.close();
    CHECK_FALSE(leaving.multiplexer.is_overfull());
}

TEST_CASE("large bodies leave without a copy, and what is small stays with the caller", "[unit]") {
    Leaving leaving;
    const auto call = plain(large_body_bytes);
    leaving.multiplexer.send(call);
    ByteBuffer small;
    small.extend(10);
    ByteBuffer large;
    std::fill_n(large.extend(large_body_bytes), large_body_bytes, std::byte{1});
    const std::byte* const where = large.data();
    leaving.multiplexer.send({.kind = FrameKind::answer}, std::move(small));
    leaving.multiplexer.send({.kind = FrameKind::answer}, std::move(large));
    CHECK(small.size() == 10);
    Outbox taken;
    REQUIRE(leaving.multiplexer.take(taken));
    std::vector<asio::const_buffer> buffers;
    taken.gather(buffers, 1 << 20);
    REQUIRE(buffers.size() == 4);
    CHECK(buffers[1].data() == call->bytes());
    CHECK(buffers[3].data() == where);
}

TEST_CASE("a closed link gives up every call, and takes nothing more", "[unit]") {
    Leaving leaving{1 << 20, 2};
    std::vector<std::shared_ptr<Call>> calls;
    for (int i = 0; i < 4; ++i) calls.push_back(plain()), leaving.multiplexer.send(plain()), leaving.multiplexer.awaiting();
    const bool politely = GENERATE(false, true);
    const auto given_up = politely ? leaving.multiplexer.give_up() : leaving.multiplexer.close();
    CHECK(given_up.size() == 4);
    CHECK(std::count(given_up.begin(), given_up.end(), nullptr) == 0);
    CHECK(leaving.multiplexer.awaiting() == 0);
    CHECK(leaving.multiplexer.send(plain()).error == Errc::lost);
    CHECK_FALSE(leaving.multiplexer.cancel(*given_up[0]));
    // Politely: what waited leaves, and a farewell.
    leaving.multiplexer.send({.kind = FrameKind::bye});
    CHECK(leaving.write().size() == (politely ? 3 : 0));
    CHECK(leaving.multiplexer.close().empty());
    CHECK_FALSE(leaving.multiplexer.send({.kind = FrameKind::ping}));
}

// The registry

TEST_CASE("a registered type is found by class, name and number", "[unit]") {
    const Registry& registry = Registry::instance();
    const WorkType& add = work_type<calls::Add>();
    CHECK(add.name == "calls::Add");
    CHECK(registry.find("calls::Add") == &add);
    CHECK(registry.find(typeid(calls::Add)) == &add);
    CHECK(&work_type_of(typeid(calls::Add)) == &add);
    CHECK(registry.types().at(add.number) == &add);
    CHECK(registry.size() == registry.types().size());
    for (std::size_t i = 0; i < registry.size(); ++i) CHECK(registry.types()[i]->number == i);
    CHECK(registry.find("nobody") == nullptr);
    CHECK(registry.find(typeid(calls::Unregistered)) == nullptr);
    CHECK_NOTHROW(registry.check());
    CHECK(add.execute_return == nullptr);
    CHECK(work_type<calls::Returned>().execute_return != nullptr);
}

TEST_CASE("a type that is registered again is the one that is there", "[unit]") {
    const std::size_t before = Registry::instance().size();
    const WorkType& again = Registry::instance().add(detail::WorkFunctions<calls::Add>::describe("calls::Add"));
    CHECK(&again == &work_type<calls::Add>());
    CHECK(Registry::instance().size() == before);
    CHECK_NOTHROW(Registry::instance().check());
}

TEST_CASE("a type that was not registered is named", "[unit]") {
    try {
        work_type<calls::Unregistered>();
        FAIL("it is registered");
    } catch (const Error& error) {
        CHECK(error.code() == Errc::unregistered_type);
        CHECK(std::string{error.what()}.find("Unregistered") != std::string::npos);
    }
    CHECK_THROWS_AS(work_type_of(typeid(calls::Unregistered)), Error);
}

// Calls

namespace {

/// How a call ended, as its handler was told.
template <class R>
struct Ended {
    int times = 0;
    std::exception_ptr error;
    R value{};
};

struct Calls {
    asio::io_context io;
    asio::any_io_executor executor = io.get_executor();
    std::shared_ptr<FakePeer> peer = std::make_shared<FakePeer>(io.get_executor(), "far away");

    template <class Work, class Handler>
    auto make(Work work, Handler handler) {
        return std::make_shared<detail::TypedCall<Call, Work, Handler>>(std::move(work), handler, executor, executor);
    }

    std::size_t run() {
        io.restart();
        return io.run();
    }
};

std::vector<std::byte> encoded(int value) {
    ByteBuffer body;
    detail::encode_value(value, body, {});
    return {body.view().begin(), body.view().end()};
}

}  // namespace

TEST_CASE("a call completes with the value that came back", "[unit]") {
    Calls calls;
    Ended<int> ended;
    const auto call = calls.make(calls::Add{1, 2}, [&](std::exception_ptr error, int value) {
        ++ended.times, ended.error = error, ended.value = value;
    });
    CHECK(call->name() == "calls::Add");
    CHECK(call->attempt() == 1);
    CHECK_FALSE(call->chosen());
    CHECK_FALSE(call->has_own_executor());
    distwork::detail::ByteBuffer room;
    call->encode(room, {});
    CHECK(hex(call->body()) == "01 00 00 00 02 00 00 00");

    CHECK(call->claim());
    CHECK_FALSE(call->claim());
    CHECK(call->claimed());
    call->succeed(encoded(3), calls.peer);
    deliver_one(calls.executor, call);
    CHECK(ended.times == 0);  // never from inside
    calls.run();
    CHECK(ended.times == 1);
    CHECK(ended.error == nullptr);
    CHECK(ended.value == 3);
}

TEST_CASE("a value that does not decode fails the call", "[unit]") {
    Calls calls;
    Ended<int> ended;
    const auto handler = [&](std::exception_ptr error, auto... value) {
        ++ended.times, ended.error = error, ended.value = (0 + ... + value);
    };
    auto bytes = encoded(77);
    for (const std::size_t size : {0u, 3u, 5u}) {
        bytes.resize(size);
        const auto call = calls.make(calls::Add{}, handler);
        call->succeed(bytes, calls.peer);
        deliver_one(calls.executor, call);
        calls.run();
        CHECK(code_of(ended.error) == Errc::malformed);
        CHECK(ended.value == 0);
    }
    // Where nothing is expected.
    const auto silent = calls.make(calls::Silent{}, handler);
    silent->succeed(bytes, calls.peer);
    deliver_one(calls.executor, silent);
    calls.run();
    CHECK(code_of(ended.error) == Errc::malformed);
    CHECK(ended.times == 4);
}

TEST_CASE("a call that failed completes with why, and the handler finds its memory free", "[unit]") {
    Calls calls;
    std::weak_ptr<Call> weak;
    bool free = false;
    Errc reason{};
    {
        const auto call = calls.make(calls::Add{}, [&](const std::exception_ptr& error, int) {
            reason = code_of(error);
            free = weak.expired();
        });
        weak = call;
        call->fail(std::make_exception_ptr(Error{Errc::lost}));
        deliver_one(calls.executor, call);
    }
    calls.run();
    CHECK(reason == Errc::lost);
    CHECK(free);
}

TEST_CASE("what comes back is given to the original first, and what that throws is the outcome", "[unit]") {
    Calls calls;
    const calls::Returned work;
    const auto log = work.log;
    std::string text;
    const auto call = calls.make(work, [&](const std::exception_ptr& error, int value) {
        log->push_back("handler " + std::to_string(value));
        text = text_of(error);
    });

    SECTION("a value") {
        call->succeed(encoded(5), calls.peer);
        deliver_one(calls.executor, call);
        calls.run();
        CHECK(*log == std::vector<std::string>{"far away 5", "handler 5"});
        CHECK(text.empty());
    }
    SECTION("an exception") {
        call->succeed(encoded(-1), calls.peer);
        deliver_one(calls.executor, call);
        calls.run();
        CHECK(*log == std::vector<std::string>{"far away -1", "handler -1"});
        CHECK(text == "negative");
    }
    SECTION("not after a failure") {
        call->fail(std::make_exception_ptr(Error{Errc::lost}));
        deliver_one(calls.executor, call);
        calls.run();
        CHECK(*log == std::vector<std::string>{"handler 0"});
    }
    SECTION("also behind a pointer") {
        const auto behind = calls.make(std::unique_ptr<IWork>{std::make_unique<calls::Returned>(work)},
                                       [&](const std::exception_ptr& error) { text = text_of(error); });
        CHECK(behind->name() == "calls::Returned");
        behind->succeed(encoded(-3), calls.peer);
        deliver_one(calls.executor, behind);
        calls.run();
        CHECK(*log == std::vector<std::string>{"far away -3"});
        CHECK(text == "negative");
    }
}

TEST_CASE("calls that were settled together call back in order, in one task", "[unit]") {
    Calls calls;
    std::vector<int> order;
    std::vector<std::shared_ptr<Call>> settled;
    for (int i = 0; i < 5; ++i) {
        settled.push_back(calls.make(calls::Silent{}, [&order, i](const std::exception_ptr&) { order.push_back(i); }));
        settled.back()->succeed({}, calls.peer);
    }
    deliver_all(calls.executor, std::move(settled));
    CHECK(order.empty());
    CHECK(calls.run() == 1);
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE("when a handler throws the others complete all the same", "[unit]") {
    Calls calls;
    std::vector<int> order;
    std::vector<std::shared_ptr<Call>> settled;
    for (int i = 0; i < 6; ++i) {
        settled.push_back(calls.make(calls::Silent{}, [&order, i](const std::exception_ptr&) {
            order.push_back(i);
            if (i % 3 == 1) throw std::runtime_error{"handler " + std::to_string(i)};
        }));
        settled.back()->succeed({}, calls.peer);
    }
    deliver_all(calls.executor, std::move(settled));
    std::vector<std::string> thrown;
    for (int run = 0; run < 4; ++run) {
        try {
            calls.run();
        } catch (const std::runtime_error& error) {
            thrown.emplace_back(error.what());
        }
    }
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4, 5});
    CHECK(thrown == std::vector<std::string>{"handler 1", "handler 4"});
}

TEST_CASE("a handler with an executor of its own is called there, and keeps it busy until then", "[unit]") {
    Calls calls;
    asio::io_context own;
    std::vector<std::string> log;
    auto call =
        calls.make(calls::Silent{},
                   asio::bind_executor(own.get_executor(), [&](const std::exception_ptr&) { log.push_back("own"); }));
    const auto other = calls.make(calls::Silent{}, [&](const std::exception_ptr&) { log.push_back("role's"); });
    CHECK(call->has_own_executor());
    CHECK(own.poll() == 0);
    CHECK_FALSE(own.stopped());  // it has outstanding work: the call
    call->succeed({}, calls.peer);
    other->succeed({}, calls.peer);
    std::vector<std::shared_ptr<Call>> settled{std::move(call), other};
    deliver_all(calls.executor, std::move(settled));
    calls.run();
    CHECK(log == std::vector<std::string>{"role's"});
    own.run();  // returns: nothing keeps it busy any more
    CHECK(log == std::vector<std::string>{"role's", "own"});
}

TEST_CASE("a call that its peer does not take fails with the reason", "[unit]") {
    Calls calls;
    calls.peer->refuses = Errc::shape_differs;
    Ended<int> ended;
    detail::send_or_fail(*calls.peer, calls.make(calls::Add{}, [&](std::exception_ptr error, int) {
        ++ended.times, ended.error = error;
    }));
    CHECK(ended.times == 0);
    calls.run();
    CHECK(ended.times == 1);
    CHECK(code_of(ended.error) == Errc::shape_differs);
    CHECK(text_of(ended.error).find("calls::Add") != std::string::npos);
}

TEST_CASE("a caller's signal cancels through, of any type", "[unit]") {
    asio::cancellation_signal signal;
    int cancelled = 0;
    detail::cancel_through(signal.slot(), [&] { ++cancelled; });
    signal.emit(asio::cancellation_type::none);
    CHECK(cancelled == 0);
    signal.emit(asio::cancellation_type::total);
    signal.emit(asio::cancellation_type::terminal);
    CHECK(cancelled == 2);
    detail::cancel_through(asio::cancellation_slot{}, [&] { ++cancelled; });
}

TEST_CASE("answers settle the calls that nobody claimed before, each with what came", "[unit]") {
    Calls calls;
    std::vector<std::string> log;
    const auto make = [&](const std::string& name) {
        return calls.make(calls::Add{}, [&log, name](const std::exception_ptr& error, int value) {
            log.push_back(name + ' ' + std::to_string(value) + ' ' + text_of(error));
        });
    };
    std::vector<Answer> answers(5);
    const auto value = encoded(4);
    answers[0].call = make("value");
    answers[0].reply.value = value;
    answers[1].call = make("threw");
    answers[1].reply.error = Errc::work_failed;
    answers[1].reply.exception_type = "E";
    answers[1].reply.text = "why";
    answers[2].call = make("claimed");
    REQUIRE(answers[2].call->claim());
    answers[4].call = make("refused");
    answers[4].reply.error = Errc::not_accepted;
    answers[4].reply.text = "calls::Add";
    auto settled = settle(answers, calls.peer, "node (1.2.3.4:5)");
    CHECK(settled.size() == 3);
    deliver_all(calls.executor, std::move(settled));
    calls.run();
    REQUIRE(log.size() == 3);
    CHECK(log[0] == "value 4 ");
    CHECK(log[1].starts_with("threw 0 calls::Add on node (1.2.3.4:5), attempt 1: E: why"));
    CHECK(log[2].starts_with("refused 0 calls::Add on node (1.2.3.4:5): calls::Add"));
}

// Context

TEST_CASE("a work sends works to its peer without waiting, and what becomes of them is logged if they fail", "[unit]") {
    Calls calls;
    const std::shared_ptr<Peer> peer = calls.peer;
    Context context{peer};
    CHECK(context.peer_name() == "far away");
    CHECK_FALSE(context.stop_token().stop_possible());
    CHECK(context.send_work(calls::Add{1, 2}));
    CHECK(context.send_work(std::make_unique<calls::Silent>()));
    REQUIRE(calls.peer->sent.size() == 2);
    CHECK(hex(calls.peer->sent[0]->body()) == "01 00 00 00 02 00 00 00");
    CHECK(calls.peer->sent[1]->name() == "calls::Silent");

    calls.peer->sent[0]->succeed(encoded(3), peer);
    calls.peer->sent[1]->fail(std::make_exception_ptr(Error{Errc::lost, "gone"}));
    deliver_all(calls.executor, std::exchange(calls.peer->sent, {}));
    calls.run();
    REQUIRE(calls.peer->logged.size() == 1);
    CHECK(calls.peer->logged[0].find("gone") != std::string::npos);

    calls.peer->refuses = Errc::lost;
    CHECK_FALSE(context.send_work(calls::Add{}));
    CHECK_THROWS_AS(context.send_work(std::unique_ptr<IWork>{}), Error);
    CHECK_THROWS_AS(context.send_work(calls::Unregistered{}), Error);
}

TEST_CASE("a call to the peer that is cancelled completes at once, and its late answer is nobody's", "[unit]") {
    Calls calls;
    const std::shared_ptr<Peer> peer = calls.peer;
    Context context{peer};
    asio::cancellation_signal signal;
    Ended<int> ended;
    context.async_call(calls::Add{1, 2},
                       asio::bind_cancellation_slot(
                           signal.slot(), [&](std::exception_ptr error, int) { ++ended.times, ended.error = error; }));
    REQUIRE(calls.peer->sent.size() == 1);
    signal.emit(asio::cancellation_type::terminal);
    CHECK(calls.peer->cancelled == std::vector<std::uint64_t>{calls.peer->sent[0]->id});
    signal.emit(asio::cancellation_type::terminal);
    calls.run();
    CHECK(ended.times == 1);
    CHECK(code_of(ended.error) == Errc::cancelled);
    CHECK_FALSE(calls.peer->sent[0]->claim());
    CHECK(calls.peer->cancelled.size() == 1);
}

// WorkQueue

namespace {

/// Time that goes by only when the test says so.
class Clock {
    using TimePoint = std::chrono::steady_clock::time_point;

    struct Waiting {
        TimePoint until;
        asio::any_io_executor executor;
        std::function<void(std::error_code)> then;
    };
    struct Shared {
        TimePoint now{1h};
        std::map<const void*, Waiting> waiting;  // by timer
        asio::any_io_executor executor;
    };

public:
    explicit Clock(const asio::any_io_executor& executor) { shared_->executor = executor; }

    struct Strand : asio::strand<asio::any_io_executor> {
        std::shared_ptr<Shared> shared;
    };
    class Timer {
    public:
        explicit Timer(const Strand& strand) : strand_{strand} {}
        ~Timer() { cancel(); }
        void expires_after(TimePoint::duration time) {
            cancel();
            until_ = strand_.shared->now + time;
        }
        void async_wait(std::function<void(std::error_code)> then) {
            strand_.shared->waiting[this] = {until_, strand_, std::move(then)};
        }
        void cancel() {
            if (auto node = strand_.shared->waiting.extract(this))
                asio::post(strand_, [then = node.mapped().then] { then(asio::error::operation_aborted); });
        }

    private:
        Strand strand_;
        TimePoint until_{};
    };

    TimePoint now() const { return shared_->now; }
    Strand make_strand() const { return {asio::make_strand(shared_->executor), shared_}; }

    void pass(TimePoint::duration time) {
        shared_->now += time;
        std::erase_if(shared_->waiting, [this](const auto& each) {
            const Waiting& waiting = each.second;
            if (waiting.until > shared_->now) return false;
            asio::post(waiting.executor, [then = waiting.then] { then({}); });
            return true;
        });
    }

    /// Timers that somebody waits for.
    std::size_t waiting() const { return shared_->waiting.size(); }

private:
    std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

/// What the works of these tests do: the id is in their body.
std::function<void(int, Context&)> on_execute;
std::function<asio::awaitable<void>(int, Context&)> on_await;

int id_in(std::span<const std::byte> body) {
    if (body.empty()) throw Error{Errc::malformed, "no id"};
    return std::to_integer<int>(body[0]) + (body.size() > 1 ? 256 * std::to_integer<int>(body[1]) : 0);
}

const WorkType& scripted() {
    static const WorkType type = [] {
        WorkType made;
        made.name = "scripted";
        made.execute = [](std::span<const std::byte> body, Context& context, ByteBuffer& answer,
                          const ArchiveLimits&) -> std::exception_ptr {
            const int id = id_in(body);
            try {
                on_execute(id, context);
            } catch (...) {
                return std::current_exception();
            }
            answer.append(body.data(), body.size());
            return nullptr;
        };
        return made;
    }();
    return type;
}

asio::awaitable<std::exception_ptr> await_scripted(std::span<const std::byte> body, Context& context,
                                                   ByteBuffer& answer, const ArchiveLimits&) {
    const int id = id_in(body);
    std::exception_ptr thrown;
    try {
        auto scripted_work = on_await(id, context);
        co_await std::move(scripted_work);
    } catch (...) {
        thrown = std::current_exception();
    }
    if (!thrown) answer.append(body.data(), body.size());
    co_return thrown;
}

const WorkType& coroutine() {
    static const WorkType type = [] {
        WorkType made;
        made.name = "coroutine";
        made.execute_async = &await_scripted;
        return made;
    }();
    return type;
}

/// Lets coroutines wait until the test opens it.
class Gate {
public:
    explicit Gate(const asio::any_io_executor& executor)
        : timer_{executor, std::chrono::steady_clock::time_point::max()} {}
    asio::awaitable<void> wait() {
        ++waiting;
        std::error_code ignored;
        auto token = asio::redirect_error(asio::use_awaitable, ignored);
        co_await timer_.async_wait(token);
        --waiting;
    }
    void open() { timer_.cancel(); }
    int waiting = 0;

private:
    asio::steady_timer timer_;
};

/// A queue, peers, and what happened in which order.
struct Queue {
    explicit Queue(std::size_t slots, bool immediate = false)
        : queue{std::make_shared<WorkQueue<Clock>>(clock, io.get_executor(), immediate, slots)} {
        on_execute = [this](int id, Context&) { begun.push_back(id); };
        on_await = [this](int id, Context&) -> asio::awaitable<void> {
            begun.push_back(id);
            co_await gate.wait();
        };
    }
    ~Queue() {
        on_execute = nullptr;
        on_await = nullptr;
    }

    void push(std::vector<int> ids, const WorkType& type = scripted(), std::shared_ptr<FakePeer> from = nullptr,
              std::chrono::milliseconds timeout = {}) {
        std::vector<WorkBatch::Item> items;
        std::deque<std::array<std::byte, 2>> bodies;
        for (const int id : ids) {
            bodies.push_back({static_cast<std::byte>(id & 255), static_cast<std::byte>(id >> 8)});
            items.push_back({.id = static_cast<std::uint64_t>(id),
                             .type = &type,
                             .body = bodies.back(),
                             .timeout_ms = static_cast<std::uint32_t>(timeout.count())});
        }
        queue->push(WorkBatch::copy(from ? from : peer, items));
    }

    std::vector<int> answered(const std::shared_ptr<FakePeer>& at) const {
        std::vector<int> ids;
        for (const auto& reply : at->replies) ids.push_back(static_cast<int>(reply.id));
        return ids;
    }
    std::vector<int> answered() const { return answered(peer); }

    bool idle() {
        bool now = false;
        auto told = std::make_shared<bool*>(&now);
        queue->when_idle([told] {
            if (*told) **told = true;
        });
        *told = nullptr;
        return now;
    }

    std::size_t run() {
        io.restart();
        return io.run();
    }
    std::size_t poll() {
        io.restart();
        return io.poll();
    }

    asio::io_context io;
    Clock clock{io.get_executor()};
    Gate gate{io.get_executor()};
    std::shared_ptr<FakePeer> peer = std::make_shared<FakePeer>(io.get_executor());
    std::shared_ptr<FakePeer> other = std::make_shared<FakePeer>(io.get_executor());
    std::shared_ptr<WorkQueue<Clock>> queue;
    std::vector<int> begun;
};

std::vector<int> count_to(int last) {
    std::vector<int> numbers;
    for (int i = 1; i <= last; ++i) numbers.push_back(i);
    return numbers;
}

}  // namespace

TEST_CASE("works begin strictly in the order of arrival, and are answered with their values", "[unit]") {
    const auto slots = GENERATE(std::size_t{1}, std::size_t{3});
    Queue queue{slots};
    queue.push({1, 2, 3});
    queue.push({4}, scripted(), queue.other);
    queue.push({5, 6});
    CHECK(queue.begun.empty());  // not inside push
    queue.run();
    CHECK(queue.begun == count_to(6));
    CHECK(queue.answered() == std::vector<int>{1, 2, 3, 5, 6});
    CHECK(queue.answered(queue.other) == std::vector<int>{4});
    CHECK(queue.peer->replies[4].kind == FrameKind::answer);
    CHECK(hex(queue.peer->replies[4].read().value) == "06 00");
    CHECK(queue.idle());
}

TEST_CASE("a work's answer has its execution time, and leaves before the slot begins another", "[unit]") {
    Queue queue{1};
    std::vector<std::string> log;
    on_execute = [&](int id, Context&) {
        log.push_back("begin " + std::to_string(id));
        queue.clock.pass(id * 1ms);
    };
    queue.peer->on_reply = [&](std::uint64_t id) { log.push_back("answer " + std::to_string(id)); };
    queue.push({3, 4});
    queue.run();
    CHECK(log == std::vector<std::string>{"begin 3", "answer 3", "begin 4", "answer 4"});
    CHECK(queue.peer->replies[0].read().execution_time == 3ms);
    CHECK(queue.peer->replies[1].read().execution_time == 4ms);
}

TEST_CASE("coroutines hold a slot each but no thread, and at most so many as there are slots run", "[unit]") {
    const bool immediate = GENERATE(false, true);
    Queue queue{3, immediate};
    queue.push(count_to(5), coroutine());
    queue.push({6}, coroutine());
    queue.poll();
    CHECK(queue.begun == count_to(3));
    CHECK(queue.gate.waiting == 3);
    CHECK(queue.answered().empty());
    CHECK_FALSE(queue.idle());
    queue.gate.open();
    queue.poll();
    CHECK(queue.begun == count_to(6));
    CHECK(queue.gate.waiting == 3);
    CHECK(queue.answered().size() == 3);
    queue.gate.open();
    queue.poll();
    auto answered = queue.answered();
    std::sort(answered.begin(), answered.end());
    CHECK(answered == count_to(6));
    CHECK(queue.idle());
}

TEST_CASE("thousands of coroutines wait at once", "[unit]") {
    Queue queue{3000};
    queue.push(count_to(4000), coroutine());
    queue.poll();
    CHECK(queue.gate.waiting == 3000);
    queue.gate.open();
    queue.poll();
    CHECK(queue.gate.waiting == 1000);
    queue.gate.open();
    queue.poll();
    CHECK(queue.answered().size() == 4000);
}

TEST_CASE("thousands of coroutines that wait for nothing follow one another", "[unit]") {
    const bool immediate = GENERATE(false, true);
    Queue queue{2, immediate};
    on_await = [&](int id, Context&) -> asio::awaitable<void> {
        queue.begun.push_back(id);
        co_return;
    };
    queue.push(count_to(20'000), coroutine());
    queue.run();
    CHECK(queue.begun == count_to(20'000));
    CHECK(queue.answered().size() == 20'000);
    CHECK(queue.idle());
}

TEST_CASE("coroutines and plain works take turns for the slots, in order", "[unit]") {
    Queue queue{2};
    queue.push({1}, coroutine());
    queue.push({2, 3}, scripted());
    queue.push({4, 5}, coroutine());
    queue.push({6}, scripted());
    queue.poll();
    CHECK(queue.begun == std::vector<int>{1, 2, 3, 4});
    CHECK(queue.answered() == std::vector<int>{2, 3});
    queue.gate.open();
    queue.poll();
    CHECK(queue.begun == count_to(6));
    queue.gate.open();
    queue.poll();
    CHECK(queue.answered().size() == 6);
}

TEST_CASE("an immediate queue executes inside push", "[unit]") {
    Queue queue{1, true};
    queue.push({1, 2});
    CHECK(queue.answered() == std::vector<int>{1, 2});
    CHECK(queue.idle());
    queue.push({3}, coroutine());
    queue.push({4});
    CHECK(queue.answered() == std::vector<int>{1, 2});  // the slot is the coroutine's
    queue.poll();
    queue.gate.open();
    queue.poll();
    CHECK(queue.answered() == std::vector<int>{1, 2, 3, 4});
}

TEST_CASE("a long turn lets others on the executor have theirs", "[unit]") {
    Queue queue{1};
    std::vector<std::string> log;
    on_execute = [&](int id, Context&) {
        log.push_back(std::to_string(id));
        queue.clock.pass(6ms);
    };
    queue.push({1, 2, 3, 4});
    asio::post(queue.io, [&] { log.push_back("other"); });
    queue.run();
    CHECK(log == std::vector<std::string>{"1", "2", "other", "3", "4"});
}

TEST_CASE("a work that is cancelled before it began never begins, and is answered so", "[unit]") {
    Queue queue{1};
    queue.push({1, 2, 3});
    queue.push({2}, scripted(), queue.other);  // of another peer, with the same id
    queue.queue->cancel(*queue.peer, 2);
    REQUIRE(queue.answered() == std::vector<int>{2});
    CHECK(queue.peer->replies[0].read().error == Errc::cancelled);
    queue.queue->cancel(*queue.peer, 2);  // once only
    queue.queue->cancel(*queue.peer, 99);
    queue.run();
    CHECK(queue.begun == std::vector<int>{1, 3, 2});
    CHECK(queue.answered() == std::vector<int>{2, 1, 3});
    CHECK(queue.answered(queue.other) == std::vector<int>{2});
    CHECK(queue.idle());

    // All of a batch.
    queue.push({4, 5});
    queue.queue->cancel(*queue.peer, 4);
    queue.queue->cancel(*queue.peer, 5);
    queue.run();
    CHECK(queue.begun.size() == 3);
    CHECK(queue.idle());
}

TEST_CASE("a work that runs sees that it is to stop, and is answered by what it returns", "[unit]") {
    Queue queue{2};
    std::vector<std::string> log;
    on_execute = [&](int id, Context& context) {
        // Asked for before, asked for after, and the one that nobody cancelled.
        const auto before = context.stop_token();
        CHECK_FALSE(before.stop_requested());
        bool told = false;
        const std::stop_callback callback{before, [&] { told = true; }};
        if (id == 1) queue.queue->cancel(*queue.peer, 1);
        CHECK(told == (id == 1));
        CHECK(before.stop_requested() == (id == 1));
        CHECK(context.stop_token().stop_requested() == (id == 1));
        log.push_back(std::to_string(id));
    };
    queue.push({1, 2});
    queue.run();
    CHECK(log == std::vector<std::string>{"1", "2"});
    CHECK(queue.answered() == std::vector<int>{1, 2});
    CHECK(queue.peer->replies[0].kind == FrameKind::answer);

    on_execute = [&](int, Context& context) {
        queue.queue->cancel(*queue.peer, 3);
        log.push_back(context.stop_token().stop_requested() ? "stopped" : "not stopped");
    };
    queue.push({3});
    queue.run();
    CHECK(log.back() == "stopped");
}

TEST_CASE("a coroutine that waits sees that it is to stop", "[unit]") {
    Queue queue{2};
    std::vector<std::stop_token> tokens;
    on_await = [&](int, Context& context) -> asio::awaitable<void> {
        tokens.push_back(context.stop_token());
        co_await queue.gate.wait();
    };
    queue.push({1, 2}, coroutine());
    queue.poll();
    REQUIRE(tokens.size() == 2);
    queue.queue->cancel(*queue.peer, 2);
    CHECK_FALSE(tokens[0].stop_requested());
    CHECK(tokens[1].stop_requested());
    queue.gate.open();
    queue.poll();
    CHECK(queue.answered().size() == 2);
    // Over: there is nothing to cancel.
    queue.queue->cancel(*queue.peer, 1);
    CHECK_FALSE(tokens[0].stop_requested());
}

TEST_CASE("the works of a peer that left are dropped, those that run are asked to stop", "[unit]") {
    Queue queue{2};
    std::vector<std::stop_token> tokens;
    on_await = [&](int id, Context& context) -> asio::awaitable<void> {
        queue.begun.push_back(id);
        tokens.push_back(context.stop_token());
        co_await queue.gate.wait();
    };
    queue.push({1}, coroutine());
    queue.push({2}, coroutine(), queue.other);
    queue.push({3, 4});
    queue.push({5}, scripted(), queue.other);
    queue.poll();
    queue.queue->forget(*queue.peer);
    REQUIRE(tokens.size() == 2);
    CHECK(tokens[0].stop_requested());
    CHECK_FALSE(tokens[1].stop_requested());
    queue.gate.open();
    queue.poll();
    CHECK(queue.begun == std::vector<int>{1, 2, 5});
    CHECK(queue.answered(queue.other).size() == 2);
    CHECK(queue.idle());
}

TEST_CASE("a queue that was stopped begins nothing more, and asks what runs to stop", "[unit]") {
    Queue queue{1};
    std::stop_token token;
    on_await = [&](int, Context& context) -> asio::awaitable<void> {
        token = context.stop_token();
        co_await queue.gate.wait();
    };
    queue.push({1}, coroutine());
    queue.push({2});
    queue.poll();
    queue.queue->stop();
    CHECK(token.stop_requested());
    queue.push({3});
    CHECK(queue.idle());  // what still runs is nobody's to wait for
    queue.gate.open();
    queue.poll();
    CHECK(queue.begun.empty());
    CHECK(queue.answered() == std::vector<int>{1});
}

TEST_CASE("who waits for a queue that is stopped is told so", "[unit]") {
    Queue queue{1};
    on_await = [&](int, Context&) -> asio::awaitable<void> { co_await queue.gate.wait(); };
    queue.push({1}, coroutine());
    queue.poll();
    bool idle = false;
    queue.queue->when_idle([&] { idle = true; });
    CHECK_FALSE(idle);
    queue.queue->stop();
    CHECK(idle);
    queue.gate.open();
    queue.poll();
}

TEST_CASE("works of a peer that does not read its answers wait, and others' pass them", "[unit]") {
    const bool immediate = GENERATE(false, true);
    Queue queue{2, immediate};
    queue.peer->on_reply = [&](std::uint64_t id) { queue.peer->takes = id != 2; };
    queue.push({1, 2, 3, 4});
    queue.poll();
    CHECK(queue.answered().size() == 2);
    CHECK(queue.queue->state().queued == 2);
    CHECK_FALSE(queue.idle());
    queue.push({5}, scripted(), queue.other);
    queue.push({6});
    queue.poll();
    CHECK(queue.answered(queue.other) == std::vector<int>{5});
    CHECK(queue.answered() == std::vector<int>{1, 2});
    int told = 0;
    queue.queue->when_idle([&] { ++told; });
    queue.poll();
    CHECK(told == 0);
    queue.queue->cancel(*queue.peer, 4);
    CHECK(queue.answered() == std::vector<int>{1, 2, 4});

    const bool leaves = GENERATE(false, true);
    if (leaves) {
        queue.queue->forget(*queue.peer);
    } else {
        queue.peer->takes = true;
        queue.queue->resume();
        queue.poll();
        CHECK(queue.answered() == std::vector<int>{1, 2, 4, 3, 6});
    }
    CHECK(told == 1);
    CHECK(queue.idle());
}

TEST_CASE("a queue tells how many works run, and how many wait", "[unit]") {
    Queue queue{2};
    CHECK(queue.queue->state() == SlaveState{});
    queue.push({1, 2, 3}, coroutine());
    queue.push({4}, coroutine());
    CHECK(queue.queue->state().queued == 4);
    queue.poll();
    CHECK(queue.queue->state().running == 2);
    CHECK(queue.queue->state().queued == 2);
    queue.gate.open();
    queue.poll();
    CHECK(queue.queue->state().running == 2);
    CHECK(queue.queue->state().queued == 0);
    queue.gate.open();
    queue.poll();
    CHECK(queue.queue->state() == SlaveState{});
}

TEST_CASE("who waits for a queue to be idle is told once nothing waits and nothing runs", "[unit]") {
    Queue queue{2};
    CHECK(queue.idle());
    int told = 0;
    std::size_t answered = 0;
    queue.push(count_to(5));
    queue.queue->when_idle([&] { ++told, answered = queue.answered().size(); });
    CHECK(told == 0);
    queue.run();
    CHECK(told == 1);
    CHECK(answered == 5);
    queue.push({6});
    queue.run();
    CHECK(told == 1);
}

TEST_CASE("a work whose answer finds no memory ends its session, and leaves its slot to the next", "[unit]") {
    const bool immediate = GENERATE(false, true);
    const WorkType& type = GENERATE(false, true) ? coroutine() : scripted();
    Queue queue{1, immediate};
    on_await = [&queue](int id, Context&) -> asio::awaitable<void> {
        queue.begun.push_back(id);
        co_return;
    };
    queue.peer->on_reply = [](std::uint64_t id) {
        if (id == 2) throw std::bad_alloc{};
    };
    queue.push({1, 2, 3}, type);
    queue.run();
    CHECK(queue.begun == count_to(3));
    CHECK(queue.peer->failed == 1);
    CHECK(queue.queue->state().running == 0);
    CHECK(queue.idle());
}

TEST_CASE("what a work throws is answered by its type and text", "[unit]") {
    Queue queue{1};
    const bool waits = GENERATE(false, true);
    const auto throw_it = [](int id) {
        if (id == 1) throw std::out_of_range{"index 7"};
        if (id == 2) throw 7;
        if (id == 3) throw Error{Errc::no_slave, "of its own"};
    };
    on_execute = [&](int id, Context&) { throw_it(id); };
    on_await = [&](int id, Context&) -> asio::awaitable<void> {
        throw_it(id);
        co_return;
    };
    queue.push({1, 2, 3, 4}, waits ? coroutine() : scripted());
    queue.run();
    REQUIRE(queue.answered() == count_to(4));
    for (int i = 0; i < 3; ++i) {
        CHECK(queue.peer->replies[static_cast<std::size_t>(i)].kind == FrameKind::error);
        CHECK(queue.peer->replies[static_cast<std::size_t>(i)].read().error == Errc::work_failed);
    }
    CHECK(queue.peer->replies[0].read().exception_type == "std::out_of_range");
    CHECK(queue.peer->replies[0].read().text == "index 7");
    CHECK(queue.peer->replies[1].read().exception_type == "int");
    CHECK(queue.peer->replies[2].read().exception_type == "distwork::Error");
    CHECK(queue.peer->replies[3].kind == FrameKind::answer);
}

TEST_CASE("a body that does not decode fails its own work", "[unit]") {
    Queue queue{1};
    const bool waits = GENERATE(false, true);
    const WorkType& type = waits ? coroutine() : scripted();
    on_await = [](int, Context&) -> asio::awaitable<void> { co_return; };
    const std::byte id{2};
    queue.queue->push(
        WorkBatch::copy(queue.peer, std::vector<WorkBatch::Item>{{.id = 1, .type = &type, .body = {}},
                                                                 {.id = 2, .type = &type, .body = {&id, 1}}}));
    queue.run();
    REQUIRE(queue.answered() == count_to(2));
    const Reply reply = queue.peer->replies[0].read();
    CHECK(reply.error == Errc::malformed);
    CHECK(reply.exception_type.empty());
    CHECK(reply.text.starts_with(type.name + ": "));
    CHECK(queue.peer->replies[1].kind == FrameKind::answer);
}

TEST_CASE("registered works are decoded, executed and answered", "[unit]") {
    Queue queue{1};
    ByteBuffer body;
    work_type<calls::Add>().encode(calls::Add{20, 22}, body, {});
    const auto own = [&](std::size_t size) {
        auto bytes = make_large_bytes(size + 1);
        std::copy_n(body.data(), std::min(size, body.size()), bytes.get());
        return bytes;
    };
    const auto push = [&](std::uint64_t id, const WorkType& type, std::size_t size) {
        auto bytes = own(size);
        const std::span<const std::byte> view{bytes.get(), size};
        queue.queue->push(WorkBatch::single(queue.peer, {.id = id, .type = &type, .body = view}, std::move(bytes)));
    };
    push(1, work_type<calls::Add>(), body.size());
    push(2, work_type<calls::Add>(), body.size() - 1);
    push(3, work_type<calls::Add>(), body.size() + 1);
    push(4, work_type<calls::Fails>(), 0);
    push(5, work_type<calls::Silent>(), 0);
    queue.run();
    REQUIRE(queue.peer->replies.size() == 5);
    CHECK(hex(queue.peer->replies[0].read().value) == "2a 00 00 00");
    CHECK(queue.peer->replies[1].read().error == Errc::malformed);
    CHECK(queue.peer->replies[2].read().error == Errc::malformed);
    CHECK(queue.peer->replies[3].read().error == Errc::work_failed);
    CHECK(queue.peer->replies[3].read().exception_type == "std::out_of_range");
    CHECK(queue.peer->replies[4].kind == FrameKind::answer);
    CHECK(queue.peer->replies[4].read().value.empty());
}

// Timeouts

namespace {

/// What a coroutine of these tests does: it waits for the gate, whatever is asked of it.
void note_tokens(Queue& queue, std::vector<std::stop_token>& tokens) {
    on_await = [&queue, &tokens](int id, Context& context) -> asio::awaitable<void> {
        queue.begun.push_back(id);
        tokens.push_back(context.stop_token());
        co_await queue.gate.wait();
    };
}

}  // namespace

TEST_CASE("a work whose time is over is answered at once and asked to stop, and keeps its slot until it returns",
          "[unit]") {
    const bool immediate = GENERATE(false, true);
    Queue queue{1, immediate};
    std::vector<std::stop_token> tokens;
    note_tokens(queue, tokens);
    queue.push({1}, coroutine(), nullptr, 50ms);
    queue.push({2}, coroutine());
    queue.poll();
    REQUIRE(tokens.size() == 1);
    queue.clock.pass(49ms);
    queue.poll();
    CHECK(queue.peer->replies.empty());
    CHECK_FALSE(tokens[0].stop_requested());

    bool stopped_before_answer = false;
    queue.peer->on_reply = [&](std::uint64_t) { stopped_before_answer |= tokens[0].stop_requested(); };
    queue.clock.pass(1ms);
    queue.poll();
    REQUIRE(queue.answered() == std::vector<int>{1});
    const Reply reply = queue.peer->replies[0].read();
    CHECK(reply.error == Errc::execution_timeout);
    CHECK(reply.execution_time == 50ms);
    CHECK(reply.text == "after 50 ms");
    CHECK(queue.peer->replies[0].flags == flag_goes_on);
    CHECK_FALSE(stopped_before_answer);
    CHECK(tokens[0].stop_requested());
    CHECK(queue.begun == std::vector<int>{1});
    CHECK_FALSE(queue.queue->is_idle());

    // What it returns is dropped; that it did is told.
    queue.clock.pass(10ms);
    queue.gate.open();
    queue.poll();
    CHECK(queue.begun == std::vector<int>{1, 2});
    REQUIRE(queue.answered() == std::vector<int>{1, 1});
    CHECK(queue.peer->replies[1].flags == 0);
    CHECK(queue.peer->replies[1].read().error == Errc::execution_timeout);
    CHECK(queue.peer->replies[1].read().execution_time == 60ms);
    queue.gate.open();
    queue.poll();
    CHECK(queue.answered() == std::vector<int>{1, 1, 2});
    CHECK(queue.peer->replies[2].kind == FrameKind::answer);
    CHECK(queue.idle());
}

TEST_CASE("a work that returns in time is answered as ever, and nobody waits for its time any more", "[unit]") {
    Queue queue{2};
    std::vector<std::stop_token> tokens;
    note_tokens(queue, tokens);
    queue.push({1, 2}, coroutine(), nullptr, 50ms);
    queue.poll();
    CHECK(queue.clock.waiting() == 1);  // one timer for all
    queue.clock.pass(49ms);
    queue.gate.open();
    queue.poll();
    CHECK(queue.answered() == std::vector<int>{1, 2});
    CHECK(queue.peer->replies[0].kind == FrameKind::answer);
    CHECK(queue.idle());
    CHECK(queue.clock.waiting() == 0);
    queue.clock.pass(1h);
    queue.run();  // returns: nothing keeps the context
    CHECK(queue.peer->replies.size() == 2);
    CHECK_FALSE(tokens[0].stop_requested());
}

TEST_CASE("each work has its own time, by the clock of its own beginning", "[unit]") {
    Queue queue{3};
    std::vector<std::stop_token> tokens;
    note_tokens(queue, tokens);
    queue.push({1}, coroutine(), nullptr, 100ms);
    queue.push({2}, coroutine(), nullptr, 30ms);
    queue.poll();
    queue.clock.pass(20ms);
    queue.push({3}, coroutine(), queue.other, 30ms);
    queue.push({4}, coroutine(), nullptr, 1ms);  // waits: its time does not run yet
    queue.poll();
    queue.clock.pass(10ms);
    queue.poll();
    CHECK(queue.answered() == std::vector<int>{2});
    queue.clock.pass(19ms);
    queue.poll();
    CHECK(queue.answered(queue.other).empty());
    queue.clock.pass(1ms);
    queue.poll();
    CHECK(queue.answered(queue.other) == std::vector<int>{3});
    queue.clock.pass(50ms);
    queue.poll();
    CHECK(queue.answered() == std::vector<int>{2, 1});
    CHECK(queue.begun == count_to(3));
    queue.gate.open();
    queue.poll();
    queue.gate.open();
    queue.poll();
    auto answered = queue.answered();
    REQUIRE(answered.size() == 5);
    CHECK(answered.back() == 4);
    CHECK(queue.peer->replies.back().kind == FrameKind::answer);
    std::sort(answered.begin(), answered.end());
    CHECK(answered == std::vector<int>{1, 1, 2, 2, 4});  // those that were late said when they returned
    CHECK(queue.answered(queue.other) == std::vector<int>{3, 3});
    CHECK(queue.idle());
}

TEST_CASE("a work that returns late before anybody noticed is answered as late, by the time that was measured",
          "[unit]") {
    const bool immediate = GENERATE(false, true);
    Queue queue{1, immediate};
    on_execute = [&](int id, Context&) {
        queue.clock.pass(id * 10ms);
        if (id == 9) throw std::out_of_range{"also late"};
    };
    queue.push({4, 5, 9, 3}, scripted(), nullptr, 50ms);
    queue.push({8});
    queue.run();
    REQUIRE(queue.answered() == std::vector<int>{4, 5, 9, 3, 8});
    CHECK(queue.peer->replies[0].kind == FrameKind::answer);
    CHECK(queue.peer->replies[1].read().error == Errc::execution_timeout);
    CHECK(queue.peer->replies[1].flags == 0);  // it is the only answer
    CHECK(queue.peer->replies[2].read().error == Errc::execution_timeout);
    CHECK(queue.peer->replies[2].read().execution_time == 90ms);
    CHECK(queue.peer->replies[3].kind == FrameKind::answer);
    CHECK(queue.peer->replies[4].kind == FrameKind::answer);
    CHECK(queue.clock.waiting() == 0);
}

TEST_CASE("a queue that was stopped, or is gone, waits for no work's time", "[unit]") {
    Queue queue{1};
    std::vector<std::stop_token> tokens;
    note_tokens(queue, tokens);
    queue.push({1}, coroutine(), nullptr, 50ms);
    queue.poll();
    const bool by_stop = GENERATE(true, false);
    if (by_stop) {
        queue.queue->stop();
        queue.poll();
        CHECK(queue.clock.waiting() == 0);
        CHECK(tokens[0].stop_requested());
    }
    queue.queue.reset();
    queue.gate.open();
    queue.clock.pass(1h);
    queue.run();
    CHECK(queue.clock.waiting() == 0);
    CHECK(queue.peer->replies.size() == 1);
}

TEST_CASE("an exception that is not to be retried is answered so", "[unit]") {
    struct Hopeless : std::range_error, NoRetry {
        using std::range_error::range_error;
    };
    Queue queue{1};
    on_execute = [](int id, Context&) {
        if (id == 1) throw Hopeless{"never"};
        if (id == 2) throw FinalError{"for good"};
        throw NoRetry{};
    };
    queue.push({1, 2, 3});
    queue.run();
    REQUIRE(queue.answered() == count_to(3));
    for (const auto& reply : queue.peer->replies) CHECK(reply.read().error == Errc::failed_for_good);
    CHECK(queue.peer->replies[0].read().text == "never");
    CHECK(queue.peer->replies[1].read().exception_type == "distwork::FinalError");
    CHECK(queue.peer->replies[2].read().exception_type == "distwork::NoRetry");

    // Its caller sees a work that failed.
    const auto error = to_exception(queue.peer->replies[1].read(), *plain(), "somewhere");
    CHECK(code_of(error) == Errc::work_failed);
    CHECK_THROWS_AS(std::rethrow_exception(error), RemoteError);
}

TEST_CASE("bodies of a batch outlive the buffer that they were read into", "[unit]") {
    std::vector<std::byte> buffer(300, std::byte{1});
    const std::vector<WorkBatch::Item> items{{.id = 1, .body = std::span{buffer}.first(100)},
                                             {.id = 2, .body = {}},
                                             {.id = 3, .body = std::span{buffer}.last(200)}};
    const auto batch = WorkBatch::copy(std::make_shared<FakePeer>(), items);
    std::fill(buffer.begin(), buffer.end(), std::byte{9});
    REQUIRE(batch->items.size() == 3);
    CHECK(batch->items[0].body.size() == 100);
    CHECK(batch->items[1].body.empty());
    CHECK(batch->items[2].body.size() == 200);
    for (const auto& item : batch->items)
        CHECK(std::all_of(item.body.begin(), item.body.end(), [](std::byte byte) { return byte == std::byte{1}; }));
}
