// What an honest slave and its master notice of an attack: `tests/bench/run attacks`. For each attack the I/O threads of a
// master and of an honest slave share one core, and the attacker has the other. Measured before and during it: answers of
// the honest slave, 64 calls under way; their latency; what the master's process grows by; and lines of its log.
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cereal/types/string.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/vector.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <distwork.hpp>
#include <distwork/tls.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "../support/attacker.hpp"
#include "support/pair.hpp"

namespace attacks {

std::uint64_t twice(std::uint64_t number) {
    return number * 2;
}
std::unordered_map<std::int64_t, int> count(int) {
    return {};
}
std::size_t size(std::string text) {
    return text.size();
}

std::string text_of(std::size_t size) {
    return std::string(size, 'x');
}
/// Has the master execute a work.
asio::awaitable<std::size_t> ask(distwork::Context& context) {
    co_return co_await context.async_call<&size>(std::string{"text"});
}

}  // namespace attacks

DISTWORK_REGISTER_FUNCTION(attacks::twice)
DISTWORK_REGISTER_FUNCTION(attacks::count)
DISTWORK_REGISTER_FUNCTION(attacks::size)
DISTWORK_REGISTER_FUNCTION(attacks::text_of)
DISTWORK_REGISTER_FUNCTION(attacks::ask)

