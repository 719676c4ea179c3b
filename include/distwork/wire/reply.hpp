#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "../base/type_name.hpp"
#include "../error.hpp"
#include "byte_buffer.hpp"
#include "frame.hpp"
#include "handshake.hpp"
#include "plain_fields.hpp"

namespace distwork::detail {

// The body of an answer:
//
// | bytes | field |
// | --- | --- |
// | 8 | execution time in nanoseconds |
// | rest | the value, encoded by the archive |
//
// The body of an error:
//
// | bytes | field |
// | --- | --- |
// | 8 | execution time in nanoseconds |
// | 2 | Errc, never 0 |
// | 2 + n | the exception's type, n ≤ 256; empty unless the work threw |
// | rest | text for people, at most 63 KiB, without a length |

inline constexpr std::size_t reply_head_bytes = 8;
inline constexpr std::size_t max_error_text_bytes = 64 * 1024 - 1024;
static_assert(max_error_text_bytes + reply_head_bytes + 4 + max_name_bytes <= max_error_body_bytes);

/// The fields of an answer or error frame. They refer to the body of the frame.
struct Reply {
    std::chrono::nanoseconds execution_time{};
    std::span<const std::byte> value;
    Errc error{};          ///< zero for an answer
    bool goes_on = false;  ///< the work is still executed, and will be answered once more
    std::string_view exception_type;
    std::string_view text;
};

/// Writes the execution time into the head of an answer, for which room was left.
inline void write_execution_time(ByteBuffer& answer, std::chrono::nanoseconds time) {
    store(answer.data(), static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0)));
}

inline ByteBuffer error_body(std::chrono::nanoseconds time, Errc error, std::string_view exception_type,
                             std::string_view text) {
    const auto plain = PlainWriter{}
                           .put(static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0)))
                           .put(static_cast<std::uint16_t>(error))
                           .text(exception_type)
                           .raw(text.substr(0, max_error_text_bytes))
                           .take();
    ByteBuffer body;
    body.append(plain.data(), plain.size());
    return body;
}

/// The error of a work that was cancelled before it began.
inline ByteBuffer cancelled_body() {
    return error_body({}, Errc::cancelled, "", "it was cancelled before it began");
}

/// The error of a work that could not be decoded, or whose value could not be encoded.
inline ByteBuffer error_body(std::chrono::nanoseconds time, const std::exception_ptr& broken, const std::string& work) {
    try {
        std::rethrow_exception(broken);
    } catch (const Error& error) {
        return error_body(time, errc_of(error.code(), Errc::malformed), "", work + ": " + error.what());
    } catch (...) {
        // std::bad_alloc, or a user's constructor threw: the body cannot be decoded here.
        return error_body(time, Errc::malformed, "", work + ": " + what_of(broken));
    }
}

/// The text of Errc::too_large for an answer.
inline std::string too_large_answer(std::size_t bytes, std::size_t max_bytes) {
    return "its answer of " + std::to_string(bytes) +
           " bytes is beyond LinkOptions::max_frame_bytes of one end, which is " + std::to_string(max_bytes);
}

/// Replaces an answer that is too long for a frame by an error.
inline void bound_answer(FrameKind& kind, ByteBuffer& body, std::size_t max_bytes) {
    if (body.size() <= max_bytes) return;
    body = error_body({}, Errc::too_large, "", too_large_answer(body.size(), max_bytes));
    kind = FrameKind::error;
}

/// What a peer says of a work, if it can know it. A slave knows how the work ended that it executed. A master may also
/// tell how a submission ended. A peer that says anything else answers nonsense: malformed.
///
/// A work that the caller cancelled has its outcome already, whatever the answer says; so `cancelled` is no outcome that
/// a slave may give to another work.
constexpr Errc believable(Errc error, Role peer) noexcept {
    switch (error) {
        case Errc::work_failed:
        case Errc::failed_no_retry:
        case Errc::execution_timeout:
        case Errc::malformed:
        case Errc::too_large:
        case Errc::unknown_type:
        case Errc::shape_differs:
        case Errc::null_work:
        case Errc::shared_pointer:
        case Errc::foreign_type:
        case Errc::unregistered_type:
        case Errc::too_many_suspended:
        case Errc::not_accepted:
        case Errc::not_started: return error;
        case Errc::cancelled:
        case Errc::lost:
        case Errc::backlog_full:
        case Errc::too_many_waiting:
        case Errc::no_slave:
        case Errc::stopped:
        case Errc::queue_timeout:
        case Errc::deadline: return peer == Role::master ? error : Errc::malformed;
        default: return Errc::malformed;
    }
}

/// Reads the body of an answer or error frame of a peer of that role. The body must outlive the reply.
inline std::error_code decode(FrameKind kind, std::span<const std::byte> body, Reply& reply, Role peer = Role::slave) {
    if (body.size() < reply_head_bytes) return Errc::protocol_violation;
    constexpr std::uint64_t a_year = 365ull * 24 * 3600 * 1'000'000'000;
    reply.execution_time = std::chrono::nanoseconds{std::min(load<std::uint64_t>(body.data()), a_year)};
    body = body.subspan(reply_head_bytes);
    reply.error = {};
    if (kind == FrameKind::answer) {
        reply.value = body;
        return {};
    }
    PlainReader reader{body};
    std::uint16_t error = 0;
    if (!reader.get(error) || error == 0 || !reader.text(reply.exception_type)) return Errc::protocol_violation;
    reply.error = believable(static_cast<Errc>(error), peer);
    reader.raw(reply.text, std::min(reader.left(), max_error_text_bytes));
    return {};
}

}  // namespace distwork::detail
