#include <algorithm>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/use_future.hpp>
#include <asio/write.hpp>
#include <atomic>
#include <cereal/types/string.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/vector.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "distwork/types/peer_types.hpp"
#include "distwork/wire/frame.hpp"
#include "distwork/wire/handshake.hpp"
#include "distwork/wire/reply.hpp"
#include "support/attacker.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"

// A slave that was admitted and lies, beside an honest one: it is dropped and named, and the honest one does not notice.

namespace hostile {

struct Mean {
    std::size_t operator()(int) const noexcept { return 0; }
};
using Colliding = std::unordered_map<int, int, Mean>;

std::string echo(std::string text) {
    return text;
}
std::unordered_map<int, int> count(int) {
    return {};
}
Colliding collide(int) {
    return {};
}
std::vector<double> numbers(std::size_t count, double value) {
    return std::vector<double>(count, value);
}

struct Gate {
    std::atomic<bool> is_open{false};
    std::atomic<std::size_t> executed{0};
    static Gate& instance() {
        static Gate gate;
        return gate;
    }
};
std::size_t wait_at_gate(std::vector<char> body) {
    while (!Gate::instance().is_open) std::this_thread::sleep_for(std::chrono::milliseconds{1});
    ++Gate::instance().executed;
    return body.size();
}

}  // namespace hostile

DISTWORK_REGISTER_FUNCTION(hostile::echo)
DISTWORK_REGISTER_FUNCTION(hostile::count)
DISTWORK_REGISTER_FUNCTION(hostile::collide)
DISTWORK_REGISTER_FUNCTION(hostile::numbers)
DISTWORK_REGISTER_FUNCTION(hostile::wait_at_gate)

namespace {

using namespace std::chrono_literals;
using namespace distwork;
using distwork::detail::FrameHeader;
using distwork::detail::FrameKind;
using support::append;
using support::Attacker;
using support::Bytes;
using support::encoded;
using support::frame;

/// Runs a context on a thread.
struct Thread {
    Thread() : runs{[this] { io.run(); }} {}
    ~Thread() {
        work.reset();
        io.stop();
        runs.join();
    }
    asio::io_context io{1};
    asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
    std::thread runs;
};

/// A master, an honest slave, and their log.
struct Scene {
    explicit Scene(MasterOptions options = {}) : master{io.io.get_executor(), logged(std::move(options))} {
        master.start();
        slave.emplace(slave_io.io.get_executor(), "127.0.0.1", port(), honest());
        slave->start();
        wait([&] { return master.connected_slave_count() == 1; });
        honest_id = master.sockets().front().id;
    }

    std::uint16_t port() const { return master.local_endpoint().port(); }

    Attacker attacker(const detail::Introduction& said = Attacker::usual()) { return Attacker{port(), said}; }

    /// The honest slave answers, whatever happens.
    void check_honest() {
        for (int i = 0; i < 20; ++i) {
            auto answer =
                master.async_call<hostile::echo>(std::to_string(i), SubmitOptions{}.slave(honest_id), asio::use_future);
            REQUIRE(answer.wait_for(deadline) == std::future_status::ready);
            CHECK(answer.get() == std::to_string(i));
        }
    }

    /// What a call failed with. It is looked at on the thread of its completion: a thread sanitizer knows nothing of the
    /// counts of references to exceptions.
    struct Failure {
        bool is_remote = false;
        std::error_code code{};
        std::string what{};
    };
    template <auto F, class... Arguments>
    Failure failure_of(SubmitOptions options, Arguments... arguments) {
        const auto failure = std::make_shared<std::promise<Failure>>();
        master.async_call<F>(std::move(arguments)..., std::move(options),
                             [failure](const std::exception_ptr& error, const auto&) {
                                 Failure told;
                                 try {
                                     if (error) std::rethrow_exception(error);
                                 } catch (const RemoteError& thrown) {
                                     told = {true, {}, thrown.what()};
                                 } catch (const Error& failed) {
                                     told = {false, failed.code(), failed.what()};
                                 }
                                 failure->set_value(std::move(told));
                             });
        auto answer = failure->get_future();
        REQUIRE(answer.wait_for(deadline) == std::future_status::ready);
        return answer.get();
    }

    template <class Condition>
    static void wait(Condition condition) {
        const auto until = std::chrono::steady_clock::now() + deadline;
        while (!condition()) {
            REQUIRE(std::chrono::steady_clock::now() < until);
            std::this_thread::sleep_for(1ms);
        }
    }

