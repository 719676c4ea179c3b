// A slave that a service manager runs: the test is the manager.

#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/process.hpp"

namespace service_test {

/// The manager's end of the notifications.
class Manager {
public:
    Manager() {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path_.data(), path_.size());
        REQUIRE(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        const timeval most{60, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
        ::setenv("NOTIFY_SOCKET", path_.c_str(), 1);
    }
    Manager(const Manager&) = delete;
    ~Manager() {
        for (const char* const name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
        ::close(socket_);
    }

    /// What it is told next.
    std::string hear() const {
        char bytes[256];
        const auto count = ::recv(socket_, bytes, sizeof bytes, 0);
        return count < 0 ? "nothing" : std::string(bytes, static_cast<std::size_t>(count));
    }

private:
    const support::Folder folder_;
    const std::string path_ = folder_ / "notify";
    const int socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
};

Process slave() {
    return {"program_process",
            {"wait", "--distwork-slave-of=127.0.0.1:1", "--distwork-reconnect=always", "--distwork-log=error"}};
}

TEST_CASE("a slave tells its service manager that it is ready, that it lives, and that it stops", "[integration]") {
    const Manager manager;
    ::setenv("WATCHDOG_USEC", "100000", 1);
    Process process = slave();
    CHECK(manager.hear() == "READY=1");
    for (int i = 0; i < 5; ++i) CHECK(manager.hear() == "WATCHDOG=1");
    process.kill(SIGTERM);
    std::string last = manager.hear();
    while (last == "WATCHDOG=1") last = manager.hear();
    CHECK(last == "STOPPING=1");
    CHECK(process.wait() == 0);
}

TEST_CASE("a slave does not tell that it lives if nobody asks for that, or asks another process", "[integration]") {
    for (const bool asks_another : {false, true}) {
        const Manager manager;
        if (asks_another) {
            ::setenv("WATCHDOG_USEC", "1000", 1);
            ::setenv("WATCHDOG_PID", "1", 1);
        }
        Process process = slave();
        CHECK(manager.hear() == "READY=1");
        process.kill(SIGTERM);
        CHECK(manager.hear() == "STOPPING=1");
        CHECK(process.wait() == 0);
    }
}

}  // namespace service_test
