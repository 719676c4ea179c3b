#include "distwork/calls/direct_call.hpp"

#include <exception>
#include <string>

#include "distwork/log.hpp"
#include "support/calls.hpp"
#include "support/catch.hpp"

namespace direct_call_test {

using namespace distwork;
using namespace distwork::detail;
using namespace support;

TEST_CASE("a call that its peer does not take fails with the reason", "[unit]") {
    Calls calls;
    calls.peer->refuses = Errc::shape_differs;
    Ended<int> ended;
    detail::send_or_fail(*calls.peer, calls.make(calls::Add{}, [&](std::exception_ptr error, int) {
        ++ended.times, ended.error = error;
    }));
    CHECK(ended.times == 0);
    calls.run();
    CHECK(ended.times == 1);
    CHECK(code_of(ended.error) == Errc::shape_differs);
    CHECK(text_of(ended.error).find("calls::Add") != std::string::npos);
}

}  // namespace direct_call_test
