#include "distwork/link/session_protocol.hpp"

#include <algorithm>
#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "distwork/error.hpp"
#include "distwork/link/session_handler.hpp"
#include "distwork/link/session_settings.hpp"
#include "distwork/types/type_table.hpp"
#include "distwork/wire/frame_reader.hpp"
#include "distwork/wire/frame_rules.hpp"
#include "distwork/wire/handshake.hpp"
#include "distwork/wire/outbox.hpp"
#include "distwork/wire/progress_body.hpp"
#include "support/bytes.hpp"
#include "support/calls.hpp"
#include "support/catch.hpp"
#include "support/queue.hpp"

namespace session_protocol_test {

/// A transport of these tests' own, so that its sessions are theirs too.
struct Paper : support::Clock {
    using Clock::Clock;
};

}  // namespace session_protocol_test

/// A session without a socket: the test carries the bytes.
template <>
class distwork::detail::Session<session_protocol_test::Paper>
    : public SessionSender, public std::enable_shared_from_this<Session<session_protocol_test::Paper>> {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    Session(std::shared_ptr<const SessionSettings> settings,
            std::shared_ptr<SessionHandler<session_protocol_test::Paper>> handler)
        : SessionSender{{}, std::move(settings), {}}, protocol{*this, this->settings(), std::move(handler)} {}

    TimePoint now() const { return time; }
    void stage_changed() { ++stages; }
    void wake_writer() noexcept override {}
    void write() noexcept override {}
    void fail(const std::exception_ptr&) noexcept override {}

    /// All that waits to leave.
    std::vector<std::byte> leaving() {
        std::vector<std::byte> bytes;
        Outbox outbox;
        std::vector<asio::const_buffer> buffers;
        while (multiplexer().take(outbox)) {
            while (!outbox.empty()) {
                outbox.gather(buffers, 1 << 20);
                const std::size_t count = asio::buffer_size(buffers);
                bytes.resize(bytes.size() + count);
                asio::buffer_copy(asio::buffer(bytes.data() + bytes.size() - count, count), buffers);
                outbox.consume(count);
            }
        }
        return bytes;
    }

    /// One read of all of them, or as many as there is room for.
    void arrive(std::span<const std::byte> bytes) {
        while (!bytes.empty() && !protocol.parting()) {
            const auto space = protocol.prepare();
            const std::size_t count = std::min(space.size(), bytes.size());
            std::memcpy(space.data(), bytes.data(), count);
            protocol.receive(count);
            bytes = bytes.subspan(count);
        }
    }

    SessionProtocol<session_protocol_test::Paper> protocol;
    TimePoint time{std::chrono::hours{1}};
    int stages = 0;
};

namespace session_protocol_test {

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;

namespace {

using PaperSession = Session<Paper>;
using Strings = std::vector<std::string>;

/// A role that notes what its session tells it.
class Role final : public SessionHandler<Paper> {
public:
    std::error_code admit(const Session<Paper>&, const Greeting& hello, std::string& text) override {
        log.push_back("admit " + hello.name);
        if (refuses) text = "no room";
        return refuses;
    }
    void opened(const SessionPtr&, const Introduction& peer, const PeerTypes&) override {
        log.push_back("opened " + std::to_string(peer.slots));
    }
    void types_changed(const SessionPtr&, const PeerTypes&) override { log.emplace_back("types"); }
    void answered(const SessionPtr&, std::span<Answer> answers) noexcept override {
        log.push_back("answered " + std::to_string(answers.size()));
    }
    void deliver(std::vector<std::shared_ptr<Call>> settled) noexcept override {
        log.push_back("deliver " + std::to_string(settled.size()));
    }
    bool accepts(const WorkType&) const override { return works_ != nullptr; }
    std::shared_ptr<WorkQueue<Paper>> works() noexcept override { return works_; }
    void has_room(const SessionPtr&) override {}
    void suspected(const SessionPtr&, bool is_suspected) override {
        log.emplace_back(is_suspected ? "suspected" : "heard");
    }
    void round_trip(const SessionPtr&, std::chrono::nanoseconds time, const SlaveState&) override {
        log.push_back("round trip " + std::to_string(time / 1ms));
    }
    void peer_drains(const SessionPtr&) override { log.emplace_back("drains"); }
    void closed(const SessionPtr&, std::error_code, const std::string&,
                std::vector<std::shared_ptr<Call>>) noexcept override {}