    std::size_t lines() {
        const std::lock_guard lock{mutex};
        return log.size();
    }
    bool said(std::string_view what) {
        const std::lock_guard lock{mutex};
        return std::any_of(log.begin(), log.end(),
                           [what](const std::string& line) { return line.find(what) != std::string::npos; });
    }

    MasterOptions logged(MasterOptions options) {
        options.log = [this](LogLevel, std::string_view line) {
            const std::lock_guard lock{mutex};
            log.emplace_back(line);
        };
        return options;
    }
    static SlaveOptions honest() {
        SlaveOptions options;
        options.name = "honest";
        options.slots = 1;
        options.log = NoLog{};
        return options;
    }

    std::mutex mutex;
    std::vector<std::string> log;  // guarded by mutex
    Thread io;
    Thread slave_io;
    Master<> master;
    std::optional<Slave<>> slave;
    std::uint64_t honest_id = 0;
};

/// The number that the master gives the type of a function.
template <auto F>
std::uint16_t number_of(Attacker& attacker) {
    while (const auto came = attacker.hear()) {
        if (came->first.kind != FrameKind::types) continue;
        detail::Introduction theirs;
        theirs.version = newest_protocol_version;
        detail::decode(came->second, theirs, {});
        const auto& name = detail::work_type<FunctionWork<F>>().name;
        for (std::size_t i = 0; i < theirs.types.size(); ++i)
            if (theirs.types[i].first == name) return static_cast<std::uint16_t>(i);
    }
    return 0;
}

/// The body of an answer.
Bytes answer_of(const std::string& value) {
    Bytes body(8);  // the time
    const Bytes encoded_value = encoded(value);
    body.insert(body.end(), encoded_value.begin(), encoded_value.end());
    return body;
}

}  // namespace

TEST_CASE("a slave that floods its master is dropped and named, and no other notices", "[security]") {
    struct Case {
        const char* name;
        std::function<Bytes()> one;
        Errc reason;
    };
    Bytes types_again;
    append(types_again, {.kind = FrameKind::types}, encoded(Attacker::usual()));
    const Case cases[] = {
        {"pings", [] { return frame({.kind = FrameKind::ping, .id = 7}); }, Errc::protocol_violation},
        {"pongs", [] { return frame({.kind = FrameKind::pong, .id = 7}); }, Errc::protocol_violation},
        {"drains", [] { return frame({.kind = FrameKind::drain}); }, Errc::protocol_violation},
        {"the same types", [&] { return types_again; }, Errc::protocol_violation},
        {"answers to nothing", [] { return frame({.kind = FrameKind::answer, .id = 7}, Bytes(8)); },
         Errc::protocol_violation},
        {"errors of nothing",
         [] {
             Bytes body(10);
             detail::store(body.data() + 8, std::uint16_t{1});
             return frame({.kind = FrameKind::error, .id = 7}, body);
         },
         Errc::protocol_violation},
        {"cancellations", [] { return frame({.kind = FrameKind::cancel, .id = 7}); }, Errc::protocol_violation},
        {"works that are not accepted",
         [] { return frame({.kind = FrameKind::work, .type = 0, .id = 7}, encoded(std::string{"text"})); },
         Errc::protocol_violation},
        {"recalls", [] { return frame({.kind = FrameKind::recall, .id = 7}); }, Errc::protocol_violation},
        {"60 MiB of error text",
         [] { return support::promise({.length = 60u << 20, .kind = FrameKind::error, .id = 7}); },
         Errc::frame_too_large},
        {"66 MB of labels", [] { return support::promise({.length = 64'000'000, .kind = FrameKind::types}); },
         Errc::frame_too_large},
        {"a type less",
         [] {
             auto said = Attacker::usual();
             said.types.pop_back();
             return frame({.kind = FrameKind::types}, encoded(said));
         },
         Errc::protocol_violation},
    };
    Scene scene;
    for (const Case& each : cases) {
        CAPTURE(each.name);
        Attacker attacker = scene.attacker();
        Scene::wait([&] { return scene.master.connected_slave_count() == 2; });
        std::thread floods{[&] {
            const Bytes one = each.one();
            Bytes many;
            while (many.size() < 64 * 1024) many.insert(many.end(), one.begin(), one.end());
            // It ends when the master hangs up. What it says then may not be heard: the answer to data is a reset.
            for (int i = 0; i < 4000 && attacker.say(many); ++i) {
            }
        }};
        scene.check_honest();
        Scene::wait([&] { return scene.master.connected_slave_count() == 1; });
        floods.join();
        const std::string meaning = make_error_code(each.reason).message();
        Scene::wait([&] { return scene.said("mallory") && scene.said(meaning); });
        const std::lock_guard lock{scene.mutex};
        CHECK(scene.log.size() < 20);
        scene.log.clear();
    }
}

