#include "distwork/link/multiplexer.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "distwork/wire/frame_reader.hpp"
#include "support/calls.hpp"
#include "support/catch.hpp"
#include "support/hex.hpp"
#include "support/type_table.hpp"

namespace multiplexer_test {

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;
using namespace support;

namespace {

/// The frames that wait to leave; `taken` is what a writer would have in its hands.
struct Leaving {
    explicit Leaving(std::size_t max_bytes = 1 << 20, std::size_t window = 1000) : multiplexer{max_bytes} {
        open(window);
    }

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
    CHECK_FALSE(leaving.multiplexer.cancel(*call));  // the peer was told
    CHECK(leaving.write().empty());
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
    for (int i = 0; i < 4; ++i)
        calls.push_back(plain()), leaving.multiplexer.send(plain()), leaving.multiplexer.awaiting();
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

}  // namespace multiplexer_test
