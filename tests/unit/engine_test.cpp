// What an engine's tickets may be called, and which options a factory takes.

#include "distwork/engine.hpp"

#include <chrono>
#include <functional>
#include <limits>
#include <string>

#include "distwork/factory_options.hpp"
#include "support/catch.hpp"

namespace engine_test {

using namespace distwork;
using namespace std::chrono_literals;

TEST_CASE("a ticket is a name that may stand in a command or a file's name") {
    for (const char* const id : {"1", "4711", "slave-0.example", "a_b", "9.."}) CHECK(Ticket{id}.id() == id);
    CHECK(Ticket{std::string(128, 'x')}.id().size() == 128);
    for (const char* const id : {"", "-1", ".", "..", "_a", "a b", "a/b", "a;b", "a\n", "$a", "ä"}) {
        INFO(id);
        CHECK_FALSE(Ticket::is_valid(id));
        CHECK_THROWS_AS(Ticket{id}, Error);
    }
    CHECK_THROWS_AS(Ticket{std::string(129, 'x')}, Error);
    CHECK_FALSE(Ticket::is_valid(std::string("a\0b", 3)));
}

TEST_CASE("tickets are compared by their names") {
    CHECK(Ticket{"1"} == Ticket{"1"});
    CHECK(Ticket{"1"} != Ticket{"2"});
    CHECK(Ticket{"1"} < Ticket{"2"});
}

TEST_CASE("options of a factory that are out of their range are refused by name") {
    CHECK_NOTHROW(detail::checked(FactoryOptions{}));
    const auto refused = [](const std::string& name, const std::function<void(FactoryOptions&)>& change) {
        FactoryOptions options;
        change(options);
        try {
            detail::checked(options);
            FAIL_CHECK(name << " is not checked");
        } catch (const Error& error) {
            CHECK(error.code() == Errc::bad_option);
            CHECK(std::string{error.what()}.find("FactoryOptions::" + name + ' ') == 0);
        }
    };
    refused("max", [](auto& options) { options.max = 0; });
    refused("max", [](auto& options) { options.max = 100'001; });
    refused("min", [](auto& options) { options.min = 17; });
    refused("start_worth", [](auto& options) { options.start_worth = 0ms; });
    refused("unknown_worth", [](auto& options) { options.unknown_worth = -1ms; });
    refused("most_queued", [](auto& options) { options.most_queued = 0; });
    refused("most_starts", [](auto& options) { options.most_starts = 0; });
    refused("start_window", [](auto& options) { options.start_window = -1ms; });
    refused("idle_after", [](auto& options) { options.idle_after = 0ms; });
    refused("connect_within", [](auto& options) { options.connect_within = 0ms; });
    refused("refusal_pauses", [](auto& options) { options.refusal_pauses.clear(); });
    refused("refusal_pauses", [](auto& options) { options.refusal_pauses = {0ms, -1ms}; });
    refused("most_refusals", [](auto& options) { options.most_refusals = 0; });
    refused("most_early_ends", [](auto& options) { options.most_early_ends = 0; });
    refused("ask_every", [](auto& options) { options.ask_every = 0ms; });
    refused("forgotten_queued", [](auto& options) { options.forgotten_queued = 0; });
    refused("forgotten_running", [](auto& options) { options.forgotten_running = 0; });
}

TEST_CASE("a time that never ends counts as a hundred years") {
    FactoryOptions options;
    options.idle_after = std::chrono::milliseconds::max();
    options.refusal_pauses = {std::chrono::milliseconds::max()};
    options = detail::checked(options);
    CHECK(options.idle_after == std::chrono::hours{24 * 365 * 100});
    CHECK(options.refusal_pauses.front() == options.idle_after);
}

}  // namespace engine_test
