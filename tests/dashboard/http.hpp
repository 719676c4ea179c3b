#pragma once

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <system_error>

// A client that says whatever a test wants said.

namespace support {

struct HttpAnswer {
    int status = 0;  ///< 0: the connection ended without one
    std::string head;
    std::string body;

    bool has_header(std::string_view line) const { return head.find("\r\n" + std::string{line} + "\r\n") != head.npos; }
};

class HttpClient {
public:
    explicit HttpClient(std::uint16_t port) { socket_.connect({asio::ip::address_v4::loopback(), port}); }

    void say(std::string_view bytes) {
        std::error_code ignored;
        asio::write(socket_, asio::buffer(bytes), ignored);
    }
    /// What comes until the connection ends.
    std::string rest() {
        std::string all;
        std::error_code ended;
        asio::read(socket_, asio::dynamic_buffer(all), ended);
        return all;
    }
    /// What comes until `end` has come, or the connection has ended.
    std::string until(std::string_view end) {
        std::string all;
        std::error_code ended;
        char next = 0;
        while (all.find(end) == all.npos && asio::read(socket_, asio::buffer(&next, 1), ended) == 1) all += next;
        return all;
    }
    HttpAnswer answer() {
        const std::string all = rest();
        HttpAnswer answer;
        const std::size_t end = all.find("\r\n\r\n");
        if (end == all.npos || !all.starts_with("HTTP/1.1 ")) return answer;
        answer.status = std::atoi(all.c_str() + 9);
        answer.head = all.substr(0, end + 2);
        answer.body = all.substr(end + 4);
        return answer;
    }

private:
    asio::io_context io_;
    asio::ip::tcp::socket socket_{io_};
};

inline HttpAnswer ask(std::uint16_t port, std::string_view method, std::string_view path,
                      std::string_view host = "localhost", std::string_view more = "") {
    HttpClient client{port};
    std::string request;
    ((request += method) += ' ') += path;
    ((request += " HTTP/1.1\r\nHost: ") += host) += "\r\n";
    client.say((request += more) += "\r\n");
    return client.answer();
}

inline HttpAnswer get(std::uint16_t port, std::string_view path) {
    return ask(port, "GET", path);
}

}  // namespace support
