#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "distwork/calls/call.hpp"
#include "distwork/calls/peer.hpp"
#include "distwork/log.hpp"
#include "distwork/wire/byte_buffer.hpp"
#include "distwork/wire/frame.hpp"
#include "distwork/wire/reply.hpp"

namespace support {

/// The other end of a session that is not there: remembers what it was sent and what it was answered.
class FakePeer : public distwork::detail::Peer {
public:
    struct Replied {
        std::uint64_t id = 0;
        distwork::detail::FrameKind kind{};
        std::uint8_t flags = 0;
        std::vector<std::byte> body;

        /// The body as the peer would read it.
        distwork::detail::Reply read() const {
            distwork::detail::Reply reply;
            if (decode(kind, body, reply, distwork::detail::Role::master)) reply.text = "the reply does not decode";
            return reply;
        }
    };

    explicit FakePeer(asio::any_io_executor executor = {}, std::string name = "fake")
        : executor_{std::move(executor)}, name_{std::move(name)} {}

    std::error_code send(const std::shared_ptr<distwork::detail::Call>& call) override {
        if (refuses) return ++refused, refuses;
        call->id = ++last_id_;
        call->keep_body();
        if (on_send) on_send(*call);
        sent.push_back(call);
        return {};
    }
    void cancel(const distwork::detail::Call& call) override { cancelled.push_back(call.id); }
    bool recall(const distwork::detail::Call& call) override {
        if (returns_works) recalled.push_back(call.id);
        return returns_works;
    }
    void reply(distwork::detail::FrameHeader header, distwork::detail::ByteBuffer&& body) override {
        replies.push_back({header.id, header.kind, header.flags, {body.view().begin(), body.view().end()}});
        if (on_reply) on_reply(header.id);
    }
    void fail(const std::exception_ptr&) noexcept override { ++failed; }
    bool takes_answers() const noexcept override { return takes; }
    bool takes_chunks() const noexcept override { return chunks; }
    asio::ip::tcp::endpoint remote_endpoint() const override { return {}; }
    const std::string& name() const override { return name_; }
    const asio::any_io_executor& get_executor() const override { return executor_; }
    const distwork::ArchiveLimits& limits() const override { return limits_; }
    void log(distwork::LogLevel, std::string_view line) const override { logged.emplace_back(line); }

    std::error_code refuses;  ///< every call, with this
    std::size_t refused = 0;  ///< so many
    bool takes = true;        ///< answers
    bool chunks = true;       ///< is taken
    bool returns_works = true;
    std::size_t failed = 0;  ///< works that could not be answered
    std::function<void(distwork::detail::Call&)> on_send;
    std::function<void(std::uint64_t)> on_reply;
    std::vector<std::shared_ptr<distwork::detail::Call>> sent;
    std::vector<std::uint64_t> cancelled;
    std::vector<std::uint64_t> recalled;
    std::vector<Replied> replies;
    mutable std::vector<std::string> logged;

private:
    asio::any_io_executor executor_;
    std::string name_;
    distwork::ArchiveLimits limits_;
    std::uint64_t last_id_ = 0;
};

}  // namespace support
