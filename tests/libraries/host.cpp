// A program with a function that its libraries do not mean. Ends with 0 if their calls come to what is expected:
//   host (LIBRARY THUMBNAIL AREA)…   opens each; the outcomes of its calls begin with THUMBNAIL and AREA
//   host_LIBRARY THUMBNAIL AREA      is linked with it

#include <dlfcn.h>

#include <asio/executor_work_guard.hpp>
#include <atomic>
#include <chrono>
#include <iostream>
#include <span>
#include <thread>
#include <utility>

#include "shared.hpp"

std::string delete_file(std::string path) {
    return "deleted " + path;
}
DISTWORK_REGISTER_FUNCTION(delete_file)

const Library* linked_library();  // linked.cpp, not_linked.cpp

namespace {

bool check(const std::string& outcome, const std::string& expected) {
    std::cout << outcome << std::endl;
    if (outcome.starts_with(expected)) return true;
    std::cerr << "expected was: " << expected << '\n';
    return false;
}

/// Calls whose arguments are found by name, while libraries are opened.
void call_until(distwork::Master<>& master, const std::atomic<bool>& done, std::atomic<int>& right) {
    while (!done) {
        Shapes shapes;
        for (int side = 1; side <= 3; ++side) shapes.push_back(std::make_unique<Square>(side));
        if (master.async_call<total_area>(std::move(shapes), asio::use_future).get() == 14) ++right;
    }
}

bool check(const Library& opened, distwork::Master<>& master, std::span<char*> expected) {
    const bool thumbnail = check(opened.call_thumbnail(master), expected[0]);
    return check(opened.call_total_area(master), expected[1]) && thumbnail;
}

}  // namespace

int main(int count, char** argv) {
    std::span<char*> arguments{argv + 1, static_cast<std::size_t>(count) - 1};
    asio::io_context io;
    const auto busy = asio::make_work_guard(io);
    // What libraries bring is told at once: no heartbeat comes.
    distwork::LinkOptions link;
    link.heartbeat = std::chrono::hours{1};
    link.dead_after = std::chrono::hours{2};
    distwork::MasterOptions options;
    options.link = link;
    distwork::Master master{io.get_executor(), options};
    master.start();
    distwork::SlaveOptions slave_options;
    slave_options.slots = 2;
    slave_options.link = link;
    distwork::Slave slave{io.get_executor(), "127.0.0.1", master.local_endpoint().port(), slave_options};
    slave.start();
    std::thread thread{[&io] { io.run(); }};

    std::atomic<bool> done{false};
    std::atomic<int> right{0};
    std::thread load{[&] { call_until(master, done, right); }};
    while (right == 0) std::this_thread::yield();
    bool as_expected = true;
    if (const Library* const library = linked_library())
        as_expected = check(*library, master, std::exchange(arguments, {}));
    for (; arguments.size() >= 3; arguments = arguments.subspan(3)) {
        void* const opened = dlopen(arguments[0], RTLD_NOW | RTLD_LOCAL);
        if (!opened) std::cerr << dlerror() << '\n', std::abort();
        as_expected &= check(*static_cast<const Library*>(dlsym(opened, "library")), master, arguments.subspan(1));
    }
    for (const int before = right; right == before;) std::this_thread::yield();
    done = true;
    load.join();
    master.async_stop(std::chrono::seconds{0}, asio::use_future).get();
    io.stop();
    thread.join();
    return as_expected ? 0 : 1;
}
