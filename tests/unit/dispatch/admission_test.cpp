#include "distwork/dispatch/admission.hpp"

#include <string>

#include "support/catch.hpp"
#include "support/texts.hpp"

namespace admission_test {

using namespace distwork;
using namespace distwork::detail;
using namespace support;

TEST_CASE("a refusal names the work and the reason", "[unit]") {
    CHECK(std::string{refusal(Admission::no_slave, "Sum", "no slave is connected").what()} ==
          "Sum: no slave is connected");
    const std::string large = refusal(Admission::too_large, "Sum").what();
    CHECK(count(large, "too large") + count(large, "larger") == 0);
    CHECK(large.find("Sum: ") == 0);
    CHECK(large.find("max_frame_bytes") != std::string::npos);
}

}  // namespace admission_test
