// Slaves that come back to their master until they are killed: loyal_process NAME=VALUE…, milliseconds where it is
// time.
//   port  slaves (1)  slots (1)  heartbeat  dead_after  stalled_after  handshake_timeout  record (a file)

#include <sys/prctl.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <distwork.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/timed_work.hpp"
#define SUPPORT_REGISTER_WORKS
#include "support/works.hpp"

int main(int count, char** arguments) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is killed leaves nobody behind
    std::map<std::string, long> values{{"slaves", 1}, {"slots", 1}};
    for (int i = 1; i < count; ++i) {
        const std::string argument{arguments[i]};
        const auto equals = argument.find('=');
        if (argument.starts_with("record=")) Timed::record_in(argument.substr(equals + 1));
        values[argument.substr(0, equals)] = std::atol(argument.c_str() + equals + 1);
    }
    rlimit descriptors{};
    getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);

    distwork::SlaveOptions options;
    options.name = "loyal";
    options.slots = static_cast<std::size_t>(values["slots"]);
    options.reconnect_after = std::chrono::milliseconds{5};
    options.reconnect_at_most = std::chrono::milliseconds{200};
    const auto set = [&](const char* name, std::chrono::milliseconds& option) {
        if (values.contains(name)) option = std::chrono::milliseconds{values[name]};
    };
    set("heartbeat", options.link.heartbeat);
    set("dead_after", options.link.dead_after);
    set("stalled_after", options.link.stalled_after);
    set("handshake_timeout", options.link.handshake_timeout);
    // Many slaves share the one thread: their works are short.
    if (values["slaves"] > 1) options.work_executor = distwork::WorkExecutor::in_place();

    asio::io_context io{1};
    std::vector<std::unique_ptr<distwork::Slave<>>> slaves;
    for (long i = 0; i < values["slaves"]; ++i) {
        slaves.push_back(std::make_unique<distwork::Slave<>>(io.get_executor(), "127.0.0.1",
                                                             static_cast<std::uint16_t>(values["port"]), options));
        slaves.back()->start();
    }
    io.run();
}
