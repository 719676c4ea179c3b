// What is on the wire: frames, how they are parsed and written, and the bodies that are no works.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <limits>
#include <memory>
#include <new>
#include <numeric>
#include <random>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "distwork/wire/frame.hpp"
#include "distwork/wire/frame_reader.hpp"
#include "distwork/wire/handshake.hpp"
#include "distwork/types/peer_types.hpp"
#include "distwork/wire/outbox.hpp"
#include "distwork/wire/reply.hpp"
#include "distwork/wire/slave_state_body.hpp"
#include "distwork/transport.hpp"
#include "distwork/calls/typed_call.hpp"
#include "support/catch.hpp"
#include "support/hex.hpp"
#include "support/type_table.hpp"

using namespace distwork;
using namespace distwork::detail;

namespace {

std::vector<std::byte> bytes_of(std::string_view text) {
    std::vector<std::byte> bytes(text.size());
    std::transform(text.begin(), text.end(), bytes.begin(), [](char c) { return static_cast<std::byte>(c); });
    return bytes;
}

/// Bytes that are different at each place, and in each body.
std::vector<std::byte> body_of(std::size_t size, std::uint64_t seed) {
    std::vector<std::byte> body(size);
    for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<std::byte>((i * 131 + seed * 29 + (i >> 8)) & 0xff);
    return body;
}

bool equal(std::span<const std::byte> a, std::span<const std::byte> b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

/// A stream of work frames with bodies of these sizes, and what shall come out of it.
struct Stream {
    std::vector<std::byte> bytes;
    std::vector<FrameHeader> headers;
    std::vector<std::vector<std::byte>> bodies;

    explicit Stream(const std::vector<std::size_t>& sizes) {
        for (const std::size_t size : sizes) {
            const auto number = static_cast<std::uint16_t>(headers.size());
            headers.push_back({.length = static_cast<std::uint32_t>(size),
                               .kind = FrameKind::work,
                               .type = number,
                               .id = 1000u + number});
            bodies.push_back(body_of(size, number));
            std::array<std::byte, frame_header_bytes> head{};
            write_header(head.data(), headers.back());
            bytes.insert(bytes.end(), head.begin(), head.end());
            bytes.insert(bytes.end(), bodies.back().begin(), bodies.back().end());
        }
    }
};

/// Feeds a reader, and compares what comes out with what was put in.
class Feed {
public:
    explicit Feed(const Stream& stream, std::size_t max_body_bytes = 64 * 1024 * 1024)
        : stream_{stream}, reader_{max_body_bytes} {}

    /// The next `count` bytes of the stream, in one read where there is room for them.
    void read(std::size_t count) {
        while (count != 0) {
            const auto space = reader_.prepare();
            if (space.empty()) {
                good_ = false;
                return;
            }
            most_space_ = std::max(most_space_, space.size());
            const std::size_t part = std::min(count, space.size());
            std::memcpy(space.data(), stream_.bytes.data() + at_, part);
            at_ += part;
            count -= part;
            if (reader_.commit(part, [this](Frame&& frame) { return take(frame); })) good_ = false;
        }
    }

    void read_rest() { read(stream_.bytes.size() - at_); }

    std::size_t left() const { return stream_.bytes.size() - at_; }
    std::size_t frames() const { return frames_; }
    std::size_t most_space() const { return most_space_; }

    /// Every frame of the stream came out, once, in order and with its bytes.
    bool whole() const { return good_ && frames_ == stream_.headers.size(); }

private:
    bool take(const Frame& frame) {
        if (frames_ == stream_.headers.size() || frame.header != stream_.headers[frames_] ||
            !equal(frame.body, stream_.bodies[frames_]) || (frame.own && frame.own.get() != frame.body.data()))
            good_ = false;
        ++frames_;
        return true;
    }

    const Stream& stream_;
    FrameReader reader_;
    std::size_t at_ = 0;
    std::size_t frames_ = 0;
    std::size_t most_space_ = 0;
    bool good_ = true;
};

void feed(FrameReader& reader, std::span<const std::byte> bytes) {
    const auto space = reader.prepare();
    REQUIRE(space.size() >= bytes.size());
    std::memcpy(space.data(), bytes.data(), bytes.size());
}

WorkType type_named(std::string name, std::uint16_t number, std::uint64_t (*fingerprint)()) {
    WorkType type;
    type.registry = &distwork::detail::Registry::instance();
    type.name = std::move(name);
    type.number = number;
    type.fingerprint = fingerprint;
    return type;
}

std::uint64_t seven() {
    return 7;
}
std::uint64_t eight() {
    return 8;
}

}  // namespace

// Frames

TEST_CASE("a frame's header is these sixteen bytes", "[unit]") {
    std::array<std::byte, frame_header_bytes> bytes{};
    const FrameHeader header{
        .length = 0x04030201, .kind = FrameKind::work, .flags = 0xf0, .type = 0x0605, .id = 0x0e0d0c0b0a090807};
    write_header(bytes.data(), header);
    CHECK(hex(bytes) == "01 02 03 04 05 f0 05 06 07 08 09 0a 0b 0c 0d 0e");
    CHECK(read_header(bytes.data()) == header);
}

TEST_CASE("any sixteen bytes are a header, and come back", "[unit]") {
    std::mt19937_64 random{1};
    for (int i = 0; i < 1000; ++i) {
        std::array<std::byte, frame_header_bytes> bytes{};
        for (auto& byte : bytes) byte = static_cast<std::byte>(random() & 0xff);
        std::array<std::byte, frame_header_bytes> again{};
        write_header(again.data(), read_header(bytes.data()));
        REQUIRE(hex(again) == hex(bytes));
    }
}

TEST_CASE("a flag means something in error frames, and in work frames that are long enough for it", "[unit]") {
    for (unsigned kind = 0; kind < 256; ++kind) {
        for (unsigned flags = 0; flags < 256; ++flags) {
            FrameHeader header{.length = 12,
                               .kind = static_cast<FrameKind>(kind),
                               .flags = static_cast<std::uint8_t>(flags),
                               .type = 0,
                               .id = 0};
            CAPTURE(kind, flags);
            // Of errors and credit one, of works two, of which each wants bytes.
            const bool always = flags == 0 || (flags == 1 && (kind == 7 || kind == 11));
            const auto work = [&](unsigned most) { return always || (kind == 5 && flags <= most); };
            REQUIRE(has_known_flags(header) == work(3));
            header.length = 11;
            REQUIRE(has_known_flags(header) == work(2));
            header.length = 7;
            REQUIRE(has_known_flags(header) == work(1));
            header.length = 3;
            REQUIRE(has_known_flags(header) == always);
        }
    }
}

TEST_CASE("the numbers of the kinds of frames are the wire's", "[unit]") {
    const std::pair<FrameKind, int> kinds[] = {
        {FrameKind::hello, 1},  {FrameKind::welcome, 2},   {FrameKind::refuse, 3},  {FrameKind::types, 4},
        {FrameKind::work, 5},   {FrameKind::answer, 6},    {FrameKind::error, 7},   {FrameKind::cancel, 8},
        {FrameKind::recall, 9}, {FrameKind::returned, 10}, {FrameKind::credit, 11}, {FrameKind::progress, 12},
        {FrameKind::ping, 13},  {FrameKind::pong, 14},     {FrameKind::drain, 15},  {FrameKind::bye, 16}};
    for (const auto& [kind, number] : kinds) CHECK(static_cast<int>(kind) == number);
}

TEST_CASE("the numbers of the errors are the wire's", "[unit]") {
    const std::pair<Errc, int> errors[] = {{Errc::work_failed, 1},
                                           {Errc::cancelled, 2},
                                           {Errc::lost, 3},
                                           {Errc::backlog_full, 4},
                                           {Errc::too_many_waiting, 5},
                                           {Errc::no_slave, 6},
                                           {Errc::stopped, 7},
                                           {Errc::queue_timeout, 8},
                                           {Errc::execution_timeout, 9},
                                           {Errc::deadline, 10},
                                           {Errc::failed_for_good, 11},
                                           {Errc::malformed, 16},
                                           {Errc::too_large, 17},
                                           {Errc::unknown_type, 18},
                                           {Errc::shape_differs, 19},
                                           {Errc::not_accepted, 20},
                                           {Errc::null_work, 21},
                                           {Errc::shared_pointer, 22},
                                           {Errc::foreign_type, 23},
                                           {Errc::too_many_suspended, 24},
                                           {Errc::connection_closed, 32},
                                           {Errc::peer_silent, 33},
                                           {Errc::protocol_violation, 34},
                                           {Errc::version_mismatch, 35},
                                           {Errc::not_distwork, 36},
                                           {Errc::wrong_role, 37},
                                           {Errc::handshake_timeout, 38},
                                           {Errc::too_many_slaves, 39},
                                           {Errc::frame_too_large, 40},
                                           {Errc::outbox_full, 41},
                                           {Errc::draining, 42},
                                           {Errc::session_failed, 43},
                                           {Errc::peer_stalled, 44},
                                           {Errc::address_in_use, 64},
                                           {Errc::bad_address, 65},
                                           {Errc::needs_credentials, 66},
                                           {Errc::zero_slots, 67},
                                           {Errc::duplicate_type, 68},
                                           {Errc::unregistered_type, 69},
                                           {Errc::bad_option, 70},
                                           {Errc::already_running, 71}};
    std::set<std::string> texts;
    for (const auto& [error, number] : errors) {
        CHECK(static_cast<int>(error) == number);
        const std::error_code code = error;
        CHECK(code.value() == number);
        CHECK(code.category() == error_category());
        texts.insert(code.message());
        CHECK(code.message().find("unknown distwork error") == std::string::npos);
    }
    CHECK(texts.size() == std::size(errors));
    CHECK(make_error_code(static_cast<Errc>(9999)).message() == "unknown distwork error 9999");
}

// FrameReader

TEST_CASE("frames come out of a stream that is cut at any one place", "[unit]") {
    const Stream small{{0, 1, 15, 16, 17, 0, 0, 100, 3}};
    for (std::size_t cut = 0; cut <= small.bytes.size(); ++cut) {
        Feed feed{small};
        feed.read(cut);
        feed.read_rest();
        CAPTURE(cut);
        REQUIRE(feed.whole());
    }
    const Stream beyond_the_first_buffer{{10, 5000, 0, 3000, 4096 - 16, 4096, 1}};
    for (std::size_t cut = 0; cut <= beyond_the_first_buffer.bytes.size(); cut += 3) {
        Feed feed{beyond_the_first_buffer};
        feed.read(cut);
        feed.read_rest();
        CAPTURE(cut);
        REQUIRE(feed.whole());
    }
}

TEST_CASE("frames come out of a stream that comes byte by byte", "[unit]") {
    const Stream stream{{0, 1, 70'000, 15, 4096, 0, 5000, 100, large_body_bytes, 2}};
    Feed feed{stream};
    while (feed.left() != 0) feed.read(1);
    CHECK(feed.whole());
}

TEST_CASE("frames come out of a stream in reads of any one size", "[unit]") {
    const Stream stream{{40, 0, 200, 1, 1, 1, 900, 17, 3000, 8000, 64}};
    for (std::size_t size = 1; size < 700; ++size) {
        Feed feed{stream};
        while (feed.left() != 0) feed.read(std::min(size, feed.left()));
        CAPTURE(size);
        REQUIRE(feed.whole());
    }
}

TEST_CASE("frames come out of a stream that is cut at random", "[unit]") {
    for (unsigned seed = 0; seed < 60; ++seed) {
        std::mt19937 random{seed};
        std::vector<std::size_t> sizes;
        for (int i = 0; i < 40; ++i) {
            // Small ones, bodies about the limit of what is large, and some large ones.
            const auto kind = random() % 20;
            sizes.push_back(kind < 14   ? random() % 300
                            : kind < 17 ? random() % 10'000
                            : kind < 19 ? large_body_bytes - 3 + random() % 6
                                        : random() % 400'000);
        }
        const Stream stream{sizes};
        Feed feed{stream};
        const std::size_t most = std::size_t{1} << (1 + random() % 19);
        while (feed.left() != 0) feed.read(std::min<std::size_t>(1 + random() % most, feed.left()));
        CAPTURE(seed);
        REQUIRE(feed.whole());
        CHECK(feed.most_space() <= 1024 * 1024 + 4096);
    }
}

TEST_CASE("bodies about the bounds of the reader's buffers come out whole", "[unit]") {
    constexpr std::size_t mebibyte = 1024 * 1024;
    for (const std::size_t size : {large_body_bytes - 17, large_body_bytes - 16, large_body_bytes - 1, large_body_bytes,
                                   large_body_bytes + 1, mebibyte - 1, mebibyte, mebibyte + 4095, mebibyte + 4096,
                                   mebibyte + 4097, 2 * mebibyte + 8192, 2 * mebibyte + 8193, 3 * mebibyte}) {
        const Stream stream{{5, size, 7, size, 0}};
        for (const std::size_t read : {std::size_t{4095}, std::size_t{65'536}, std::size_t{1'000'003}}) {
            Feed feed{stream};
            while (feed.left() != 0) feed.read(std::min(read, feed.left()));
            CAPTURE(size, read);
            REQUIRE(feed.whole());
        }
    }
}

TEST_CASE("a large body that was begun comes in a buffer of its own, which outlives the reader", "[unit]") {
    const Stream stream{{200'000}};
    distwork::detail::LargeBytes own;
    {
        FrameReader reader{1024 * 1024};
        std::size_t at = 0;
        while (at != stream.bytes.size()) {
            const auto space = reader.prepare();
            const std::size_t part = std::min(space.size(), stream.bytes.size() - at);
            std::memcpy(space.data(), stream.bytes.data() + at, part);
            at += part;
            REQUIRE_FALSE(reader.commit(part, [&](Frame&& frame) {
                own = std::move(frame.own);
                return true;
            }));
        }
    }
    REQUIRE(own);
    CHECK(equal({own.get(), 200'000}, stream.bodies[0]));
}

TEST_CASE("the frames of one read are valid together, until the next is prepared", "[unit]") {
    // Behind them comes the beginning of another, small or large.
    for (const std::size_t last : {std::size_t{500}, std::size_t{100'000}}) {
        const Stream stream{{10, 0, 170, 33, 1, 90, last}};
        FrameReader reader{1024 * 1024};
        const std::size_t count = stream.bytes.size() - last + 100;
        feed(reader, std::span{stream.bytes}.first(count));
        std::vector<Frame> frames;
        REQUIRE_FALSE(reader.commit(count, [&](Frame&& frame) { return frames.push_back(std::move(frame)), true; }));
        REQUIRE(frames.size() == 6);
        for (std::size_t i = 0; i < frames.size(); ++i) CHECK(equal(frames[i].body, stream.bodies[i]));
    }
}

TEST_CASE("a header alone makes nobody allocate what it announces", "[unit]") {
    constexpr std::size_t mebibyte = 1024 * 1024;
    const std::size_t announced = 60 * mebibyte;
    FrameReader reader{64 * mebibyte};
    std::array<std::byte, frame_header_bytes> head{};
    write_header(head.data(), {.length = static_cast<std::uint32_t>(announced), .kind = FrameKind::work});
    feed(reader, head);
    bool any = false;
    REQUIRE_FALSE(reader.commit(head.size(), [&](Frame&&) { return any = true; }));
    REQUIRE_FALSE(any);

    // What is there for the next read is never more than 1 MiB or what has arrived.
    std::size_t arrived = 0;
    while (arrived < announced) {
        const auto space = reader.prepare();
        REQUIRE_FALSE(space.empty());
        REQUIRE(space.size() <= std::max(mebibyte + 4096, arrived));
        REQUIRE(space.size() <= announced - arrived);
        arrived += space.size();
        bool whole = false;
        REQUIRE_FALSE(
            reader.commit(space.size(), [&](Frame&& frame) { return whole = frame.body.size() == announced; }));
        REQUIRE(whole == (arrived == announced));
    }
}

TEST_CASE("the reader's buffer follows the traffic up and down", "[unit]") {
    const Stream much{std::vector<std::size_t>(20'000, 100)};
    FrameReader reader{1024 * 1024};
    const auto any = [](Frame&&) { return true; };
    CHECK(reader.prepare().size() == 1024);

    std::vector<std::size_t> sizes;
    std::size_t at = 0;
    while (at != much.bytes.size()) {
        const auto space = reader.prepare();
        sizes.push_back(space.size());
        const std::size_t part = std::min(space.size(), much.bytes.size() - at);
        std::memcpy(space.data(), much.bytes.data() + at, part);
        at += part;
        REQUIRE_FALSE(reader.commit(part, any));
    }
    CHECK(*std::max_element(sizes.begin(), sizes.end()) > 255 * 1024);
    CHECK(*std::max_element(sizes.begin(), sizes.end()) <= 256 * 1024);
    CHECK(sizes.size() < 20);

    // A busy link keeps it; a calm one gives it back.
    const Stream one{{100}};
    for (int i = 0; i < 8; ++i) {
        feed(reader, one.bytes);
        REQUIRE_FALSE(reader.commit(one.bytes.size(), any));
    }
    CHECK(reader.prepare().size() > 128 * 1024);
    for (int i = 0; i < 32; ++i) {
        feed(reader, one.bytes);
        REQUIRE_FALSE(reader.commit(one.bytes.size(), any));
    }
    CHECK(reader.prepare().size() == 1024);
}

TEST_CASE("a frame that is under way when the buffer shrinks is not cut", "[unit]") {
    // Fills the buffer until it is large; then a frame comes in pieces so small that the buffer would shrink.
    for (const std::size_t size : {std::size_t{3000}, std::size_t{4080}, std::size_t{4081}, std::size_t{40'000}}) {
        std::vector<std::size_t> sizes(20'000, 100);
        sizes.push_back(size);
        const Stream stream{sizes};
        Feed feed{stream};
        feed.read(stream.bytes.size() - size - frame_header_bytes);
        while (feed.left() != 0) feed.read(std::min<std::size_t>(150, feed.left()));
        CAPTURE(size);
        CHECK(feed.whole());
    }
}

TEST_CASE("a frame that is too large ends the stream, after the frames before it", "[unit]") {
    Stream stream{{10, 100, 101, 5}};
    FrameReader reader{100};
    feed(reader, stream.bytes);
    std::size_t frames = 0;
    const auto count = [&](Frame&&) { return ++frames, true; };
    CHECK(reader.commit(stream.bytes.size(), count) == Errc::frame_too_large);
    CHECK(frames == 2);

    SECTION("its header is enough") {
        FrameReader other{100};
        std::array<std::byte, frame_header_bytes> head{};
        write_header(head.data(), {.length = 0xffff'ffff, .kind = FrameKind::hello});
        feed(other, std::span{head}.first(15));
        REQUIRE_FALSE(other.commit(15, count));
        feed(other, std::span{head}.last(1));
        CHECK(other.commit(1, count) == Errc::frame_too_large);
        CHECK(frames == 2);
    }
    SECTION("the bound may change from one frame to the next") {
        FrameReader other{10};
        feed(other, stream.bytes);
        CHECK_FALSE(other.commit(stream.bytes.size(), [&](Frame&& frame) {
            if (frame.header.length == 10) other.max_body_bytes(101);
            return ++frames, true;
        }));
        CHECK(frames == 2 + 4);
    }
}

TEST_CASE("who stops at a frame gets none of those that follow", "[unit]") {
    const Stream stream{{10, 20, 30, 40}};
    FrameReader reader{1000};
    feed(reader, stream.bytes);
    std::vector<std::uint32_t> lengths;
    CHECK_FALSE(reader.commit(stream.bytes.size(), [&](Frame&& frame) {
        lengths.push_back(frame.header.length);
        return lengths.size() != 2;
    }));
    CHECK(lengths == std::vector<std::uint32_t>{10, 20});

    // They are left as they were, also one that would be refused.
    const Stream more{{50}};
    feed(reader, more.bytes);
    CHECK_FALSE(reader.commit(more.bytes.size(), [&](Frame&& frame) {
        lengths.push_back(frame.header.length);
        return true;
    }));
    CHECK(lengths == std::vector<std::uint32_t>{10, 20, 30, 40, 50});
}

// Outbox

namespace {

/// An outbox, and beside it the bytes that shall leave.
class CheckedOutbox {
public:
    void append(std::size_t size) {
        const auto body = body_of(size, ++last_id_);
        outbox.append(header(), body);
        expect(body);
    }

    std::weak_ptr<const void> append_large(std::size_t size) {
        const auto body = std::make_shared<const std::vector<std::byte>>(body_of(size, ++last_id_));
        outbox.append_large(header(), {*body, body});
        expect(*body);
        return body;
    }

    /// What the next write would be; false if that is not the beginning of what is expected.
    bool gather(std::size_t most) {
        outbox.gather(buffers, most);
        std::size_t at = 0;
        for (const auto& buffer : buffers) {
            const std::span part{static_cast<const std::byte*>(buffer.data()), buffer.size()};
            if (part.empty() || expected.size() < at + part.size() ||
                !equal(part, std::span{expected}.subspan(at, part.size())))
                return false;
            at += part.size();
        }
        gathered = at;
        return at <= most && outbox.size() == expected.size() && outbox.empty() == expected.empty() &&
               (expected.empty() || most == 0 || at != 0) && buffers.size() <= 16 &&
               (buffers.size() == 16 || at == std::min(most, expected.size()));
    }

    void consume(std::size_t count) {
        outbox.consume(count);
        expected.erase(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(count));
    }

    Outbox outbox;
    std::vector<std::byte> expected;
    std::vector<asio::const_buffer> buffers;
    std::size_t gathered = 0;

private:
    // The length is wrong: it is the outbox's to fill in.
    FrameHeader header() const { return {.length = 77, .kind = FrameKind::work, .type = 9, .id = last_id_}; }

    void expect(const std::vector<std::byte>& body) {
        FrameHeader whole = header();
        whole.length = static_cast<std::uint32_t>(body.size());
        std::array<std::byte, frame_header_bytes> head{};
        write_header(head.data(), whole);
        expected.insert(expected.end(), head.begin(), head.end());
        expected.insert(expected.end(), body.begin(), body.end());
    }

    std::uint64_t last_id_ = 0;
};

}  // namespace

TEST_CASE("an outbox begins empty and holds these bytes", "[unit]") {
    Outbox outbox;
    std::vector<asio::const_buffer> buffers{1};
    CHECK(outbox.empty());
    CHECK(outbox.size() == 0);
    outbox.gather(buffers, 1000);
    CHECK(buffers.empty());

    outbox.append({.kind = FrameKind::cancel, .id = 0x0102}, {});
    outbox.append({.kind = FrameKind::work, .type = 3, .id = 0x0103}, bytes_of("abc"));
    outbox.gather(buffers, 1000);
    REQUIRE(buffers.size() == 1);
    CHECK(hex({static_cast<const std::byte*>(buffers[0].data()), buffers[0].size()}) ==
          "00 00 00 00 08 00 00 00 02 01 00 00 00 00 00 00 "
          "03 00 00 00 05 00 03 00 03 01 00 00 00 00 00 00 61 62 63");
    CHECK(outbox.size() == 16 + 19);
    CHECK_FALSE(outbox.empty());
}

TEST_CASE("an outbox leaves whole in writes of any one size", "[unit]") {
    for (std::size_t write = 1; write <= 500; ++write) {
        CheckedOutbox out;
        out.append(0);
        out.append(30);
        out.append_large(70);
        out.append_large(1);
        out.append(5);
        out.append(9);
        out.append_large(100);
        CAPTURE(write);
        while (!out.expected.empty()) {
            REQUIRE(out.gather(write));
            out.consume(out.gathered);
        }
        REQUIRE(out.gather(write));
        REQUIRE(out.outbox.empty());
    }
}

TEST_CASE("an outbox leaves whole when a write takes any part of what it was given", "[unit]") {
    for (std::size_t first = 1; first <= 320; ++first) {
        CheckedOutbox out;
        out.append_large(40);
        out.append(30);
        out.append_large(70);
        out.append(60);
        REQUIRE(out.gather(1000));
        CAPTURE(first, out.gathered);
        if (first > out.gathered) break;
        out.consume(first);
        out.append(12);
        REQUIRE(out.gather(1000));
        out.consume(out.gathered);
        REQUIRE(out.outbox.empty());
    }
}

TEST_CASE("an outbox never mixes frames up, whatever is appended and written", "[unit]") {
    for (unsigned seed = 0; seed < 200; ++seed) {
        std::mt19937 random{seed};
        CheckedOutbox out;
        CAPTURE(seed);
        const bool fills = seed % 2 == 0;
        for (int step = 0; step < 300; ++step) {
            switch (random() % (fills ? 5 : 8)) {
                case 0: out.append_large(large_body_bytes / 64 + random() % 3000); break;
                case 1: out.append(random() % 3000); break;
                case 2:
                case 3: out.append(random() % 40); break;
                default: {
                    REQUIRE(out.gather(random() % 4 == 0 ? random() % 50 : random() % 20'000));
                    out.consume(out.gathered == 0 ? 0 : random() % 3 == 0 ? random() % out.gathered : out.gathered);
                }
            }
        }
        while (!out.expected.empty()) {
            REQUIRE(out.gather(256 * 1024));
            out.consume(out.gathered);
        }
        REQUIRE(out.outbox.empty());
    }
}

TEST_CASE("an outbox refers to a large body, without a copy, until it has left", "[unit]") {
    CheckedOutbox out;
    out.append(10);
    const auto body = std::make_shared<const std::vector<std::byte>>(body_of(large_body_bytes, 1));
    out.outbox.append_large({.kind = FrameKind::work}, {*body, body});
    out.outbox.append({.kind = FrameKind::ping}, {});
    out.outbox.gather(out.buffers, 1024 * 1024);
    REQUIRE(out.buffers.size() == 3);
    CHECK(out.buffers[1].data() == body->data());
    CHECK(out.buffers[1].size() == body->size());
    CHECK(body.use_count() == 2);

    out.outbox.consume(26 + 16 + body->size() - 1);
    CHECK(body.use_count() == 2);
    out.outbox.consume(1);
    CHECK(body.use_count() == 1);
    CHECK(out.outbox.size() == 16);
}

TEST_CASE("an outbox that is dropped gives its large bodies up", "[unit]") {
    std::weak_ptr<const void> body;
    {
        CheckedOutbox out;
        body = out.append_large(100);
        CHECK_FALSE(body.expired());
    }
    CHECK(body.expired());
}

// The handshake

TEST_CASE("a hello frame is these bytes", "[unit]") {
    const auto body = encode(Greeting{.oldest = 1, .newest = 0x0203, .role = Role::slave, .name = "node 7"});
    CHECK(hex(body) ==
          "44 49 53 54 57 4f 52 4b "  // DISTWORK
          "01 00 03 02 02 "           // versions, role
          "06 00 6e 6f 64 65 20 37");
    Outbox outbox;
    outbox.append({.kind = FrameKind::hello}, body);
    std::vector<asio::const_buffer> buffers;
    outbox.gather(buffers, 1000);
    CHECK(hex({static_cast<const std::byte*>(buffers[0].data()), 16}) ==
          "15 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00");
}

TEST_CASE("a welcome's body is these bytes", "[unit]") {
    CHECK(hex(encode(Greeting{.oldest = 1, .newest = 1, .role = Role::master, .name = ""})) ==
          "44 49 53 54 57 4f 52 4b 01 00 01 00 01 00 00");
}

TEST_CASE("a refusal's body is these bytes", "[unit]") {
    const auto body = encode(Refusal{Errc::too_many_slaves, "full"});
    CHECK(hex(body) == "27 00 04 00 66 75 6c 6c");
    Refusal refusal;
    REQUIRE_FALSE(decode(body, refusal));
    CHECK(refusal.reason == Errc::too_many_slaves);
    CHECK(refusal.text == "full");
}

TEST_CASE("a greeting comes back, and what a newer version appends is not looked at", "[unit]") {
    auto body = encode(Greeting{.oldest = 3, .newest = 9, .role = Role::master, .name = "m\xc3\xbc"});
    for (int trailing = 0; trailing < 3; ++trailing) {
        Greeting greeting;
        REQUIRE_FALSE(decode(body, greeting));
        CHECK(greeting.oldest == 3);
        CHECK(greeting.newest == 9);
        CHECK(greeting.role == Role::master);
        CHECK(greeting.name == "m\xc3\xbc");
        body.push_back(std::byte{0xff});
    }
}

TEST_CASE("a greeting that is cut short is refused, wherever", "[unit]") {
    const auto body = encode(Greeting{.role = Role::slave, .name = "node"});
    for (std::size_t size = 0; size < body.size(); ++size) {
        Greeting greeting;
        CAPTURE(size);
        CHECK(decode(std::span{body}.first(size), greeting) ==
              (size < magic.size() ? Errc::not_distwork : Errc::protocol_violation));
    }
}

TEST_CASE("a greeting that means nothing is refused", "[unit]") {
    const auto with = [](std::size_t at, int value) {
        auto body = encode(Greeting{.oldest = 1, .newest = 1, .role = Role::slave, .name = "node"});
        body[at] = static_cast<std::byte>(value);
        Greeting greeting;
        return decode(body, greeting);
    };
    CHECK(with(0, 'd') == Errc::not_distwork);
    CHECK(with(7, 'L') == Errc::not_distwork);
    CHECK(with(8, 2) == Errc::protocol_violation);  // oldest beyond newest
    CHECK(with(12, 0) == Errc::protocol_violation);
    CHECK(with(12, 3) == Errc::protocol_violation);
    CHECK(with(13, 5) == Errc::protocol_violation);  // a name longer than the body
    CHECK_FALSE(with(13, 4));
    CHECK_FALSE(with(13, 3));

    Greeting greeting;
    CHECK(decode(bytes_of("GET / HTTP/1.1\r\n\r\n"), greeting) == Errc::not_distwork);
}

TEST_CASE("names are at most 256 bytes: longer ones are cut by who sends, refused by who receives", "[unit]") {
    for (const std::size_t size : {std::size_t{255}, std::size_t{256}, std::size_t{257}, std::size_t{100'000}}) {
        const auto body = encode(Greeting{.role = Role::slave, .name = std::string(size, 'n')});
        Greeting greeting;
        CHECK_FALSE(decode(body, greeting));
        CHECK(greeting.name.size() == std::min<std::size_t>(size, 256));
        CHECK(body.size() + frame_header_bytes < stranger_bytes);
    }
    const auto raw = detail::PlainWriter{}
                         .raw(magic)
                         .put(std::uint16_t{1})
                         .put(std::uint16_t{1})
                         .put(std::uint8_t{2})
                         .put(std::uint16_t{257})
                         .raw(std::string(257, 'n'))
                         .take();
    Greeting greeting;
    CHECK(decode(raw, greeting) == Errc::protocol_violation);
}

TEST_CASE("a refusal that is cut short, or goes on, is refused", "[unit]") {
    auto body = encode(Refusal{Errc::wrong_role, "you are a master"});
    Refusal refusal;
    for (std::size_t size = 0; size < body.size(); ++size)
        CHECK(decode(std::span{body}.first(size), refusal) == Errc::protocol_violation);
    body.push_back({});
    CHECK(decode(body, refusal) == Errc::protocol_violation);
}

TEST_CASE("two peers meet at the newest version that both speak", "[unit]") {
    std::uint16_t version = 0;
    const auto newest = newest_protocol_version;
    const auto at = [&](unsigned oldest_spoken, unsigned newest_spoken, Role role = Role::slave) {
        version = 0;
        return meet({.oldest = static_cast<std::uint16_t>(oldest_spoken),
                     .newest = static_cast<std::uint16_t>(newest_spoken),
                     .role = role,
                     .name = {}},
                    Role::slave, version);
    };
    CHECK_FALSE(at(oldest_protocol_version, newest));
    CHECK(version == newest);
    CHECK_FALSE(at(0, newest + 5u));
    CHECK(version == newest);
    CHECK_FALSE(at(newest, newest));
    CHECK(version == newest);
    CHECK_FALSE(at(0, oldest_protocol_version));
    CHECK(version == oldest_protocol_version);
    CHECK(at(newest + 1u, newest + 5u) == Errc::version_mismatch);
    CHECK(at(0, oldest_protocol_version - 1u) == Errc::version_mismatch);
    CHECK(version == 0);
    CHECK(at(1, 1, Role::master) == Errc::wrong_role);
}

namespace {

constexpr auto admit_all = [](const Greeting&, std::string&) { return std::error_code{}; };

Handshake::Step take(Handshake& shake, FrameKind kind, const std::vector<std::byte>& body) {
    return shake.take(kind, body, admit_all);
}

}  // namespace

TEST_CASE("a slave and a master that speak the same language accept each other", "[unit]") {
    Handshake master{Role::master, "the master"};
    Handshake slave{Role::slave, "node 7"};
    CHECK_FALSE(master.accepted());
    CHECK(master.peer_name() == "a stranger");

    const auto welcome = take(master, FrameKind::hello, slave.hello());
    CHECK_FALSE(welcome.error);
    CHECK(welcome.reply == FrameKind::welcome);
    CHECK(master.accepted());
    CHECK(master.peer_name() == "node 7");
    Greeting said;
    REQUIRE_FALSE(decode(welcome.body, said));
    CHECK(said.oldest == newest_protocol_version);
    CHECK(said.newest == newest_protocol_version);

    const auto done = take(slave, FrameKind::welcome, welcome.body);
    CHECK_FALSE(done.error);
    CHECK(done.reply == FrameKind{});
    CHECK(slave.accepted());
    CHECK(slave.peer_name() == "the master");
}

TEST_CASE("who is refused is told why, and believes it", "[unit]") {
    Handshake slave{Role::slave, "node 7"};
    const auto refused = [&](const Handshake::Step& step) {
        CHECK(step.reply == FrameKind::refuse);
        const auto end = take(slave, FrameKind::refuse, step.body);
        CHECK(end.error == step.error);
        CHECK(end.reply == FrameKind{});
        CHECK_FALSE(slave.accepted());
        return end.detail;
    };
    Handshake master{Role::master, "the master"};
    const auto full = [](const Greeting& hello, std::string& text) {
        text = "no room for " + hello.name;
        return make_error_code(Errc::too_many_slaves);
    };
    CHECK(refused(master.take(FrameKind::hello, slave.hello(), full)) == "refused: no room for node 7");

    const auto newer = static_cast<std::uint16_t>(newest_protocol_version + 1);
    const Greeting from_the_future{.oldest = newer, .newest = newer, .role = Role::slave, .name = "node"};
    const auto mismatch = take(master, FrameKind::hello, encode(from_the_future));
    CHECK(mismatch.error == Errc::version_mismatch);
    CHECK(refused(mismatch) == "refused: " + mismatch.error.message());

    const auto wrong = take(master, FrameKind::hello, encode(Greeting{.role = Role::master, .name = "another"}));
    CHECK(wrong.error == Errc::wrong_role);
    refused(wrong);
    CHECK(take(master, FrameKind::hello, bytes_of("GET / HTTP/1.1")).error == Errc::not_distwork);
    CHECK_FALSE(master.accepted());
}

TEST_CASE("a peer that says anything else first is no peer", "[unit]") {
    Handshake slave{Role::slave, "node"};
    Handshake master{Role::master, "master"};
    const auto greeting = slave.hello();
    for (int kind = 0; kind < 256; ++kind) {
        const auto frame = static_cast<FrameKind>(kind);
        CAPTURE(kind);
        if (frame != FrameKind::hello) CHECK(take(master, frame, greeting).error == Errc::not_distwork);
        if (frame != FrameKind::welcome && frame != FrameKind::refuse)
            CHECK(take(slave, frame, greeting).error == Errc::not_distwork);
    }
    CHECK(take(slave, FrameKind::welcome, greeting).error == Errc::wrong_role);
    CHECK(take(slave, FrameKind::welcome, {}).error == Errc::not_distwork);
    CHECK(take(slave, FrameKind::refuse, {}).error == Errc::protocol_violation);
    CHECK_FALSE(master.accepted());
    CHECK_FALSE(slave.accepted());
}

// The introduction

TEST_CASE("an introduction's body is these bytes, and comes back", "[unit]") {
    const auto version = GENERATE(std::uint16_t{1}, std::uint16_t{2});
    const Introduction said{0x0102, 0x0304, 0x0506, {"gpu"}, {{"Sum", 0x1122334455667788}, {"P", 1}}, version, 0x0708};
    ByteBuffer body;
    detail::encode_value(said, body, {});
    CHECK(hex(body.view()) ==
          "02 01 00 00 04 03 00 00 06 05 00 00 "  // slots, window, max_frame_bytes
          "01 00 00 00 00 00 00 00 03 00 00 00 00 00 00 00 67 70 75 "
          "02 00 00 00 00 00 00 00 "
          "03 00 00 00 00 00 00 00 53 75 6d 88 77 66 55 44 33 22 11 " +
              std::string{"01 00 00 00 00 00 00 00 50 01 00 00 00 00 00 00 00"} + (version == 1 ? "" : " 08 07 00 00"));
    Introduction heard;
    heard.version = version;
    detail::decode(body.view(), heard, {});
    CHECK(heard.held_slots == (version == 1 ? 0u : 0x0708u));
    CHECK(heard.slots == said.slots);
    CHECK(heard.window == said.window);
    CHECK(heard.labels == said.labels);
    CHECK(heard.types == said.types);
}

TEST_CASE("a peer is sent only types that it has in the same shape, by its own numbers", "[unit]") {
    const WorkType a = type_named("A", 0, &seven);
    const WorkType b = type_named("B", 1, &eight);
    const WorkType c = type_named("C", 2, &seven);
    const WorkType later = type_named("Later", 3, &seven);
    const PeerTypes types{table_of({&a, &b, &c}),
                          {.labels = {}, .types = {{"X", 7}, {"B", 8}, {"C", 8}, {"B", 9}, {"Later", 7}}}};

    CHECK(types.number(a) == PeerTypes::unknown);
    CHECK(types.number(b) == 1);  // the first of that name
    CHECK(types.number(c) == PeerTypes::differs);
    CHECK(types.number(later) == PeerTypes::unknown);  // it was registered after the table was sent
    CHECK_FALSE(types.knows(a));
    CHECK(types.knows(b));
    CHECK_FALSE(types.knows(c));
    CHECK_FALSE(types.knows(later));
    CHECK(types.known() == std::vector<bool>{false, true, false});
    CHECK(types.differing() == std::vector<std::string>{"C"});
    CHECK(types.unknown_names() == std::vector<std::string>{"A"});
    CHECK_FALSE(PeerTypes{}.knows(b));
}

TEST_CASE("a number beyond what a header holds is no number", "[unit]") {
    Introduction peer;
    peer.types.assign(0x1'0000, {"other", 7});
    peer.types[0xffff].first = "Last";
    for (const char* name : {"At the bound", "Beyond", "Far beyond"}) peer.types.emplace_back(name, 7);
    const WorkType last = type_named("Last", 0, &seven);
    const WorkType beyond = type_named("Beyond", 1, &seven);
    const WorkType far_beyond = type_named("Far beyond", 2, &seven);
    const PeerTypes types{table_of({&last, &beyond, &far_beyond}), peer};
    CHECK(types.number(last) == 0xffff);
    CHECK(types.number(beyond) == PeerTypes::unknown);
    CHECK(types.number(far_beyond) == PeerTypes::unknown);
}

// Replies

TEST_CASE("an answer's body is the execution time and the value", "[unit]") {
    ByteBuffer answer;
    answer.extend(reply_head_bytes);
    answer.append("\x2a\0\0\0", 4);
    write_execution_time(answer, std::chrono::nanoseconds{0x0102});
    CHECK(hex(answer.view()) == "02 01 00 00 00 00 00 00 2a 00 00 00");

    Reply reply;
    reply.error = Errc::lost;  // of an earlier use
    REQUIRE_FALSE(decode(FrameKind::answer, answer.view(), reply));
    CHECK(reply.execution_time == std::chrono::nanoseconds{0x0102});
    CHECK(reply.error == Errc{});
    CHECK(hex(reply.value) == "2a 00 00 00");
}

TEST_CASE("an error's body is the execution time, the reason, the exception's type and a text", "[unit]") {
    const ByteBuffer body = error_body(std::chrono::nanoseconds{5}, Errc::work_failed, "E", "why");
    CHECK(hex(body.view()) == "05 00 00 00 00 00 00 00 01 00 01 00 45 77 68 79");
    Reply reply;
    REQUIRE_FALSE(decode(FrameKind::error, body.view(), reply));
    CHECK(reply.execution_time == std::chrono::nanoseconds{5});
    CHECK(reply.error == Errc::work_failed);
    CHECK(reply.exception_type == "E");
    CHECK(reply.text == "why");
    CHECK(reply.value.empty());
}

TEST_CASE("a reply that is cut short is refused, wherever", "[unit]") {
    const ByteBuffer error = error_body({}, Errc::work_failed, "std::runtime_error", "");
    Reply reply;
    for (std::size_t size = 0; size < error.size(); ++size) {
        CAPTURE(size);
        CHECK(decode(FrameKind::error, error.view().first(size), reply) == Errc::protocol_violation);
        CHECK(decode(FrameKind::answer, error.view().first(size), reply) ==
              (size < reply_head_bytes ? make_error_code(Errc::protocol_violation) : std::error_code{}));
    }
    CHECK_FALSE(decode(FrameKind::error, error.view(), reply));
    // An error that is none.
    const ByteBuffer none = error_body({}, Errc{}, "", "");
    CHECK(decode(FrameKind::error, none.view(), reply) == Errc::protocol_violation);
}

TEST_CASE("a slave's word on its execution time is bounded", "[unit]") {
    std::array<std::byte, reply_head_bytes> body{};
    Reply reply;
    body.fill(std::byte{0xff});
    REQUIRE_FALSE(decode(FrameKind::answer, body, reply));
    CHECK(reply.execution_time == std::chrono::hours{365 * 24});

    const ByteBuffer negative = error_body(std::chrono::nanoseconds{-5}, Errc::lost, "", "");
    REQUIRE_FALSE(decode(FrameKind::error, negative.view(), reply));
    CHECK(reply.execution_time == std::chrono::nanoseconds{0});
    ByteBuffer answer;
    answer.extend(reply_head_bytes);
    write_execution_time(answer, std::chrono::nanoseconds{-1});
    REQUIRE_FALSE(decode(FrameKind::answer, answer.view(), reply));
    CHECK(reply.execution_time == std::chrono::nanoseconds{0});
}

TEST_CASE("the texts of an error are cut where they are long", "[unit]") {
    const ByteBuffer body = error_body({}, Errc::work_failed, std::string(1000, 't'), std::string(1024 * 1024, 'x'));
    CHECK(body.size() < large_body_bytes);
    Reply reply;
    REQUIRE_FALSE(decode(FrameKind::error, body.view(), reply));
    CHECK(reply.exception_type == std::string(256, 't'));
    CHECK(reply.text == std::string(max_error_text_bytes, 'x'));
}

TEST_CASE("what keeps a work from being executed is told by its reason and the work's name", "[unit]") {
    const auto told = [](const std::exception_ptr& broken) {
        const ByteBuffer body = error_body(std::chrono::nanoseconds{1}, broken, "Sum");
        Reply reply;
        REQUIRE_FALSE(decode(FrameKind::error, body.view(), reply));
        CHECK(reply.exception_type.empty());
        CHECK(reply.text.starts_with("Sum: "));
        return std::pair{reply.error, std::string{reply.text}};
    };
    CHECK(told(std::make_exception_ptr(Error{Errc::too_large, "12 bytes"})).first == Errc::too_large);
    CHECK(told(std::make_exception_ptr(Error{Errc::too_large, "12 bytes"})).second.find("12 bytes") !=
          std::string::npos);
    CHECK(told(std::make_exception_ptr(Error{std::make_error_code(std::errc::io_error), ""})).first == Errc::malformed);
    CHECK(told(std::make_exception_ptr(std::bad_alloc{})).first == Errc::malformed);
    CHECK(told(std::make_exception_ptr(std::invalid_argument{"negative"})).second == "Sum: negative");
    CHECK(told(std::make_exception_ptr(5)).first == Errc::malformed);
}

namespace {

std::vector<std::byte> load_bytes(const SlaveState& state) {
    const auto body = encode(state);
    return {body.begin() + 8, body.begin() + 12};
}

}  // namespace

TEST_CASE("the body of a slave's heartbeat is these bytes, and comes back", "[unit]") {
    SlaveState state;
    state.running = 0x04030201;
    state.queued = 5;
    state.load_average = 1.5;
    state.free_memory = 0x1817161514131211;
    const auto body = encode(state);
    CHECK(hex(body) == "01 02 03 04 05 00 00 00 dc 05 00 00 00 00 00 00 11 12 13 14 15 16 17 18");
    SlaveState again;
    REQUIRE_FALSE(decode(body, again));
    CHECK(again == state);
    // No load of a machine is more than fits, or less than nothing.
    state.load_average = 1e12;
    CHECK(hex(load_bytes(state)) == "ff ff ff ff");
    state.load_average = -1;
    CHECK(hex(load_bytes(state)) == "00 00 00 00");
    state.load_average = std::numeric_limits<double>::quiet_NaN();
    CHECK(hex(load_bytes(state)) == "00 00 00 00");
}

TEST_CASE("a slave's heartbeat of any other length is refused, what is reserved is not looked at", "[unit]") {
    SlaveState state;
    for (std::size_t size = 0; size < 64; ++size) {
        const std::vector<std::byte> body(size, std::byte{0xff});
        CAPTURE(size);
        CHECK(!decode(body, state) == (size == slave_state_bytes));
    }
    CHECK(state.running == 0xffff'ffff);
    CHECK(state.load_average > 4e6);
}

TEST_CASE("no bytes from a stranger do worse than an error", "[unit]") {
    std::mt19937 random{7};
    const auto hello = encode(Greeting{.role = Role::slave, .name = "a name"});
    const ByteBuffer error = error_body({}, Errc::work_failed, "E", "text");
    for (int i = 0; i < 20'000; ++i) {
        std::vector<std::byte> bytes =
            i % 2 ? hello : std::vector<std::byte>{error.data(), error.data() + error.size()};
        for (unsigned changes = random() % 4; changes != 0; --changes)
            bytes[random() % bytes.size()] = static_cast<std::byte>(random() & 0xff);
        bytes.resize(random() % (bytes.size() + 3));
        // An allocation of its own, exactly as long: address sanitizer sees a byte read beyond it.
        const auto exact = std::make_unique<std::byte[]>(bytes.size());
        if (!bytes.empty()) std::memcpy(exact.get(), bytes.data(), bytes.size());
        const std::span<const std::byte> body{exact.get(), bytes.size()};
        Greeting greeting;
        Refusal refusal;
        Reply reply;
        if (!decode(body, greeting)) REQUIRE(greeting.name.size() <= max_name_bytes);
        if (!decode(body, refusal)) REQUIRE(refusal.text.size() <= max_name_bytes);
        if (!decode(FrameKind::error, body, reply)) REQUIRE(reply.exception_type.size() <= max_name_bytes);
        static_cast<void>(decode(FrameKind::answer, body, reply));
    }
}

// Addresses

TEST_CASE("only localhost and loopback addresses stay on this machine", "[unit]") {
    for (const char* host : {"localhost", "127.0.0.1", "127.255.3.4", "::1"}) CHECK(detail::is_loopback(host));
    for (const char* host : {"0.0.0.0", "::", "192.168.0.1", "128.0.0.1", "10.0.0.1", "localhost.example", "example",
                             "", "127.0.0.1.example", "::2"})
        CHECK_FALSE(detail::is_loopback(host));
}

TEST_CASE("a host is an address, or could be a name", "[unit]") {
    for (const char* host : {"127.0.0.1", "::1", "fe80::1", "localhost", "node-7.example.org", "my_node", "7up"})
        CHECK_NOTHROW(detail::check_host(host));
    CHECK_NOTHROW(detail::check_host(std::string(253, 'a')));
    for (const char* host :
         {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "12345", "a b", "host:80", "[::1]", "http://a", "a\n"})
        CHECK_THROWS_AS(detail::check_host(host), Error);
    CHECK_THROWS_AS(detail::check_host(std::string(254, 'a')), Error);
    try {
        detail::check_host("1.2.3");
    } catch (const Error& error) {
        CHECK(error.code() == Errc::bad_address);
        CHECK(std::string{error.what()}.find("\"1.2.3\"") != std::string::npos);
    }
}

TEST_CASE("an endpoint is written with its port, brackets about an IPv6 address", "[unit]") {
    CHECK(detail::to_string(asio::ip::tcp::endpoint{asio::ip::make_address("127.0.0.1"), 80}) == "127.0.0.1:80");
    CHECK(detail::to_string(asio::ip::tcp::endpoint{asio::ip::make_address("::1"), 80}) == "[::1]:80");
}

// Errors

TEST_CASE("an error says what happened and to what", "[unit]") {
    const Error plain{Errc::null_work};
    CHECK(plain.code() == Errc::null_work);
    const Error error{Errc::bad_option, "slots"};
    CHECK(std::string{error.what()} == "slots: an option has an unusable value");
    const RemoteError remote{"std::out_of_range", "index 5", "Sum", "node (127.0.0.1:9)", 2};
    CHECK(remote.code() == Errc::work_failed);
    CHECK(std::string{remote.what()}.starts_with("Sum on node (127.0.0.1:9), attempt 2: std::out_of_range: index 5"));
    CHECK(remote.type() == "std::out_of_range");
    CHECK(remote.text() == "index 5");
    CHECK(remote.work() == "Sum");
    CHECK(remote.slave() == "node (127.0.0.1:9)");
    CHECK(remote.attempt() == 2);
}

TEST_CASE("a cancelled submission is an aborted operation, as elsewhere in Asio", "[unit]") {
    CHECK(make_error_code(Errc::cancelled) == std::errc::operation_canceled);
    CHECK(make_error_code(Errc::cancelled) ==
          std::error_condition{asio::error::operation_aborted, std::generic_category()});
    CHECK(make_error_code(Errc::address_in_use) == std::errc::address_in_use);
    CHECK(make_error_code(Errc::lost) != std::errc::operation_canceled);
    CHECK(std::string{error_category().name()} == "distwork");
}
