#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "detail/plain.hpp"
#include "error.hpp"
#include "version.hpp"

namespace distwork {

/// Which side of a link a peer is.
enum class Role : std::uint8_t { master = 1, slave = 2 };

/// All that is said before a peer is accepted, in plain bytes: a stranger gets no archive to play with.
inline constexpr std::size_t stranger_bytes = 4 * 1024;

inline constexpr std::string_view magic = "DISTWORK";

/// The body of hello and welcome.
///
/// | bytes | hello | welcome |
/// | --- | --- | --- |
/// | 8 | "DISTWORK" | "DISTWORK" |
/// | 2 | the oldest version spoken | the version chosen |
/// | 2 | the newest version spoken | the version chosen |
/// | 1 | Role | Role |
/// | 2 + n | name, n ≤ 256 | name |
struct Greeting {
    std::uint16_t oldest = oldest_protocol_version;
    std::uint16_t newest = newest_protocol_version;
    Role role{};
    std::string name;
};

/// The body of refuse: Errc (2 bytes), then a text for people (2 + n bytes, n ≤ 256).
struct Refusal {
    Errc reason{};
    std::string text;
};

inline std::vector<std::byte> encode(const Greeting& greeting) {
    return detail::PlainWriter{}
        .raw(magic)
        .put(greeting.oldest)
        .put(greeting.newest)
        .put(static_cast<std::uint8_t>(greeting.role))
        .text(greeting.name)
        .take();
}

inline std::error_code decode(std::span<const std::byte> body, Greeting& greeting) {
    detail::PlainReader reader{body};
    std::string first;
    std::uint8_t role = 0;
    if (!reader.raw(first, magic.size()) || first != magic) return Errc::not_distwork;
    // A newer version may append to its greeting: what comes after the name is not looked at.
    if (!reader.get(greeting.oldest) || !reader.get(greeting.newest) || !reader.get(role) || role < 1 || role > 2 ||
        !reader.text(greeting.name) || greeting.oldest > greeting.newest)
        return Errc::protocol_violation;
    greeting.role = static_cast<Role>(role);
    return {};
}

inline std::vector<std::byte> encode(const Refusal& refusal) {
    return detail::PlainWriter{}.put(static_cast<std::uint16_t>(refusal.reason)).text(refusal.text).take();
}

inline std::error_code decode(std::span<const std::byte> body, Refusal& refusal) {
    detail::PlainReader reader{body};
    std::uint16_t reason = 0;
    if (!reader.get(reason) || !reader.text(refusal.text) || !reader.at_end()) return Errc::protocol_violation;
    refusal.reason = static_cast<Errc>(reason);
    return {};
}

/// Judges a hello against what this build speaks. On success `version` is the newest that both speak.
inline std::error_code meet(const Greeting& hello, Role expected, std::uint16_t& version) noexcept {
    if (hello.role != expected) return Errc::wrong_role;
    if (hello.newest < oldest_protocol_version || hello.oldest > newest_protocol_version) return Errc::version_mismatch;
    version = hello.newest < newest_protocol_version ? hello.newest : newest_protocol_version;
    return {};
}

}  // namespace distwork
