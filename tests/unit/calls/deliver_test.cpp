#include "distwork/calls/deliver.hpp"

#include <asio/bind_executor.hpp>
#include <asio/io_context.hpp>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/calls.hpp"
#include "support/catch.hpp"

namespace deliver_test {

using namespace distwork;
using namespace distwork::detail;
using namespace support;

TEST_CASE("calls that were settled together call back in order, in one task", "[unit]") {
    Calls calls;
    std::vector<int> order;
    std::vector<std::shared_ptr<Call>> settled;
    for (int i = 0; i < 5; ++i) {
        settled.push_back(calls.make(calls::Silent{}, [&order, i](const std::exception_ptr&) { order.push_back(i); }));
        settled.back()->succeed({}, calls.peer);
    }
    deliver_all(calls.executor, std::move(settled));
    CHECK(order.empty());
    CHECK(calls.run() == 1);
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE("when a handler throws the others complete all the same", "[unit]") {
    Calls calls;
    std::vector<int> order;
    std::vector<std::shared_ptr<Call>> settled;
    for (int i = 0; i < 6; ++i) {
        settled.push_back(calls.make(calls::Silent{}, [&order, i](const std::exception_ptr&) {
            order.push_back(i);
            if (i % 3 == 1) throw std::runtime_error{"handler " + std::to_string(i)};
        }));
        settled.back()->succeed({}, calls.peer);
    }
    deliver_all(calls.executor, std::move(settled));
    std::vector<std::string> thrown;
    for (int run = 0; run < 4; ++run) {
        try {
            calls.run();
        } catch (const std::runtime_error& error) {
            thrown.emplace_back(error.what());
        }
    }
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4, 5});
    CHECK(thrown == std::vector<std::string>{"handler 1", "handler 4"});
}

TEST_CASE("a handler with an executor of its own is called there, and keeps it busy until then", "[unit]") {
    Calls calls;
    asio::io_context own;
    std::vector<std::string> log;
    auto call =
        calls.make(calls::Silent{},
                   asio::bind_executor(own.get_executor(), [&](const std::exception_ptr&) { log.push_back("own"); }));
    const auto other = calls.make(calls::Silent{}, [&](const std::exception_ptr&) { log.push_back("role's"); });
    CHECK(call->has_own_executor());
    CHECK(own.poll() == 0);
    CHECK_FALSE(own.stopped());  // it has outstanding work: the call
    call->succeed({}, calls.peer);
    other->succeed({}, calls.peer);
    std::vector<std::shared_ptr<Call>> settled{std::move(call), other};
    deliver_all(calls.executor, std::move(settled));
    calls.run();
    CHECK(log == std::vector<std::string>{"role's"});
    own.run();  // returns: nothing keeps it busy any more
    CHECK(log == std::vector<std::string>{"role's", "own"});
}

}  // namespace deliver_test
