#include "distwork/wire/handshake.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "distwork/error.hpp"
#include "distwork/wire/frame.hpp"
#include "distwork/wire/outbox.hpp"
#include "distwork/wire/reply.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/hex.hpp"

namespace handshake_test {

using namespace distwork;
using namespace distwork::detail;
using namespace support;

TEST_CASE("a hello frame is these bytes", "[unit]") {
    const auto body = encode(Greeting{.oldest = 1, .newest = 0x0203, .role = Role::slave, .name = "node 7"});
    CHECK(hex(body) ==
          "44 49 53 54 57 4f 52 4b "  // DISTWORK
          "01 00 03 02 02 "           // versions, role
          "06 00 6e 6f 64 65 20 37");
    Outbox outbox;
    outbox.append({.kind = FrameKind::hello}, body);
    std::vector<asio::const_buffer> buffers;
    outbox.gather(buffers, 1000);
    CHECK(hex({static_cast<const std::byte*>(buffers[0].data()), 16}) ==
          "15 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00");
}

TEST_CASE("a welcome's body is these bytes", "[unit]") {
    CHECK(hex(encode(Greeting{.oldest = 1, .newest = 1, .role = Role::master, .name = ""})) ==
          "44 49 53 54 57 4f 52 4b 01 00 01 00 01 00 00");
}

TEST_CASE("a refusal's body is these bytes", "[unit]") {
    const auto body = encode(Refusal{Errc::too_many_slaves, "full"});
    CHECK(hex(body) == "27 00 04 00 66 75 6c 6c");
    Refusal refusal;
    REQUIRE_FALSE(decode(body, refusal));
    CHECK(refusal.reason == Errc::too_many_slaves);
    CHECK(refusal.text == "full");
}

TEST_CASE("a greeting comes back, and what a newer version appends is not looked at", "[unit]") {
    auto body = encode(Greeting{.oldest = 3, .newest = 9, .role = Role::master, .name = "m\xc3\xbc"});
    for (int trailing = 0; trailing < 3; ++trailing) {
        Greeting greeting;
        REQUIRE_FALSE(decode(body, greeting));
        CHECK(greeting.oldest == 3);
        CHECK(greeting.newest == 9);
        CHECK(greeting.role == Role::master);
        CHECK(greeting.name == "m\xc3\xbc");
        body.push_back(std::byte{0xff});
    }
}

TEST_CASE("a greeting that is cut short is refused, wherever", "[unit]") {
    const auto body = encode(Greeting{.role = Role::slave, .name = "node"});
    for (std::size_t size = 0; size < body.size(); ++size) {
        Greeting greeting;
        CAPTURE(size);
        CHECK(decode(std::span{body}.first(size), greeting) ==
              (size < magic.size() ? Errc::not_distwork : Errc::protocol_violation));
    }
}

TEST_CASE("a greeting that means nothing is refused", "[unit]") {
    const auto with = [](std::size_t at, int value) {
        auto body = encode(Greeting{.oldest = 1, .newest = 1, .role = Role::slave, .name = "node"});
        body[at] = static_cast<std::byte>(value);
        Greeting greeting;
        return decode(body, greeting);
    };
    CHECK(with(0, 'd') == Errc::not_distwork);
    CHECK(with(7, 'L') == Errc::not_distwork);
    CHECK(with(8, 2) == Errc::protocol_violation);  // oldest beyond newest
    CHECK(with(12, 0) == Errc::protocol_violation);
    CHECK(with(12, 3) == Errc::protocol_violation);
    CHECK(with(13, 5) == Errc::protocol_violation);  // a name longer than the body
    CHECK_FALSE(with(13, 4));
    CHECK_FALSE(with(13, 3));

    Greeting greeting;
    CHECK(decode(bytes_of("GET / HTTP/1.1\r\n\r\n"), greeting) == Errc::not_distwork);
}

TEST_CASE("names are at most 256 bytes: longer ones are cut by who sends, refused by who receives", "[unit]") {
    for (const std::size_t size : {std::size_t{255}, std::size_t{256}, std::size_t{257}, std::size_t{100'000}}) {
        const auto body = encode(Greeting{.role = Role::slave, .name = std::string(size, 'n')});
        Greeting greeting;
        CHECK_FALSE(decode(body, greeting));
        CHECK(greeting.name.size() == std::min<std::size_t>(size, 256));
        CHECK(body.size() + frame_header_bytes < stranger_bytes);
    }
    const auto raw = detail::PlainWriter{}
                         .raw(magic)
                         .put(std::uint16_t{1})
                         .put(std::uint16_t{1})
                         .put(std::uint8_t{2})
                         .put(std::uint16_t{257})
                         .raw(std::string(257, 'n'))
                         .take();
    Greeting greeting;
    CHECK(decode(raw, greeting) == Errc::protocol_violation);
}

TEST_CASE("a refusal that is cut short, or goes on, is refused", "[unit]") {
    auto body = encode(Refusal{Errc::wrong_role, "you are a master"});
    Refusal refusal;
    for (std::size_t size = 0; size < body.size(); ++size)
        CHECK(decode(std::span{body}.first(size), refusal) == Errc::protocol_violation);
    body.push_back({});
    CHECK(decode(body, refusal) == Errc::protocol_violation);
}

TEST_CASE("two peers meet at the newest version that both speak", "[unit]") {
    std::uint16_t version = 0;
    const auto newest = newest_protocol_version;
    const auto at = [&](unsigned oldest_spoken, unsigned newest_spoken, Role role = Role::slave) {
        version = 0;
        return meet({.oldest = static_cast<std::uint16_t>(oldest_spoken),
                     .newest = static_cast<std::uint16_t>(newest_spoken),
                     .role = role,
                     .name = {}},
                    Role::slave, version);
    };
    CHECK_FALSE(at(oldest_protocol_version, newest));
    CHECK(version == newest);
    CHECK_FALSE(at(0, newest + 5u));
    CHECK(version == newest);
    CHECK_FALSE(at(newest, newest));
    CHECK(version == newest);
    CHECK_FALSE(at(0, oldest_protocol_version));
    CHECK(version == oldest_protocol_version);
    CHECK(at(newest + 1u, newest + 5u) == Errc::version_mismatch);
    CHECK(at(0, oldest_protocol_version - 1u) == Errc::version_mismatch);
    CHECK(version == 0);
    CHECK(at(1, 1, Role::master) == Errc::wrong_role);
}

namespace {

constexpr auto admit_all = [](const Greeting&, std::string&) { return std::error_code{}; };

Handshake::Step take(Handshake& shake, FrameKind kind, const std::vector<std::byte>& body) {
    return shake.take(kind, body, admit_all);
}

}  // namespace

TEST_CASE("a slave and a master that speak the same language accept each other", "[unit]") {
    Handshake master{Role::master, "the master"};
    Handshake slave{Role::slave, "node 7"};
    CHECK_FALSE(master.accepted());
    CHECK(master.peer_name() == "a stranger");

    const auto welcome = take(master, FrameKind::hello, slave.hello());
    CHECK_FALSE(welcome.error);
    CHECK(welcome.reply == FrameKind::welcome);
    CHECK(master.accepted());
    CHECK(master.peer_name() == "node 7");
    Greeting said;
    REQUIRE_FALSE(decode(welcome.body, said));
    CHECK(said.oldest == newest_protocol_version);
    CHECK(said.newest == newest_protocol_version);

    const auto done = take(slave, FrameKind::welcome, welcome.body);
    CHECK_FALSE(done.error);
    CHECK(done.reply == FrameKind{});
    CHECK(slave.accepted());
    CHECK(slave.peer_name() == "the master");
}

TEST_CASE("who is refused is told why, and believes it", "[unit]") {
    Handshake slave{Role::slave, "node 7"};
    const auto refused = [&](const Handshake::Step& step) {
        CHECK(step.reply == FrameKind::refuse);
        const auto end = take(slave, FrameKind::refuse, step.body);
        CHECK(end.error == step.error);
        CHECK(end.reply == FrameKind{});
        CHECK_FALSE(slave.accepted());
        return end.detail;
    };
    Handshake master{Role::master, "the master"};
    const auto full = [](const Greeting& hello, std::string& text) {
        text = "no room for " + hello.name;
        return make_error_code(Errc::too_many_slaves);
    };
    CHECK(refused(master.take(FrameKind::hello, slave.hello(), full)) == "refused: no room for node 7");

    const auto newer = static_cast<std::uint16_t>(newest_protocol_version + 1);
    const Greeting from_the_future{.oldest = newer, .newest = newer, .role = Role::slave, .name = "node"};
    const auto mismatch = take(master, FrameKind::hello, encode(from_the_future));
    CHECK(mismatch.error == Errc::version_mismatch);
    CHECK(refused(mismatch) == "refused: " + mismatch.error.message());

    const auto wrong = take(master, FrameKind::hello, encode(Greeting{.role = Role::master, .name = "another"}));
    CHECK(wrong.error == Errc::wrong_role);
    refused(wrong);
    CHECK(take(master, FrameKind::hello, bytes_of("GET / HTTP/1.1")).error == Errc::not_distwork);
    CHECK_FALSE(master.accepted());
}

TEST_CASE("a peer that says anything else first is no peer", "[unit]") {
    Handshake slave{Role::slave, "node"};
    Handshake master{Role::master, "master"};
    const auto greeting = slave.hello();
    for (int kind = 0; kind < 256; ++kind) {
        const auto frame = static_cast<FrameKind>(kind);
        CAPTURE(kind);
        if (frame != FrameKind::hello) CHECK(take(master, frame, greeting).error == Errc::not_distwork);
        if (frame != FrameKind::welcome && frame != FrameKind::refuse)
            CHECK(take(slave, frame, greeting).error == Errc::not_distwork);
    }
    CHECK(take(slave, FrameKind::welcome, greeting).error == Errc::wrong_role);
    CHECK(take(slave, FrameKind::welcome, {}).error == Errc::not_distwork);
    CHECK(take(slave, FrameKind::refuse, {}).error == Errc::protocol_violation);
    CHECK_FALSE(master.accepted());
    CHECK_FALSE(slave.accepted());
}

TEST_CASE("no bytes from a stranger do worse than an error", "[unit]") {
    std::mt19937 random{7};
    const auto hello = encode(Greeting{.role = Role::slave, .name = "a name"});
    const ByteBuffer error = error_body({}, Errc::work_failed, "E", "text");
    for (int i = 0; i < 20'000; ++i) {
        std::vector<std::byte> bytes =
            i % 2 ? hello : std::vector<std::byte>{error.data(), error.data() + error.size()};
        for (unsigned changes = random() % 4; changes != 0; --changes)
            bytes[random() % bytes.size()] = static_cast<std::byte>(random() & 0xff);
        bytes.resize(random() % (bytes.size() + 3));
        // An allocation of its own, exactly as long: address sanitizer sees a byte read beyond it.
        const auto exact = std::make_unique<std::byte[]>(bytes.size());
        if (!bytes.empty()) std::memcpy(exact.get(), bytes.data(), bytes.size());
        const std::span<const std::byte> body{exact.get(), bytes.size()};
        Greeting greeting;
        Refusal refusal;
        Reply reply;
        if (!decode(body, greeting)) REQUIRE(greeting.name.size() <= max_name_bytes);
        if (!decode(body, refusal)) REQUIRE(refusal.text.size() <= max_name_bytes);
        if (!decode(FrameKind::error, body, reply)) REQUIRE(reply.exception_type.size() <= max_name_bytes);
        static_cast<void>(decode(FrameKind::answer, body, reply));
    }
}

}  // namespace handshake_test