TEST_CASE("a slave that says too much of itself never becomes one", "[security]") {
    const auto said = [](auto change) {
        auto all = Attacker::usual();
        change(all);
        return all;
    };
    Scene scene;
    for (const auto& introduction : {said([](auto& all) { all.labels.assign(257, "l"); }),
                                     said([](auto& all) { all.labels = {std::string(257, 'l')}; }), said([](auto& all) {
                                         all.types.assign(5000, {"0123456789abcdef", 1});
                                     }),
                                     said([](auto& all) { all.types.emplace_back(std::string(300, 't'), 1); })}) {
        Attacker attacker = scene.attacker(introduction);
        CHECK(attacker.farewell() == Errc::protocol_violation);
        CHECK(scene.master.connected_slave_count() == 1);
        scene.check_honest();
    }
}

TEST_CASE("callers are told what a slave can know, whatever it says", "[security]") {
    Scene scene;
    Attacker attacker = scene.attacker();
    Scene::wait([&] { return scene.master.connected_slave_count() == 2; });
    const SubmitOptions to_hostile = SubmitOptions{}.label("hostile").max_attempts(1);
    std::thread serves{[&] {
        attacker.serve([&](const FrameHeader& work, const Bytes& body) {
            const auto code = detail::load<std::uint16_t>(body.data() + 8);  // behind the length of the text
            Bytes reply(12);
            detail::store(reply.data() + detail::reply_head_bytes, code);
            attacker.say(frame({.kind = FrameKind::error, .id = work.id}, reply));
            return code != 0xffff;
        });
    }};
    std::size_t believed = 0;
    for (unsigned code = 1; code <= 0x100; ++code) {
        const unsigned said = code == 0x100 ? 0xffff : code;
        const std::string text{static_cast<char>(said & 0xff), static_cast<char>(said >> 8)};
        const auto told = scene.failure_of<hostile::echo>(to_hostile, text);
        CAPTURE(said, told.what);
        CHECK(told.is_remote == (said == 1 || said == 11));
        if (told.is_remote) continue;
        const bool is_believed = told.code.value() == static_cast<int>(said);
        CHECK((told.code == Errc::malformed || (is_believed && told.code.category() == error_category())));
        believed += is_believed;
    }
    CHECK(believed < 16);
    attacker.socket().shutdown(asio::ip::tcp::socket::shutdown_both);
    serves.join();
    const auto counted = scene.master.statistics();
    CHECK(counted.cancelled + counted.timed_out + counted.lost <= 1);  // execution_timeout is known to slaves
}

TEST_CASE("an answer whose keys collide is malformed, and delays nobody", "[security]") {
    Scene scene;
    Attacker attacker = scene.attacker();
    Scene::wait([&] { return scene.master.connected_slave_count() == 2; });
    // Multiples of a bucket count of libstdc++, as in a real attack, and a hash that is always the same.
    std::vector<std::pair<int, int>> pairs;
    for (int i = 0; i < 172'933; ++i) pairs.emplace_back(i * 12'343, i);
    std::thread serves{[&] {
        attacker.serve([&](const FrameHeader& work, const Bytes&) {
            Bytes reply(8);
            const Bytes value = encoded(pairs);
            reply.insert(reply.end(), value.begin(), value.end());
            return attacker.say(frame({.kind = FrameKind::answer, .id = work.id}, reply));
        });
    }};
    scene.check_honest();
    const auto told = scene.failure_of<hostile::collide>(SubmitOptions{}.label("hostile"), 1);
    scene.check_honest();
    CHECK(told.code == Errc::malformed);
    CHECK(told.what.find("max_hash_steps") != std::string::npos);
    // The same bytes are a usual map where the hash is a usual one.
    auto counted = scene.master.async_call<hostile::count>(1, SubmitOptions{}.label("hostile"), asio::use_future);
    REQUIRE(counted.wait_for(deadline) == std::future_status::ready);
    CHECK(counted.get().size() == pairs.size());
    attacker.socket().shutdown(asio::ip::tcp::socket::shutdown_both);
    serves.join();
}

