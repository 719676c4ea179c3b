#pragma once

#include <chrono>
#include <exception>
#include <string>
#include <utility>

#include "../base/type_name.hpp"
#include "../calls/peer.hpp"
#include "../error.hpp"
#include "../no_retry.hpp"
#include "../types/registry.hpp"
#include "../wire/byte_buffer.hpp"
#include "../wire/frame.hpp"
#include "../wire/reply.hpp"
#include "work_batch.hpp"

namespace distwork::detail {

/// The body of an error. `thrown`: what the work threw. `broken`, if that is null: why the work could not be decoded or
/// its result not be encoded.
inline ByteBuffer failure_body(std::chrono::nanoseconds time, const std::exception_ptr& thrown,
                               const std::exception_ptr& broken, const std::string& work) {
    if (!thrown) return error_body(time, broken, work);
    const auto text = describe(thrown);
    return error_body(time, is_no_retry(thrown) ? Errc::failed_no_retry : Errc::work_failed, text.type, text.text);
}

/// Answers a work that was executed. If `thrown` and `broken` are null, `answer` is sent: the result after
/// reply_head_bytes that this function fills.
inline void reply(Peer& peer, const WorkBatch::Item& work, std::chrono::nanoseconds time,
                  const std::exception_ptr& thrown, const std::exception_ptr& broken, ByteBuffer& answer) {
    if (thrown || broken) {
        peer.reply({.kind = FrameKind::error, .id = work.id}, failure_body(time, thrown, broken, work.type->name));
    } else {
        write_execution_time(answer, time);
        peer.reply({.kind = FrameKind::answer, .id = work.id}, std::move(answer));
    }
}

}  // namespace distwork::detail
