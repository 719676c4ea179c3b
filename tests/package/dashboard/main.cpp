// A master with a dashboard.
#include <asio/io_context.hpp>
#include <distwork.hpp>
#include <distwork/dashboard.hpp>
#include <iostream>

int main() {
    asio::io_context io;
    distwork::Master master{io.get_executor(), 0};
    distwork::Dashboard dashboard{master, {.host_names = {"farm.example.org"}}};
    httplib::Client client{"127.0.0.1", dashboard.local_endpoint().port()};
    const auto answer = client.Get("/healthz");
    const bool is_healthy = answer && answer->status == 200;
    std::cout << "The dashboard " << (is_healthy ? "answers" : "does not answer") << '\n';
    return is_healthy ? 0 : 1;
}
