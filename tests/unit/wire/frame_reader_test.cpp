#include "distwork/wire/frame_reader.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "distwork/error.hpp"
#include "distwork/wire/frame.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/hex.hpp"

namespace frame_reader_test {

using namespace distwork;
using namespace distwork::detail;
using namespace support;

namespace {

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

}  // namespace

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

}  // namespace frame_reader_test
