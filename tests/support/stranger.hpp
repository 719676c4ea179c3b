#pragma once

#include <algorithm>
#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <span>
#include <system_error>
#include <vector>

#include "catch.hpp"
#include "distwork/types/peer_types.hpp"
#include "distwork/wire/frame.hpp"
#include "distwork/wire/handshake.hpp"
#include "run.hpp"

/// A connection that speaks bytes of its own.
struct Stranger {
    explicit Stranger(asio::io_context& io) : socket{io} { socket.open(asio::ip::tcp::v4()); }
    Stranger(asio::io_context& io, std::uint16_t port) : Stranger{io} { connect(port); }
    /// From 127.1.0.0 + `from`: each address of 127.0.0.0/8 is this machine.
    Stranger(asio::io_context& io, std::uint16_t port, std::uint32_t from) : Stranger{io} {
        socket.bind({asio::ip::address_v4{0x7f010000 + from}, 0});
        connect(port);
    }
    void connect(std::uint16_t port) { socket.connect({asio::ip::address_v4::loopback(), port}); }
    void say(const std::vector<std::byte>& bytes) { asio::write(socket, asio::buffer(bytes)); }

    static std::vector<std::byte> frame(distwork::detail::FrameKind kind, const std::vector<std::byte>& body,
                                        std::uint32_t length) {
        std::vector<std::byte> bytes(distwork::detail::frame_header_bytes + body.size());
        distwork::detail::write_header(bytes.data(), {.length = length, .kind = kind});
        std::copy(body.begin(), body.end(), bytes.begin() + distwork::detail::frame_header_bytes);
        return bytes;
    }
    static std::vector<std::byte> frame(distwork::detail::FrameKind kind, const std::vector<std::byte>& body) {
        return frame(kind, body, static_cast<std::uint32_t>(body.size()));
    }

    /// Introduces itself as a slave that takes so many works, of these types.
    void join(std::uint32_t window = 10, const std::vector<const distwork::WorkType*>& types_known = {}) {
        say(frame(distwork::detail::FrameKind::hello, distwork::detail::encode(distwork::detail::Greeting{
                                                          .role = distwork::detail::Role::slave, .name = "stranger"})));
        distwork::detail::ByteBuffer types;
        distwork::detail::Introduction introduction{1, window, 1 << 20, {}, {}};
        for (const auto* type : types_known) introduction.types.emplace_back(type->name, type->fingerprint());
        distwork::detail::encode_value(introduction, types, {});
        say(frame(distwork::detail::FrameKind::types, {types.data(), types.data() + types.size()}));
    }

    asio::ip::tcp::socket socket;
};

/// All that a peer says until it closes the connection.
inline asio::awaitable<std::vector<std::byte>> hear(asio::ip::tcp::socket& socket) {
    std::vector<std::byte> heard;
    std::error_code error;
    while (!error) {
        std::byte some[512];
        auto token = asio::redirect_error(asio::use_awaitable, error);
        const std::size_t count = co_await socket.async_read_some(asio::buffer(some), token);
        heard.insert(heard.end(), some, some + count);
    }
    co_return heard;
}

/// Why a peer says that it leaves, of all that it says until it closes the connection; zero if it does not.
inline distwork::Errc farewell_of(asio::io_context& io, Stranger& stranger) {
    std::vector<std::byte> heard;
    run(io, [](Stranger& speaker, std::vector<std::byte>& all) -> asio::awaitable<void> {
        all = co_await hear(speaker.socket);
    }(stranger, heard));
    distwork::detail::Refusal refusal;
    for (std::size_t at = 0; at + distwork::detail::frame_header_bytes <= heard.size();) {
        const auto header = distwork::detail::read_header(heard.data() + at);
        at += distwork::detail::frame_header_bytes;
        if (header.kind == distwork::detail::FrameKind::bye)
            CHECK_FALSE(decode(std::span{heard}.subspan(at, header.length), refusal));
        at += header.length;
    }
    return refusal.reason;
}
