// A dashboard over a master and slaves on loopback, and those who ask it.

#include <signal.h>
#include <asio/ip/tcp.hpp>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <distwork/dashboard.hpp>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "dashboard/http.hpp"
#include "dashboard/json.hpp"
#include "support/catch.hpp"
#include "support/descriptors.hpp"
#include "support/run.hpp"

using namespace distwork;
using namespace std::chrono_literals;
using support::ask;
using support::get;
using support::HttpAnswer;
using support::HttpClient;
using support::Json;

namespace dashboard_test {

int half_of(int x) {
    if (x % 2 != 0) throw std::domain_error{"odd"};
    return x / 2;
}
void nowhere() {}

}  // namespace dashboard_test

DISTWORK_REGISTER_FUNCTION(dashboard_test::half_of)
DISTWORK_REGISTER_FUNCTION(dashboard_test::nowhere)

namespace {

using dashboard_test::half_of;
using dashboard_test::nowhere;

DashboardOptions quiet() {
    DashboardOptions options;
    options.log = NoLog{};
    return options;
}

/// The value of a sample; empty if there is none.
std::string sample(const std::string& metrics, const std::string& name) {
    const std::size_t at = ("\n" + metrics).find("\n" + name + ' ');
    if (at == std::string::npos) return {};
    const std::size_t from = at + name.size() + 1;
    return metrics.substr(from, metrics.find('\n', from) - from);
}

/// Whether /healthz answers so in the end.
bool becomes(std::uint16_t port, int status) {
    const auto until = std::chrono::steady_clock::now() + deadline;
    while (get(port, "/healthz").status != status)
        if (std::chrono::steady_clock::now() > until) return false;
    return true;
}

Errc code_of_dashboard(const Master<>& master, DashboardOptions options) {
    options.log = NoLog{};
    try {
        const Dashboard dashboard{master, std::move(options)};
    } catch (const Error& error) {
        return static_cast<Errc>(error.code().value());
    }
    return {};
}

}  // namespace

TEST_CASE("The figures of a dashboard are those of the master", "[dashboard]") {
    Cluster<> cluster{2, {.slots = 3, .labels = {"left"}}};
    run(cluster.io, [&]() -> asio::awaitable<void> {
        for (int i = 0; i < 30; ++i) co_await error_of(cluster.master.async_call<half_of>(i));
    }());
    cluster.master.async_call<nowhere>(SubmitOptions{}.label("right").priority(-2), [](std::exception_ptr) {});
    const Dashboard dashboard{cluster.master, quiet()};
    const std::uint16_t port = dashboard.local_endpoint().port();
    const HttpAnswer status = get(port, "/status.json");
    REQUIRE(status.status == 200);
    CHECK(status.has_header("Content-Type: application/json"));
    const Json all = Json::parse(status.body);
    const Statistics counted = cluster.master.statistics();

    const Json& works = all["works"];
    CHECK(works["admitted"].text == std::to_string(counted.admitted));
    CHECK(works["succeeded"].text == std::to_string(counted.succeeded));
    CHECK(works["failed"].text == std::to_string(counted.failed));
    CHECK(works["completed"].text == std::to_string(counted.completed()));
    CHECK(works["attempts"].text == std::to_string(counted.attempts));
    CHECK(works["bytes_sent"].text == std::to_string(counted.bytes_sent));
    CHECK(works["backlog"].text == "1");
    CHECK(works["admitted"].text == "31");
    CHECK(works["failed"].text == "15");
    CHECK(all["accepts"].text == "true");

    const Json& slaves = all["slaves"];
    CHECK(slaves["connected"].text == "2");
    CHECK(slaves["ready"].text == "2");
    CHECK(slaves["slots"].text == "6");
    CHECK(slaves["free_slots"].text == "6");
    REQUIRE(slaves["listed"].elements.size() == 2);
    const auto sockets = cluster.master.sockets();
    double completed = 0;
    for (std::size_t i = 0; i < 2; ++i) {
        const Json& slave = slaves["listed"].elements[i];
        CHECK(slave["name"].text == "slave " + std::to_string(i));
        CHECK(slave["stage"].text == "ready");
        CHECK(slave["id"].text == std::to_string(sockets[i].id));
        CHECK(slave["failed"].text == std::to_string(sockets[i].failed));
        CHECK(slave["labels"].elements[0].text == "left");
        CHECK(slave["endpoint"].text.starts_with("127.0.0.1:"));
        completed += slave["completed"].number();
    }
    CHECK(completed == 15);

    REQUIRE(all["waiting"]["listed"].elements.size() == 1);
    const Json& kind = all["waiting"]["listed"].elements[0];
    CHECK(kind["type"].text == "dashboard_test::nowhere");
    CHECK(kind["reason"].text == "no_capable");
    CHECK(kind["why"].text == "no connected slave can take it");
    CHECK(kind["priority"].text == "-2");
    CHECK(kind["labels"].elements[0].text == "right");

    const HttpAnswer metrics = get(port, "/metrics");
    CHECK(metrics.has_header("Content-Type: text/plain; version=0.0.4; charset=utf-8"));
    CHECK(sample(metrics.body, "distwork_works_admitted_total") == "31");
    CHECK(sample(metrics.body, "distwork_works_completed_total{outcome=\"succeeded\"}") == "15");
    CHECK(sample(metrics.body, "distwork_works_completed_total{outcome=\"failed\"}") == "15");
    CHECK(sample(metrics.body, "distwork_waiting_works{reason=\"no_capable\"}") == "1");
    CHECK(sample(metrics.body, "distwork_waiting_works{reason=\"no_slave\"}") == "0");
    CHECK(sample(metrics.body, "distwork_slaves{stage=\"ready\"}") == "2");
    CHECK(sample(metrics.body, "distwork_sent_bytes_total") == std::to_string(counted.bytes_sent));
}