namespace {

using namespace std::chrono_literals;
using namespace distwork;
using support::Attacker;
using support::Bytes;
using support::encoded;
using support::frame;
using support::FrameKind;
using Clock = std::chrono::steady_clock;

Credentials credentials() {
    static const Credentials same{Secret{std::string(32, 's')}};
    return same;
}

struct Attack {
    const char* name;
    std::function<void(std::uint16_t port)> run;  ///< one round; repeated until it is over
    bool over_tls = false;
    bool is_asked = false;  ///< the master has works for slaves with the label "hostile"
};

/// Says the same again and again, until it is cut off.
void flood(std::uint16_t port, const Bytes& one) {
    Attacker attacker{port};
    Bytes many;
    while (many.size() < 64 * 1024) many.insert(many.end(), one.begin(), one.end());
    while (attacker.say(many)) continue;
}

Attack floods(const char* name, Bytes one) {
    return {name, [one = std::move(one)](std::uint16_t port) { flood(port, one); }};
}

Attack introduces(const char* name, const std::function<void(detail::Introduction&)>& change) {
    return {name, [change](std::uint16_t port) {
                auto said = Attacker::usual();
                change(said);
                Attacker{port, said}.farewell();
            }};
}

/// Names that differ in their last letters only: what compares them has much to compare.
std::vector<std::pair<std::string, std::uint64_t>> names(std::size_t count, std::size_t bytes) {
    std::vector<std::pair<std::string, std::uint64_t>> all;
    for (std::size_t i = 0; i < count; ++i) {
        std::string name = std::to_string(i);
        name.insert(0, bytes - name.size(), 'x');
        all.emplace_back(std::move(name), 1);
    }
    return all;
}

using PlainSocket = asio::ip::tcp::socket;

/// So many connections, each of which says that much; they stay until they are closed, and then come again.
Attack connects(const char* name, std::size_t count, Bytes first, bool over_tls, bool drips = false) {
    const auto run = [count, first = std::move(first), drips](std::uint16_t port) {
        asio::io_context io;
        std::vector<PlainSocket> sockets;
        for (;;) {
            while (sockets.size() < count) {
                std::error_code error;
                auto& socket = sockets.emplace_back(io);
                socket.connect({asio::ip::address_v4::loopback(), port}, error);
                if (!error && !first.empty()) asio::write(socket, asio::buffer(first), error);
                socket.non_blocking(true, error);
            }
            std::this_thread::sleep_for(drips ? 1s : 20ms);
            std::erase_if(sockets, [&](PlainSocket& socket) {
                std::byte bytes[4096];
                std::error_code error;
                if (drips) socket.write_some(asio::buffer(first.data(), 1), error);
                error = {};
                while (!error) socket.read_some(asio::buffer(bytes), error);
                return error != asio::error::would_block;
            });
        }
    };
    return {name, run, over_tls};
}

Attack churn(const char* name, bool over_tls) {
    const auto run = [](std::uint16_t port) {
        asio::io_context io;
        const auto end = Clock::now() + 500us;
        PlainSocket socket{io};
        std::error_code error;
        socket.connect({asio::ip::address_v4::loopback(), port}, error);
        std::this_thread::sleep_until(end);  // 2,000 in a second at most
    };
    return {name, run, over_tls};
}

/// What a slave with the secret says first.
Bytes client_hello() {
    const std::unique_ptr<SSL, decltype(&SSL_free)> ssl{SSL_new(credentials().contexts()->of_slave().native_handle()),
                                                        &SSL_free};
    SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_connect(ssl.get());
    Bytes bytes(4096);
    bytes.resize(static_cast<std::size_t>(BIO_read(SSL_get_wbio(ssl.get()), bytes.data(), 4096)));
    return bytes;
}

/// As many keys as libstdc++ makes buckets for, all of which fall into one of them.
std::vector<std::pair<std::int64_t, int>> colliding_pairs() {
    constexpr int buckets = 172'933;
    std::vector<std::pair<std::int64_t, int>> pairs;
    for (int i = 0; i < buckets; ++i) pairs.emplace_back(std::int64_t{i} * buckets, i);
    return pairs;
}

std::vector<Attack> all_attacks() {
    Bytes types_again = frame({.kind = FrameKind::types}, encoded(Attacker::usual()));
    Bytes error(10);
    detail::store(error.data() + 8, std::uint16_t{1});
    Bytes text = support::promise({.length = 60u << 20, .kind = FrameKind::error, .id = 7});
    text.resize(64 * 1024, std::byte{'x'});
    std::vector<Attack> all{
        floods("pings", frame({.kind = FrameKind::ping, .id = 7})),
        floods("pongs", frame({.kind = FrameKind::pong, .id = 7})),
        floods("drains", frame({.kind = FrameKind::drain})),
        floods("the same types", std::move(types_again)),
        floods("answers to nothing", frame({.kind = FrameKind::answer, .id = 7}, Bytes(8))),
        floods("errors of nothing", frame({.kind = FrameKind::error, .id = 7}, error)),
        floods("cancels", frame({.kind = FrameKind::cancel, .id = 7})),
        floods("works of a type that is not accepted",
               frame({.kind = FrameKind::work, .type = 1, .id = 7}, encoded(std::string(100, 'x')))),
        floods("60 MiB of error text", std::move(text)),
        introduces("4,096 type names of 256 bytes", [](auto& said) { said.types = names(4096, 256); }),
        introduces("100,000 type names", [](auto& said) { said.types = names(100'000, 16); }),
        introduces("256 labels of 256 bytes",
                   [](auto& said) {
                       said.labels.clear();
                       for (const auto& [label, fingerprint] : names(256, 256)) said.labels.push_back(label);
                   }),
        introduces("names with escape sequences",
                   [](auto& said) {
                       said.types.assign(4096, {"\33[2J\n[2026-01-01] forged", 1});
                   }),
    };
    all.push_back({"answers whose keys collide",
                   [pairs = encoded(colliding_pairs())](std::uint16_t port) {
                       Attacker attacker{port};
                       attacker.serve([&](const support::FrameHeader& work, const Bytes&) {
                           Bytes reply(8);
                           reply.insert(reply.end(), pairs.begin(), pairs.end());
                           return attacker.say(frame({.kind = FrameKind::answer, .id = work.id}, reply));
                       });
                   },
                   false, true});
    all.push_back({"works of 60 MB", [](std::uint16_t port) {
                       const Bytes one =
                           frame({.kind = FrameKind::work, .type = 2, .id = 7}, encoded(std::string(60'000'000, 'x')));
                       Attacker attacker{port};
                       while (attacker.say(one)) continue;
                   }});
    all.push_back(connects("2,000 silent connections", 2000, {}, false));
    all.push_back(connects("200 that send a byte a second", 200, Bytes(1, std::byte{'D'}), false, true));
    all.push_back(churn("2,000 connections a second", false));
    all.push_back(connects("TLS: 2,000 silent connections", 2000, {}, true));
    all.push_back(connects("TLS: 200 that send a byte a second", 200, Bytes(1, std::byte{22}), true, true));
    all.push_back(connects("TLS: 200 that say hello and no more", 200, client_hello(), true));
    all.push_back(churn("TLS: 2,000 connections a second", true));
    return all;
}

void pin(std::thread& thread, int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    pthread_setaffinity_np(thread.native_handle(), sizeof set, &set);
}

struct Figures {
    double works_per_second = 0;
    double p99_us = 0;
};

/// A master with an honest slave, on two threads.
template <class Transport>
class Farm {
public:
    explicit Farm(const std::function<Transport(asio::io_context&)>& make)
        : master_{make(io_), options()},
          slave_{make(slave_io_), {{"127.0.0.1", master_.local_endpoint().port()}}, quiet()} {
        master_.template accept_work<&attacks::size>();
        master_.start();
        slave_.start();
        threads_.emplace_back([this] { slave_io_.run(); });
        master_.async_wait_for_slaves(1, [this](const std::exception_ptr&) { honest_ = master_.sockets().front().id; });
        while (honest_ == 0) io_.run_one();
        threads_.emplace_back([this] { io_.run(); });
        // The threads that decode large values and execute works of slaves begin where they like.
        master_.template async_call<&attacks::text_of>(std::size_t{1} << 20, asio::use_future).get();
        master_.template async_call<&attacks::ask>(asio::use_future).get();
        for (auto& thread : threads_) pin(thread, 0);
    }
    ~Farm() {
        io_.stop();
        slave_io_.stop();
        for (auto& thread : threads_) thread.join();
    }

    std::uint16_t port() { return master_.local_endpoint().port(); }
    std::size_t lines() const { return lines_; }

    Figures measure(double seconds) {
        std::vector<double> latencies;
        std::atomic<int> under_way{0};
        const auto end =
            Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>{seconds});
        std::function<void()> submit = [&] {
            const auto sent = Clock::now();
            if (sent >= end) {
                --under_way;
                return;
            }
            master_.template async_call<&attacks::twice>(
                std::uint64_t{7}, SubmitOptions{}.slave(honest_),
                [&, sent](const std::exception_ptr& error, std::uint64_t) {
                    if (error) std::rethrow_exception(error);
                    latencies.push_back(std::chrono::duration<double, std::micro>(Clock::now() - sent).count());
                    submit();
                });
        };
        constexpr int window = 64;
        under_way = window;
        asio::post(io_, [&] {
            for (int i = 0; i < window; ++i) submit();
        });
        std::this_thread::sleep_until(end);
        do std::this_thread::sleep_for(1ms);
        while (under_way != 0);
        std::sort(latencies.begin(), latencies.end());
        return {static_cast<double>(latencies.size()) / seconds, latencies[latencies.size() * 99 / 100]};
    }

    /// Works for whoever has the label "hostile".
    void ask_the_hostile() {
        asio::post(io_, [this] {
            for (int i = 0; i < 4; ++i) ask();
        });
    }

private:
    MasterOptions options() {
        MasterOptions options;
        options.log = [this](LogLevel, std::string_view) { ++lines_; };
        return options;
    }
    static SlaveOptions quiet() {
        SlaveOptions options;
        options.name = "honest";
        options.slots = 1;
        options.log = NoLog{};
        return options;
    }
    void ask() {
        master_.template async_call<&attacks::count>(1, SubmitOptions{}.label("hostile"),
                                                     [this](const std::exception_ptr&, const auto&) { ask(); });
    }

    std::atomic<std::size_t> lines_{0};
    asio::io_context io_{1};
    asio::io_context slave_io_{1};
    Master<RoundRobin, Transport> master_;
    Slave<Transport> slave_;
    std::uint64_t honest_ = 0;
    std::vector<std::thread> threads_;
};

template <class Transport>
void run(const Attack& attack, double seconds, const std::function<Transport(asio::io_context&)>& make) {
    int pipe[2];
    if (::pipe(pipe) != 0) std::_Exit(1);
    const pid_t attacker = fork();
    if (attacker == 0) {
        bench::pin_to(1);
        const std::uint16_t port = bench::await_port(pipe[0]);
        for (;;) {
            try {
                attack.run(port);
            } catch (const std::exception&) {
                std::this_thread::sleep_for(1ms);  // it was not let in
            }
        }
    }
    Farm<Transport> farm{make};
    farm.measure(seconds / 5);
    const Figures before = farm.measure(seconds);
    const std::size_t memory = bench::resident_bytes();
    const std::size_t lines = farm.lines();
    if (attack.is_asked) farm.ask_the_hostile();
    const std::uint16_t port = farm.port();
    if (::write(pipe[1], &port, sizeof port) != sizeof port) std::_Exit(1);
    std::atomic<bool> is_over{false};
    std::atomic<std::size_t> most{memory};
    std::thread watches{[&] {
        while (!is_over) {
            most = std::max(most.load(), bench::resident_bytes());
            std::this_thread::sleep_for(5ms);
        }
    }};
    const Figures during = farm.measure(seconds);
    is_over = true;
    watches.join();
    std::printf("%-38s %9.0f %9.0f %6.2f %9.0f %9.0f %6.2f %8.1f %6zu\n", attack.name, before.works_per_second,
                during.works_per_second, during.works_per_second / before.works_per_second, before.p99_us,
                during.p99_us, during.p99_us / before.p99_us, static_cast<double>(most - memory) / (1 << 20),
                farm.lines() - lines);
    std::fflush(stdout);
    kill(attacker, SIGKILL);
    waitpid(attacker, nullptr, 0);
    std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
    double seconds = 2;
    std::string only;
    CLI::App app{"What an honest slave and its master notice of an attack."};
    app.add_option("--seconds", seconds, "measured before and during each attack")->check(CLI::Range(0.01, 3600.0));
    app.add_option("--only", only, "attacks whose name contains this");
    CLI11_PARSE(app, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    std::printf("%-38s %9s %9s %6s %9s %9s %6s %8s %6s\n", "attack", "works/s", "during", "ratio", "p99 us", "during",
                "ratio", "MiB", "lines");
    std::fflush(stdout);
    for (const Attack& attack : all_attacks()) {
        if (std::string_view{attack.name}.find(only) == std::string_view::npos) continue;
        const pid_t measuring = fork();
        if (measuring == 0) {
            if (attack.over_tls)
                run<Tls>(attack, seconds, [](asio::io_context& io) { return Tls{io.get_executor(), credentials()}; });
            else run<Tcp>(attack, seconds, [](asio::io_context& io) { return Tcp{io.get_executor()}; });
        }
        int status = 0;
        waitpid(measuring, &status, 0);
        if (status != 0) return 1;
    }
    return 0;
}
