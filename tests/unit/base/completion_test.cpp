#include "distwork/base/completion.hpp"

#include <asio/cancellation_signal.hpp>

#include "support/catch.hpp"

namespace completion_test {

using namespace distwork;

TEST_CASE("a caller's signal cancels through, of any type", "[unit]") {
    asio::cancellation_signal signal;
    int cancelled = 0;
    detail::cancel_through(signal.slot(), [&] { ++cancelled; });
    signal.emit(asio::cancellation_type::none);
    CHECK(cancelled == 0);
    signal.emit(asio::cancellation_type::total);
    signal.emit(asio::cancellation_type::terminal);
    CHECK(cancelled == 2);
    detail::cancel_through(asio::cancellation_slot{}, [&] { ++cancelled; });
}

}  // namespace completion_test
