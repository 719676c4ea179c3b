#include "distwork/calls/answer.hpp"

#include <cstddef>
#include <cstdlib>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "distwork/calls/deliver.hpp"
#include "distwork/error.hpp"
#include "support/calls.hpp"
#include "support/catch.hpp"

namespace answer_test {

using namespace distwork;
using namespace distwork::detail;
using namespace support;

TEST_CASE("answers settle the calls that nobody claimed before, each with what came", "[unit]") {
    Calls calls;
    std::vector<std::string> log;
    const auto make = [&](const std::string& name) {
        return calls.make(calls::Add{}, [&log, name](const std::exception_ptr& error, int value) {
            log.push_back(name + ' ' + std::to_string(value) + ' ' + text_of(error));
        });
    };
    std::vector<Answer> answers(5);
    const auto value = encoded(4);
    answers[0].call = make("value");
    answers[0].reply.value = value;
    answers[1].call = make("threw");
    answers[1].reply.error = Errc::work_failed;
    answers[1].reply.exception_type = "E";
    answers[1].reply.text = "why";
    answers[2].call = make("claimed");
    REQUIRE(answers[2].call->claim());
    answers[4].call = make("refused");
    answers[4].reply.error = Errc::not_accepted;
    answers[4].reply.text = "calls::Add";
    auto settled = settle(answers, calls.peer, "node (1.2.3.4:5)");
    CHECK(settled.size() == 3);
    deliver_all(calls.executor, std::move(settled));
    calls.run();
    REQUIRE(log.size() == 3);
    CHECK(log[0] == "value 4 ");
    CHECK(log[1].starts_with("threw 0 calls::Add on node (1.2.3.4:5), attempt 1: E: why"));
    CHECK(log[2].starts_with("refused 0 calls::Add on node (1.2.3.4:5): calls::Add"));
}

namespace {

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

}  // namespace answer_test
