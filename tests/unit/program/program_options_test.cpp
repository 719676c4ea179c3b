#include "distwork/program/program_options.hpp"

#include <map>
#include <string>
#include <vector>

#include "distwork/error.hpp"
#include "support/catch.hpp"

namespace program_options_test {

using namespace distwork;
using namespace distwork::detail;

struct Taken {
    ProgramOptions options;
    std::vector<std::string> rest;
};

Taken take(std::vector<std::string> arguments, const std::map<std::string, std::string>& variables = {}) {
    arguments.insert(arguments.begin(), "program");
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    int count = static_cast<int>(arguments.size());
    Taken taken;
    taken.options = ProgramOptions::take(count, pointers.data(), [&](const char* name) -> const char* {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
    });
    CHECK(pointers[static_cast<std::size_t>(count)] == nullptr);
    for (int i = 1; i < count; ++i) taken.rest.emplace_back(pointers[static_cast<std::size_t>(i)]);
    return taken;
}

TEST_CASE("an engine is named, and needs a place where its slaves come in") {
    const auto taken =
        take({"--distwork-listen=0.0.0.0:5000", "--distwork-engine=slurm", "--distwork-engine-max=40",
              "--distwork-engine-args=--partition=short --comment='a b'", "--distwork-address=head:5001"})
            .options;
    CHECK(taken.engine == "slurm");
    CHECK(taken.engine_max == 40);
    CHECK(taken.engine_args == std::vector<std::string>{"--partition=short", "--comment=a b"});
    CHECK(taken.address == "head:5001");
    CHECK(take({"--distwork-listen=0.0.0.0:5000", "--distwork-engine=ssh:hosts.txt"}).options.engine ==
          "ssh:hosts.txt");
    for (const std::string wrong : {"kubernetes", "ssh", "ssh:", "command:", ""})
        CHECK_THROWS_AS(take({"--distwork-listen=0.0.0.0:5000", "--distwork-engine=" + wrong}), Error);
    CHECK_THROWS_AS(take({"--distwork-engine=slurm"}), Error);
    CHECK_THROWS_AS(take({"--distwork-engine-max=0"}), Error);
    CHECK(take({"--distwork-address=head"}).options.address == "head");
    CHECK_THROWS_AS(take({"--distwork-address=head:"}), Error);
    CHECK_THROWS_AS(take({"--distwork-address=head:70000"}), Error);
}

TEST_CASE("options of distwork are taken out of the arguments, and others stay in their order") {
    const Taken taken = take({"--size=3", "--distwork-slaves=4", "in", "--distwork-name", "a b", "-v",
                              "--distwork-labels=gpu,,big", "--distwork-insecure-plaintext"});
    CHECK(taken.rest == std::vector<std::string>{"--size=3", "in", "-v"});
    CHECK(taken.options.slaves == 4u);
    CHECK(taken.options.name == "a b");
    CHECK(taken.options.labels == std::vector<std::string>{"gpu", "big"});
    CHECK(taken.options.insecure_plaintext);
    CHECK(taken.options.listen_address.empty());
    CHECK_FALSE(take({}).options.slaves.has_value());
}

TEST_CASE("addresses have a port, and brackets around IPv6") {
    const ProgramOptions options = take({"--distwork-listen=[::1]:5000", "--distwork-slave-of=a:1,b:65535"}).options;
    CHECK(options.listen_address == "::1");
    CHECK(options.listen_port == 5000);
    REQUIRE(options.slave_of.size() == 2);
    CHECK(options.slave_of[1].host == "b");
    CHECK(options.slave_of[1].port == 65535);
    for (const char* wrong : {"a", "a:", ":5", "a:65536", "a:5x", ""})
        CHECK_THROWS_AS(take({std::string{"--distwork-slave-of="} + wrong}), Error);
}

TEST_CASE("the environment has the same options, and arguments win") {
    const std::map<std::string, std::string> variables{{"DISTWORK_SLAVES", "2"}, {"DISTWORK_LOG", "info"}};
    CHECK(take({}, variables).options.slaves == 2u);
    CHECK(take({"--distwork-slaves=0"}, variables).options.slaves == 0u);
    CHECK(take({}, variables).options.log == LogLevel::info);
    CHECK_THROWS_AS(take({}, {{"DISTWORK_SLOTS", "-1"}}), Error);
}

TEST_CASE("the help names every option") {
    const std::string text = ProgramOptions::usage();
    for (const char* name : {"slaves=N", "listen=", "slave-of=", "slots=", "name=", "labels=", "log=", "help"})
        CHECK(text.find(std::string{"--distwork-"} + name) != std::string::npos);
}

}  // namespace program_options_test
