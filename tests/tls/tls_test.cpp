#include <sys/socket.h>
#include <sys/stat.h>
#include <distwork/tls.hpp>

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ssl.hpp>
#include <asio/write.hpp>
#include <atomic>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <distwork.hpp>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/attacker.hpp"
#include "support/catch.hpp"
#include "support/descriptors.hpp"
#include "support/folder.hpp"
#include "support/run.hpp"
#include "support/sanitizers.hpp"
#include "tls/authority.hpp"

// Who is let in over TLS, and who is not.

namespace tls_works {

std::atomic<int> executed{0};
std::string reversed(std::string text) {
    ++executed;
    return {text.rbegin(), text.rend()};
}

}  // namespace tls_works

DISTWORK_REGISTER_FUNCTION(tls_works::reversed)

namespace tls_test {

using namespace std::chrono_literals;
using namespace distwork;
using TlsMaster = Master<RoundRobin, Tls>;
using tls_works::reversed;

namespace {

Secret secret_of(char letter) {
    return Secret{std::string(32, letter)};
}

/// A master, and what its log says.
struct Scene {
    explicit Scene(Credentials credentials, std::chrono::milliseconds patience = 300ms, std::uint16_t port = 0,
                   MasterOptions options = {}) {
        options.port = port;
        options.link.handshake_timeout = patience;
        options.log = [this](LogLevel, std::string_view line) { log.append(line).push_back('\n'); };
        master.emplace(Tls{io.get_executor(), std::move(credentials)}, std::move(options));
        master->start();
    }

    std::uint16_t port() const { return master->local_endpoint().port(); }
    bool said(std::string_view what) {
        return run_until(io, [&] { return log.find(what) != std::string::npos; });
    }

    SlaveOptions once() {
        SlaveOptions options;
        options.name = "it";
        options.reconnect = Reconnect::never;
        options.log = NoLog{};
        return options;
    }

    /// Why a slave with these is not let in.
    std::error_code refused(Credentials credentials, const std::string& host = "127.0.0.1") {
        Slave<Tls> slave{Tls{io.get_executor(), std::move(credentials)}, {{host, port()}}, once()};
        return ended(slave);
    }

    /// Waits until the slave's run has ended: its reason.
    template <class AnySlave>
    std::error_code ended(AnySlave& slave) {
        std::error_code reason;
        text.clear();
        run(io, [](AnySlave& runs, std::error_code& why, std::string& says) -> asio::awaitable<void> {
            try {
                co_await runs.async_run();
            } catch (const Error& error) {
                why = error.code();
                says = error.what();
            } catch (const std::system_error& error) {
                why = error.code();
                says = error.what();
            }
        }(slave, reason, text));
        CHECK(master->connected_slave_count() == 0);
        CHECK(tls_works::executed == 0);
        return reason;
    }

    /// A slave with these is let in, and works.
    void admitted(Credentials credentials, const std::string& host = "127.0.0.1") {
        SlaveOptions options;
        options.log = NoLog{};
        Slave<Tls> slave{Tls{io.get_executor(), std::move(credentials)}, {{host, port()}}, options};
        slave.start();
        run(io, [](TlsMaster& asks) -> asio::awaitable<void> {
            const std::string answer = co_await asks.async_call<reversed>(std::string{"abc"});
            CHECK(answer == "cba");
        }(*master));
        tls_works::executed = 0;
        run(io, [](Slave<Tls>& stops) -> asio::awaitable<void> { co_await stops.async_stop(1s); }(slave));
        run_until(io, [&] { return master->connected_slave_count() == 0; });
    }