TEST_CASE("works of a slave beyond what may wait stay in its own memory", "[security]") {
    constexpr std::size_t each = 256 * 1024;
    MasterOptions options;
    options.slots = 1;
    options.max_slave_work_bytes = 4 * each;
    Scene scene{std::move(options)};
    scene.master.accept_work<hostile::wait_at_gate>();
    auto& gate = hostile::Gate::instance();
    gate.is_open = false;
    gate.executed = 0;
    Attacker attacker = scene.attacker();
    const auto number = number_of<&hostile::wait_at_gate>(attacker);
    constexpr std::uint64_t works = 128;
    std::atomic<std::uint64_t> said{0};
    std::thread sends{[&] {
        Bytes body = encoded(std::vector<char>(each));
        for (std::uint64_t id = 1; id <= works; ++id, ++said)
            if (!attacker.say(frame({.kind = FrameKind::work, .type = number, .id = id}, body))) return;
    }};
    // It waits, as long as it likes, with what its own machine and both sockets' buffers hold.
    for (std::uint64_t before = ~std::uint64_t{0}; before != said;) {
        before = said;
        scene.check_honest();
        std::this_thread::sleep_for(200ms);
    }
    CHECK(said < works);
    CHECK(gate.executed == 0);
    gate.is_open = true;
    std::size_t answered = 0;
    while (answered != works) {
        const auto came = attacker.hear();
        REQUIRE(came);
        answered += came->first.kind == FrameKind::answer;
    }
    sends.join();
    CHECK(gate.executed == works);
    scene.check_honest();
}

TEST_CASE("works that works of a slave submit have room for so many bytes, and it is read on", "[security]") {
    constexpr std::size_t each = 256 * 1024;
    MasterOptions options;
    options.max_slave_work_bytes = 4 * each + 100;
    Scene scene{std::move(options)};
    scene.master.accept_submission<hostile::wait_at_gate>();
    Attacker attacker = scene.attacker();
    Scene::wait([&] { return scene.master.connected_slave_count() == 2; });
    const auto number = number_of<&hostile::wait_at_gate>(attacker);
    const auto call = [&] {
        return scene.master.async_call<hostile::echo>(std::string{"parent"}, SubmitOptions{}.label("hostile"),
                                                      asio::use_future);
    };
    const auto take = [&] {
        std::uint64_t id = 0;
        attacker.serve([&](const FrameHeader& header, const Bytes&) {
            id = header.id;
            return false;
        });
        return id;
    };
    const auto submit = [&](std::uint64_t parent, std::uint64_t id) {
        Bytes body(detail::parent_bytes);
        detail::store(body.data(), parent);
        const Bytes work = encoded(std::vector<char>(each));
        body.insert(body.end(), work.begin(), work.end());
        REQUIRE(attacker.say(
            frame({.kind = FrameKind::work, .flags = detail::flag_submission, .type = number, .id = id}, body)));
    };
    /// The next error: its id and its code.
    const auto error = [&] {
        for (;;) {
            const auto came = attacker.hear();
            REQUIRE(came);
            if (came->first.kind != FrameKind::error) continue;
            return std::pair{came->first.id, static_cast<Errc>(detail::load<std::uint16_t>(came->second.data() + 8))};
        }
    };

    auto first = call();
    const auto first_parent = take();
    for (std::uint64_t id = 1; id <= 20; ++id) submit(first_parent, id);
    for (std::uint64_t id = 5; id <= 20; ++id) CHECK(error() == std::pair{id, Errc::too_many_waiting});
    scene.check_honest();
    attacker.say(frame({.kind = FrameKind::answer, .id = first_parent}, answer_of(std::string{"parent"})));
    CHECK(first.get() == "parent");

    // What ended with its parent has room again, soon.
    auto second = call();
    const auto second_parent = take();
    for (std::uint64_t id = 100;; ++id) {
        submit(second_parent, id);
        attacker.say(frame({.kind = FrameKind::cancel, .id = id}));
        auto told = error();
        while (told.first != id) told = error();
        if (told.second == Errc::cancelled) break;  // it was there
        REQUIRE(told.second == Errc::too_many_waiting);
    }
    attacker.say(frame({.kind = FrameKind::answer, .id = second_parent}, answer_of(std::string{"parent"})));
    CHECK(second.get() == "parent");
}

