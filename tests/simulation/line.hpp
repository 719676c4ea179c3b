#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <distwork.hpp>
#include <distwork/sim/simulation.hpp>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

// Frames by hand, over a simulated connection.

namespace storm {

using distwork::Errc;
using distwork::detail::FrameHeader;
using distwork::detail::FrameKind;
namespace sim = distwork::sim;
using Bytes = std::vector<std::byte>;

inline void append(Bytes& bytes, const FrameHeader& header, std::span<const std::byte> body = {}) {
    const std::size_t at = bytes.size();
    bytes.resize(at + distwork::detail::frame_header_bytes + body.size());
    FrameHeader whole = header;
    if (whole.length == 0) whole.length = static_cast<std::uint32_t>(body.size());
    distwork::detail::write_header(bytes.data() + at, whole);
    if (!body.empty()) std::memcpy(bytes.data() + at + distwork::detail::frame_header_bytes, body.data(), body.size());
}

inline void append_types(Bytes& bytes, std::uint32_t window, const std::vector<const distwork::WorkType*>& known = {},
                         std::uint16_t version = distwork::newest_protocol_version) {
    distwork::detail::Introduction introduction{1, window, 64 * 1024, {}, {}, version};
    for (const auto* type : known) introduction.types.emplace_back(type->name, type->fingerprint());
    distwork::detail::ByteBuffer types;
    distwork::detail::encode_value(introduction, types, {});
    append(bytes, {.kind = FrameKind::types}, types.view());
}

/// A connection, frame by frame.
class Line {
public:
    explicit Line(sim::Socket socket) : socket_{std::move(socket)} {}

    /// False when the connection has ended.
    asio::awaitable<bool> say(const Bytes& bytes) {
        std::error_code error;
        for (std::size_t at = 0; at != bytes.size() && !error;) {
            const std::array<asio::const_buffer, 1> rest{asio::buffer(bytes.data() + at, bytes.size() - at)};
            auto token = asio::redirect_error(asio::use_awaitable, error);
            at += co_await socket_.async_write_some(rest, token);
        }
        co_return !error;
    }

    /// Waits for the next frame. False when the connection has ended.
    asio::awaitable<bool> hear() {
        if (!heard_.empty()) heard_.pop_front();
        std::error_code error;
        while (heard_.empty()) {
            const auto space = reader_.prepare();
            auto token = asio::redirect_error(asio::use_awaitable, error);
            const std::size_t count = co_await socket_.async_read_some(asio::buffer(space.data(), space.size()), token);
            if (error) co_return false;
            error = reader_.commit(count, [&](distwork::detail::Frame&& came) {
                heard_.emplace_back(came.header, Bytes{came.body.begin(), came.body.end()});
                return true;
            });
            if (error) co_return false;
        }
        co_return true;
    }

    const FrameHeader& header() const { return heard_.front().first; }
    const Bytes& body() const { return heard_.front().second; }

    /// Why the peer leaves, by the frame that came.
    Errc farewell() const {
        distwork::detail::Refusal why;
        return decode(body(), why) ? Errc::malformed : why.reason;
    }

private:
    sim::Socket socket_;
    distwork::detail::FrameReader reader_{64 * 1024};
    std::deque<std::pair<FrameHeader, Bytes>> heard_;
};

}  // namespace storm
