#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../error.hpp"
#include "../version.hpp"
#include "frame.hpp"
#include "plain_fields.hpp"

namespace distwork::detail {

/// The role of a peer in a session.
enum class Role : std::uint8_t { master = 1, slave = 2 };

/// The bytes that a peer may send before it is accepted. They are plain fields: a stranger's bytes reach no archive.
inline constexpr std::size_t stranger_bytes = 4 * 1024;

inline constexpr std::string_view magic = "DISTWORK";

/// The body of hello and welcome. What follows the name is ignored.
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

/// The body of refuse and bye, which tells why a session ends.
///
/// | bytes | field |
/// | --- | --- |
/// | 2 | Errc, never 0 |
/// | 2 + n | text for people, n ≤ 256 |
struct Refusal {
    Errc reason{};
    std::string text;
};

inline std::vector<std::byte> encode(const Greeting& greeting) {
    return PlainWriter{}
        .raw(magic)
        .put(greeting.oldest)
        .put(greeting.newest)
        .put(static_cast<std::uint8_t>(greeting.role))
        .text(greeting.name)
        .take();
}

inline std::error_code decode(std::span<const std::byte> body, Greeting& greeting) {
    PlainReader reader{body};
    std::string first;
    std::uint8_t role = 0;
    if (!reader.raw(first, magic.size()) || first != magic) return Errc::not_distwork;
    // A newer version may append to its greeting, so the bytes after the name are ignored.
    if (!reader.get(greeting.oldest) || !reader.get(greeting.newest) || !reader.get(role) || role < 1 || role > 2 ||
        !reader.text(greeting.name) || greeting.oldest > greeting.newest)
        return Errc::protocol_violation;
    greeting.role = static_cast<Role>(role);
    return {};
}

/// A peer's reason for an end, if it is one: the codes "why a session ended", and that it stopped. For any other code,
/// also of a newer version, connection_closed.
constexpr Errc believable_end(Errc reason) noexcept {
    const bool is_end = reason >= Errc::connection_closed && reason <= Errc::not_authenticated;
    return is_end || reason == Errc::stopped || reason == Errc::needs_credentials ? reason : Errc::connection_closed;
}

inline std::vector<std::byte> encode(const Refusal& refusal) {
    return PlainWriter{}.put(static_cast<std::uint16_t>(refusal.reason)).text(refusal.text).take();
}

inline std::error_code decode(std::span<const std::byte> body, Refusal& refusal) {
    PlainReader reader{body};
    std::uint16_t reason = 0;
    if (!reader.get(reason) || reason == 0 || !reader.text(refusal.text) || !reader.at_end())
        return Errc::protocol_violation;
    refusal.reason = believable_end(static_cast<Errc>(reason));
    return {};
}

/// Checks whether a greeting fits this build. On success `version` is the newest version that both peers speak.
/// *Errors*: returns wrong_role or version_mismatch.
inline std::error_code meet(const Greeting& hello, Role expected, std::uint16_t& version) noexcept {
    if (hello.role != expected) return Errc::wrong_role;
    if (hello.newest < oldest_protocol_version || hello.oldest > newest_protocol_version) return Errc::version_mismatch;
    version = hello.newest < newest_protocol_version ? hello.newest : newest_protocol_version;
    return {};
}

/// The exchange of frames until two peers have accepted each other. No I/O: `take` checks a frame and returns what to
/// send.
class Handshake {
public:
    Handshake(Role role, std::string name) : role_{role}, name_{std::move(name)} {}

    struct Step {
        FrameKind reply{};  ///< sent with `body`; zero: nothing is sent
        std::vector<std::byte> body;
        std::error_code error;  ///< if set, the session ends after the reply
        std::string detail;
    };

    /// The body of a slave's first frame.
    std::vector<std::byte> hello() const { return encode(Greeting{.role = Role::slave, .name = name_}); }

    /// Processes the peer's first frame. For a valid hello a master calls `admit(const Greeting&, std::string& text)`,
    /// which returns an error to refuse the peer.
    template <class Admit>
    Step take(FrameKind kind, std::span<const std::byte> body, Admit admit) {
        if (role_ == Role::master && kind == FrameKind::hello) return hello_came(body, admit);
        if (role_ == Role::slave && kind == FrameKind::welcome) return welcome_came(body);
        if (role_ == Role::slave && kind == FrameKind::refuse) return refuse_came(body);
        Step step;
        step.error = Errc::not_distwork;
        step.detail = "its first frame is of kind " + std::to_string(static_cast<unsigned>(kind));
        return step;
    }

    bool accepted() const noexcept { return accepted_; }
    const std::string& peer_name() const noexcept { return peer_name_; }
    /// The version of the protocol, valid once accepted.
    std::uint16_t version() const noexcept { return version_; }

private:
    template <class Admit>
    Step hello_came(std::span<const std::byte> body, Admit admit) {
        Greeting hello;
        std::uint16_t version = 0;
        Step step;
        step.error = decode(body, hello);
        if (!step.error) step.error = meet(hello, Role::slave, version);
        if (!step.error) step.error = admit(hello, step.detail);
        if (step.error) {
            step.reply = FrameKind::refuse;
            step.body = encode(Refusal{errc_of(step.error, Errc::protocol_violation),
                                       step.detail.empty() ? step.error.message() : step.detail});
            return step;
        }
        accept(std::move(hello.name), version);
        step.reply = FrameKind::welcome;
        step.body = encode(Greeting{.oldest = version, .newest = version, .role = Role::master, .name = name_});
        return step;
    }

    Step welcome_came(std::span<const std::byte> body) {
        Greeting welcome;
        std::uint16_t version = 0;
        Step step;
        step.error = decode(body, welcome);
        if (!step.error) step.error = meet(welcome, Role::master, version);
        if (!step.error) accept(std::move(welcome.name), version);
        return step;
    }

    Step refuse_came(std::span<const std::byte> body) {
        Refusal refusal;
        Step step;
        step.error = decode(body, refusal);
        if (step.error) return step;
        step.error = refusal.reason;
        step.detail = "refused: " + refusal.text;
        return step;
    }

    void accept(std::string peer_name, std::uint16_t version) {
        accepted_ = true;
        version_ = version;
        peer_name_ = std::move(peer_name);
    }

    const Role role_;
    const std::string name_;
    std::string peer_name_ = "a stranger";
    std::uint16_t version_ = oldest_protocol_version;
    bool accepted_ = false;
};

}  // namespace distwork::detail