TEST_CASE("a slave that reports of its work without end is read slowly, and loses nothing", "[security]") {
    Scene scene;
    Attacker attacker = scene.attacker();
    auto answer =
        scene.master.async_call<hostile::echo>(std::string{"text"}, SubmitOptions{}.label("hostile"), asio::use_future);
    std::uint64_t id = 0;
    attacker.serve([&](const FrameHeader& header, const Bytes&) {
        id = header.id;
        return false;
    });
    Bytes reports;
    for (int i = 0; i < 1000; ++i) {
        append(reports, {.kind = FrameKind::credit, .id = id});
        append(reports, {.kind = FrameKind::credit, .flags = detail::flag_takes_slot, .id = id});
        append(reports, {.kind = FrameKind::progress, .id = id}, Bytes(6));
    }
    constexpr int times = 200;
    const auto begun = std::chrono::steady_clock::now();
    for (int i = 0; i < times; ++i) REQUIRE(attacker.say(reports));
    scene.check_honest();
    attacker.say(frame({.kind = FrameKind::answer, .id = id}, answer_of(std::string{"text"})));
    REQUIRE(answer.wait_for(deadline) == std::future_status::ready);
    CHECK(answer.get() == "text");
    CHECK(std::chrono::steady_clock::now() - begun > 1s);  // 600,000 reports, of which a second takes 262,144
}

TEST_CASE("a slave whose submissions are refused without end is read slowly", "[security]") {
    Scene scene;
    Attacker attacker = scene.attacker();
    const auto number = number_of<&hostile::echo>(attacker);
    Bytes body(detail::parent_bytes);
    detail::store(body.data(), std::uint64_t{4711});
    Bytes many;
    for (std::uint64_t id = 1; id <= 1000; ++id)
        append(many, {.kind = FrameKind::work, .flags = detail::flag_submission, .type = number, .id = id}, body);
    std::thread hears{[&] {
        for (int refused = 0; refused != 100'000;)
            if (const auto came = attacker.hear(); !came || came->first.kind == FrameKind::error) ++refused;
    }};
    const auto begun = std::chrono::steady_clock::now();
    for (int i = 0; i < 100; ++i) REQUIRE(attacker.say(many));
    scene.check_honest();
    hears.join();
    CHECK(std::chrono::steady_clock::now() - begun > 2s);  // a second takes 32,768 of them
}

TEST_CASE("who is dropped again and again gets ten sessions a second, and does not fill the log", "[security]") {
    Scene scene;
    const std::size_t before = scene.lines();
    const auto begun = std::chrono::steady_clock::now();
    int admitted = 0;
    for (int i = 0; i < 1000; ++i) {
        Attacker attacker = scene.attacker();
        attacker.say(frame({.kind = FrameKind{99}}));
        const Errc reason = attacker.farewell();
        CHECK((reason == Errc::protocol_violation || reason == Errc{}));
        admitted += reason == Errc::protocol_violation;
    }
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begun;
    CHECK(admitted >= 20);
    CHECK(admitted <= 22 + 10 * time.count());
    CHECK(static_cast<double>(scene.lines() - before) <= 80 + 20 * time.count() / 60 + 2);
    scene.check_honest();
}

TEST_CASE("large answers are settled once each, in any order with small ones, also if the master ends", "[security]") {
    const bool is_cut_off = GENERATE(false, true);
    std::atomic<int> right{0};
    std::atomic<int> stopped{0};
    constexpr int calls = 60;
    {
        asio::io_context io{1};
        std::optional<Master<>> master;
        master.emplace(io.get_executor(), MasterOptions{.log = NoLog{}});
        master->start();
        Thread slave_io;
        Slave<> slave{slave_io.io.get_executor(), "127.0.0.1", master->local_endpoint().port(), Scene::honest()};
        slave.start();
        int begun = 0;
        for (int i = 0; i < calls; ++i, ++begun) {
            const std::size_t count = i % 3 == 0 ? 200'000 : 10;  // 1.6 MB, or next to nothing
            master->async_call<hostile::numbers>(count, 1.0 + i,
                                                 [&, count, i](std::exception_ptr error, std::vector<double> values) {
                                                     if (error) ++stopped;
                                                     else if (values.size() == count && values.back() == 1.0 + i)
                                                         ++right;
                                                 });
        }
        REQUIRE(run_until(io, [&] { return right >= (is_cut_off ? 5 : calls); }));
        if (is_cut_off) {
            master.reset();
            REQUIRE(run_until(io, [&] { return right + stopped == calls; }));
        } else {
            CHECK(master->statistics().succeeded == static_cast<std::uint64_t>(calls));
        }
    }
    CHECK(right + stopped == calls);
}