    /// Has works accepted; they wait for as long as nobody runs `io_`.
    void execute_works() {
        works_ = std::make_shared<WorkQueue<Paper>>(Paper{io_.get_executor()}, io_.get_executor(), false, 1);
    }

    std::error_code refuses;
    Strings log;

private:
    asio::io_context io_;
    std::shared_ptr<WorkQueue<Paper>> works_;
};

/// One end.
struct End {
    explicit End(detail::Role what, std::string name) {
        SessionSettings settings;
        settings.role = what;
        settings.name = std::move(name);
        settings.slots = what == detail::Role::slave ? 3 : 0;
        settings.window = 2;
        settings.types = std::make_shared<RoleTypes>();
        session = std::make_shared<PaperSession>(std::make_shared<SessionSettings>(std::move(settings)), role);
    }
    Strings take_log() { return std::exchange(role->log, {}); }

    std::shared_ptr<Role> role = std::make_shared<Role>();
    std::shared_ptr<PaperSession> session;
};

/// A master and a slave, and what passes between them.
struct Link {
    Link() = default;
    Link(const Link&) = delete;
    ~Link() {
        for (const End* end : {&master, &slave})
            if (const auto works = end->role->works()) works->stop();  // works that wait keep their session
    }

    /// Everything that waits at either end arrives at the other one.
    void exchange() {
        for (bool any = true; any;) {
            const auto down = master.session->leaving();
            const auto up = slave.session->leaving();
            any = !down.empty() || !up.empty();
            slave.session->arrive(down);
            master.session->arrive(up);
        }
    }
    void open() {
        slave.session->protocol.say_hello();
        exchange();
        REQUIRE(master.session->protocol.is_open());
        REQUIRE(slave.session->protocol.is_open());
        master.take_log();
        slave.take_log();
    }

