#pragma once

#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <distwork/sim/simulation.hpp>
#include <exception>
#include <string>
#include <utility>

#include "simulation/line.hpp"

// What slaves find where they look for a master, and is none of ours.

namespace storm {

struct StrangeMaster {
    enum Manner {
        refuses,
        of_later_version,
        kind_after_welcome,
        kind_after_types,
        flags_on_welcome,
        leaves_at_once,
        speaks_otherwise,
        says_nothing,
        manners
    };

    Manner manner{};
    bool is_understood = true;  // who was to be told why was told

    /// What a slave makes of it.
    Errc reason() const noexcept {
        switch (manner) {
            case refuses:
            case of_later_version: return Errc::version_mismatch;
            case speaks_otherwise: return Errc::not_distwork;
            case leaves_at_once: return Errc::stopped;
            case says_nothing: return Errc::handshake_timeout;
            default: return Errc::protocol_violation;
        }
    }

    Bytes words() const {
        distwork::detail::Greeting greeting{.role = distwork::detail::Role::master, .name = "stranger"};
        if (manner == of_later_version) greeting.oldest = greeting.newest = 900;
        Bytes bytes;
        if (manner == refuses) {
            append(bytes, {.kind = FrameKind::refuse},
                   encode(distwork::detail::Refusal{Errc::version_mismatch, "too old"}));
        } else if (manner == speaks_otherwise) {
            for (const char letter : std::string{"HTTP/1.1 400 Bad Request"}) bytes.push_back(std::byte(letter));
        } else if (manner != says_nothing) {
            const std::uint8_t flags = manner == flags_on_welcome ? 4 : 0;
            append(bytes, {.kind = FrameKind::welcome, .flags = flags}, encode(greeting));
            if (manner == kind_after_types) append_types(bytes, 4);
            if (manner == kind_after_welcome || manner == kind_after_types) append(bytes, {.kind = FrameKind{99}});
            if (manner == leaves_at_once)
                append(bytes, {.kind = FrameKind::bye}, encode(distwork::detail::Refusal{Errc::stopped, "not now"}));
        }
        return bytes;
    }
};

inline asio::awaitable<void> meet(StrangeMaster& self, sim::Socket socket) {
    Line line{std::move(socket)};
    Errc told{};
    while (co_await line.hear()) {
        if (line.header().kind == FrameKind::bye) told = line.farewell();
        if (line.header().kind != FrameKind::hello) continue;
        const Bytes words = self.words();
        co_await line.say(words);
    }
    const bool is_to_be_told =
        self.manner == StrangeMaster::kind_after_welcome || self.manner == StrangeMaster::kind_after_types;
    if (is_to_be_told && told != Errc::protocol_violation) self.is_understood = false;
}

inline asio::awaitable<void> meet_all(StrangeMaster& self, sim::Host& host, std::uint16_t port) {
    auto transport = host.transport();
    auto acceptor = transport.listen(transport.make_strand(), host.address(), port);
    for (;;) {
        auto socket = co_await transport.accept(acceptor);
        asio::co_spawn(host.get_executor(), meet(self, std::move(socket)), [](const std::exception_ptr&) {});
    }
}

}  // namespace storm
