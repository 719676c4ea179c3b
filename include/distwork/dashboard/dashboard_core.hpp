#pragma once

#include <httplib.h>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../base/asio.hpp"
#include "../dashboard.hpp"
#include "../error.hpp"
#include "../log.hpp"
#include "../roles/any_master.hpp"
#include "../tcp/address.hpp"
#include "allowed_hosts.hpp"
#include "http_server.hpp"
#include "page.hpp"
#include "snapshot.hpp"
#include "snapshot_cache.hpp"

namespace distwork::detail {

/// The implementation of Dashboard: what is answered to which request.
class DashboardCore {
public:
    /// *Errors*: Error (address_in_use, bad_address, needs_credentials, bad_option), std::system_error.
    DashboardCore(std::shared_ptr<const AnyMaster> master, DashboardOptions options)
        : log_{guarded(options.log ? std::move(options.log) : ConsoleLog{LogLevel::warning}, "Dashboard: ")},
          hosts_{options.address, options.host_names},
          cache_{[held = std::move(master)] { return take(*held); }, [] { return SnapshotCache::Clock::now(); }} {
        check_host(options.address);
        if (!is_loopback(options.address))
            throw Error::with_text(Errc::needs_credentials,
                                   options.address + " is beyond this machine: a dashboard listens on loopback only");
        for (const std::string& name : options.host_names)
            if (name.empty())
                throw Error::with_text(Errc::bad_option, "DashboardOptions::host_names must not have an empty name");
        server_->set_default_headers(headers());
        server_->set_exception_handler([](const httplib::Request&, httplib::Response& response, const auto&) {
            text(response, 500, "The dashboard failed, for lack of memory perhaps.\n");
        });
        server_->set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
            respond(request, response);
            return httplib::Server::HandlerResponse::Handled;
        });
        server_->bind(options.address, options.port);
        endpoint_ = server_->local_endpoint();
        server_->run([this] { log_(LogLevel::error, "accepts no more connections, since the system refused one"); });
        log_(LogLevel::info, "is at http://" + to_string(endpoint_) + '/');
    }

    /// What is answered until here uses all of this.
    ~DashboardCore() { server_->end(); }

    const asio::ip::tcp::endpoint& local_endpoint() const noexcept { return endpoint_; }

private:
    static Snapshot take(const AnyMaster& master) {
        Snapshot all = snapshot_of(master);
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        all.unix_seconds = std::chrono::duration<double>(now).count();
        return all;
    }

    /// Of all responses. No other site can read, embed or frame them: there are no headers of CORS.
    static httplib::Headers headers() {
        return {{"Content-Security-Policy",
                 "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
                 "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
                {"X-Content-Type-Options", "nosniff"},
                {"Cross-Origin-Resource-Policy", "same-origin"},
                {"Referrer-Policy", "no-referrer"},
                {"Cache-Control", "no-store"}};
    }

    static void text(httplib::Response& response, int status, const std::string& sentence) {
        response.status = status;
        response.set_content(sentence, "text/plain; charset=utf-8");
    }

    void respond(const httplib::Request& request, httplib::Response& response) {
        if (request.get_header_value_count("Host") != 1 || !hosts_.allow(request.get_header_value("Host")))
            return text(response, 403,
                        "The header Host has no name of this dashboard: see DashboardOptions::host_names.\n");
        if (request.method != "GET" && request.method != "HEAD") {
            response.set_header("Allow", "GET, HEAD");
            return text(response, 405, "A dashboard only shows: GET and HEAD.\n");
        }
        response.status = 200;
        if (request.path == "/") return content(response, page_html, "text/html; charset=utf-8");
        if (request.path == "/style.css") return content(response, page_css, "text/css; charset=utf-8");
        if (request.path == "/app.js") return content(response, page_js, "text/javascript; charset=utf-8");
        if (request.path == "/healthz") return respond_health(response);
        if (request.path == "/status.json") return response.set_content(cache_.latest()->status, "application/json");
        if (request.path == "/events") return respond_events(request, response);
        if (request.path == "/metrics")
            return response.set_content(cache_.latest()->metrics, "text/plain; version=0.0.4; charset=utf-8");
        text(response, 404, "There are /, /healthz, /status.json, /events and /metrics.\n");
    }

    static void content(httplib::Response& response, std::string_view bytes, const char* type) {
        response.set_content(bytes.data(), bytes.size(), type);
    }

    void respond_health(httplib::Response& response) {
        if (cache_.latest()->figures.accepts) text(response, 200, "ok\n");
        else text(response, 503, "The master has stopped, or is about to.\n");
    }

    /// Server-sent events: each is a document as of /status.json, and another comes after a second.
    void respond_events(const httplib::Request& request, httplib::Response& response) {
        if (request.method == "HEAD") return content(response, {}, "text/event-stream");
        if (streams_.fetch_add(1) >= most_streams) {
            --streams_;
            return text(response, 503, "Too many pages are live: ask for /status.json.\n");
        }
        const std::shared_ptr<void> place{nullptr, [this](void*) { --streams_; }};
        response.set_chunked_content_provider("text/event-stream", [this, place](std::size_t, httplib::DataSink& sink) {
            const std::string event = "retry: 2000\ndata: " + cache_.latest()->status + "\n\n";
            return sink.write(event.data(), event.size()) && server_->pause(std::chrono::seconds{1});
        });
    }

    static constexpr int most_streams = 8;

    const Log log_;
    const AllowedHosts hosts_;
    SnapshotCache cache_;
    asio::ip::tcp::endpoint endpoint_;
    std::atomic<int> streams_{0};
    const std::unique_ptr<HttpServer> server_ = HttpServer::make();
};

inline std::shared_ptr<DashboardCore> start_dashboard(std::shared_ptr<const AnyMaster> master,
                                                      DashboardOptions options) {
    return std::make_shared<DashboardCore>(std::move(master), std::move(options));
}
inline asio::ip::tcp::endpoint endpoint_of(const DashboardCore& dashboard) {
    return dashboard.local_endpoint();
}

}  // namespace distwork::detail