TEST_CASE("Names that slaves send come out escaped", "[dashboard]") {
    const std::string name = "</script>\"\\\n\x1b[2J\xff";
    Cluster<> cluster{1, {.name = name, .labels = {"</b>\r\n\xfe"}}};
    const Dashboard dashboard{cluster.master, quiet()};
    const std::uint16_t port = dashboard.local_endpoint().port();

    const std::string status = get(port, "/status.json").body;
    CHECK(status.find('<') == status.npos);
    const Json slave = Json::parse(status)["slaves"]["listed"].elements.at(0);
    CHECK(slave["name"].text == "</script>\"\\\\n\\x1b[2J\\xff");
    CHECK(slave["labels"].elements[0].text == "</b>\\x0d\\n\\xfe");

    const std::string metrics = get(port, "/metrics").body;
    const std::string labels =
        R"({slave="</script>\"\\\\n\\x1b[2J\\xff",id=")" + std::to_string(cluster.master.sockets().at(0).id) + "\"}";
    CHECK(sample(metrics, "distwork_slave_slots" + labels) == slave["slots"].text);
}

TEST_CASE("Who asks by a foreign name is refused", "[dashboard]") {
    asio::io_context io;
    const Master<> master{io, MasterOptions{.log = NoLog{}}};
    DashboardOptions options = quiet();
    options.host_names = {"Farm.Example.org"};
    const Dashboard dashboard{master, options};
    const std::uint16_t port = dashboard.local_endpoint().port();
    const std::string own_port = std::to_string(port);

    for (const std::string& host :
         {"localhost:" + own_port, std::string{"LocalHost"}, "127.0.0.1:" + own_port, std::string{"127.0.0.1:9"},
          std::string{"[::1]:9"}, std::string{"[::1]"}, std::string{"farm.example.org:443"}})
        for (const char* const path : {"/", "/healthz", "/status.json", "/metrics"}) {
            CAPTURE(host, path);
            CHECK(ask(port, "GET", path, host).status == 200);
        }
    for (const std::string host :
         {"evil.example.org", "evil.example.org:80", "localhost.evil.org", "localhost:80.evil.org", "10.0.0.1", "[::2]",
          "[::1]evil", "", ":80", "127.0.0.1.evil.org", "::1", "[::1"}) {
        CAPTURE(host);
        const HttpAnswer answer = ask(port, "GET", "/status.json", host);
        CHECK(answer.status == 403);
        CHECK(answer.body.find("version") == answer.body.npos);
    }
    HttpClient nameless{port};
    nameless.say("GET /status.json HTTP/1.0\r\n\r\n");
    CHECK(nameless.answer().status == 403);
    CHECK(ask(port, "GET", "/status.json", "localhost", "Host: evil.example.org\r\n").status == 403);
}

