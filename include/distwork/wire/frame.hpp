#pragma once

#include <cstddef>
#include <cstdint>

#include "endian.hpp"

namespace distwork::detail {

/// The kind of a frame. The numbers are those on the wire: see wire/README.md.
enum class FrameKind : std::uint8_t {
    hello = 1,      ///< a slave introduces itself: magic, versions, role, name
    welcome = 2,    ///< the master accepts: the version chosen, role, name
    refuse = 3,     ///< the master does not accept: Errc, text
    types = 4,      ///< slots, labels, window and the table of work types; sent again when the table has grown
    work = 5,       ///< a work to execute or distribute; `type` is the receiver's number of its type
    answer = 6,     ///< the value of the work `id`: execution time, then the value
    error = 7,      ///< why the work `id` has no value: execution time, Errc, exception type, text
    cancel = 8,     ///< the work `id` is not wanted any more; it is answered all the same
    recall = 9,     ///< give the work `id` back if it has not begun; since version 2
    returned = 10,  ///< the work `id` was recalled before it began: it is not executed and not answered; since version
                    ///< 2
    credit = 11,    ///< the work `id` releases its slot while it waits, or takes one again; `id` 0: a work of an
                    ///< earlier session has ended, and its slot is free; since version 2
    progress = 12,  ///< how far the running work `id` is: millionths u32, text; since version 3
    ping = 13,      ///< asks for a pong with the same `id`
    pong = 14,      ///< answers a ping
    drain = 15,     ///< from a slave: send no new works; from a master: no more works follow
    bye = 16,       ///< the sender ends the session: the connection ends after this frame
};

/// The header of every frame, 16 bytes. All integers are little-endian.
///
/// | offset | bytes | field | meaning |
/// | --- | --- | --- | --- |
/// | 0 | 4 | length | bytes of the body that follows |
/// | 4 | 1 | kind | FrameKind |
/// | 5 | 1 | flags | work, answer, error, credit: a sum of the flags below; else 0 |
/// | 6 | 2 | type | work: the receiver's number of the work type; else 0 |
/// | 8 | 8 | id | see below; 0 in frames of other kinds |
///
/// In work, answer, error, cancel, recall and returned frames `id` is the id of the work, which is never used twice in
/// a session. So it is in credit frames, where 0 has a meaning of its own. In ping and pong frames it is any number.
struct FrameHeader {
    std::uint32_t length = 0;
    FrameKind kind{};
    std::uint8_t flags = 0;
    std::uint16_t type = 0;
    std::uint64_t id = 0;

    friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

inline constexpr std::size_t frame_header_bytes = 16;

/// A flag of work frames: the body starts with a u32, the execution timeout in milliseconds; 0: unlimited.
inline constexpr std::uint8_t flag_timeout = 1;
inline constexpr std::size_t timeout_bytes = 4;

/// A flag of error frames: the work took too long and is still executed. Another answer releases its slot. A flag of
/// answer frames, since version 3: some works of a chunk were executed, and others are still to be.
inline constexpr std::uint8_t flag_goes_on = 1;

/// A flag of credit frames: the work takes a slot again after it released one.
inline constexpr std::uint8_t flag_takes_slot = 1;

/// A flag of work frames to a master: the work is to be distributed, not executed by the receiver. The body has, after
/// the timeout if there is one, a u64: the id of the work that submits this one. Since version 2.
inline constexpr std::uint8_t flag_submission = 2;
inline constexpr std::size_t parent_bytes = 8;

/// A flag of work frames to a slave: the body is a chunk, which is several works of the type: see wire/chunk.hpp. It
/// has no timeout. Since version 3.
inline constexpr std::uint8_t flag_chunk = 4;

/// A flag of work frames to a slave: the body has, after the timeout if there is one, a u64: the units of the slave's
/// indexed resources that the work is given, one bit each. Since version 3.
inline constexpr std::uint8_t flag_given = 8;
inline constexpr std::size_t given_bytes = 8;

/// Whether a frame of this kind and length may have these flags.
constexpr bool has_known_flags(const FrameHeader& header) noexcept {
    if (header.flags == 0) return true;
    if (header.kind == FrameKind::error || header.kind == FrameKind::answer) return header.flags == flag_goes_on;
    if (header.kind == FrameKind::credit) return header.flags == flag_takes_slot;
    if (header.kind != FrameKind::work) return false;
    const bool has_timeout = (header.flags & flag_timeout) != 0;
    const bool is_submission = (header.flags & flag_submission) != 0;
    const bool is_chunk = (header.flags & flag_chunk) != 0;
    const bool is_given = (header.flags & flag_given) != 0;
    if ((header.flags & ~(flag_timeout | flag_submission | flag_chunk | flag_given)) != 0) return false;
    if ((is_chunk && (has_timeout || is_submission)) || (is_given && is_submission)) return false;
    return header.length >=
           (has_timeout ? timeout_bytes : 0) + (is_submission ? parent_bytes : 0) + (is_given ? given_bytes : 0);
}

/// Every peer accepts bodies up to this length. A peer may announce a higher limit.
inline constexpr std::size_t least_max_frame_bytes = 64 * 1024;

/// The longest bodies of frames that carry no work and no value. A peer that sends a longer one ends its session.
inline constexpr std::size_t max_small_body_bytes = 4 * 1024;
inline constexpr std::size_t max_error_body_bytes = 64 * 1024;
inline constexpr std::size_t max_types_body_bytes = 2 * 1024 * 1024;

/// The bound of a frame's body that follows from its kind. Works and answers are bounded by `max_frame_bytes` alone.
constexpr std::size_t max_body_bytes(FrameKind kind) noexcept {
    switch (kind) {
        case FrameKind::work:
        case FrameKind::answer: return 0xffff'ffff;
        case FrameKind::error: return max_error_body_bytes;
        case FrameKind::types: return max_types_body_bytes;
        default: return max_small_body_bytes;
    }
}

/// Writes `frame_header_bytes` bytes.
inline void write_header(std::byte* to, const FrameHeader& header) noexcept {
    store(to, header.length);
    store(to + 4, static_cast<std::uint8_t>(header.kind));
    store(to + 5, header.flags);
    store(to + 6, header.type);
    store(to + 8, header.id);
}

/// Reads `frame_header_bytes` bytes. Any bytes give a header; the session checks whether it is valid.
inline FrameHeader read_header(const std::byte* from) noexcept {
    FrameHeader header;
    header.length = load<std::uint32_t>(from);
    header.kind = static_cast<FrameKind>(load<std::uint8_t>(from + 4));
    header.flags = load<std::uint8_t>(from + 5);
    header.type = load<std::uint16_t>(from + 6);
    header.id = load<std::uint64_t>(from + 8);
    return header;
}

}  // namespace distwork::detail
