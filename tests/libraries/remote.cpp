// A slave in a process of its own opens a library while it works: its master is told of what that brings at once.
//   remote LIBRARY       is the master, and starts the slave; ends with 0 if a call of the library's function came back
//   remote slave PORT

#include <dlfcn.h>
#include <spawn.h>
#include <sys/wait.h>

#include <asio/executor_work_guard.hpp>
#include <chrono>
#include <cstdlib>
#include <future>
#include <iostream>
#include <string>
#include <thread>

#include "shared.hpp"

extern char** environ;

bool open_library(std::string path) {
    return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) != nullptr;
}
DISTWORK_REGISTER_FUNCTION(open_library)

namespace {

/// No heartbeat comes that could tell instead.
distwork::LinkOptions without_heartbeats() {
    distwork::LinkOptions link;
    link.heartbeat = std::chrono::hours{1};
    link.dead_after = std::chrono::hours{2};
    return link;
}

int run_slave(const char* port) {
    asio::io_context io;
    distwork::SlaveOptions options;
    options.slots = 1;
    options.reconnect = distwork::Reconnect::never;
    options.link = without_heartbeats();
    distwork::Slave slave{io.get_executor(), "127.0.0.1", static_cast<std::uint16_t>(std::atoi(port)), options};
    slave.start();
    io.run();
    return 0;
}

pid_t start_slave(std::string program, std::string port) {
    std::string role = "slave";
    char* const arguments[] = {program.data(), role.data(), port.data(), nullptr};
    pid_t pid = 0;
    if (posix_spawn(&pid, program.c_str(), nullptr, nullptr, arguments, environ) != 0) std::abort();
    return pid;
}

}  // namespace

int main(int, char** arguments) {
    if (arguments[1] == std::string{"slave"}) return run_slave(arguments[2]);
    void* const opened = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    if (!opened) return std::cerr << dlerror() << '\n', 1;
    const auto* const library = static_cast<const Library*>(dlsym(opened, "library"));

    asio::io_context io;
    const auto busy = asio::make_work_guard(io);
    distwork::MasterOptions options;
    options.link = without_heartbeats();
    distwork::Master master{io.get_executor(), options};
    master.start();
    std::thread thread{[&io] { io.run(); }};
    const pid_t slave = start_slave("/proc/self/exe", std::to_string(master.local_endpoint().port()));
    master.async_wait_for_slaves(1, asio::use_future).get();

    auto thumbnail = std::async(std::launch::async, [&] { return library->call_thumbnail(master); });
    while (master.waiting().empty()) std::this_thread::yield();  // the slave has no such function
    const bool done = master.async_call<open_library>(std::string{arguments[1]}, asio::use_future).get();
    const std::string outcome = thumbnail.get();
    std::cout << outcome << '\n';

    master.async_stop(std::chrono::seconds{0}, asio::use_future).get();
    // The farewell leaves behind the stop, and without heartbeats nothing else would end the slave.
    while (master.connected_slave_count() != 0) std::this_thread::yield();
    io.stop();
    thread.join();
    int status = 0;
    waitpid(slave, &status, 0);
    return done && outcome.starts_with("thumbnail of cat.png by ") && status == 0 ? 0 : 1;
}
