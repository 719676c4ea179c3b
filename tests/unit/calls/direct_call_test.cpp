#include "distwork/calls/direct_call.hpp"

#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

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

/// A role whose log lines find no memory.
struct Exhausted {
    std::string sent_work() const { throw std::bad_alloc{}; }
    void log(LogLevel, std::string_view) const { FAIL("nothing was to be said"); }
};

TEST_CASE("a failure that cannot be logged for want of memory is not logged, and nothing else happens", "[unit]") {
    const LogFailure<Exhausted> handler{std::make_shared<Exhausted>()};
    CHECK_NOTHROW(handler(std::make_exception_ptr(std::runtime_error{"it failed"}), 1));
    CHECK_NOTHROW(handler(nullptr));
}

}  // namespace direct_call_test
