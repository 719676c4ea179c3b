#include "distwork/wire/outbox.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "distwork/base/asio.hpp"
#include "distwork/wire/frame.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/hex.hpp"

namespace outbox_test {

using namespace distwork;
using namespace distwork::detail;
using namespace support;

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

}  // namespace outbox_test
