#pragma once

#include "requirements.hpp"

// The only header that depends on ASIO_VERSION. It hides the differences between Asio 1.22 and 1.30.

#ifndef ASIO_STANDALONE
#define ASIO_STANDALONE 1
#endif

#include <asio/any_io_executor.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/buffer.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/defer.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/host_name.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/prefer.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/system_executor.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/version.hpp>

#if !defined(ASIO_HAS_CO_AWAIT)
#error \
    "distwork needs coroutines in Asio: with clang and Asio 1.22 define ASIO_HAS_CO_AWAIT=1 and ASIO_HAS_STD_COROUTINE=1 (the CMake target does)"
#endif

namespace distwork::detail {

/// The version of Asio: major * 100,000 + minor * 100 + patch.
inline constexpr int asio_version = ASIO_VERSION;

}  // namespace distwork::detail
