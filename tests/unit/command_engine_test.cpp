// CommandEngine, with small commands of the shell.

#include "distwork/command_engine.hpp"

#include <unistd.h>
#include <chrono>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/texts.hpp"

namespace command_engine_test {

using namespace distwork;
using namespace std::chrono_literals;
using support::contains;
using support::text_of;

namespace {

using Words = std::vector<std::string>;

/// Writes its arguments into a file, a line each, and then does what the script says: $folder is a folder of its own.
class Commands {
public:
    Words command(const std::string& name, const std::string& script, const Words& arguments) const {
        Words words{"/bin/sh", "-c",
                    "folder='" + folder_.path() + "'; printf '<%s>\n' \"$@\" >>\"$folder/" + name + "\"; " + script,
                    name};
        words.insert(words.end(), arguments.begin(), arguments.end());
        return words;
    }

    /// `start` prints {name}; nothing is known of any ticket; each can be cancelled.
    CommandEngineOptions options() const {
        CommandEngineOptions options;
        options.start = command("start", "echo ignored", {"{name}"});
        options.status = command("status", "true", {"{id}"});
        options.cancel = command("cancel", "true", {"{id}"});
        options.master = "10.0.0.1:5000";
        options.secret_file = "/home/me/farm.key";
        options.deadline = 20s;
        return options;
    }

    CommandEngineOptions with_start(const std::string& script, const Words& arguments) const {
        CommandEngineOptions changed = options();
        changed.start = command("start", script, arguments);
        return changed;
    }

    CommandEngineOptions with_status(const std::string& script, const Words& arguments = {"{id}"}) const {
        CommandEngineOptions changed = options();
        changed.status = command("status", script, arguments);
        return changed;
    }

