#include <asio/ip/tcp.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "distwork/dispatch/admission.hpp"
#include "distwork/calls/call.hpp"
#include "distwork/error.hpp"
#include "distwork/log.hpp"
#include "distwork/role_options.hpp"
#include "distwork/link/session_handler.hpp"
#include "distwork/statistics.hpp"
#include "distwork/transport.hpp"
#include "support/catch.hpp"

using namespace distwork;
using namespace distwork::detail;

// What people read: one sentence, and nothing twice.

namespace {

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
}

/// A call that nobody sends.
class Sum final : public Call {
public:
    Sum() : Call{type()} {}
    const IWork& work() const noexcept override { std::abort(); }
    void succeed(std::span<const std::byte>, const std::shared_ptr<Peer>&) noexcept override {}
    void fail(std::exception_ptr) noexcept override {}
    void deliver(std::shared_ptr<Call>) override {}

private:
    static const WorkType& type() {
        static const WorkType type = [] {
            WorkType named;
            named.name = "Sum";
            return named;
        }();
        return type;
    }
};

}  // namespace

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

TEST_CASE("an answer that is an error names work and slave, and says nothing twice", "[unit]") {
    const auto told = [](Errc reason, std::string_view text) {
        const Sum call;
        Reply reply;
        reply.error = reason;
        reply.text = text;
        try {
            std::rethrow_exception(to_exception(reply, call, "Ada (127.0.0.1:9)"));
        } catch (const Error& error) {
            CHECK(error.code() == reason);
            return std::string{error.what()};
        }
    };
    CHECK(told(Errc::malformed, "Sum: 5 bytes are left over") == "Sum on Ada (127.0.0.1:9): 5 bytes are left over");
    CHECK(told(Errc::not_accepted, "") == "Sum on Ada (127.0.0.1:9): " + make_error_code(Errc::not_accepted).message());
    CHECK(told(Errc::execution_timeout, "after 50 ms") ==
          "Sum on Ada (127.0.0.1:9): its execution took longer than its execution_timeout, after 50 ms");
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

TEST_CASE("an IPv6 address stands in brackets wherever a port follows", "[unit]") {
    CHECK(detail::host_and_port("fd77::1", 15210) == "[fd77::1]:15210");
    CHECK(detail::host_and_port("node.example", 80) == "node.example:80");
    CHECK(MasterAddress{"fd77::1", 15210}.to_string() == "[fd77::1]:15210");
    CHECK(detail::to_string(asio::ip::tcp::endpoint{asio::ip::make_address("fd77::1"), 1}) == "[fd77::1]:1");
}

TEST_CASE("a refusal names the work and the reason", "[unit]") {
    CHECK(std::string{refusal(Admission::no_slave, "Sum", "no slave is connected").what()} ==
          "Sum: no slave is connected");
    const std::string large = refusal(Admission::too_large, "Sum").what();
    CHECK(count(large, "too large") + count(large, "larger") == 0);
    CHECK(large.find("Sum: ") == 0);
    CHECK(large.find("max_frame_bytes") != std::string::npos);
}

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

TEST_CASE("the reasons for waiting have words", "[unit]") {
    std::vector<std::string> words;
    for (const auto reason : {WaitReason::no_slave, WaitReason::no_capable, WaitReason::no_credit, WaitReason::declined,
                              WaitReason::pause}) {
        words.emplace_back(to_string(reason));
        CHECK(words.back().size() > 5);
    }
    CHECK(words[0] == "no slave is connected");
}

TEST_CASE("a line of the log is one line, whatever a peer calls itself", "[unit]") {
    std::string told;
    const Log log = detail::guarded([&](LogLevel, std::string_view line) { told = line; }, "Slave Ada: ");
    log(LogLevel::info, "Connected to: mal\nlory\x1b[2J \xc3\xa9");
    CHECK(told == "Slave Ada: Connected to: mal\\nlory\\x1b[2J \xc3\xa9");
    CHECK_FALSE(detail::guarded(Log{}));
}

TEST_CASE("what ended because it was asked to is no failure", "[unit]") {
    const auto level = [](Errc reason) {
        return detail::level_of_failure(std::make_exception_ptr(Error{reason, "Sum"}));
    };
    CHECK(level(Errc::stopped) == LogLevel::info);
    CHECK(level(Errc::cancelled) == LogLevel::info);
    CHECK(level(Errc::lost) == LogLevel::warning);
    CHECK(detail::level_of_failure(std::make_exception_ptr(std::runtime_error{"why"})) == LogLevel::warning);
}

TEST_CASE("a line's stamp is the local time, with its distance from UTC", "[unit]") {
    const std::time_t now = 1'700'000'000;
    std::tm local{};
    localtime_r(&now, &local);
    char expected[64];
    std::strftime(expected, sizeof expected, "[%Y-%m-%d %H:%M:%S %z] ", &local);
    CHECK(detail::stamp(std::chrono::sys_seconds{std::chrono::seconds{now}}) == expected);
    CHECK(detail::stamp(std::chrono::sys_seconds{std::chrono::seconds{now}}) == expected);  // as it is remembered
}
