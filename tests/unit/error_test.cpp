#include "distwork/error.hpp"

#include <cstdint>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "distwork/base/asio.hpp"
#include "support/catch.hpp"
#include "support/texts.hpp"

namespace error_test {

using namespace distwork;
using namespace distwork::detail;
using namespace support;

TEST_CASE("the numbers of the errors are the wire's", "[unit]") {
    const std::pair<Errc, int> errors[] = {
        {Errc::work_failed, 1},      {Errc::cancelled, 2},           {Errc::lost, 3},
        {Errc::backlog_full, 4},     {Errc::too_many_waiting, 5},    {Errc::no_slave, 6},
        {Errc::stopped, 7},          {Errc::queue_timeout, 8},       {Errc::execution_timeout, 9},
        {Errc::deadline, 10},        {Errc::failed_no_retry, 11},    {Errc::malformed, 16},
        {Errc::too_large, 17},       {Errc::unknown_type, 18},       {Errc::shape_differs, 19},
        {Errc::not_accepted, 20},    {Errc::null_work, 21},          {Errc::shared_pointer, 22},
        {Errc::foreign_type, 23},    {Errc::too_many_suspended, 24}, {Errc::connection_closed, 32},
        {Errc::peer_silent, 33},     {Errc::protocol_violation, 34}, {Errc::version_mismatch, 35},
        {Errc::not_distwork, 36},    {Errc::wrong_role, 37},         {Errc::handshake_timeout, 38},
        {Errc::too_many_slaves, 39}, {Errc::frame_too_large, 40},    {Errc::outbox_full, 41},
        {Errc::draining, 42},        {Errc::session_failed, 43},     {Errc::peer_stalled, 44},
        {Errc::address_in_use, 64},  {Errc::bad_address, 65},        {Errc::needs_credentials, 66},
        {Errc::zero_slots, 67},      {Errc::duplicate_type, 68},     {Errc::unregistered_type, 69},
        {Errc::bad_option, 70},      {Errc::already_running, 71}};
    std::set<std::string> texts;
    for (const auto& [error, number] : errors) {
        CHECK(static_cast<int>(error) == number);
        const std::error_code code = error;
        CHECK(code.value() == number);
        CHECK(code.category() == error_category());
        texts.insert(code.message());
        CHECK(code.message().find("unknown distwork error") == std::string::npos);
    }
    CHECK(texts.size() == std::size(errors));
    CHECK(make_error_code(static_cast<Errc>(9999)).message() == "unknown distwork error 9999");
}

TEST_CASE("an error says what happened and to what", "[unit]") {
    const Error plain{Errc::null_work};
    CHECK(plain.code() == Errc::null_work);
    const Error error{Errc::bad_option, "slots"};
    CHECK(std::string{error.what()} == "slots: an option has an unusable value");
    const RemoteError remote{"std::out_of_range", "index 5", "Sum", "node (127.0.0.1:9)", 2};
    CHECK(remote.code() == Errc::work_failed);
    CHECK(std::string{remote.what()}.starts_with("Sum on node (127.0.0.1:9), attempt 2: std::out_of_range: index 5"));
    CHECK(remote.type() == "std::out_of_range");
    CHECK(remote.text() == "index 5");
    CHECK(remote.work() == "Sum");
    CHECK(remote.slave() == "node (127.0.0.1:9)");
    CHECK(remote.attempt() == 2);
}

TEST_CASE("a cancelled submission is an aborted operation, as elsewhere in Asio", "[unit]") {
    CHECK(make_error_code(Errc::cancelled) == std::errc::operation_canceled);
    CHECK(make_error_code(Errc::cancelled) ==
          std::error_condition{asio::error::operation_aborted, std::generic_category()});
    CHECK(make_error_code(Errc::address_in_use) == std::errc::address_in_use);
    CHECK(make_error_code(Errc::lost) != std::errc::operation_canceled);
    CHECK(std::string{error_category().name()} == "distwork");
}

TEST_CASE("an error's text is its own, and the code's meaning is not appended", "[unit]") {
    const Error said = Error::with_text(Errc::too_large, "Sum: its body is beyond max_frame_bytes");
    CHECK(std::string{said.what()} == "Sum: its body is beyond max_frame_bytes");
    CHECK(said.code() == Errc::too_large);
    CHECK(std::string{Error{Errc::null_work}.what()} == make_error_code(Errc::null_work).message());
    CHECK(std::string{Error{Errc::no_slave, "Sum"}.what()} == "Sum: " + make_error_code(Errc::no_slave).message());
    const Error of_the_system{std::make_error_code(std::errc::connection_refused), "[::1]:80"};
    CHECK(count(of_the_system.what(), "[::1]:80") == 1);
    const Error copy = said;  // as whoever catches by value does
    CHECK(std::string{copy.what()} == said.what());
}

TEST_CASE("a remote error says what was thrown, once", "[unit]") {
    const RemoteError remote{"std::out_of_range", "index 5", "Sum", "node (127.0.0.1:9)", 2};
    CHECK(std::string{remote.what()} == "Sum on node (127.0.0.1:9), attempt 2: std::out_of_range: index 5");
    const RemoteError mute{"int", "", "Sum", "node (127.0.0.1:9)", 1};
    CHECK(std::string{mute.what()} == "Sum on node (127.0.0.1:9), attempt 1: int");
}

TEST_CASE("every code has a meaning that stands on its own", "[unit]") {
    for (std::uint16_t number = 0; number < 100; ++number) {
        const std::string meaning = make_error_code(static_cast<Errc>(number)).message();
        if (meaning.starts_with("unknown distwork error")) continue;
        INFO(meaning);
        CHECK(meaning.size() > 10);
        CHECK(meaning.back() != '.');
    }
}

}  // namespace error_test
