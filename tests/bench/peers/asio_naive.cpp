// Asio as a first program would use it: a coroutine that awaits each frame, and writes each by itself.
#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <deque>
#include <memory>
#include <vector>

#include "../support/pair.hpp"
#include "../support/sockets.hpp"

namespace {

using asio::ip::tcp;
using bench::Head;
using bench::Pair;
using bench::Setup;

/// A frame whose size both ends know: one await for each.
struct Frame {
    explicit Frame(std::size_t body_bytes) : bytes(sizeof(Head) + body_bytes) {}

    Head head() const {
        Head head{};
        std::memcpy(&head, bytes.data(), sizeof head);
        return head;
    }
    void head(const Head& head) { std::memcpy(bytes.data(), &head, sizeof head); }
    std::span<char> body() { return std::span{bytes}.subspan(sizeof(Head)); }
    asio::mutable_buffer buffer() { return asio::buffer(bytes); }

    std::vector<char> bytes;
};

/// The master's end of one slave: each answer is followed by the next work.
asio::awaitable<void> serve(Pair& pair, tcp::socket& socket, std::uint64_t& next, asio::io_context& io) {
    double sent = 0;
    Frame work{pair.setup.bytes};
    Frame answer{sizeof(std::uint64_t)};
    const auto make_next = [&] {
        const std::uint64_t id = next++;
        if (pair.in_flight() == 1) sent = Pair::now();
        work.head({static_cast<std::uint32_t>(pair.setup.bytes), 1, id});
        std::memcpy(work.body().data(), &id, sizeof id);
        bench::fill_payload(id, work.body().subspan(sizeof id));
    };
    for (std::size_t i = 0; i < pair.setup.window; ++i) {
        make_next();
        co_await asio::async_write(socket, work.buffer(), asio::use_awaitable);
    }
    while (!pair.done()) {
        co_await asio::async_read(socket, answer.buffer(), asio::use_awaitable);
        std::uint64_t value = 0;
        std::memcpy(&value, answer.body().data(), sizeof value);
        if (sent != 0) pair.took(Pair::now() - sent);
        if (!pair.answered(value, bench::expected_answer(answer.head().id, pair.payload_bytes()))) break;
        make_next();
        co_await asio::async_write(socket, work.buffer(), asio::use_awaitable);
    }
    io.stop();
}

void run_master(Pair& pair) {
    asio::io_context io{1};
    tcp::acceptor acceptor{io, {asio::ip::address_v4::loopback(), 0}};
    pair.note_memory();
    pair.listening(acceptor.local_endpoint().port());
    std::deque<tcp::socket> sockets;
    for (std::size_t i = 0; i < pair.setup.slaves; ++i) {
        sockets.push_back(acceptor.accept());
        sockets.back().set_option(tcp::no_delay{true});
    }
    std::uint64_t next = 0;
    std::exception_ptr failed;
    if (!pair.setup.idle) pair.begin();
    for (tcp::socket& socket : sockets)
        asio::co_spawn(io, serve(pair, socket, next, io), [&](std::exception_ptr error) {
            if (error && !pair.done()) failed = error, io.stop();
        });
    pair.note_memory();
    if (pair.setup.idle) return;
    io.run();
    if (failed) std::rethrow_exception(failed);
}

asio::awaitable<void> execute(tcp::socket& socket, std::size_t work_bytes) {
    Frame work{work_bytes};
    Frame answer{sizeof(std::uint64_t)};
    for (;;) {
        co_await asio::async_read(socket, work.buffer(), asio::use_awaitable);
        std::uint64_t id = 0;
        std::memcpy(&id, work.body().data(), sizeof id);
        const std::uint64_t value = bench::answer_to(id, work.body().subspan(sizeof id));
        answer.head({sizeof value, 2, work.head().id});
        std::memcpy(answer.body().data(), &value, sizeof value);
        co_await asio::async_write(socket, answer.buffer(), asio::use_awaitable);
    }
}

void run_slave(const Setup& setup) {
    asio::io_context io{1};
    std::deque<tcp::socket> sockets;
    for (std::size_t i = 0; i < (setup.one_process ? setup.slaves : 1); ++i) {
        sockets.emplace_back(io).connect({asio::ip::address_v4::loopback(), setup.port});
        sockets.back().set_option(tcp::no_delay{true});
        asio::co_spawn(io, execute(sockets.back(), setup.bytes), [](const std::exception_ptr&) {});
    }
    io.run();
}

}  // namespace

int main(int argc, char** argv) {
    return bench::main(argc, argv, run_master, run_slave);
}
