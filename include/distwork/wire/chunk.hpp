#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "byte_buffer.hpp"
#include "endian.hpp"

// A chunk is several works of one type in one work frame. They are executed one after the other, and answered in this
// order. Each part of these bodies has a head of its own.
//
// The body of a work frame with flag_chunk, for each work until the end of the body:
//
// | bytes | field |
// | --- | --- |
// | 4 | length |
// | length | the work, encoded by the archive |
//
// The value in an answer frame to a chunk begins with a u32, the number of works that it answers. Then for each:
//
// | bytes | field |
// | --- | --- |
// | 4 | length |
// | 1 | 0: a value; 1: an error |
// | length | the value, encoded by the archive; or the body of an error frame |

namespace distwork::detail {

/// The largest chunk.
inline constexpr std::size_t max_chunk_bytes = 1024 * 1024;

/// Appends a u32 length, then what `write()` appends to the same buffer. If that throws, the buffer is as before.
template <class Write>
void append_element(ByteBuffer& body, Write write) {
    const std::size_t before = body.size();
    body.extend(sizeof(std::uint32_t));
    try {
        write();
    } catch (...) {
        body.truncate(before);
        throw;
    }
    store(body.data() + before, static_cast<std::uint32_t>(body.size() - before - sizeof(std::uint32_t)));
}

/// Reads the works of a chunk.
class ChunkReader {
public:
    explicit ChunkReader(std::span<const std::byte> body) : body_{body} {}

    /// Whether no work is left.
    bool at_end() const noexcept { return body_.empty(); }

    /// Takes the next work. False: the rest of the body is no work.
    bool next(std::span<const std::byte>& element) noexcept {
        std::uint32_t length = 0;
        if (body_.size() < sizeof length) return false;
        length = load<std::uint32_t>(body_.data());
        if (body_.size() - sizeof length < length) return false;
        element = body_.subspan(sizeof length, length);
        body_ = body_.subspan(sizeof length + length);
        return true;
    }

private:
    std::span<const std::byte> body_;
};

/// The number of works that an answer to a chunk answers; 0 if it is malformed.
inline std::uint32_t answered_elements(std::span<const std::byte> value) noexcept {
    return value.size() < sizeof(std::uint32_t) ? 0 : load<std::uint32_t>(value.data());
}

/// Reads the answer to a chunk: calls `visit(bool is_error, std::span<const std::byte> bytes)` for each work, until the
/// end, or until it returns false. Returns whether all works were visited: false also if the answer is malformed.
template <class Visit>
bool for_each_answer(std::span<const std::byte> value, Visit visit) {
    const std::uint32_t count = answered_elements(value);
    value = value.subspan(std::min(value.size(), sizeof count));
    for (std::uint32_t i = 0; i != count; ++i) {
        constexpr std::size_t head = sizeof(std::uint32_t) + 1;
        if (value.size() < head) return false;
        const std::size_t length = load<std::uint32_t>(value.data());
        const bool is_error = value[sizeof(std::uint32_t)] != std::byte{0};
        if (value.size() - head < length || !visit(is_error, value.subspan(head, length))) return false;
        value = value.subspan(head + length);
    }
    return value.empty();
}

}  // namespace distwork::detail