TEST_CASE("Every answer has the headers that keep other sites out", "[dashboard]") {
    asio::io_context io;
    const Master<> master{io, MasterOptions{.log = NoLog{}}};
    const Dashboard dashboard{master, quiet()};
    const std::uint16_t port = dashboard.local_endpoint().port();
    HttpClient odd{port};
    odd.say("NONSENSE\r\n\r\n");
    for (const HttpAnswer& answer :
         {get(port, "/healthz"), get(port, "/status.json"), get(port, "/metrics"), get(port, "/nothing"),
          get(port, "/"), get(port, "/app.js"), ask(port, "HEAD", "/events"), ask(port, "GET", "/", "evil.org"),
          ask(port, "POST", "/status.json"),
          ask(port, "GET", "/status.json", "localhost", "Origin: http://evil.org\r\n"), odd.answer()}) {
        CAPTURE(answer.head);
        CHECK(answer.status >= 200);
        CHECK(answer.head.find("\r\nContent-Security-Policy: default-src 'none'; ") != answer.head.npos);
        CHECK(answer.has_header("X-Content-Type-Options: nosniff"));
        CHECK(answer.has_header("Cross-Origin-Resource-Policy: same-origin"));
        CHECK(answer.has_header("Cache-Control: no-store"));
        CHECK(answer.head.find("Access-Control") == answer.head.npos);
    }
}

