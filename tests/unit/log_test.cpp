#include "distwork/log.hpp"

#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

#include "distwork/error.hpp"
#include "support/catch.hpp"

namespace log_test {

using namespace distwork;
using namespace distwork::detail;

TEST_CASE("a line of the log is one line, whatever a peer calls itself", "[unit]") {
    std::string told;
    const Log log = detail::guarded([&](LogLevel, std::string_view line) { told = line; }, "Slave Ada: ");
    log(LogLevel::info, "Connected to: mal\nlory\x1b[2J \xc3\xa9");
    CHECK(told == "Slave Ada: Connected to: mal\\nlory\\x1b[2J \xc3\xa9");
    // A terminal's control sequence of one character, a line break of Unicode's, a turn of the writing, and bytes that
    // are no UTF-8 at all.
    log(LogLevel::info,
        "\xc2\x9b"
        "2J \xe2\x80\xa8 \xe2\x80\xae \xff \xc0\x8a \xe2\x80 \xed\xa0\x80 \xf0\x9f\x98\x80");
    CHECK(told ==
          "Slave Ada: \\xc2\\x9b2J \\xe2\\x80\\xa8 \\xe2\\x80\\xae \\xff \\xc0\\x8a \\xe2\\x80 \\xed\\xa0\\x80 "
          "\xf0\x9f\x98\x80");
    CHECK_FALSE(detail::guarded(Log{}));
}

TEST_CASE("what ended because it was asked to is no failure", "[unit]") {
    const auto level = [](Errc reason) {
        return detail::level_of_failure(std::make_exception_ptr(Error{reason, "Sum"}));
    };
    CHECK(level(Errc::stopped) == LogLevel::info);
    CHECK(level(Errc::cancelled) == LogLevel::info);
    CHECK(level(Errc::lost) == LogLevel::warning);
    CHECK(detail::level_of_failure(std::make_exception_ptr(std::runtime_error{"why"})) == LogLevel::warning);
}

}  // namespace log_test
