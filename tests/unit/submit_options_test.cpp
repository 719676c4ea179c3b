#include "distwork/submit_options.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

namespace submit_options_test {

using namespace distwork;

TEST_CASE("submission options are fluent, and their labels sorted and each once", "[unit]") {
    const SubmitOptions plain;
    CHECK(plain.priority() == 0);
    CHECK(plain.labels().empty());
    CHECK(plain.name().empty());
    CHECK(plain.when_unavailable() == WhenUnavailable::wait);

    const auto options = SubmitOptions{}
                             .priority(-3)
                             .label("gpu")
                             .label("avx")
                             .label("gpu")
                             .label("zoo")
                             .name("nightly")
                             .when_unavailable(WhenUnavailable::refuse);
    CHECK(options.priority() == -3);
    CHECK(options.labels() == std::vector<std::string>{"avx", "gpu", "zoo"});
    CHECK(options.name() == "nightly");
    CHECK(options.when_unavailable() == WhenUnavailable::refuse);
}

}  // namespace submit_options_test