    std::string arguments(const std::string& name) const { return support::contents(folder_ / name); }
    std::string operator/(const std::string& name) const { return folder_ / name; }

private:
    support::Folder folder_;
};

}  // namespace

TEST_CASE("a start with a name is called for each slave, and the name is its ticket") {
    const Commands commands;
    CommandEngine engine{commands.options()};
    CommandEngine other{commands.options()};
    auto tickets = engine.start(3);
    for (const Ticket& ticket : other.start(2)) tickets.push_back(ticket);
    REQUIRE(tickets.size() == 5);
    CHECK(std::set(tickets.begin(), tickets.end()).size() == 5);
    std::string expected;
    for (const Ticket& ticket : tickets) expected += '<' + ticket.id() + ">\n";
    CHECK(commands.arguments("start") == expected);
}

TEST_CASE("a start with a count is called once, and prints the tickets") {
    const Commands commands;
    CommandEngine engine{commands.with_start("echo a-1; echo; printf ' b.2 \\r\\n'", {"{count}", "-n={count}"})};
    CHECK(engine.start(7) == std::vector{Ticket{"a-1"}, Ticket{"b.2"}});
    CHECK(commands.arguments("start") == "<7>\n<-n=7>\n");
}

TEST_CASE("words are filled in, and interpreted no further") {
    const Commands commands;
    const std::string touch = "$(touch " + (commands / "made") + ")";
    auto options = commands.with_start(
        "echo 1", {"--of={master},{master}", "{secret_file}", "a b; c", touch, "{.items[*]}{other}", "{id}"});
    options.master = "{secret_file}";  // is not replaced once more
    CommandEngine engine{options};
    CHECK(engine.start(1).size() == 1);
    CHECK(commands.arguments("start") == "<--of={secret_file},{secret_file}>\n</home/me/farm.key>\n<a b; c>\n<" +
                                             touch + ">\n<{.items[*]}{other}>\n<{id}>\n");
    CHECK(::access((commands / "made").c_str(), F_OK) != 0);
}

TEST_CASE("a start that fails has started nothing: its words are told, and its tickets are cancelled") {
    const Commands commands;
    CommandEngine refused{commands.with_start("echo 1; echo no quota left >&2; exit 1", {"{count}"})};
    CHECK(contains(text_of<SubmissionRefused>([&] { refused.start(1); }), "no quota left"));
    CHECK(commands.arguments("cancel") == "<1>\n");
    CommandEngine unreachable{commands.with_start("echo no route >&2; exit 75", {"{name}"})};
    CHECK(contains(text_of<EngineUnreachable>([&] { unreachable.start(1); }), "no route"));
    CommandEngine silent{commands.with_start("echo; true", {})};
    CHECK(contains(text_of<SubmissionRefused>([&] { silent.start(1); }), "printed no ticket"));
    CHECK(commands.arguments("cancel") == "<1>\n");
}

TEST_CASE("what is no ticket is refused, and what was printed with it is cancelled") {
    const Commands commands;
    for (const char* const wrong : {"-rf", "a b", "pod/a", "$(id)", ".."}) {
        CommandEngine engine{commands.with_start("echo good; echo \"$1\"", {wrong})};
        INFO(wrong);
        CHECK(contains(text_of<SubmissionRefused>([&] { engine.start(1); }), std::string{"is no ticket: "} + wrong));
    }
    CHECK(commands.arguments("cancel") == "<good>\n<good>\n<good>\n<good>\n<good>\n");
}

TEST_CASE("slaves that were started before one was refused are told") {
    const Commands commands;
    CommandEngine engine{commands.with_start("[ ! -e \"$folder/one\" ] || exit 1; touch \"$folder/one\"", {"{name}"})};
    CHECK(engine.start(3).size() == 1);
}

TEST_CASE("a start that was killed may have started a slave, which is cancelled by its name until that succeeds") {
    const Commands commands;
    auto options = commands.with_start("sleep 1000", {"{name}"});
    options.cancel = commands.command("cancel", "[ -e \"$folder/reachable\" ]", {"{id}"});
    options.deadline = 500ms;
    CommandEngine engine{options};
    CHECK(contains(text_of<EngineUnreachable>([&] { engine.start(1); }), "it took too long"));
    const std::string name = commands.arguments("start");
    CHECK(name.find("<distwork-") == 0);
    CHECK(commands.arguments("cancel") == name);
    CHECK(engine.status({Ticket{"1"}}).empty());
    CHECK(commands.arguments("cancel") == name + name);
    support::write_file(commands / "reachable", "");
    CHECK(engine.status({Ticket{"1"}}).empty());
    CHECK(engine.status({Ticket{"1"}}).empty());
    CHECK(commands.arguments("cancel") == name + name + name);
}

TEST_CASE("the status of all tickets is asked for at once") {
    const Commands commands;
    CommandEngine engine{commands.with_status(
        "printf '1 queued\\n2\\trunning  on  n1 \\n\\n3 ended\\n4 failed out of memory\\n5 running\\n'",
        {"--ids", "{id}", "of={id}"})};
    const auto answer = engine.status({Ticket{"1"}, Ticket{"2"}, Ticket{"3"}, Ticket{"4"}, Ticket{"6"}});
    REQUIRE(answer.size() == 4);
    CHECK(answer[0].state == TicketState::queued);
    CHECK(answer[1].state == TicketState::running);
    CHECK(answer[1].text == "on  n1");
    CHECK(answer[2].state == TicketState::ended);
    CHECK(answer[3].state == TicketState::failed);
    CHECK(answer[3].ticket == Ticket{"4"});
    CHECK(answer[3].text == "out of memory");
    CHECK(commands.arguments("status") == "<--ids>\n<1>\n<2>\n<3>\n<4>\n<6>\n<of=1>\n<of=2>\n<of=3>\n<of=4>\n<of=6>\n");
}

TEST_CASE("tickets beyond 256 are asked for in another call, unless status prints all it knows") {
    const Commands commands;
    std::vector<Ticket> tickets;
    for (int i = 0; i < 600; ++i) tickets.emplace_back(std::to_string(i));
    CommandEngine by_id{commands.with_status("echo call >>\"$folder/calls\"; for id; do echo $id running; done")};
    CHECK(by_id.status(tickets).size() == 600);
    CommandEngine of_all{
        commands.with_status("echo call >>\"$folder/calls\"; for id in 1 2 3 1000; do echo $id running; done", {})};
    CHECK(of_all.status(tickets).size() == 3);
    CHECK(support::contents(commands / "calls") == "call\ncall\ncall\ncall\n");
}

TEST_CASE("a status that fails, or that cannot be understood, says nothing of any ticket") {
    const Commands commands;
    const std::vector tickets{Ticket{"1"}, Ticket{"2"}};
    for (const char* const script :
         {"echo 1 ended; exit 1", "echo 1 ended; exit 75", "echo 1 ended; kill -9 $$", "echo 1 ended; echo 2 Running",
          "echo 1 ended; echo 2", "echo 1 ended; head -c 100000 /dev/zero"}) {
        INFO(script);
        CommandEngine engine{commands.with_status(script)};
        CHECK_THROWS_AS(engine.status(tickets), EngineUnreachable);
    }
}

TEST_CASE("cancel is called with the ticket") {
    const Commands commands;
    auto options = commands.options();
    options.cancel = commands.command("cancel", "[ $2 != 2 ] || { echo no answer >&2; exit 1; }", {"job={id}", "{id}"});
    CommandEngine engine{options};
    engine.cancel(Ticket{"1"});
    CHECK(commands.arguments("cancel") == "<job=1>\n<1>\n");
    CHECK(contains(text_of<EngineUnreachable>([&] { engine.cancel(Ticket{"2"}); }), "no answer"));
}

TEST_CASE("commands are read from a file") {
    const Commands commands;
    support::write_file(commands / "pods",
                        "# slaves as pods\n\n"
                        "start = printf '%s ' \"two words\"   it\"'\"s {master} '' {secret_file}\r\n"
                        "  status=printf {id}\n"
                        "cancel = printf a=b{id}");
    CHECK_NOTHROW(CommandEngine::from_file(commands / "pods", "h:1", "/key"));
    const auto read = detail::read_command_file(commands / "pods", {"start", "status", "cancel"});
    CHECK(read.at("start") == Words{"printf", "%s ", "two words", "it's", "{master}", "", "{secret_file}"});
    CHECK(read.at("status") == Words{"printf", "{id}"});
    CHECK(read.at("cancel") == Words{"printf", "a=b{id}"});
    const auto engine = CommandEngine::from_file(commands / "pods", "h:1", "/key");
    CHECK(contains(text_of<SubmissionRefused>([&] { engine->start(1); }), "two words it's h:1  /key"));
}

TEST_CASE("a file that is not understood is refused by line") {
    const Commands commands;
    const std::string good = "start = a\nstatus = b\ncancel = c {id}\n";
    const auto refusal = [&](const std::string& text) {
        support::write_file(commands / "file", text);
        return text_of<Error>([&] { CommandEngine::from_file(commands / "file", "h:1"); });
    };
    CHECK(refusal(good) == "nothing was thrown");
    CHECK(contains(refusal(good + "stop = d"), "file:4: it is no line NAME = WORD"));
    CHECK(contains(refusal(good + "d"), "file:4: it is no line NAME = WORD"));
    CHECK(contains(refusal(good + "start = d"), "file:4: start is given twice"));
    CHECK(contains(refusal("start = 'a\n" + good), "file:1: a quote does not end"));
    CHECK(contains(refusal("start =\n" + good), "file:1: start has no word"));
    CHECK(contains(refusal("start = a\n"), "no line status"));
    CHECK(contains(refusal(good + std::string(70'000, '#')), "more than 64 KiB"));
    CHECK(contains(text_of<Error>([&] { CommandEngine::from_file(commands / "none", "h:1"); }), "it cannot be read"));
}

TEST_CASE("commands that lack something are refused") {
    const Commands commands;
    const auto is_refused = [&](auto change) {
        auto options = commands.options();
        change(options);
        return contains(text_of<Error>([&] { CommandEngine{options}; }), "CommandEngineOptions");
    };
    CHECK_FALSE(is_refused([](auto&) {}));
    CHECK(is_refused([](auto& options) { options.start.clear(); }));
    CHECK(is_refused([](auto& options) { options.status = {""}; }));
    CHECK(is_refused([](auto& options) { options.cancel = {"kill"}; }));
    CHECK(is_refused([](auto& options) { options.deadline = 0ms; }));
    CHECK(is_refused([](auto& options) { options.start = {"ssh", "{master}"}, options.master.clear(); }));
    CHECK(is_refused([](auto& options) { options.start = {"ssh", "a{secret_file}"}, options.secret_file.clear(); }));
}

}  // namespace command_engine_test
