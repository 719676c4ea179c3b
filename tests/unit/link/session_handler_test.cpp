#include "distwork/link/session_handler.hpp"

#include <string>

#include "distwork/error.hpp"
#include "support/catch.hpp"

namespace session_handler_test {

using namespace distwork;
using namespace distwork::detail;

TEST_CASE("why a session ended is told once, also when it was refused in the words of its code", "[unit]") {
    const std::string meaning = make_error_code(Errc::version_mismatch).message();
    CHECK(why_ended(Errc::version_mismatch, "refused: " + meaning) == meaning);
    CHECK(why_ended(Errc::protocol_violation, "by its frame") ==
          make_error_code(Errc::protocol_violation).message() + " (by its frame)");
    CHECK(why_ended(Errc::stopped, "") == "the role stopped");
    CHECK(is_clean_end(Errc::stopped));
    CHECK(is_clean_end(Errc::connection_closed));
    CHECK_FALSE(is_clean_end(Errc::peer_silent));
}

}  // namespace session_handler_test
