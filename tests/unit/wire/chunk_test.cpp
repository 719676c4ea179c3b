#include "distwork/wire/chunk.hpp"

#include <cstddef>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "distwork/wire/byte_buffer.hpp"
#include "support/catch.hpp"
#include "support/hex.hpp"

namespace chunk_test {

using namespace distwork::detail;

ByteBuffer chunk_of(const std::vector<std::string>& works) {
    ByteBuffer body;
    for (const std::string& work : works) append_element(body, [&] { body.append(work.data(), work.size()); });
    return body;
}

std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
    std::vector<std::byte> bytes;
    for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
    return bytes;
}

std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST_CASE("a chunk is the length and the bytes of each work", "[unit]") {
    const ByteBuffer body = chunk_of({"ab", "", "c"});
    CHECK(hex(body.view()) == "02 00 00 00 61 62 00 00 00 00 01 00 00 00 63");
    ChunkReader reader{body.view()};
    std::span<const std::byte> work;
    std::vector<std::string> works;
    while (!reader.at_end()) {
        REQUIRE(reader.next(work));
        works.push_back(text_of(work));
    }
    CHECK(works == std::vector<std::string>{"ab", "", "c"});
    CHECK_FALSE(reader.next(work));
}

TEST_CASE("a chunk that is cut short, or lies about a length, is refused", "[unit]") {
    const ByteBuffer body = chunk_of({"ab", "cdef"});
    for (std::size_t size = 0; size <= body.size(); ++size) {
        CAPTURE(size);
        ChunkReader reader{body.view().first(size)};
        std::span<const std::byte> work;
        std::size_t works = 0;
        while (!reader.at_end() && reader.next(work)) ++works;
        CHECK(works == (size >= 14 ? 2 : size >= 6 ? 1 : 0));
        CHECK(reader.at_end() == (size == 0 || size == 6 || size == 14));
    }
    const auto lie = bytes_of({255, 255, 255, 255, 97});
    ChunkReader reader{lie};
    std::span<const std::byte> work;
    CHECK_FALSE(reader.next(work));
}

TEST_CASE("what a work's encoding throws leaves the chunk as it was", "[unit]") {
    ByteBuffer body = chunk_of({"ab"});
    CHECK_THROWS_AS(append_element(body,
                                   [&] {
                                       body.append("xyz", 3);
                                       throw std::runtime_error{"no"};
                                   }),
                    std::runtime_error);
    CHECK(hex(body.view()) == "02 00 00 00 61 62");
}

TEST_CASE("the answer to a chunk has a count, then each value or error", "[unit]") {
    const auto bytes = bytes_of({2, 0, 0, 0, 1, 0, 0, 0, 0, 'a', 2, 0, 0, 0, 1, 'b', 'c'});
    CHECK(answered_elements(bytes) == 2);
    std::vector<std::string> seen;
    CHECK(for_each_answer(bytes, [&](bool is_error, std::span<const std::byte> part) {
        seen.push_back((is_error ? "error " : "value ") + text_of(part));
        return true;
    }));
    CHECK(seen == std::vector<std::string>{"value a", "error bc"});
    CHECK_FALSE(for_each_answer(bytes, [](bool, std::span<const std::byte>) { return false; }));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CAPTURE(size);
        if (size != 0 && size < 4) CHECK(answered_elements(std::span{bytes}.first(size)) == 0);
        if (size >= 4)
            CHECK_FALSE(
                for_each_answer(std::span{bytes}.first(size), [](bool, std::span<const std::byte>) { return true; }));
    }
    auto more = bytes;
    more.push_back(std::byte{});
    CHECK_FALSE(for_each_answer(more, [](bool, std::span<const std::byte>) { return true; }));
}

}  // namespace chunk_test