    asio::io_context io{1};
    std::string log;
    std::string text;  // of the last refusal
    std::optional<TlsMaster> master;
};

/// Says these bytes, and waits until the master hangs up. Returns how many bytes it said.
std::size_t hung_up_on(Scene& scene, const std::vector<std::byte>& bytes) {
    asio::ip::tcp::socket socket{scene.io};
    socket.connect({asio::ip::address_v4::loopback(), scene.port()});
    std::error_code ignored;
    asio::write(socket, asio::buffer(bytes), ignored);
    std::size_t heard = 0;
    run(scene.io, [](asio::ip::tcp::socket& from, std::size_t& count) -> asio::awaitable<void> {
        std::error_code error;
        while (!error) {
            std::byte some[512];
            count +=
                co_await from.async_read_some(asio::buffer(some), asio::redirect_error(asio::use_awaitable, error));
        }
    }(socket, heard));
    CHECK(scene.master->connected_slave_count() == 0);
    return heard;
}

}  // namespace

TEST_CASE("ends that share a secret work together", "[tls]") {
    Scene scene{secret_of('a')};
    scene.admitted(secret_of('a'));
    scene.admitted(secret_of('a'), "localhost");
    CHECK(scene.log.find("a stranger") == std::string::npos);
}

TEST_CASE("works of every size pass, in both directions", "[tls]") {
    Scene scene{secret_of('a')};
    Slave<Tls> slave{Tls{scene.io.get_executor(), secret_of('a')}, {{"127.0.0.1", scene.port()}}, {.log = NoLog{}}};
    slave.start();
    run(scene.io, [](TlsMaster& master) -> asio::awaitable<void> {
        for (const std::size_t size : {0u, 1u, 16'383u, 16'384u, 16'385u, 65'536u, 300'000u, 5'000'000u}) {
            std::string text(size, 'x');
            if (size != 0) text.front() = 'y';
            const std::string answer = co_await master.async_call<reversed>(text);
            CHECK(answer.size() == size);
            CHECK((size == 0 || answer.back() == 'y'));
        }
    }(*scene.master));
    int right = 0;
    for (int i = 0; i < 3000; ++i)
        scene.master->async_call<reversed>(std::string(static_cast<std::size_t>(i), 'z'),
                                           [&, i](std::exception_ptr error, const std::string& answer) {
                                               right += !error && answer.size() == static_cast<std::size_t>(i);
                                           });
    CHECK(run_until(scene.io, [&] { return right == 3000; }));
    tls_works::executed = 0;
}

TEST_CASE("who has another secret, or none, is not let in", "[tls]") {
    Scene scene{secret_of('a')};
    CHECK(scene.refused(secret_of('b')) == Errc::not_authenticated);
    CHECK(scene.said("did not prove who it is"));
    scene.log.clear();
    Slave<> plain{scene.io.get_executor(), {{"127.0.0.1", scene.port()}}, scene.once()};
    CHECK(scene.ended(plain) == Errc::connection_closed);
    CHECK(scene.said("did not prove who it is"));
    scene.admitted(secret_of('a'));
}

TEST_CASE("a slave does not speak to a master that proves nothing", "[tls]") {
    asio::io_context io{1};
    MasterOptions options;
    options.log = NoLog{};
    Master<> plain{io.get_executor(), options};
    plain.start();
    Scene scene{secret_of('a')};
    SlaveOptions once = scene.once();
    Slave<Tls> slave{Tls{io.get_executor(), secret_of('a')}, {{"127.0.0.1", plain.local_endpoint().port()}}, once};
    std::error_code reason;
    run(io, [](Slave<Tls>& runs, std::error_code& why) -> asio::awaitable<void> {
        why = co_await error_of(runs.async_run());
    }(slave, reason));
    CHECK(reason == Errc::not_authenticated);
    CHECK(plain.connected_slave_count() == 0);
}

TEST_CASE("certificates of one authority are believed, each in its role", "[tls]") {
    const support::Folder folder;
    const Authority ours{folder.path(), "ours"};
    const Authority theirs{folder.path(), "theirs"};
    const Certificates of_master = ours.issue("master", {.usage = "serverAuth"});
    const Certificates of_slave = ours.issue("slave", {.usage = "clientAuth"});
    Scene scene{of_master};
    scene.admitted(of_slave);
    scene.admitted(of_slave, "localhost");

    const auto denied = [&](const Certificates& files, std::string_view says) {
        scene.log.clear();
        const std::error_code reason = scene.refused(files);
        CAPTURE(scene.log, scene.text);
        CHECK(reason.value() != 0);
        CHECK(scene.said("did not prove who it is"));
        CHECK(scene.said(says));
    };
    denied(theirs.issue("other authority", {.usage = "clientAuth"}, &ours), "unable to get local issuer certificate");
    denied(ours.issue("expired", {.usage = "clientAuth", .until = -10}), "certificate has expired");
    denied(ours.issue("not yet", {.usage = "clientAuth", .until = 7200, .since = 3600}),
           "certificate is not yet valid");
    denied(of_master, "unsuitable certificate purpose");  // a master is no slave
    denied(ours.issue("any role", {.usage = ""}), "");
    denied(ours.issue("both roles", {.usage = "serverAuth,clientAuth"}), "");
    scene.log.clear();
    CHECK(scene.refused(secret_of('a')) == Errc::not_authenticated);
    CHECK(scene.said("did not prove who it is"));
    scene.admitted(of_slave);
}

TEST_CASE("a slave checks its master's certificate, and the name in it", "[tls]") {
    const support::Folder folder;
    const Authority ours{folder.path(), "ours"};
    const Authority theirs{folder.path(), "theirs"};
    const Certificates of_slave = ours.issue("slave", {.usage = "clientAuth"});
    struct Case {
        Certificates of_master;
        const char* host;
        const char* says;
    };
    for (const Case& each :
         {Case{theirs.issue("other authority", {.usage = "serverAuth"}, &ours), "127.0.0.1",
               "local issuer certificate"},
          Case{ours.issue("a slave's", {.usage = "clientAuth"}), "127.0.0.1", "unsuitable certificate purpose"},
          Case{ours.issue("any role", {.usage = ""}), "127.0.0.1", "did not prove who it is"},
          Case{ours.issue("expired", {.usage = "serverAuth", .until = -10}), "127.0.0.1", "certificate has expired"},
          Case{ours.issue("other name", {.usage = "serverAuth", .name = "DNS:example.org"}), "localhost",
               "hostname mismatch"},
          Case{ours.issue("no name", {.usage = "serverAuth", .name = ""}), "localhost", "hostname mismatch"}}) {
        CAPTURE(each.of_master.certificate);
        Scene scene{each.of_master};
        CHECK(scene.refused(of_slave, each.host) == Errc::not_authenticated);
        CHECK(scene.text.find(each.says) != std::string::npos);
    }
    // Who has a secret does not believe a certificate.
    Scene scene{ours.issue("master", {.usage = "serverAuth"})};
    CHECK(scene.refused(secret_of('a')) == Errc::not_authenticated);
}

TEST_CASE("labels are offered by those whose certificates allow it, and sessions are ended by name", "[tls]") {
    const support::Folder folder;
    const Authority authority{folder.path(), "authority"};
    MasterOptions own;
    own.may_offer = [](const std::string& name, const std::string& label) {
        return label != "accounts" || name == "trusted";
    };
    Scene scene{authority.issue("master", {.usage = "serverAuth"}), 300ms, 0, own};
    std::vector<std::unique_ptr<Slave<Tls>>> slaves;
    for (const char* const name : {"trusted", "other"}) {
        SlaveOptions options = scene.once();
        options.labels = {"gpu", "accounts"};
        slaves.push_back(
            std::make_unique<Slave<Tls>>(Tls{scene.io.get_executor(), authority.issue(name, {.usage = "clientAuth"})},
                                         std::vector<MasterAddress>{{"127.0.0.1", scene.port()}}, options));
        slaves.back()->start();
    }
    REQUIRE(run_until(scene.io, [&] { return scene.master->connected_slave_count() == 2; }));
    CHECK(scene.said("may not offer the label accounts"));
    for (const SocketInformation& slave : scene.master->sockets()) {
        const bool is_trusted = slave.certified_name == "trusted";
        CHECK((is_trusted || slave.certified_name == "other"));
        CHECK(slave.labels.size() == (is_trusted ? 2u : 1u));
        if (!is_trusted) CHECK(scene.master->disconnect(slave.id));
    }
    REQUIRE(run_until(scene.io, [&] { return scene.master->connected_slave_count() == 1; }));
    CHECK(scene.master->sockets().front().certified_name == "trusted");
}

TEST_CASE("TLS 1.2, and who shows nothing, are turned away", "[tls]") {
    const support::Folder folder;
    const Authority ours{folder.path(), "ours"};
    for (const bool has_secret : {false, true}) {
        Scene scene{has_secret ? Credentials{secret_of('a')}
                               : Credentials{ours.issue("master", {.usage = "serverAuth"})}};
        for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
            asio::ssl::context context{asio::ssl::context::tls_client};
            SSL_CTX_set_max_proto_version(context.native_handle(), version);
            asio::ssl::stream<asio::ip::tcp::socket> stream{scene.io, context};
            stream.next_layer().connect({asio::ip::address_v4::loopback(), scene.port()});
            std::error_code error;
            bool is_resumable = false;
            run(scene.io, [](auto& shakes, std::error_code& why, bool& resumable) -> asio::awaitable<void> {
                auto token = asio::redirect_error(asio::use_awaitable, why);
                co_await shakes.async_handshake(asio::ssl::stream_base::client, token);
                std::byte some[16];
                // In TLS 1.3 a client that shows no certificate learns it from the first read.
                if (!why) co_await shakes.async_read_some(asio::buffer(some), token);
                SSL_SESSION* const session = SSL_get_session(shakes.native_handle());
                resumable = session && SSL_SESSION_is_resumable(session) == 1 && SSL_SESSION_has_ticket(session) == 1;
            }(stream, error, is_resumable));
            CHECK(error);
            CHECK_FALSE(is_resumable);
            CHECK(scene.master->connected_slave_count() == 0);
        }
    }
}

TEST_CASE("strangers get little time and little room, and hear an alert at most", "[tls]") {
    Scene scene{secret_of('a')};
    CHECK(hung_up_on(scene, {}) == 0);  // after the time for a handshake
    CHECK(scene.said("did not introduce itself"));
    std::vector<std::byte> text(200, std::byte{'G'});
    CHECK(hung_up_on(scene, text) <= 16);
    // One that only looks whether somebody is there does not try to prove anything.
    for (int i = 0; i < 50; ++i)
        asio::ip::tcp::socket{scene.io}.connect({asio::ip::address_v4::loopback(), scene.port()});
    // A hello of 100,000 bytes, in records of 16 KiB.
    std::vector<std::byte> hello;
    for (std::size_t left = 100'000; left != 0;) {
        const std::size_t count = std::min<std::size_t>(left, 16'384);
        for (const std::size_t byte : {std::size_t{22}, std::size_t{3}, std::size_t{1}, count >> 8, count & 0xff})
            hello.push_back(static_cast<std::byte>(byte));
        hello.resize(hello.size() + count);
        left -= count;
    }
    const unsigned char head[] = {1, 0x01, 0x86, 0x9c};  // a client's hello, and its length
    std::memcpy(hello.data() + 5, head, sizeof head);
    CHECK(hung_up_on(scene, hello) <= 16);
    CHECK(scene.said("more than 16 KiB"));
    scene.admitted(secret_of('a'));
}

/// What a slave with these credentials says first.
std::vector<std::byte> hello_of(const Credentials& credentials) {
    const std::unique_ptr<SSL, decltype(&SSL_free)> ssl{SSL_new(credentials.contexts()->of_slave().native_handle()),
                                                        &SSL_free};
    SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    CHECK(SSL_connect(ssl.get()) < 0);
    std::vector<std::byte> bytes(4096);
    const int size = BIO_read(SSL_get_wbio(ssl.get()), bytes.data(), static_cast<int>(bytes.size()));
    REQUIRE(size > 0);
    bytes.resize(static_cast<std::size_t>(size));
    return bytes;
}

/// Connections from another address of this machine.
struct Flood {
    Flood(Scene& scene, std::size_t count, const std::vector<std::byte>& first) {
        for (std::size_t i = 0; i < count; ++i) {
            auto& socket = sockets.emplace_back(scene.io, asio::ip::tcp::v4());
            socket.bind({asio::ip::make_address("127.0.0.2"), 0});
            socket.connect({asio::ip::address_v4::loopback(), scene.port()});
            if (!first.empty()) asio::write(socket, asio::buffer(first));
            socket.non_blocking(true);
            scene.io.poll();  // the backlog of the kernel is bounded
        }
    }
    /// How many heard something that is no alert.
    std::size_t answered() {
        return static_cast<std::size_t>(std::count_if(sockets.begin(), sockets.end(), [](auto& socket) {
            std::error_code ignored;
            return socket.available(ignored) > 16;
        }));
    }
    std::size_t closed() {
        return static_cast<std::size_t>(std::count_if(sockets.begin(), sockets.end(), [](auto& socket) {
            std::byte bytes[4096];
            std::error_code error;
            while (!error) socket.read_some(asio::buffer(bytes), error);
            return error != asio::error::would_block;
        }));
    }

    std::vector<asio::ip::tcp::socket> sockets;
};

/// A slave with the secret that says frames by hand.
struct Insider {
    explicit Insider(Scene& with) : scene{with}, credentials{secret_of('a')} {
        stream.next_layer().connect({asio::ip::address_v4::loopback(), scene.port()});
        run(scene.io, [](auto& shakes) -> asio::awaitable<void> {
            co_await shakes.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
        }(stream));
        using distwork::detail::FrameKind;
        say(support::frame({.kind = FrameKind::hello}, encode(distwork::detail::Greeting{
                                                           .role = distwork::detail::Role::slave, .name = "insider"})));
        say(support::frame({.kind = FrameKind::types}, support::encoded(support::Attacker::usual())));
        CHECK(run_until(scene.io, [&] { return scene.master->connected_slave_count() == 1; }));
    }
    void say(const std::vector<std::byte>& bytes) {
        std::error_code ignored;
        asio::write(stream, asio::buffer(bytes), ignored);
    }
    /// False: the connection has ended.
    bool change_keys(int how) {
        std::error_code error;
        SSL_key_update(stream.native_handle(), how);
        stream.handshake(asio::ssl::stream_base::client, error);
        return !error;
    }

    Scene& scene;
    const Credentials credentials;
    asio::ssl::stream<asio::ip::tcp::socket> stream{scene.io, credentials.contexts()->of_slave()};
};

TEST_CASE("a peer changes its keys as it likes, but not all the time", "[tls]") {
    Scene scene{secret_of('a')};
    Insider insider{scene};
    const auto ping = support::frame({.kind = distwork::detail::FrameKind::ping, .id = 7});
    for (int i = 0; i < 30; ++i) {
        CHECK(insider.change_keys(i % 2 == 0 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED));
        insider.say(ping);
        scene.io.poll();
    }
    std::size_t pongs = 0;
    run(scene.io, [](auto& stream, std::size_t& count) -> asio::awaitable<void> {
        while (count != 30) {
            std::vector<std::byte> bytes(distwork::detail::frame_header_bytes);
            co_await asio::async_read(stream, asio::buffer(bytes), asio::use_awaitable);
            const auto header = distwork::detail::read_header(bytes.data());
            bytes.resize(header.length);
            co_await asio::async_read(stream, asio::buffer(bytes), asio::use_awaitable);
            count += header.kind == distwork::detail::FrameKind::pong;
        }
    }(insider.stream, pongs));
    CHECK(pongs == 30);
    CHECK(scene.master->connected_slave_count() == 1);
    for (int i = 0; i < 100'000 && insider.change_keys(SSL_KEY_UPDATE_NOT_REQUESTED); ++i) {
        if (i % 8 == 0) insider.say(ping);
        scene.io.poll();
    }
    CHECK(run_until(scene.io, [&] { return scene.master->connected_slave_count() == 0; }));
    CHECK(scene.said("changes its keys"));
    scene.admitted(secret_of('a'));
}

TEST_CASE("a stranger cannot ask for keys that take long", "[tls]") {
    Scene scene{secret_of('a')};
    const Credentials own{secret_of('a')};
    const auto is_let_in = [&](const char* groups) {
        asio::ssl::stream<asio::ip::tcp::socket> stream{scene.io, own.contexts()->of_slave()};
        REQUIRE(SSL_set1_groups_list(stream.native_handle(), groups) == 1);
        stream.next_layer().connect({asio::ip::address_v4::loopback(), scene.port()});
        std::error_code error;
        run(scene.io, [](auto& shakes, std::error_code& why) -> asio::awaitable<void> {
            co_await shakes.async_handshake(asio::ssl::stream_base::client,
                                            asio::redirect_error(asio::use_awaitable, why));
        }(stream, error));
        return !error;
    };
    CHECK(is_let_in("X25519"));
    CHECK(is_let_in("P-256"));
    for (const char* const groups : {"ffdhe2048", "ffdhe8192", "P-384", "P-521", "X448"}) {
        CAPTURE(groups);
        CHECK_FALSE(is_let_in(groups));
    }
}

TEST_CASE("a flood of handshakes delays those of its own address", "[tls]") {
    const support::Folder folder;
    const Authority authority{folder.path(), "authority"};
    Scene scene{authority.issue("master", {.usage = "serverAuth"}), 2s};
    const Credentials own{authority.issue("slave", {.usage = "clientAuth"})};
    Flood flood{scene, 250, hello_of(own)};
    scene.admitted(own);
    CHECK(flood.answered() < 200);  // they take more than a second
    CHECK(run_until(scene.io, [&] { return flood.closed() == 250; }));
    CHECK(scene.said("did not introduce itself"));
}

TEST_CASE("thousands of connections that say nothing, or little, keep no slave out", "[tls]") {
    Scene scene{secret_of('a')};
    SlaveOptions options;
    options.log = NoLog{};
    Slave<Tls> before{Tls{scene.io.get_executor(), secret_of('a')}, {{"127.0.0.1", scene.port()}}, options};
    before.start();
    REQUIRE(run_until(scene.io, [&] { return scene.master->connected_slave_count() == 1; }));
    Flood silent{scene, 1000, {}};
    CHECK(run_until(scene.io, [&] { return silent.closed() >= 1000 - 256; }));  // the oldest had to go
    Flood slow{scene, 200, {std::byte{22}}};
    Slave<Tls> after{Tls{scene.io.get_executor(), secret_of('a')}, {{"127.0.0.1", scene.port()}}, options};
    after.start();
    run(scene.io, [](TlsMaster& asks) -> asio::awaitable<void> {
        co_await asks.async_wait_for_slaves(2);
        for (int i = 0; i < 100; ++i) {
            const std::string answer = co_await asks.async_call<reversed>(std::string{"abc"});
            CHECK(answer == "cba");
        }
    }(*scene.master));
    CHECK(run_until(scene.io, [&] { return silent.closed() == 1000 && slow.closed() == 200; }));
    CHECK(scene.master->connected_slave_count() == 2);
    tls_works::executed = 0;
}

TEST_CASE("a master without descriptors serves its slaves, and lets others in when it has some again", "[tls]") {
    if (support::has_address_sanitizer) return;  // the one for undefined behavior needs descriptors of its own
    Scene scene{secret_of('a')};
    SlaveOptions options;
    options.log = NoLog{};
    const auto add = [&] {
        auto slave = std::make_unique<Slave<Tls>>(Tls{scene.io.get_executor(), secret_of('a')},
                                                  std::vector<MasterAddress>{{"127.0.0.1", scene.port()}}, options);
        slave->start();
        return slave;
    };
    const auto before = add();
    REQUIRE(run_until(scene.io, [&] { return scene.master->connected_slave_count() == 1; }));
    const auto ask = [&] {
        run(scene.io, [](TlsMaster& asks) -> asio::awaitable<void> {
            const std::string answer = co_await asks.async_call<reversed>(std::string{"abc"});
            CHECK(answer == "cba");
        }(*scene.master));
    };
    const support::DescriptorLimit limit{256};
    std::vector<std::unique_ptr<asio::ip::tcp::socket>> silent;
    for (int i = 0; i < 100; ++i) {
        silent.push_back(std::make_unique<asio::ip::tcp::socket>(scene.io, asio::ip::tcp::v4()));
        silent.back()->bind({asio::ip::make_address("127.0.0.2"), 0});
    }
    {
        const support::AllDescriptors all;
        for (const auto& socket : silent) socket->connect({asio::ip::address_v4::loopback(), scene.port()});
        REQUIRE(scene.said("accepting failed"));
        for (int i = 0; i < 100; ++i) ask();
    }
    const auto after = add();
    CHECK(run_until(scene.io, [&] { return scene.master->connected_slave_count() == 2; }));
    ask();
    tls_works::executed = 0;
}

TEST_CASE("a thousand slaves come back to the next master, each with a handshake", "[tls]") {
    constexpr std::size_t count = support::has_address_sanitizer || support::has_thread_sanitizer ? 100 : 1000;
    std::optional<Scene> scene{std::in_place, secret_of('a'), 2s};
    const std::uint16_t port = scene->port();
    asio::io_context io{1};
    SlaveOptions options;
    options.work_executor = WorkExecutor::in_place();
    options.log = NoLog{};
    std::vector<std::unique_ptr<Slave<Tls>>> slaves;
    for (std::size_t i = 0; i < count; ++i) {
        slaves.push_back(std::make_unique<Slave<Tls>>(Tls{io.get_executor(), secret_of('a')},
                                                      std::vector<MasterAddress>{{"127.0.0.1", port}}, options));
        slaves.back()->start();
    }
    struct Elsewhere {  // where they all shake hands one after the other
        explicit Elsewhere(asio::io_context& context) : io{context}, runs{[&context] { context.run(); }} {}
        ~Elsewhere() {
            io.stop();
            runs.join();
        }
        asio::io_context& io;
        std::thread runs;
    } elsewhere{io};
    const auto are_there = [&] { return scene->master->connected_slave_count() == count; };
    REQUIRE(run_until(scene->io, are_there));
    scene.emplace(secret_of('a'), 2s, port);
    const auto begun = std::chrono::steady_clock::now();
    CHECK(run_until(scene->io, are_there));
    const auto took = std::chrono::steady_clock::now() - begun;
    CHECK(took < 30s);
}

TEST_CASE("a master over TLS adopts socket pairs, and nothing that comes from elsewhere", "[tls]") {
    Scene scene{secret_of('a')};
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    scene.master->adopt_connection(pair[0]);
    SlaveOptions options = scene.once();
    Slave<> slave{Tcp::over(scene.io.get_executor(), pair[1]), "127.0.0.1", 1, options};
    slave.start();
    run(scene.io, [](TlsMaster& asks) -> asio::awaitable<void> {
        const std::string text(300'000, 'x');
        const std::string answer = co_await asks.async_call<reversed>(text);
        CHECK(answer == text);
    }(*scene.master));
    tls_works::executed = 0;

    asio::ip::tcp::socket socket{scene.io};
    socket.connect({asio::ip::address_v4::loopback(), scene.port()});
    try {
        scene.master->adopt_connection(socket.release());
        FAIL("it was adopted");
    } catch (const Error& error) {
        CHECK(error.code() == Errc::bad_option);
    }
}

TEST_CASE("secrets are renewed while a master runs, and old ones open nothing", "[tls]") {
    Credentials credentials{secret_of('a')};
    Scene scene{credentials};
    scene.admitted(secret_of('a'));
    credentials.renew(Credentials{std::vector<Secret>{secret_of('b'), secret_of('a')}});
    scene.admitted(secret_of('a'));
    scene.admitted(secret_of('b'));
    credentials.renew(secret_of('b'));
    scene.admitted(secret_of('b'));
    CHECK(scene.refused(secret_of('a')) == Errc::not_authenticated);
}

TEST_CASE("files of secrets are checked, and made", "[tls]") {
    const support::Folder folder;
    const std::string path = folder.path() + "/farm.key";
    const auto error_text = [&](const std::string& file) {
        try {
            secret_file(file);
        } catch (const Error& error) {
            CHECK(error.code() == Errc::bad_credentials);
            return std::string{error.what()};
        }
        return std::string{};
    };
    CHECK(error_text(path).find("No such file") != std::string::npos);
    make_secret(path);
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(status.st_size == 32);
    CHECK(error_text(path).empty());
    CHECK_THROWS_AS(make_secret(path), Error);  // it exists
    const Secret first = secret_file(path);
    make_secret(folder.path() + "/other.key");
    CHECK(secret_file(folder.path() + "/other.key").key() != first.key());
    CHECK(secret_file(path).identity() == first.identity());

    for (const unsigned mode : {0640u, 0440u, 0400u}) {
        ::chmod(path.c_str(), mode);
        CHECK(error_text(path).empty());
    }
    for (const unsigned mode : {0644u, 0660u, 0604u, 0602u, 0601u}) {
        ::chmod(path.c_str(), mode);
        CHECK(error_text(path).find("chmod 600") != std::string::npos);
    }
    ::chmod(path.c_str(), 0600);
    REQUIRE(::symlink("farm.key", (folder.path() + "/link.key").c_str()) == 0);
    CHECK(error_text(folder.path() + "/link.key").empty());
    CHECK(error_text(folder.path()).find("no file") != std::string::npos);
    std::ofstream{path} << "too short";
    CHECK(error_text(path).find("32 random bytes") != std::string::npos);
    std::ofstream{path} << std::string(5000, 'x');
    CHECK(error_text(path).find("more than") != std::string::npos);
    CHECK_THROWS_AS(Credentials{std::vector<Secret>{}}, Error);
}

TEST_CASE("files of certificates are checked where they are given", "[tls]") {
    const support::Folder folder;
    const Authority ours{folder.path(), "ours"};
    const Certificates good = ours.issue("good", {.usage = "clientAuth"});
    const Certificates other = ours.issue("other", {.usage = "clientAuth"});
    const auto error_text = [](const Certificates& files) {
        try {
            Credentials{files};
        } catch (const Error& error) {
            CHECK(error.code() == Errc::bad_credentials);
            return std::string{error.what()};
        }
        return std::string{};
    };
    CHECK(error_text(good).empty());
    CHECK(error_text({good.certificate, other.key, good.authority}).find("mismatch") != std::string::npos);
    CHECK(error_text({"nowhere.pem", good.key, good.authority}).find("nowhere.pem") != std::string::npos);
    CHECK(error_text({good.certificate, good.key, "nowhere.pem"}).find("nowhere.pem") != std::string::npos);
    ::chmod(good.key.c_str(), 0644);
    CHECK(error_text(good).find("chmod 600") != std::string::npos);
}

TEST_CASE("with credentials roles go beyond loopback without leave for plain text", "[tls]") {
    asio::io_context io{1};
    MasterOptions options;
    options.address = "0.0.0.0";
    options.log = NoLog{};
    CHECK_NOTHROW((TlsMaster{Tls{io.get_executor(), secret_of('a')}, options}));
    CHECK_THROWS_AS((Master<>{io.get_executor(), options}), Error);
    SlaveOptions of_slave;
    of_slave.log = NoLog{};
    CHECK_NOTHROW((Slave<Tls>{Tls{io.get_executor(), secret_of('a')}, {{"192.0.2.1", 5000}}, of_slave}));
}

}  // namespace tls_test
