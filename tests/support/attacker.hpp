#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "distwork/archive/codec.hpp"
#include "distwork/types/peer_types.hpp"
#include "distwork/types/registry.hpp"
#include "distwork/wire/frame.hpp"
#include "distwork/wire/handshake.hpp"

// A slave that was admitted and says what it likes, frame by frame, over a real socket.

namespace support {

using distwork::detail::FrameHeader;
using distwork::detail::FrameKind;
using Bytes = std::vector<std::byte>;

inline void append(Bytes& bytes, FrameHeader header, const Bytes& body = {}) {
    header.length = static_cast<std::uint32_t>(body.size());
    Bytes head(distwork::detail::frame_header_bytes);
    distwork::detail::write_header(head.data(), header);
    bytes.insert(bytes.end(), head.begin(), head.end());
    bytes.insert(bytes.end(), body.begin(), body.end());
}
inline Bytes frame(FrameHeader header, const Bytes& body = {}) {
    Bytes bytes;
    append(bytes, header, body);
    return bytes;
}
/// A frame's header alone, which promises a body of that length.
inline Bytes promise(FrameHeader header) {
    Bytes bytes(distwork::detail::frame_header_bytes);
    distwork::detail::write_header(bytes.data(), header);
    return bytes;
}
template <class T>
Bytes encoded(const T& value) {
    distwork::detail::ByteBuffer body;
    distwork::detail::encode_value(value, body, {});
    return {body.view().begin(), body.view().end()};
}

class Attacker {
public:
    /// What a slave says of itself that knows all types and has the label "hostile".
    static distwork::detail::Introduction usual() {
        distwork::detail::Introduction said{
            .slots = 1, .window = 1000, .max_frame_bytes = 64 << 20, .labels = {"hostile"}, .types = {}};
        for (const distwork::WorkType* type : distwork::detail::Registry::instance().types())
            said.types.emplace_back(type->name, type->fingerprint());
        return said;
    }

    explicit Attacker(std::uint16_t port, const distwork::detail::Introduction& said = usual(),
                      std::string name = "mallory") {
        socket_.connect({asio::ip::address_v4::loopback(), port});
        Bytes words;
        append(words, {.kind = FrameKind::hello},
               encode(distwork::detail::Greeting{.role = distwork::detail::Role::slave, .name = std::move(name)}));
        append(words, {.kind = FrameKind::types}, encoded(said));
        say(words);
    }

    /// False: the connection has ended.
    bool say(const Bytes& bytes) {
        std::error_code error;
        asio::write(socket_, asio::buffer(bytes), error);
        return !error;
    }

    /// The next frame; none: the connection has ended.
    std::optional<std::pair<FrameHeader, Bytes>> hear() {
        Bytes head(distwork::detail::frame_header_bytes);
        if (!read(head)) return std::nullopt;
        const FrameHeader header = distwork::detail::read_header(head.data());
        Bytes body(header.length);
        if (!read(body)) return std::nullopt;
        return std::pair{header, std::move(body)};
    }

    /// Waits for the works that it is sent, and answers each by `answer(header, body)`; until the connection ends, or
    /// `answer` returns false.
    void serve(const std::function<bool(const FrameHeader&, const Bytes&)>& answer) {
        while (auto came = hear())
            if (came->first.kind == FrameKind::work && !answer(came->first, came->second)) return;
    }

    /// Why it was cut off.
    distwork::Errc farewell() {
        while (const auto came = hear()) {
            distwork::detail::Refusal why;
            if (came->first.kind == FrameKind::bye && !decode(came->second, why)) return why.reason;
        }
        return distwork::Errc{};
    }

    asio::ip::tcp::socket& socket() { return socket_; }

private:
    bool read(Bytes& bytes) {
        std::error_code error;
        asio::read(socket_, asio::buffer(bytes), error);
        return !error;
    }

    asio::io_context io_;
    asio::ip::tcp::socket socket_{io_};
};

}  // namespace support
