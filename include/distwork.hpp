#pragma once

/// distwork: a master distributes works to the slaves that connect to it, and their answers come back.

#include "distwork/base/asio.hpp"

// What a program that uses it needs of Asio.
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include "distwork/broadcast.hpp"
#include "distwork/context.hpp"
#include "distwork/error.hpp"
#include "distwork/fingerprint_override.hpp"
#include "distwork/fwd.hpp"
#include "distwork/log.hpp"
#include "distwork/master.hpp"
#include "distwork/no_retry.hpp"
#include "distwork/register.hpp"
#include "distwork/role_options.hpp"
#include "distwork/selector.hpp"
#include "distwork/slave.hpp"
#include "distwork/socket_information.hpp"
#include "distwork/statistics.hpp"
#include "distwork/submit_options.hpp"
#include "distwork/transport.hpp"
#include "distwork/version.hpp"
#include "distwork/work.hpp"
#include "distwork/work_executor.hpp"