TEST_CASE("A dashboard answers GET and HEAD only", "[dashboard]") {
    asio::io_context io;
    const Master<> master{io, MasterOptions{.log = NoLog{}}};
    const Dashboard dashboard{master, quiet()};
    const std::uint16_t port = dashboard.local_endpoint().port();
    for (const char* const method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"}) {
        CAPTURE(method);
        const HttpAnswer answer = ask(port, method, "/status.json", "localhost", "Content-Length: 0\r\n");
        CHECK(answer.status == 405);
        CHECK(answer.has_header("Allow: GET, HEAD"));
    }
    HttpClient sender{port};
    sender.say("POST /status.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n" +
               std::string(60'000, 'x'));
    CHECK(sender.answer().status == 405);
    const HttpAnswer head = ask(port, "HEAD", "/metrics");
    CHECK(head.status == 200);
    CHECK(head.body.empty());
    CHECK(get(port, "/nothing").status == 404);
    // Neither in parts nor compressed.
    CHECK(ask(port, "GET", "/metrics", "localhost", "Range: bytes=0-1\r\n").status == 200);
    CHECK(ask(port, "GET", "/metrics", "localhost", "Accept-Encoding: gzip, br\r\n").body.starts_with("# HELP"));
}

TEST_CASE("The page needs nothing from elsewhere, and makes no HTML of a text", "[dashboard]") {
    asio::io_context io;
    const Master<> master{io, MasterOptions{.log = NoLog{}}};
    const Dashboard dashboard{master, quiet()};
    const std::uint16_t port = dashboard.local_endpoint().port();
    const HttpAnswer page = get(port, "/");
    const HttpAnswer script = get(port, "/app.js");
    const HttpAnswer style = get(port, "/style.css");
    CHECK(page.has_header("Content-Type: text/html; charset=utf-8"));
    CHECK(script.has_header("Content-Type: text/javascript; charset=utf-8"));
    CHECK(style.has_header("Content-Type: text/css; charset=utf-8"));
    for (const HttpAnswer& part : {page, script, style}) {
        CHECK(part.status == 200);
        for (const char* const word :
             {"http:", "https:", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(",
              " style=", " onclick=", "@import", "url("}) {
            CAPTURE(word);
            CHECK(part.body.find(word) == part.body.npos);
        }
    }
    CHECK(page.body.find("<script src=\"app.js\" defer></script>") != page.body.npos);
    CHECK(page.body.find("<script>") == page.body.npos);
}

TEST_CASE("A live page is sent the figures again and again", "[dashboard]") {
    Cluster<> cluster{1};
    const Dashboard dashboard{cluster.master, quiet()};
    HttpClient reader{dashboard.local_endpoint().port()};
    reader.say("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const std::string head = reader.until("\r\n\r\n");
    CHECK(head.starts_with("HTTP/1.1 200 "));
    CHECK(head.find("Content-Type: text/event-stream\r\n") != head.npos);
    reader.until("data: ");
    const std::string first = reader.until("\n");
    CHECK(Json::parse(first.substr(0, first.size() - 1))["number"].text == "1");
    run(cluster.io, [&]() -> asio::awaitable<void> { co_await cluster.master.async_call<half_of>(2); }());
    reader.until("data: ");
    const std::string second = reader.until("\n");
    CHECK(Json::parse(second.substr(0, second.size() - 1))["works"]["succeeded"].text == "1");
}

TEST_CASE("Eight pages may be live, and all end with the dashboard", "[dashboard]") {
    asio::io_context io;
    const Master<> master{io, MasterOptions{.log = NoLog{}}};
    std::optional<Dashboard> dashboard{std::in_place, master, quiet()};
    const std::uint16_t port = dashboard->local_endpoint().port();
    const auto live = [port] {
        auto reader = std::make_unique<HttpClient>(port);
        reader->say("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
        return reader;
    };
    std::vector<std::unique_ptr<HttpClient>> readers;
    for (int i = 0; i < 8; ++i) {
        readers.push_back(live());
        CHECK(readers.back()->until("\r\n\r\n").starts_with("HTTP/1.1 200 "));
    }
    CHECK(live()->until("\r\n\r\n").starts_with("HTTP/1.1 503 "));
    CHECK(get(port, "/status.json").status == 200);

    // The place of one that leaves is free, as soon as it is noticed.
    readers.pop_back();
    const auto until = std::chrono::steady_clock::now() + deadline;
    auto next = live();
    while (!next->until("\r\n\r\n").starts_with("HTTP/1.1 200 ") && std::chrono::steady_clock::now() < until)
        next = live();
    CHECK(std::chrono::steady_clock::now() < until);

    const auto begun = std::chrono::steady_clock::now();
    dashboard.reset();
    CHECK(std::chrono::steady_clock::now() - begun < 3s);
    for (auto& reader : readers) reader->rest();
}

TEST_CASE("Beyond so many requests at a time there is 503", "[dashboard]") {
    asio::io_context io;
    const Master<> master{io, MasterOptions{.log = NoLog{}}};
    const Dashboard dashboard{master, quiet()};
    const std::uint16_t port = dashboard.local_endpoint().port();
    {
        std::vector<std::unique_ptr<HttpClient>> silent;
        for (std::size_t i = 0; i < detail::HttpServer::threads + detail::HttpServer::most_waiting; ++i)
            silent.push_back(std::make_unique<HttpClient>(port));
        for (int i = 0; i < 3; ++i) {
            const HttpAnswer refused = get(port, "/healthz");
            CHECK(refused.status == 503);
            CHECK(refused.has_header("Retry-After: 1"));
        }
    }
    CHECK(becomes(port, 200));
}

TEST_CASE("A request that takes long, or is large, is dropped", "[dashboard]") {
    asio::io_context io;
    const Master<> master{io, MasterOptions{.log = NoLog{}}};
    const Dashboard dashboard{master, quiet()};
    const std::uint16_t port = dashboard.local_endpoint().port();

    HttpClient large{port};
    std::string lines = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";
    while (lines.size() < 20'000) lines += "X: y\r\n";
    large.say(lines);
    CHECK(large.answer().status != 200);

    HttpClient slow{port};
    const auto begun = std::chrono::steady_clock::now();
    std::atomic<bool> dropped{false};
    std::thread drip{[&] {
        while (!dropped && std::chrono::steady_clock::now() - begun < deadline) {
            slow.say("G");
            std::this_thread::sleep_for(100ms);
        }
    }};
    CHECK(slow.answer().status != 200);
    dropped = true;
    drip.join();
    CHECK(std::chrono::steady_clock::now() - begun < 10s);
}

TEST_CASE("The end of a dashboard waits for nobody", "[dashboard]") {
    asio::io_context io;
    const Master<> master{io, MasterOptions{.log = NoLog{}}};
    std::optional<Dashboard> dashboard{std::in_place, master, quiet()};
    const std::uint16_t port = dashboard->local_endpoint().port();
    std::vector<std::unique_ptr<HttpClient>> silent;
    for (int i = 0; i < 30; ++i) silent.push_back(std::make_unique<HttpClient>(port));
    silent.front()->say("GET /heal");
    const auto begun = std::chrono::steady_clock::now();
    dashboard.reset();
    CHECK(std::chrono::steady_clock::now() - begun < 3s);
    for (auto& client : silent) CHECK(client->answer().status == 0);

    // Another one has the port at once.
    DashboardOptions options = quiet();
    options.port = port;
    dashboard.emplace(master, options);
    CHECK(get(port, "/healthz").status == 200);
    for (int i = 0; i < 20; ++i) Dashboard{master, quiet()};
}

TEST_CASE("A dashboard that cannot listen says why", "[dashboard]") {
    asio::io_context io;
    const Master<> master{io, MasterOptions{.log = NoLog{}}};
    const Dashboard first{master, quiet()};
    CHECK(code_of_dashboard(master, {.port = first.local_endpoint().port()}) == Errc::address_in_use);
    CHECK(code_of_dashboard(master, {.port = master.local_endpoint().port()}) == Errc::address_in_use);
    CHECK(code_of_dashboard(master, {.address = "0.0.0.0"}) == Errc::needs_credentials);
    CHECK(code_of_dashboard(master, {.address = "::"}) == Errc::needs_credentials);
    CHECK(code_of_dashboard(master, {.address = "192.168.0.1"}) == Errc::needs_credentials);
    CHECK(code_of_dashboard(master, {.address = "farm.example.org"}) == Errc::needs_credentials);
    CHECK(code_of_dashboard(master, {.address = ""}) == Errc::bad_address);
    CHECK(code_of_dashboard(master, {.address = "no name"}) == Errc::bad_address);
    CHECK(code_of_dashboard(master, {.host_names = {""}}) == Errc::bad_option);
    CHECK(code_of_dashboard(master, {.address = "localhost"}) == Errc{});
    CHECK(code_of_dashboard(master, {.address = "127.0.0.2"}) == Errc{});
}

TEST_CASE("A dashboard tells that its master stops, and may outlive it", "[dashboard]") {
    asio::io_context io;
    std::optional<Master<>> master{std::in_place, io, MasterOptions{.log = NoLog{}}};
    const Dashboard dashboard{*master, quiet()};
    const std::uint16_t port = dashboard.local_endpoint().port();
    const HttpAnswer healthy = get(port, "/healthz");
    CHECK(healthy.status == 200);
    CHECK(healthy.body == "ok\n");
    master.reset();
    CHECK(becomes(port, 503));
    CHECK(Json::parse(get(port, "/status.json").body)["accepts"].text == "false");
    CHECK(sample(get(port, "/metrics").body, "distwork_accepts_works") == "0");
}

TEST_CASE("What SIGPIPE does is left to the application", "[dashboard]") {
    asio::io_context io;
    const Master<> master{io, MasterOptions{.log = NoLog{}}};
    struct sigaction before {
    }, after{};
    ::signal(SIGPIPE, SIG_DFL);
    ::sigaction(SIGPIPE, nullptr, &before);
    const Dashboard dashboard{master, quiet()};
    ::sigaction(SIGPIPE, nullptr, &after);
    CHECK(before.sa_handler == after.sa_handler);
    // Clients that leave before they are answered would end the process.
    for (int i = 0; i < 50; ++i)
        HttpClient{dashboard.local_endpoint().port()}.say("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(becomes(dashboard.local_endpoint().port(), 200));
}

TEST_CASE("A master with more than a thousand connections has a dashboard, too", "[dashboard]") {
    const support::DescriptorLimit limit{2'000};
    std::vector<std::ifstream> taken(1'100);  // select(), which cpp-httplib may use, takes no descriptor above 1,023
    for (std::ifstream& file : taken) file.open("/dev/null");
    REQUIRE(taken.back().is_open());
    asio::io_context io;
    const Master<> master{io, MasterOptions{.log = NoLog{}}};
    const Dashboard dashboard{master, quiet()};
    CHECK(get(dashboard.local_endpoint().port(), "/healthz").status == 200);
}
