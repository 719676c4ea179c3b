// SshEngine, with a command for ssh that runs on this machine what it should on the host.

#include "distwork/ssh_engine.hpp"

#include <sys/stat.h>
#include <unistd.h>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/texts.hpp"

namespace ssh_engine_test {

using namespace distwork;
using namespace std::chrono_literals;
using support::text_of;

namespace {

/// A folder with an ssh and a slave. Hosts named in the file "down" do not answer.
class FakeHosts {
public:
    FakeHosts() {
        write("ssh",
              "for word; do last=$word; shift; [ \"$word\" != -- ] || host=$1; done\n"
              "echo \"$host\" >>\"$folder/asked\"\n"
              "if grep -qsx \"$host\" \"$folder/down\"; then echo 'ssh: No route to host' >&2; exit 255; fi\n"
              "exec sh -c \"$last\"");
        // It drains in no time, and leaves what it was given.
        write("a slave",
              "printf '<%s>\\n' \"$@\" >\"$folder/arguments\"\ntrap 'exit 0' TERM\nwhile :; do sleep 0.05; done");
    }

    SshOptions options(std::vector<std::string> hosts) const {
        SshOptions options;
        options.hosts = std::move(hosts);
        options.program = {folder_ / "a slave", "it's", "$HOME"};
        options.master = "10.0.0.1:5000";
        options.secret_file = "/home/me/farm.key";
        options.ssh = folder_ / "ssh";
        options.deadline = 20s;
        return options;
    }

    void set_down(const std::string& hosts) const { support::write_file(folder_ / "down", hosts); }
    std::string operator/(const std::string& name) const { return folder_ / name; }

private:
    void write(const std::string& name, const std::string& script) const {
        support::write_file(folder_ / name, "#!/bin/sh\nfolder='" + folder_.path() + "'\n" + script + '\n');
        REQUIRE(::chmod((folder_ / name).c_str(), 0700) == 0);
    }

    support::Folder folder_;
};

/// An engine whose slaves are ended with it.
class Hosts {
public:
    explicit Hosts(SshOptions options) : engine_{std::move(options)} {}
    ~Hosts() {
        for (const Ticket& ticket : started_) engine_.cancel(ticket);
    }

    std::vector<Ticket> start(std::size_t count) {
        const auto tickets = engine_.start(count);
        started_.insert(started_.end(), tickets.begin(), tickets.end());
        return tickets;
    }
    auto status(const std::vector<Ticket>& tickets) { return engine_.status(tickets); }
    void cancel(const Ticket& ticket) { engine_.cancel(ticket); }

    TicketState state(const Ticket& ticket) {
        const auto answer = status({ticket});
        return answer.empty() ? TicketState::unknown : answer.front().state;
    }

    bool comes_to_an_end(const Ticket& ticket) {
        for (int i = 0; i < 500; ++i, ::usleep(20'000))
            if (state(ticket) == TicketState::ended) return true;
        return false;
    }

private:
    SshEngine engine_;
    std::vector<Ticket> started_;
};

}  // namespace

TEST_CASE("each host gets one slave, which runs until it is cancelled") {
    const FakeHosts hosts;
    Hosts engine{hosts.options({"me@n1", "n2", "n2"})};
    const auto tickets = engine.start(5);
    REQUIRE(tickets.size() == 3);
    for (const Ticket& ticket : tickets) CHECK(engine.state(ticket) == TicketState::running);
    CHECK(text_of<SubmissionRefused>([&] { engine.start(1); }) == "each host has a slave");
    CHECK(engine.status({Ticket{"another"}}).empty());
    engine.cancel(tickets[1]);
    CHECK(engine.comes_to_an_end(tickets[1]));
    CHECK(engine.state(tickets[0]) == TicketState::running);
    CHECK(engine.state(tickets[1]) == TicketState::unknown);  // it was told once
    CHECK_NOTHROW(engine.cancel(tickets[1]));
    CHECK(engine.start(1).size() == 1);
}

TEST_CASE("a slave's words are interpreted by no shell, and its name is its ticket") {
    const FakeHosts hosts;
    Hosts engine{hosts.options({"n1"})};
    const auto tickets = engine.start(1);
    REQUIRE(tickets.size() == 1);
    const std::string expected =
        "<it's>\n<$HOME>\n<--distwork-slave-of=10.0.0.1:5000>\n<--distwork-secret=/home/me/"
        "farm.key>\n<--distwork-name=" +
        tickets[0].id() + ">\n";
    for (int i = 0; i < 500 && support::contents(hosts / "arguments") != expected; ++i) ::usleep(20'000);
    CHECK(support::contents(hosts / "arguments") == expected);
}

TEST_CASE("a host that has lost its slave gets another, before anybody asked for that") {
    const FakeHosts hosts;
    Hosts engine{hosts.options({"n1"})};
    const auto first = engine.start(1);
    engine.cancel(first[0]);
    std::vector<Ticket> second;
    for (int i = 0; i < 500 && second.empty(); ++i, ::usleep(20'000)) {
        try {
            second = engine.start(1);
        } catch (const SubmissionRefused&) {
        }
    }
    REQUIRE(second.size() == 1);
    CHECK(engine.state(first[0]) == TicketState::ended);
    CHECK(engine.state(second[0]) == TicketState::running);
}

TEST_CASE("hosts that do not answer get no slaves, and their slaves are unknown") {
    const FakeHosts hosts;
    hosts.set_down("n1\n");
    Hosts engine{hosts.options({"n1", "n2"})};
    const auto tickets = engine.start(2);
    REQUIRE(tickets.size() == 1);
    CHECK(text_of<SubmissionRefused>([&] { engine.start(1); }).find("n1: status 255: ssh: No route to host") == 0);
    hosts.set_down("");
    const auto more = engine.start(1);
    REQUIRE(more.size() == 1);
    hosts.set_down("n2\n");
    CHECK(engine.state(tickets[0]) == TicketState::unknown);
    CHECK(engine.state(more[0]) == TicketState::running);
    CHECK_THROWS_AS(engine.cancel(tickets[0]), EngineUnreachable);
    hosts.set_down("n1\nn2\n");
    CHECK_THROWS_AS(engine.status(tickets), EngineUnreachable);
    hosts.set_down("");
    CHECK(engine.state(tickets[0]) == TicketState::running);
}

TEST_CASE("options of ssh that are out of their range are refused") {
    const FakeHosts hosts;
    const auto is_refused = [&](auto change) {
        auto options = hosts.options({"n1"});
        change(options);
        return text_of<Error>([&] { SshEngine{options}; }).find("SshOptions::") == 0;
    };
    CHECK_FALSE(is_refused([](auto&) {}));
    CHECK(is_refused([](auto& options) { options.hosts.clear(); }));
    CHECK(is_refused([](auto& options) { options.hosts = {""}; }));
    CHECK(is_refused([](auto& options) { options.hosts = {"-oProxyCommand=x"}; }));
    CHECK(is_refused([](auto& options) { options.program.clear(); }));
    CHECK(is_refused([](auto& options) { options.master.clear(); }));
    CHECK(is_refused([](auto& options) { options.deadline = 0ms; }));
}

}  // namespace ssh_engine_test
