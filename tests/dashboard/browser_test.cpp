// The page of a dashboard in a real browser.

#include <chrono>
#include <distwork.hpp>
#include <distwork/dashboard.hpp>
#include <stdexcept>
#include <string>

#include "dashboard/browser.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"

using namespace distwork;

namespace browser_test {

int third_of(int x) {
    if (x % 3 != 0) throw std::domain_error{"not a multiple of three"};
    return x / 3;
}

}  // namespace browser_test

DISTWORK_REGISTER_FUNCTION(browser_test::third_of)

namespace {

/// Runs the roles until the expression has the value in the page. Returns the last value.
std::string wait_for(asio::io_context& io, support::Browser& browser, const std::string& expression,
                     const std::string& wanted) {
    std::string value;
    run_until(io, [&] { return (value = browser.value_of(expression)) == wanted; });
    return value;
}

}  // namespace

TEST_CASE("A browser shows the figures of the master, without an error", "[dashboard]") {
    if (!support::Browser::is_installed()) {
        WARN("Chromium is not installed");
        return;
    }
    Cluster<> cluster{2, {.name = "</td><script>alert(1)</script>", .labels = {"<b>bold</b>"}}};
    DashboardOptions options;
    options.log = NoLog{};
    const Dashboard dashboard{cluster.master, options};
    support::Browser browser{"http://127.0.0.1:" + std::to_string(dashboard.local_endpoint().port()) + '/'};

    run(cluster.io, [&]() -> asio::awaitable<void> {
        for (int i = 0; i < 30; ++i) co_await error_of(cluster.master.async_call<browser_test::third_of>(i));
    }());
    const Statistics counted = cluster.master.statistics();
    const std::string all = std::to_string(counted.admitted) + " of " + std::to_string(counted.admitted);
    CHECK(wait_for(cluster.io, browser, "document.getElementById('progress-text').textContent",
                   all + " works are completed") == all + " works are completed");
    const auto in_list = [&](const char* list, const char* name) {
        return browser.value_of("[...document.querySelectorAll('#" + std::string{list} +
                                " div')].find(item => item.children[0].textContent === '" + name +
                                "').children[1].textContent");
    };
    CHECK(in_list("counts", "Succeeded") == std::to_string(counted.succeeded));
    CHECK(in_list("counts", "Waiting") == "0");
    CHECK(in_list("failures", "Failed") == std::to_string(counted.failed));
    CHECK(in_list("failures", "Lost") == "0");
    CHECK(wait_for(cluster.io, browser, "document.getElementById('connection').textContent", "Live") == "Live");

    // A text is shown as a text.
    CHECK(browser.value_of("document.querySelector('#slaves th').textContent") == "</td><script>alert(1)</script>");
    CHECK(browser.value_of("document.querySelector('#slaves td:last-child').textContent") == "<b>bold</b>");
    CHECK(browser.value_of("String(document.querySelectorAll('script, b').length)") == "1");

    const std::string slaves = "String(document.getElementById('slaves').rows.length)";
    CHECK(browser.value_of(slaves) == "2");
    cluster.slaves.pop_back();
    CHECK(wait_for(cluster.io, browser, slaves, "1") == "1");

    for (const std::string& complaint : browser.complaints()) FAIL_CHECK(complaint);
}
