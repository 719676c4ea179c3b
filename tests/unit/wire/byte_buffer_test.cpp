#include "distwork/wire/byte_buffer.hpp"

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "support/catch.hpp"
#include "support/spare_blocks.hpp"

namespace byte_buffer_test {

using distwork::detail::ByteBuffer;
using support::drain_spare_blocks;

namespace {

std::string text(const ByteBuffer& buffer) {
    return {reinterpret_cast<const char*>(buffer.data()), buffer.size()};
}

ByteBuffer filled(std::string_view with) {
    ByteBuffer buffer;
    buffer.append(with.data(), with.size());
    return buffer;
}

bool is_inside(const ByteBuffer& buffer) {
    const auto* const object = reinterpret_cast<const std::byte*>(&buffer);
    return buffer.data() >= object && buffer.data() < object + sizeof buffer;
}

}  // namespace

TEST_CASE("a byte buffer is two cache lines, moves without throwing, and is not copied", "[unit]") {
    CHECK(sizeof(ByteBuffer) == 128);
    CHECK(std::is_nothrow_move_constructible_v<ByteBuffer>);
    CHECK(std::is_nothrow_move_assignable_v<ByteBuffer>);
    CHECK_FALSE(std::is_copy_constructible_v<ByteBuffer>);
}

TEST_CASE("a byte buffer keeps small contents in itself", "[unit]") {
    ByteBuffer buffer;
    CHECK(buffer.empty());
    std::memset(buffer.extend(ByteBuffer::inline_bytes), 0, ByteBuffer::inline_bytes);
    CHECK(is_inside(buffer));
    buffer.extend(1);
    CHECK_FALSE(is_inside(buffer));
    CHECK(buffer.size() == ByteBuffer::inline_bytes + 1);
}

TEST_CASE("a byte buffer keeps what was appended, however it grows", "[unit]") {
    ByteBuffer buffer;
    std::string expected;
    for (int i = 0; i < 2000; ++i) {
        const std::string part(static_cast<std::size_t>(i % 37), static_cast<char>('a' + i % 26));
        buffer.append(part.data(), part.size());
        expected += part;
    }
    CHECK(text(buffer) == expected);
    CHECK(buffer.view().size() == expected.size());
    CHECK(buffer.view().data() == buffer.data());
}

TEST_CASE("a byte buffer doubles, so that many appends cost few copies", "[unit]") {
    ByteBuffer buffer;
    int moves = 0;
    for (int i = 0; i < 1'000'000; ++i) {
        const std::byte* const before = buffer.data();
        buffer.extend(1);
        moves += buffer.data() != before;
    }
    CHECK(moves < 16);
}

TEST_CASE("a large append allocates little more than it needs", "[unit]") {
    drain_spare_blocks(1 << 20);  // one of them may be larger
    ByteBuffer buffer;
    std::memset(buffer.extend(8), 0, 8);
    buffer.extend(1 << 20);
    CHECK(buffer.capacity() >= (1 << 20) + 8 + 32);
    CHECK(buffer.capacity() <= (1 << 20) + 8 + 128);
}

TEST_CASE("a byte buffer reserves, truncates and clears without giving up its memory", "[unit]") {
    ByteBuffer buffer = filled("0123456789");
    buffer.reserve(5000);
    CHECK(buffer.capacity() == 5000);
    CHECK(text(buffer) == "0123456789");
    buffer.reserve(10);
    CHECK(buffer.capacity() == 5000);
    buffer.truncate(4);
    CHECK(text(buffer) == "0123");
    buffer.clear();
    CHECK(buffer.empty());
    CHECK(buffer.capacity() == 5000);
}

TEST_CASE("a moved byte buffer takes its contents along and leaves an empty one", "[unit]") {
    for (const std::size_t size : {std::size_t{0}, std::size_t{10}, std::size_t{5000}}) {
        INFO("size " << size);
        const std::string contents(size, 'x');
        ByteBuffer from = filled(contents);
        ByteBuffer to{std::move(from)};
        CHECK(text(to) == contents);
        CHECK(from.empty());  // NOLINT: that is what is tested
        from.append("again", 5);
        CHECK(text(from) == "again");

        ByteBuffer large = filled(std::string(3000, 'y'));
        large = std::move(to);
        CHECK(text(large) == contents);
        CHECK(to.empty());  // NOLINT
        ByteBuffer& self = large;
        large = std::move(self);
        CHECK(text(large) == contents);
    }
}

}  // namespace byte_buffer_test
