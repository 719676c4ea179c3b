#pragma once

/// \file
/// Everything that a program with a master or a slave needs to include.

/// \mainpage
/// A master distributes works to the slaves that connect to it, and receives their answers. The classes and functions
/// are in namespace distwork. The macros that register a class or a function are in register.hpp. Begin with:
///
/// | | |
/// | --- | --- |
/// | distwork::Master, distwork::Slave | the two roles |
/// | distwork::IWork, distwork::RpcWork, distwork::CoroutineWork | what is distributed |
/// | DISTWORK_REGISTER_WORK, DISTWORK_REGISTER_FUNCTION | register a work or a function in both programs |
/// | distwork::MasterOptions, distwork::SlaveOptions, distwork::SubmitOptions | the options |
/// | distwork::Error, distwork::RemoteError, distwork::Errc | the errors that are thrown, or that calls complete with |

/// \namespace distwork
/// A master distributes works to the slaves that connect to it, and receives their answers.

#include "distwork/base/asio.hpp"

// The parts of Asio that a program with a master or a slave needs.
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include "distwork/context.hpp"
#include "distwork/error.hpp"
#include "distwork/fingerprint_override.hpp"
#include "distwork/fwd.hpp"
#include "distwork/log.hpp"
#include "distwork/master.hpp"
#include "distwork/no_retry.hpp"
#include "distwork/outcome.hpp"
#include "distwork/register.hpp"
#include "distwork/role_options.hpp"
#include "distwork/selector.hpp"
#include "distwork/slave.hpp"
#include "distwork/socket_information.hpp"
#include "distwork/statistics.hpp"
#include "distwork/submit_options.hpp"
#include "distwork/version.hpp"
#include "distwork/work.hpp"
#include "distwork/work_executor.hpp"
