// What a slave must not say: each case by its name, in each state of a session. It is refused, for little memory, and
// others do not notice.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "distwork/types/peer_types.hpp"
#include "distwork/wire/frame.hpp"
#include "distwork/wire/frame_rules.hpp"
#include "distwork/wire/handshake.hpp"
#include "distwork/wire/progress_body.hpp"
#include "support/catch.hpp"
#include "support/heap.hpp"
#include "support/run.hpp"
#include "support/stranger.hpp"

namespace malformed {

int twice(int number) {
    return 2 * number;
}

}  // namespace malformed

DISTWORK_REGISTER_FUNCTION(malformed::twice)

namespace malformed {

using distwork::detail::FrameHeader;
using distwork::detail::FrameKind;
using distwork::detail::Greeting;
using distwork::detail::Introduction;
using distwork::detail::Role;
using distwork::detail::SessionStage;
using Words = std::vector<std::byte>;

/// What is said in a state of a session.
struct Case {
    std::string name;
    SessionStage stage;
    Words words;
};

Words operator+(Words left, const Words& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

Words frame(FrameHeader header, const Words& body = {}) {
    header.length = header.length == 0 ? static_cast<std::uint32_t>(body.size()) : header.length;
    Words words(distwork::detail::frame_header_bytes);
    distwork::detail::write_header(words.data(), header);
    return words + body;
}

Words text(const std::string& of) {
    const auto bytes = std::as_bytes(std::span{of});
    return {bytes.begin(), bytes.end()};
}

Words first(const Words& of, std::size_t count) {
    return {of.begin(), of.begin() + static_cast<std::ptrdiff_t>(count)};
}

Words hello(const Greeting& says = {.role = Role::slave, .name = "stranger"}) {
    return distwork::detail::encode(says);
}

Words introduction(const Introduction& says) {
    distwork::detail::ByteBuffer body;
    distwork::detail::encode_value(says, body, {});
    return {body.view().begin(), body.view().end()};
}
Introduction usual() {
    return {.slots = 1, .window = 10, .max_frame_bytes = 1 << 20, .labels = {"label"}, .types = {}};
}

std::string name_of(FrameKind kind) {
    return "a frame of kind " + std::to_string(static_cast<unsigned>(kind));
}

/// What comes before, in that state.
Words before(SessionStage stage) {
    Words words;
    if (stage != SessionStage::greeting) words = frame({.kind = FrameKind::hello}, hello());
    if (stage == SessionStage::open) words = words + frame({.kind = FrameKind::types}, introduction(usual()));
    return words;
}

std::vector<Case> all_cases() {
    std::vector<Case> cases;
    const auto add = [&](std::string name, SessionStage stage, Words words) {
        cases.push_back({std::move(name), stage, std::move(words)});
    };
    using enum SessionStage;
    constexpr unsigned kinds = 20;
    const char* const stages[] = {"as the first", "before the types", "in a session"};

    // The wrong state, an unknown kind
    for (const auto stage : {greeting, SessionStage::types, open}) {
        const std::string when = stages[stage == greeting ? 0 : stage == open ? 2 : 1];
        for (unsigned number = 0; number < kinds; ++number) {
            const auto kind = static_cast<FrameKind>(number);
            if (!may_come(kind, Role::master, stage, distwork::newest_protocol_version))
                add(name_of(kind) + ' ' + when, stage, frame({.kind = kind}, hello()));
            // A flag that nothing has, and a length that no frame may have
            add(name_of(kind) + " with an unknown flag " + when, stage, frame({.kind = kind, .flags = 0x80}, hello()));
            if (kind == FrameKind::work || kind == FrameKind::answer) continue;
            add(name_of(kind) + " that is said to have 3 MiB " + when, stage, frame({.length = 3 << 20, .kind = kind}));
            add(name_of(kind) + " that is said to have 4 GiB " + when, stage,
                frame({.length = 0xffff'ffff, .kind = kind}));
        }
        for (const FrameKind kind : {FrameKind::work, FrameKind::answer})
            add(name_of(kind) + " that is said to have 4 GiB " + when, stage,
                frame({.length = 0xffff'ffff, .kind = kind}));
    }

    // A greeting
    for (std::size_t size = 0; size < hello().size(); ++size)
        add("the first " + std::to_string(size) + " bytes of a hello", greeting,
            frame({.kind = FrameKind::hello}, first(hello(), size)));
    for (const char* const other : {"GET / HTTP/1.1\r\nHost: master\r\n\r\n", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
                                    "EHLO master.example.org\r\n", "*1\r\n$4\r\nPING\r\n1234567890"})
        add("another protocol: " + std::string{other}, greeting, text(other));
    add("zeros", greeting, Words(64));
    add("ones", greeting, Words(64, std::byte{0xff}));
    add("a hello of a master", greeting,
        frame({.kind = FrameKind::hello}, hello({.role = Role::master, .name = "stranger"})));
    add("versions that are too new", greeting,
        frame({.kind = FrameKind::hello}, hello({.oldest = 1000, .newest = 1001, .role = Role::slave, .name = ""})));
    add("versions in the wrong order", greeting,
        frame({.kind = FrameKind::hello}, hello({.oldest = 3, .newest = 1, .role = Role::slave, .name = ""})));
    add("a second hello", SessionStage::types, frame({.kind = FrameKind::hello}, hello()));

    // An introduction
    const Words introduced = introduction(usual());
    for (std::size_t size = 0; size < introduced.size(); ++size)
        add("the first " + std::to_string(size) + " bytes of the types", SessionStage::types,
            frame({.kind = FrameKind::types}, first(introduced, size)));
    const auto introduces = [&](const std::string& name, auto change) {
        Introduction says = usual();
        change(says);
        add(name, SessionStage::types, frame({.kind = FrameKind::types}, introduction(says)));
    };
    add("types with a byte too many", SessionStage::types, frame({.kind = FrameKind::types}, introduced + Words(1)));
    introduces("no window", [](Introduction& says) { says.window = 0; });
    introduces("no room for a body", [](Introduction& says) { says.max_frame_bytes = 0; });
    introduces("little room for a body", [](Introduction& says) { says.max_frame_bytes = 65'535; });
    introduces("257 labels", [](Introduction& says) { says.labels.assign(257, "x"); });
    introduces("a million empty labels", [](Introduction& says) { says.labels.assign(200'000, ""); });
    introduces("a label of 257 bytes", [](Introduction& says) { says.labels = {std::string(257, 'x')}; });
    introduces("5,000 types", [](Introduction& says) { says.types.assign(5'000, {"a type", 1}); });
    introduces("a type with a long name", [](Introduction& says) { says.types = {{std::string(1'000, 'x'), 1}}; });
    introduces("65 amounts", [](Introduction& says) {
        for (int i = 0; i < 65; ++i) says.amounts.emplace_back("amount " + std::to_string(i), 1);
    });
    introduces("65 indexed amounts", [](Introduction& says) { says.indexed.assign(65, "gpu"); });

    // In a session
    const auto adds = [&](const std::string& name, const FrameHeader& header, const Words& body = {}) {
        add(name, open, frame(header, body));
    };
    adds("a work of a type without a number", {.kind = FrameKind::work, .type = 0xffff, .id = 1});
    adds("a chunk for a master", {.kind = FrameKind::work, .flags = 4, .id = 1}, Words(16));
    adds("units for a master", {.kind = FrameKind::work, .flags = 8, .id = 1}, Words(16));
    adds("a work with a timeout of 3 bytes", {.kind = FrameKind::work, .flags = 1, .id = 1}, Words(3));
    adds("a submission whose parent has 7 bytes", {.kind = FrameKind::work, .flags = 2, .id = 1}, Words(7));
    adds("a cancel of nothing", {.kind = FrameKind::cancel, .id = 1});
    adds("no work takes a slot", {.kind = FrameKind::credit, .flags = 1});
    for (const std::size_t size : {1u, 7u, 100u, 4096u})
        for (const FrameKind kind : {FrameKind::ping, FrameKind::pong})
            adds(name_of(kind) + " of " + std::to_string(size) + " bytes", {.kind = kind, .id = 1}, Words(size));
    const Words progress = distwork::detail::encode(distwork::detail::ProgressBody{.millionths = 1, .text = "half"});
    for (std::size_t size = 0; size < progress.size(); ++size)
        adds("the first " + std::to_string(size) + " bytes of a progress", {.kind = FrameKind::progress, .id = 1},
             first(progress, size));
    const Words bye = distwork::detail::encode(distwork::detail::Refusal{distwork::Errc::stopped, "so long"});
    for (std::size_t size = 0; size < bye.size(); ++size)
        adds("the first " + std::to_string(size) + " bytes of a bye", {.kind = FrameKind::bye}, first(bye, size));
    add("other types than before", open,
        frame({.kind = FrameKind::types}, introduction([] {
                  Introduction says = usual();
                  says.types = {{"new", 1}};
                  return says;
              }())) +
            frame({.kind = FrameKind::types}, introduction(usual())));
    Words pings;
    for (int i = 0; i < 10'000; ++i) pings = pings + frame({.kind = FrameKind::ping, .id = 1});
    add("10,000 pings at once", open, pings);
    return cases;
}

TEST_CASE("whatever a peer must not say ends its session, and no other", "[security]") {
    const auto cases = all_cases();
    CHECK(cases.size() >= 200);
    distwork::MasterOptions options;
    options.link.handshake_timeout = std::chrono::seconds{40};
    Cluster<> cluster{1, {}, options};
    std::chrono::steady_clock::duration slowest{};
    std::string hungriest;
    std::size_t most = 0;
    std::uint32_t address = 0;  // each has its own, or the later ones would be turned away
    for (const Case& each : cases) {
        INFO(each.name);
        Stranger stranger{cluster.io, cluster.master.local_endpoint().port(), ++address};
        const Words words = before(each.stage) + each.words;
        support::forget_heap_peak();
        const std::size_t held = support::heap_bytes();
        const auto begun = std::chrono::steady_clock::now();
        run(cluster.io, [](Stranger& speaker, const Words& says) -> asio::awaitable<void> {
            std::error_code ignored;  // it may be cut off before the end
            co_await asio::async_write(speaker.socket, asio::buffer(says),
                                       asio::redirect_error(asio::use_awaitable, ignored));
            co_await hear(speaker.socket);
        }(stranger, words));  // until the master closes the connection
        const std::size_t taken = support::heap_peak() - held;
        CHECK(taken <= 2 * words.size() + (1 << 20));
        if (taken > most) most = taken, hungriest = each.name;
        slowest = std::max(slowest, std::chrono::steady_clock::now() - begun);
        CHECK(cluster.master.connected_slave_count() == 1);
    }
    INFO("the hungriest took " << most / 1024 << " KiB: " << hungriest);
    INFO("the slowest took " << std::chrono::duration_cast<std::chrono::microseconds>(slowest).count() << " us");
    CHECK(slowest < std::chrono::seconds{30});  // else some were not refused, but their time was over
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        const int number = co_await master.async_call<malformed::twice>(2);
        CHECK(number == 4);
    }(cluster.master));
}

}  // namespace malformed
