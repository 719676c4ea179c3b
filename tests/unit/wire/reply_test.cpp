#include "distwork/wire/reply.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "distwork/error.hpp"
#include "distwork/wire/byte_buffer.hpp"
#include "support/catch.hpp"
#include "support/hex.hpp"

namespace reply_test {

using namespace distwork;
using namespace distwork::detail;

TEST_CASE("an answer's body is the execution time and the value", "[unit]") {
    ByteBuffer answer;
    answer.extend(reply_head_bytes);
    answer.append("\x2a\0\0\0", 4);
    write_execution_time(answer, std::chrono::nanoseconds{0x0102});
    CHECK(hex(answer.view()) == "02 01 00 00 00 00 00 00 2a 00 00 00");

    Reply reply;
    reply.error = Errc::lost;  // of an earlier use
    REQUIRE_FALSE(decode(FrameKind::answer, answer.view(), reply));
    CHECK(reply.execution_time == std::chrono::nanoseconds{0x0102});
    CHECK(reply.error == Errc{});
    CHECK(hex(reply.value) == "2a 00 00 00");
}

TEST_CASE("an error's body is the execution time, the reason, the exception's type and a text", "[unit]") {
    const ByteBuffer body = error_body(std::chrono::nanoseconds{5}, Errc::work_failed, "E", "why");
    CHECK(hex(body.view()) == "05 00 00 00 00 00 00 00 01 00 01 00 45 77 68 79");
    Reply reply;
    REQUIRE_FALSE(decode(FrameKind::error, body.view(), reply));
    CHECK(reply.execution_time == std::chrono::nanoseconds{5});
    CHECK(reply.error == Errc::work_failed);
    CHECK(reply.exception_type == "E");
    CHECK(reply.text == "why");
    CHECK(reply.value.empty());
}

TEST_CASE("a reply that is cut short is refused, wherever", "[unit]") {
    const ByteBuffer error = error_body({}, Errc::work_failed, "std::runtime_error", "");
    Reply reply;
    for (std::size_t size = 0; size < error.size(); ++size) {
        CAPTURE(size);
        CHECK(decode(FrameKind::error, error.view().first(size), reply) == Errc::protocol_violation);
        CHECK(decode(FrameKind::answer, error.view().first(size), reply) ==
              (size < reply_head_bytes ? make_error_code(Errc::protocol_violation) : std::error_code{}));
    }
    CHECK_FALSE(decode(FrameKind::error, error.view(), reply));
    // An error that is none.
    const ByteBuffer none = error_body({}, Errc{}, "", "");
    CHECK(decode(FrameKind::error, none.view(), reply) == Errc::protocol_violation);
}

TEST_CASE("a slave's word on its execution time is bounded", "[unit]") {
    std::array<std::byte, reply_head_bytes> body{};
    Reply reply;
    body.fill(std::byte{0xff});
    REQUIRE_FALSE(decode(FrameKind::answer, body, reply));
    CHECK(reply.execution_time == std::chrono::hours{365 * 24});

    const ByteBuffer negative = error_body(std::chrono::nanoseconds{-5}, Errc::lost, "", "");
    REQUIRE_FALSE(decode(FrameKind::error, negative.view(), reply));
    CHECK(reply.execution_time == std::chrono::nanoseconds{0});
    ByteBuffer answer;
    answer.extend(reply_head_bytes);
    write_execution_time(answer, std::chrono::nanoseconds{-1});
    REQUIRE_FALSE(decode(FrameKind::answer, answer.view(), reply));
    CHECK(reply.execution_time == std::chrono::nanoseconds{0});
}

TEST_CASE("the texts of an error are cut where they are long", "[unit]") {
    const ByteBuffer body = error_body({}, Errc::work_failed, std::string(1000, 't'), std::string(1024 * 1024, 'x'));
    CHECK(body.size() < large_body_bytes);
    Reply reply;
    REQUIRE_FALSE(decode(FrameKind::error, body.view(), reply));
    CHECK(reply.exception_type == std::string(256, 't'));
    CHECK(reply.text == std::string(max_error_text_bytes, 'x'));
}

TEST_CASE("what keeps a work from being executed is told by its reason and the work's name", "[unit]") {
    const auto told = [](const std::exception_ptr& broken) {
        const ByteBuffer body = error_body(std::chrono::nanoseconds{1}, broken, "Sum");
        Reply reply;
        REQUIRE_FALSE(decode(FrameKind::error, body.view(), reply));
        CHECK(reply.exception_type.empty());
        CHECK(reply.text.starts_with("Sum: "));
        return std::pair{reply.error, std::string{reply.text}};
    };
    CHECK(told(std::make_exception_ptr(Error{Errc::too_large, "12 bytes"})).first == Errc::too_large);
    CHECK(told(std::make_exception_ptr(Error{Errc::too_large, "12 bytes"})).second.find("12 bytes") !=
          std::string::npos);
    CHECK(told(std::make_exception_ptr(Error{std::make_error_code(std::errc::io_error), ""})).first == Errc::malformed);
    CHECK(told(std::make_exception_ptr(std::bad_alloc{})).first == Errc::malformed);
    CHECK(told(std::make_exception_ptr(std::invalid_argument{"negative"})).second == "Sum: negative");
    CHECK(told(std::make_exception_ptr(5)).first == Errc::malformed);
}

TEST_CASE("a peer is believed what it can know of a work, and nothing else", "[unit]") {
    using distwork::detail::Role;
    const auto told = [](unsigned code, Role peer) {
        const ByteBuffer body = error_body({}, static_cast<Errc>(code), "", "text");
        Reply reply;
        REQUIRE_FALSE(decode(FrameKind::error, body.view(), reply, peer));
        CHECK(reply.text == "text");
        return reply.error;
    };
    for (const unsigned code : {1u, 9u, 11u, 16u, 17u, 18u, 19u, 20u, 21u, 22u, 23u, 24u, 25u, 69u}) {
        CHECK(told(code, Role::slave) == static_cast<Errc>(code));
        CHECK(told(code, Role::master) == static_cast<Errc>(code));
    }
    // How a submission ended is what a master tells of the works that works of its slaves submitted.
    for (const unsigned code : {2u, 3u, 4u, 5u, 6u, 7u, 8u, 10u}) {
        CHECK(told(code, Role::slave) == Errc::malformed);
        CHECK(told(code, Role::master) == static_cast<Errc>(code));
    }
    for (const unsigned code : {12u, 26u, 32u, 34u, 41u, 64u, 66u, 70u, 73u, 99u, 60'000u}) {
        CHECK(told(code, Role::slave) == Errc::malformed);
        CHECK(told(code, Role::master) == Errc::malformed);
    }
}

TEST_CASE("a text of people is read as far as one may be written", "[unit]") {
    ByteBuffer body = error_body({}, Errc::work_failed, "E", "");
    const std::string text(1 << 20, 't');
    body.append(text.data(), text.size());
    Reply reply;
    REQUIRE_FALSE(decode(FrameKind::error, body.view(), reply));
    CHECK(reply.text.size() == max_error_text_bytes);
}

}  // namespace reply_test
