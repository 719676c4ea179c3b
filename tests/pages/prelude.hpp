#pragma once

// What the code blocks of the pages use without saying so: headers, and a few objects. The objects are declared and
// never defined, since the blocks are compiled and not run.

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_future.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <distwork.hpp>
#if __has_include(<httplib.h>)
#include <distwork/dashboard.hpp>
#endif
#if __has_include(<sqlite3.h>)
#include <distwork/journal.hpp>
#endif
#include <distwork/local_slaves.hpp>
#include <distwork/map.hpp>
#include <distwork/on_start.hpp>
#include <distwork/progress_bar.hpp>
#include <distwork/run_slave.hpp>
#include <distwork/sim/simulation.hpp>
#if __has_include(<openssl/ssl.h>)
#include <distwork/tls.hpp>
#endif
#include <distwork/work_group.hpp>
#include <exception>
#include <future>
#include <iostream>
#include <memory>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

#if !__has_include(<sqlite3.h>)
namespace distwork {
/// As that of journal.hpp, which needs SQLite.
struct Journal : std::shared_ptr<detail::ValueStore> {
    Journal(const char* path, const char* version);
};
}  // namespace distwork
#endif

#if !__has_include(<httplib.h>)
namespace distwork {
/// As those of dashboard.hpp, which needs cpp-httplib.
struct DashboardOptions {
    std::uint16_t port;
};
struct Dashboard {
    Dashboard(const Master<>& master, DashboardOptions options);
};
}  // namespace distwork
#endif

extern asio::io_context io;
extern distwork::Master<> master;
extern distwork::Slave<> slave;
extern distwork::Context& peer;
