#include "distwork/wire/progress_body.hpp"

#include <cstddef>
#include <span>
#include <string>

#include "support/catch.hpp"
#include "support/hex.hpp"

namespace progress_body_test {

using namespace distwork::detail;

TEST_CASE("the body of a progress frame is the millionths and a text", "[unit]") {
    const auto body = encode(ProgressBody{500'000, "half"});
    CHECK(hex(body) == "20 a1 07 00 04 00 68 61 6c 66");
    ProgressBody progress;
    REQUIRE_FALSE(decode(body, progress));
    CHECK(progress.millionths == 500'000);
    CHECK(progress.text == "half");
    for (std::size_t size = 0; size < body.size(); ++size) CHECK(decode(std::span{body}.first(size), progress));
}

TEST_CASE("more than all cannot be done, and a long text is cut", "[unit]") {
    const std::string longest(256, 'x');
    const auto body = encode(ProgressBody{4'000'000'000, longest + "y"});
    ProgressBody progress;
    REQUIRE_FALSE(decode(body, progress));
    CHECK(progress.millionths == ProgressBody::whole);
    CHECK(progress.text == longest);
}

}  // namespace progress_body_test
