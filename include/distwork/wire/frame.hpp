#pragma once

#include <cstddef>
#include <cstdint>

#include "endian.hpp"

namespace distwork::detail {

/// What a frame is for. The numbers are the wire's; see wire/README.md.
enum class FrameKind : std::uint8_t {
    hello = 1,      ///< who connects: magic, versions, role, name
    welcome = 2,    ///< the answer to hello: the version chosen, role, name
    refuse = 3,     ///< the other answer to hello: why not
    types = 4,      ///< slots, labels, window and the table of work types; again whenever it grew
    work = 5,       ///< a work to execute: `type` is the receiver's number for it, the body the work's bytes
    answer = 6,     ///< what the work `id` returned: execution time, then the value
    error = 7,      ///< why the work `id` has no answer: execution time, Errc, exception type, text
    cancel = 8,     ///< the work `id` is no longer wanted; it is answered all the same
    recall = 9,     ///< give back the work `id` if it has not begun; version 2
    returned = 10,  ///< the work `id` was recalled, had not begun and will not: nothing else is said of it; version 2
    credit = 11,    ///< the work `id` gives its slot free while it waits, or takes one again; 0: a work of an earlier
                    ///< session has ended; version 2
    progress = 12,  ///< reserved: how far the work `id` is
    ping = 13,      ///< are you there? `id` is echoed
    pong = 14,      ///< yes
    drain = 15,     ///< send me nothing new
    bye = 16,       ///< the sender leaves; the connection ends after this frame
};

/// The head of every frame. All integers are little-endian.
///
/// | offset | bytes | field | |
/// | --- | --- | --- | --- |
/// | 0 | 4 | length | of the body that follows, in bytes |
/// | 4 | 1 | kind | FrameKind |
/// | 5 | 1 | flags | work: 1, if 4 bytes before the work's are its execution timeout in milliseconds; error: 1, if the work
///   is executed all the same, and another answer gives its slot back; else 0 |
/// | 6 | 2 | type | work: the receiver's number for the work type; else 0 |
/// | 8 | 8 | id | work, answer, error, cancel, recall, returned: the work's; never used twice in a session. ping, pong:
///   any; credit: 0 |
struct FrameHeader {
    std::uint32_t length = 0;
    FrameKind kind{};
    std::uint8_t flags = 0;
    std::uint16_t type = 0;
    std::uint64_t id = 0;

    friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

inline constexpr std::size_t frame_header_bytes = 16;

/// A flag of work frames: the body begins with a u32, the milliseconds that the execution may take (0: any time).
inline constexpr std::uint8_t flag_timeout = 1;
inline constexpr std::size_t timeout_bytes = 4;

/// A flag of error frames: the caller is told, but the work goes on. Its slot is given back by another answer.
inline constexpr std::uint8_t flag_goes_on = 1;

/// A flag of credit frames: the work takes a slot again, which it had given free.
inline constexpr std::uint8_t flag_takes_slot = 1;

/// A flag of work frames: the work is not to be executed by the receiver, a master, but distributed. Its body begins,
/// behind the timeout if there is one, with a u64: the id of the work that submits it. Since version 2.
inline constexpr std::uint8_t flag_submission = 2;
inline constexpr std::size_t parent_bytes = 8;

/// Whether the flags mean something in a frame of that kind and length.
constexpr bool has_known_flags(const FrameHeader& header) noexcept {
    if (header.flags == 0) return true;
    if (header.kind == FrameKind::error) return header.flags == flag_goes_on;
    if (header.kind == FrameKind::credit) return header.flags == flag_takes_slot;
    if (header.kind != FrameKind::work || (header.flags & ~(flag_timeout | flag_submission)) != 0) return false;
    const std::size_t prefix =
        (header.flags & flag_timeout ? timeout_bytes : 0) + (header.flags & flag_submission ? parent_bytes : 0);
    return header.length >= prefix;
}

/// Every peer takes bodies up to this length; more is its own to say.
inline constexpr std::size_t least_max_frame_bytes = 64 * 1024;

/// Writes `frame_header_bytes` bytes.
inline void write_header(std::byte* to, const FrameHeader& header) noexcept {
    store(to, header.length);
    store(to + 4, static_cast<std::uint8_t>(header.kind));
    store(to + 5, header.flags);
    store(to + 6, header.type);
    store(to + 8, header.id);
}

/// Reads `frame_header_bytes` bytes. Any bytes are a header; whether it means something is the session's to judge.
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
