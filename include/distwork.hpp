#pragma once

/// distwork: a master distributes works to the slaves that connect to it, and their answers come back.

#include "distwork/detail/asio.hpp"

// What a program that uses it needs of Asio.
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include "distwork/archive.hpp"
#include "distwork/context.hpp"
#include "distwork/error.hpp"
#include "distwork/fwd.hpp"
#include "distwork/log.hpp"
#include "distwork/master.hpp"
#include "distwork/no_retry.hpp"
#include "distwork/register.hpp"
#include "distwork/rpc_work.hpp"
#include "distwork/selector.hpp"
#include "distwork/slave.hpp"
#include "distwork/socket_container.hpp"
#include "distwork/version.hpp"
#include "distwork/work.hpp"
