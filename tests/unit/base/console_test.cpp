#include "distwork/base/console.hpp"

#include <chrono>
#include <ctime>

#include "support/catch.hpp"

namespace console_test {

using namespace distwork;

TEST_CASE("a line's stamp is the local time, with its distance from UTC", "[unit]") {
    const std::time_t now = 1'700'000'000;
    std::tm local{};
    localtime_r(&now, &local);
    char expected[64];
    std::strftime(expected, sizeof expected, "[%Y-%m-%d %H:%M:%S %z] ", &local);
    CHECK(detail::stamp(std::chrono::sys_seconds{std::chrono::seconds{now}}) == expected);
    CHECK(detail::stamp(std::chrono::sys_seconds{std::chrono::seconds{now}}) == expected);  // as it is remembered
}

}  // namespace console_test
