#include "distwork/execution/work_functions.hpp"

#include "support/call_works.hpp"
#include "support/catch.hpp"
#include "support/hex.hpp"

namespace work_functions_test {

using namespace distwork;
using namespace distwork::detail;

TEST_CASE("a registered work's body is its members", "[unit]") {
    ByteBuffer body;
    const calls::Add work{1, -2};
    work_type<calls::Add>().encode(work, body, {});
    CHECK(hex(body.view()) == "01 00 00 00 fe ff ff ff");
}

}  // namespace work_functions_test
