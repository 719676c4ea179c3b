// Which master a slave tries next, and after which pause.

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "distwork/roles/reconnect_policy.hpp"
#include "support/catch.hpp"

namespace reconnect_policy_test {

using distwork::detail::ReconnectPolicy;
using namespace std::chrono_literals;

namespace {

ReconnectPolicy search(std::size_t masters) {
    std::vector<distwork::MasterAddress> list;
    for (std::size_t i = 0; i < masters; ++i)
        list.push_back({std::string(1, static_cast<char>('a' + i)), static_cast<std::uint16_t>(i + 1)});
    return ReconnectPolicy{list, 100ms, 500ms};
}

}  // namespace

TEST_CASE("one master is tried again after pauses that double up to a bound", "[unit]") {
    ReconnectPolicy one = search(1);
    CHECK(one.master().to_string() == "a:1");
    for (const auto pause : {100ms, 200ms, 400ms, 500ms, 500ms}) CHECK(one.failed() == pause);
    CHECK(one.master().to_string() == "a:1");
}

TEST_CASE("masters are tried in turn, and only when all failed there is a pause", "[unit]") {
    ReconnectPolicy three = search(3);
    std::string tried;
    std::vector<int> pauses;
    for (int i = 0; i < 9; ++i) {
        tried += three.master().host;
        pauses.push_back(static_cast<int>(three.failed()->count()));
    }
    CHECK(tried == "abcabcabc");
    CHECK(pauses == std::vector<int>{0, 0, 100, 0, 0, 200, 0, 0, 400});
}

TEST_CASE("a session that was opened and lost begins the search anew, after a short pause", "[unit]") {
    ReconnectPolicy three = search(3);
    for (int i = 0; i < 8; ++i) three.failed();
    CHECK(three.master().host == "c");
    CHECK(three.lost() == 100ms);
    CHECK(three.master().host == "a");
    // The next pause is a further one.
    three.failed();
    three.failed();
    CHECK(three.failed() == 200ms);
}

TEST_CASE("a master that is struck has no further turn", "[unit]") {
    ReconnectPolicy three = search(3);
    three.failed();
    CHECK(three.strike() == 0ms);  // b
    CHECK(three.master().host == "c");
    CHECK(three.failed() == 100ms);
    CHECK(three.master().host == "a");
    three.failed();
    CHECK(three.strike() == 200ms);  // c, the last of the round
    CHECK(three.master().host == "a");
    CHECK(three.strike() == std::nullopt);
}

}  // namespace reconnect_policy_test
