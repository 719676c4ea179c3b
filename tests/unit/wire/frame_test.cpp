#include "distwork/wire/frame.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <utility>

#include "support/catch.hpp"
#include "support/hex.hpp"

namespace frame_test {

using namespace distwork;
using namespace distwork::detail;

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

TEST_CASE("a flag means something in answers, and in work frames that are long enough for it", "[unit]") {
    for (unsigned kind = 0; kind < 256; ++kind) {
        for (unsigned flags = 0; flags < 256; ++flags) {
            FrameHeader header{.length = 0,
                               .kind = static_cast<FrameKind>(kind),
                               .flags = static_cast<std::uint8_t>(flags),
                               .type = 0,
                               .id = 0};
            CAPTURE(kind, flags);
            // Of answers, errors and credit one. Of works a time limit, and a submission or indices or neither; or a
            // chunk, with indices or without. Some of these want bytes.
            const bool is_always = flags == 0 || (flags == 1 && (kind == 6 || kind == 7 || kind == 11));
            const std::map<unsigned, std::uint32_t> wanted{{1, 4}, {2, 8}, {3, 12}, {4, 0}, {8, 8}, {9, 12}, {12, 8}};
            const auto found = wanted.find(flags);
            for (const std::uint32_t length : {3u, 4u, 7u, 8u, 11u, 12u}) {
                header.length = length;
                const bool is_of_work = kind == 5 && found != wanted.end() && length >= found->second;
                REQUIRE(has_known_flags(header) == (is_always || is_of_work));
            }
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

}  // namespace frame_test