    End master{detail::Role::master, "Ada"};
    End slave{detail::Role::slave, "Grace"};
};

/// A frame as a peer would write it.
std::vector<std::byte> frame(FrameHeader header, const std::vector<std::byte>& body = {}) {
    header.length = static_cast<std::uint32_t>(body.size());
    std::vector<std::byte> bytes(frame_header_bytes);
    write_header(bytes.data(), header);
    bytes.insert(bytes.end(), body.begin(), body.end());
    return bytes;
}

std::vector<FrameKind> kinds_in(const std::vector<std::byte>& bytes) {
    std::vector<FrameKind> kinds;
    for (std::size_t at = 0; at < bytes.size();) {
        const FrameHeader header = read_header(bytes.data() + at);
        kinds.push_back(header.kind);
        at += frame_header_bytes + header.length;
    }
    return kinds;
}

}  // namespace

TEST_CASE(
    "a slave says hello, and both ends are opened once they know each "
    "other's types",
    "[unit]") {
    Link link;
    link.slave.session->protocol.say_hello();
    const auto hello = link.slave.session->leaving();
    CHECK(kinds_in(hello) == std::vector{FrameKind::hello});
    link.master.session->arrive(hello);
    CHECK(link.master.session->protocol.accepted());
    CHECK_FALSE(link.master.session->protocol.is_open());
    CHECK(link.master.take_log() == Strings{"admit Grace"});
    const auto welcome = link.master.session->leaving();
    CHECK(kinds_in(welcome) == std::vector{FrameKind::welcome, FrameKind::types});
    link.slave.session->arrive(welcome);
    CHECK(link.slave.session->protocol.is_open());
    CHECK(link.slave.session->stages == 1);
    CHECK(link.slave.session->name() == "Ada");
    link.exchange();
    CHECK(link.master.session->protocol.is_open());
    CHECK(link.master.session->name() == "Grace");
    CHECK(link.master.take_log() == Strings{"opened 3", "round trip 0"});
}

TEST_CASE("a slave that is refused is told so, and the session parts", "[unit]") {
    Link link;
    link.master.role->refuses = Errc::too_many_slaves;
    link.slave.session->protocol.say_hello();
    link.exchange();
    REQUIRE(link.master.session->protocol.parting());
    CHECK(link.master.session->protocol.parting()->reason == Errc::too_many_slaves);
    REQUIRE(link.slave.session->protocol.parting());
    CHECK(link.slave.session->protocol.parting()->reason == Errc::too_many_slaves);
    CHECK(link.slave.session->protocol.parting()->detail == "refused: no room");
    CHECK_FALSE(link.slave.session->protocol.is_open());
}

TEST_CASE("bytes of a stranger end the session before anything is said", "[unit]") {
    Link link;
    link.master.session->arrive(support::bytes_of("GET / HTTP/1.1\r\nHost: distwork\r\n\r\n"));
    REQUIRE(link.master.session->protocol.parting());
    CHECK(link.master.session->protocol.parting()->reason == Errc::not_distwork);
    CHECK(link.master.take_log().empty());
    CHECK(link.master.session->leaving().empty());
}

TEST_CASE(
    "a frame that means nothing where it comes ends the session, and the "
    "peer is told",
    "[unit]") {
    Link link;
    link.open();
    const auto header =
        GENERATE(FrameHeader{.kind = FrameKind::welcome}, FrameHeader{.kind = FrameKind::recall},
                 FrameHeader{.kind = FrameKind::ping, .flags = 1}, FrameHeader{.kind = FrameKind::work, .type = 0xffff},
                 FrameHeader{.kind = FrameKind::answer}, FrameHeader{.kind = static_cast<FrameKind>(99)});
    CAPTURE(static_cast<int>(header.kind));
    link.master.session->arrive(frame(header));
    REQUIRE(link.master.session->protocol.parting());
    CHECK(link.master.session->protocol.parting()->reason == Errc::protocol_violation);
    link.exchange();
    REQUIRE(link.slave.session->protocol.parting());
    CHECK(link.slave.session->protocol.parting()->reason == Errc::protocol_violation);
    CHECK(link.slave.session->protocol.parting()->detail == link.master.session->protocol.parting()->detail);
}

TEST_CASE("nothing but types may come before the types are known", "[unit]") {
    Link link;
    link.slave.session->protocol.say_hello();
    link.master.session->arrive(link.slave.session->leaving());
    REQUIRE(link.master.session->protocol.accepted());
    link.master.session->arrive(frame({.kind = FrameKind::ping}));
    REQUIRE(link.master.session->protocol.parting());
    CHECK(link.master.session->protocol.parting()->reason == Errc::protocol_violation);
}

TEST_CASE(
    "a work of a type that is not accepted is answered so, and counts as "
    "answered",
    "[unit]") {
    Link link;
    link.open();
    for (std::uint64_t id = 1; id <= 5; ++id) link.master.session->arrive(frame({.kind = FrameKind::work, .id = id}));
    CHECK_FALSE(link.master.session->protocol.parting());
    CHECK(kinds_in(link.master.session->leaving()) == std::vector(5, FrameKind::error));
}

TEST_CASE("a peer that has more works here than it was told parts", "[unit]") {
    Link link;
    link.open();
    link.master.role->execute_works();
    for (std::uint64_t id = 1; id <= 2; ++id) link.master.session->arrive(frame({.kind = FrameKind::work, .id = id}));
    CHECK_FALSE(link.master.session->protocol.parting());
    CHECK(link.master.role->works()->state().queued == 2);
    link.master.session->arrive(frame({.kind = FrameKind::work, .id = 3}));
    REQUIRE(link.master.session->protocol.parting());
    CHECK(link.master.session->protocol.parting()->reason == Errc::protocol_violation);
    CHECK(link.master.role->works()->state().queued == 2);
}

TEST_CASE(
    "a work and its cancellation may come in one read: it is answered, "
    "and nobody executes it",
    "[unit]") {
    Link link;
    link.open();
    link.master.role->execute_works();
    auto bytes = frame({.kind = FrameKind::work, .id = 1});
    const auto cancel = frame({.kind = FrameKind::cancel, .id = 1});
    bytes.insert(bytes.end(), cancel.begin(), cancel.end());
    link.master.session->arrive(bytes);
    CHECK(kinds_in(link.master.session->leaving()) == std::vector{FrameKind::error});
    CHECK(link.master.role->works()->state().queued == 0);
}

TEST_CASE("a heartbeat comes back, and tells the round trip", "[unit]") {
    Link link;
    link.open();
    link.master.session->protocol.beat();
    const auto ping = link.master.session->leaving();
    CHECK(kinds_in(ping) == std::vector{FrameKind::ping});
    link.master.session->time += 7ms;
    link.slave.session->arrive(ping);
    link.exchange();
    CHECK(link.master.take_log() == Strings{"round trip 7"});
}

TEST_CASE("a peer that was suspected is not any more once it is heard", "[unit]") {
    Link link;
    link.open();
    PaperSession& master = *link.master.session;
    link.slave.session->protocol.beat();
    CHECK_FALSE(master.protocol.liveness().suspect(master.time += 5s));
    CHECK(master.protocol.liveness().suspect(master.time += 5s));
    const auto ping = link.slave.session->leaving();
    master.arrive(ping);
    CHECK(link.master.take_log() == Strings{"heard"});
    master.arrive(ping);
    CHECK(link.master.take_log().empty());
}

TEST_CASE("a master confirms that a slave drains, and a slave confirms nothing", "[unit]") {
    Link link;
    link.open();
    link.slave.session->send_drain();
    link.exchange();
    CHECK(link.master.take_log() == Strings{"drains"});
    CHECK(link.slave.take_log() == Strings{"drains"});
    CHECK(link.master.session->leaving().empty());
}

TEST_CASE("who parts says why, once, and both ends know the reason", "[unit]") {
    Link link;
    link.open();
    link.slave.session->protocol.part(Errc::stopped, "the end");
    link.slave.session->protocol.part(Errc::peer_silent, "another");
    const auto bye = link.slave.session->leaving();
    CHECK(kinds_in(bye) == std::vector{FrameKind::bye});
    link.master.session->arrive(bye);
    REQUIRE(link.master.session->protocol.parting());
    CHECK(link.master.session->protocol.parting()->reason == Errc::stopped);
    CHECK(link.master.session->protocol.parting()->detail == "the end");
    CHECK(link.slave.session->protocol.parting()->reason == Errc::stopped);
}

// Peers that lie

namespace {

using FrameBytes = std::vector<std::byte>;

FrameBytes introduction(Introduction said, std::uint16_t version = newest_protocol_version) {
    said.version = version;
    ByteBuffer body;
    encode_value(said, body, {});
    return frame({.kind = FrameKind::types}, {body.view().begin(), body.view().end()});
}
Introduction usual() {
    return {.slots = 1, .window = 4, .max_frame_bytes = 1 << 20, .labels = {"gpu"}, .types = {{"A", 1}, {"B", 2}}};
}

/// A master and a slave that has greeted it, and says of itself what the test wants.
struct Greeted : Link {
    Greeted() {
        slave.session->protocol.say_hello();
        master.session->arrive(slave.session->leaving());
        REQUIRE(master.session->protocol.accepted());
        master.session->leaving();
        master.take_log();
    }
    std::error_code after(const FrameBytes& bytes) {
        master.session->arrive(bytes);
        const auto& parting = master.session->protocol.parting();
        return parting ? parting->reason : std::error_code{};
    }
};

}  // namespace

TEST_CASE("each frame may come where the table of frames says so, and nowhere else", "[unit]") {
    using distwork::detail::Role;
    for (const Role role : {Role::master, Role::slave}) {
        for (const auto stage : {SessionStage::greeting, SessionStage::types, SessionStage::open}) {
            for (unsigned number = 0; number != 256; ++number) {
                const auto kind = static_cast<FrameKind>(number);
                Link link;
                if (stage == SessionStage::open) {
                    link.open();
                } else if (stage == SessionStage::types) {
                    link.slave.session->protocol.say_hello();
                    link.master.session->arrive(link.slave.session->leaving());
                    auto answer = link.master.session->leaving();
                    answer.resize(frame_header_bytes + read_header(answer.data()).length);  // without its types
                    link.slave.session->arrive(answer);
                }
                End& end = role == Role::master ? link.master : link.slave;
                end.role->execute_works();
                CAPTURE(static_cast<int>(role), static_cast<int>(stage), number);
                REQUIRE(end.session->protocol.accepted() == (stage != SessionStage::greeting));
                REQUIRE(end.session->protocol.is_open() == (stage == SessionStage::open));
                end.session->arrive(frame({.kind = kind, .id = 1}, FrameBytes(40)));
                const auto& parting = end.session->protocol.parting();
                if (may_come(kind, role, stage, newest_protocol_version)) {
                    // Its body of zeros may be wrong: that it was looked at is enough.
                    CHECK((!parting || parting->reason != Errc::not_distwork || stage == SessionStage::greeting));
                } else {
                    REQUIRE(parting);
                    CHECK(parting->reason ==
                          (stage == SessionStage::greeting ? Errc::not_distwork : Errc::protocol_violation));
                }
            }
        }
    }
}

TEST_CASE("a peer that says too much of itself, or something else later, parts", "[unit]") {
    const auto said = [](auto change) {
        Introduction all = usual();
        change(all);
        return introduction(all);
    };
    CHECK(Greeted{}.after(introduction(usual())) == std::error_code{});
    for (const FrameBytes& bytes : {
             said([](Introduction& all) { all.labels.assign(257, ""); }),
             said([](Introduction& all) { all.labels.assign(1, std::string(257, 'l')); }),
             said([](Introduction& all) {
                 all.types.assign(4097, {"", 1});
             }),
             said([](Introduction& all) {
                 all.types.assign(1, {std::string(258, 't'), 1});
             }),
             said([](Introduction& all) {
                 all.amounts.assign(65, {"", 1});
             }),
             said([](Introduction& all) { all.indexed.assign(65, ""); }),
             said([](Introduction& all) { all.window = 0; }),
             said([](Introduction& all) { all.held_slots = all.slots + 1; }),
             said([](Introduction& all) { all.max_frame_bytes = 0xffff; }),
         })
        CHECK(Greeted{}.after(bytes) == Errc::protocol_violation);
    CHECK(Greeted{}.after(said([](Introduction& all) {
        all.types.assign(4096, {std::string(256, 't'), 1});
    })) == std::error_code{});

    // Works under way have the numbers that it told first.
    for (const auto& types :
         std::vector<decltype(Introduction::types)>{{{"A", 1}}, {{"B", 2}, {"A", 1}}, {{"A", 2}, {"B", 2}}, {}}) {
        Greeted peer;
        CHECK(peer.after(introduction(usual())) == std::error_code{});
        CHECK(peer.after(said([&](Introduction& all) { all.types = types; })) == Errc::protocol_violation);
    }
    Greeted grows;
    grows.after(introduction(usual()));
    grows.master.take_log();
    CHECK(grows.after(introduction(usual())) == std::error_code{});
    CHECK(grows.master.take_log().empty());  // nothing is new
    CHECK(grows.after(said([](Introduction& all) { all.types.emplace_back("C", 3); })) == std::error_code{});
    CHECK(grows.master.take_log() == Strings{"types"});
}

TEST_CASE("a frame is refused by its header, if its kind is never so long", "[unit]") {
    using distwork::detail::Role;
    for (const auto& [kind, most] : {std::pair{FrameKind::error, max_error_body_bytes},
                                     {FrameKind::types, max_types_body_bytes},
                                     {FrameKind::ping, max_small_body_bytes},
                                     {FrameKind::cancel, max_small_body_bytes},
                                     {FrameKind::progress, max_small_body_bytes},
                                     {FrameKind{99}, max_small_body_bytes}}) {
        Link link;
        link.open();
        FrameBytes header(frame_header_bytes);
        write_header(header.data(), {.length = static_cast<std::uint32_t>(most + 1), .kind = kind});
        link.master.session->arrive(header);
        CAPTURE(static_cast<int>(kind));
        REQUIRE(link.master.session->protocol.parting());
        CHECK(link.master.session->protocol.parting()->reason == Errc::frame_too_large);
    }
    // Before its types are known, a peer sends no work.
    Greeted peer;
    FrameBytes header(frame_header_bytes);
    write_header(header.data(),
                 {.length = static_cast<std::uint32_t>(max_types_body_bytes + 1), .kind = FrameKind::work});
    CHECK(peer.after(header) == Errc::frame_too_large);
}

TEST_CASE("frames without a work behind them run out", "[unit]") {
    const auto flood = [](const FrameBytes& one, std::size_t most) {
        Link link;
        link.open();
        std::size_t taken = 0;
        while (!link.master.session->protocol.parting() && taken < 100'000) link.master.session->arrive(one), ++taken;
        REQUIRE(link.master.session->protocol.parting());
        CHECK(link.master.session->protocol.parting()->reason == Errc::protocol_violation);
        CHECK(taken <= most);
        return taken;
    };
    CHECK(flood(frame({.kind = FrameKind::ping}), 5000) > 1000);
    CHECK(flood(frame({.kind = FrameKind::pong, .id = 77}), 5000) > 1000);
    CHECK(flood(frame({.kind = FrameKind::drain}), 5000) > 1000);
    CHECK(flood(frame({.kind = FrameKind::answer, .id = 77}, FrameBytes(8)), 5000) > 1000);
    flood(frame({.kind = FrameKind::progress, .id = 77}, encode(ProgressBody{})), 5000);
    flood(frame({.kind = FrameKind::cancel, .id = 77}), 1);  // there was no work
    flood(frame({.kind = FrameKind::recall, .id = 77}), 1);
    CHECK(flood(frame({.kind = FrameKind::credit}), 5000) > 1000);  // no slot was held
    flood(frame({.kind = FrameKind::credit, .id = 77}), 5000);

    // They come again with time: a usual peer never notices.
    Link link;
    link.open();
    for (int i = 0; i < 20'000; ++i) {
        link.master.session->time += 5ms;
        link.master.session->arrive(frame({.kind = FrameKind::ping}));
        link.master.session->leaving();
    }
    CHECK_FALSE(link.master.session->protocol.parting());
}

TEST_CASE("a slave that drains is told once that no more works come", "[unit]") {
    Link link;
    link.open();
    for (int i = 0; i < 3; ++i) link.slave.session->send_drain();
    link.master.session->arrive(link.slave.session->leaving());
    CHECK(link.master.take_log() == Strings{"drains"});
    CHECK(kinds_in(link.master.session->leaving()) == std::vector{FrameKind::drain});
}

TEST_CASE("a refusal without a reason is none: the stranger stays one", "[unit]") {
    Link link;
    const FrameBytes refuse = frame({.kind = FrameKind::refuse}, FrameBytes(4));
    link.slave.session->arrive(refuse);
    CHECK_FALSE(link.slave.session->protocol.accepted());
    REQUIRE(link.slave.session->protocol.parting());
    CHECK(link.slave.session->protocol.parting()->reason == Errc::protocol_violation);
    // A code that says nothing of an end is not believed.
    for (const unsigned reason : {1u, 2u, 16u, 64u, 999u}) {
        Link other;
        FrameBytes body(4);
        store(body.data(), static_cast<std::uint16_t>(reason));
        other.slave.session->arrive(frame({.kind = FrameKind::refuse}, body));
        REQUIRE(other.slave.session->protocol.parting());
        CHECK(other.slave.session->protocol.parting()->reason == Errc::connection_closed);
    }
}

TEST_CASE("works are cancelled at any place of a long line, and each once", "[unit]") {
    Link link;
    link.open();
    link.slave.role->execute_works();
    // The window of the test's slave is two: its master cancels as fast as it sends.
    for (std::uint64_t id = 1; id <= 5000; ++id) {
        link.slave.session->arrive(frame({.kind = FrameKind::work, .id = id}));
        link.slave.session->arrive(frame({.kind = FrameKind::cancel, .id = id}));
        REQUIRE_FALSE(link.slave.session->protocol.parting());
        REQUIRE(kinds_in(link.slave.session->leaving()) == std::vector{FrameKind::error});
    }
    link.slave.session->arrive(frame({.kind = FrameKind::cancel, .id = 1}));
    REQUIRE(link.slave.session->protocol.parting());
    CHECK(link.slave.session->protocol.parting()->reason == Errc::protocol_violation);
}

}  // namespace session_protocol_test
