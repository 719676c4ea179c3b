// A whole session from bytes, in virtual time: a peer that says what the fuzzer likes comes to a master that has works for
// it and accepts works from it; or answers a slave that looks for a master.

#include <algorithm>
#include <array>
#include <asio/co_spawn.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/vector.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <distwork.hpp>
#include <distwork/map.hpp>
#include <distwork/sim/simulation.hpp>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fuzz/input.hpp"
#include "fuzz/seeds.hpp"
#include "simulation/line.hpp"

namespace fuzz_session {

using namespace distwork;

unsigned twice(unsigned number) {
    return number * 2;
}
std::string echo(std::string text) {
    return text;
}
/// Has another slave do it.
asio::awaitable<std::string> ask(Context& context, std::string text) {
    co_return co_await context.async_submit<&echo>(text);
}
std::unordered_map<std::string, std::vector<int>> index_of(std::vector<std::string> words) {
    return {{words.empty() ? std::string{} : words.front(), {1}}};
}

}  // namespace fuzz_session

DISTWORK_REGISTER_FUNCTION(fuzz_session::twice)
DISTWORK_REGISTER_FUNCTION(fuzz_session::echo)
DISTWORK_REGISTER_FUNCTION(fuzz_session::ask)
DISTWORK_REGISTER_FUNCTION(fuzz_session::index_of)

namespace fuzz_session {

using namespace std::chrono_literals;
using distwork::detail::FrameHeader;
using distwork::detail::FrameKind;
using storm::append;
using storm::Bytes;
namespace sim = distwork::sim;
using SimMaster = Master<RoundRobin, sim::Transport>;
using SimSlave = Slave<sim::Transport>;

using fuzz::Input;

/// Frames whose heads are right by themselves: else the fuzzer would spend its time on lengths.
Bytes frames_of(Input& input) {
    Bytes bytes;
    while (!input.empty()) {
        FrameHeader header;
        header.kind = static_cast<FrameKind>(input.byte() % 20);
        header.flags = input.byte() % 16;
        header.type = input.byte() % 8;
        const std::uint8_t id = input.byte();
        // The first ids of a session, of a few generations; and others.
        header.id = id < 0x80 ? ((1 + (id >> 4 & 3u)) << 24) + (id & 15u) : id & 0x7fu;
        const std::uint8_t length = input.byte();
        const Bytes body = input.take(length < 200 ? length : (length - 199u) * 100u);
        append(bytes, header, body);
    }
    return bytes;
}

struct Scene {
    explicit Scene(std::uint8_t manner)
        : stage{manner & 3u}, is_raw{(manner & 8) != 0}, simulation{1, options_of(manner)} {}

    static sim::SimulationOptions options_of(std::uint8_t manner) {
        sim::SimulationOptions options;
        if (manner & 16) options.network = sim::NetworkOptions::faulty(manner);
        return options;
    }

    Bytes words(detail::Role role, Input input) const {
        Bytes bytes;
        const detail::Greeting greeting{.role = role, .name = "fuzz"};
        const FrameKind kind = role == detail::Role::slave ? FrameKind::hello : FrameKind::welcome;
        if (stage >= 1) append(bytes, {.kind = kind}, encode(greeting));
        if (stage >= 2) {
            detail::Introduction said{
                .slots = 2, .window = 1000, .max_frame_bytes = 1 << 20, .labels = {}, .types = {}};
            for (const WorkType* type : detail::Registry::instance().types())
                said.types.emplace_back(type->name, type->fingerprint());
            detail::ByteBuffer types;
            detail::encode_value(said, types, {});
            append(bytes, {.kind = FrameKind::types}, types.view());
        }
        const Bytes rest = is_raw ? input.take() : frames_of(input);
        bytes.insert(bytes.end(), rest.begin(), rest.end());
        return bytes;
    }

    const unsigned stage;
    const bool is_raw;
    sim::Simulation simulation;
    bool is_over = false;
};

asio::awaitable<void> speak(Scene& scene, sim::Socket socket, Bytes words) {
    storm::Line line{std::move(socket)};
    co_await line.say(words);
    while (co_await line.hear()) {
    }
    scene.is_over = true;
}

asio::awaitable<void> come(Scene& scene, sim::Host& host, std::string address, Bytes words) {
    auto transport = host.transport();
    auto socket = co_await transport.connect(transport.make_strand(), address, 5000);
    co_await speak(scene, std::move(socket), std::move(words));
}

asio::awaitable<void> wait_for_it(Scene& scene, sim::Host& host, Bytes words) {
    auto transport = host.transport();
    auto acceptor = transport.listen(transport.make_strand(), host.address(), 5000);
    auto socket = co_await transport.accept(acceptor);
    co_await speak(scene, std::move(socket), std::move(words));
}

void ignore(const std::exception_ptr&) {}

LinkOptions small() {
    LinkOptions link;
    link.max_frame_bytes = 1 << 20;
    link.archive.budget_base = 4 << 20;
    return link;
}

/// A master with works of its own, some of them in a chunk.
struct Calls {
    static constexpr std::size_t count = 8;

    explicit Calls(sim::Host& host) : master{host.make<SimMaster>(host.transport(), options())} {
        master.accept_work<&twice>();
        master.accept_work<&index_of>();
        master.accept_submission<&echo>();
        master.start();
        const auto count_one = [this](const std::exception_ptr&, const auto&) { ++settled; };
        for (unsigned i = 0; i < 3; ++i) master.async_call<&twice>(i, SubmitOptions{}.max_attempts(2), count_one);
        for (int i = 0; i < 2; ++i) master.async_call<&ask>(std::string{"text"}, count_one);
        for (int i = 0; i < 2; ++i) master.async_call<&index_of>(std::vector<std::string>{"a", "b"}, count_one);
        async_map<&twice>(master, std::views::iota(0u, 20u), count_one);
    }
    static MasterOptions options() {
        MasterOptions options;
        options.port = 5000;
        options.link = small();
        options.log = NoLog{};
        return options;
    }

    SimMaster& master;
    std::size_t settled = 0;
};

SimSlave& make_slave(sim::Host& host, const std::string& master) {
    SlaveOptions options;
    options.slots = 2;
    options.link = small();
    options.reconnect = Reconnect::never;
    options.log = NoLog{};
    SimSlave& slave = host.make<SimSlave>(host.transport(), std::vector<MasterAddress>{{master, 5000}}, options);
    slave.start();
    return slave;
}

void attack_master(std::uint8_t manner, Input input) {
    Scene scene{manner};
    sim::Host& host = scene.simulation.add_host("master");
    sim::Host& other = scene.simulation.add_host("attacker");
    Calls calls{host};
    asio::co_spawn(other.get_executor(), come(scene, other, host.address(), scene.words(detail::Role::slave, input)),
                   &ignore);
    scene.simulation.run_until([&] { return scene.is_over; }, 30s);
    // Whatever it said: every call is settled once, when the master ends at the latest.
    bool has_stopped = false;
    calls.master.async_stop(10ms, [&has_stopped](const std::exception_ptr&) { has_stopped = true; });
    if (!scene.simulation.run_until([&] { return has_stopped; }, 60s)) std::abort();
    if (calls.settled != Calls::count) std::abort();
    const Statistics counted = calls.master.statistics();
    if (counted.admitted != counted.completed()) std::abort();
}

void attack_slave(std::uint8_t manner, Input input) {
    Scene scene{manner};
    sim::Host& host = scene.simulation.add_host("slave");
    sim::Host& other = scene.simulation.add_host("attacker");
    asio::co_spawn(other.get_executor(), wait_for_it(scene, other, scene.words(detail::Role::master, input)), &ignore);
    make_slave(host, other.address());
    scene.simulation.run_until([&] { return scene.is_over; }, 30s);
}

/// Hands on all that comes from one to the other, and keeps it.
asio::awaitable<void> hand_on(std::shared_ptr<sim::Socket> from, std::shared_ptr<sim::Socket> to, Bytes& kept) {
    std::byte space[4096];
    for (;;) {
        const std::size_t count = co_await from->async_read_some(asio::buffer(space), asio::use_awaitable);
        kept.insert(kept.end(), space, space + count);
        for (std::size_t at = 0; at != count;) {
            const std::array<asio::const_buffer, 1> rest{asio::buffer(space + at, count - at)};
            at += co_await to->async_write_some(rest, asio::use_awaitable);
        }
    }
}

asio::awaitable<void> relay(sim::Host& host, std::string master, Bytes& of_slave, Bytes& of_master) {
    auto transport = host.transport();
    const auto strand = transport.make_strand();
    auto acceptor = transport.listen(strand, host.address(), 5000);
    const auto slave_end = std::make_shared<sim::Socket>(co_await transport.accept(acceptor));
    const auto master_end = std::make_shared<sim::Socket>(co_await transport.connect(strand, master, 5000));
    asio::co_spawn(host.get_executor(), hand_on(slave_end, master_end, of_slave), &ignore);
    co_await hand_on(master_end, slave_end, of_master);
}

/// The frames of a stream, as frames_of() reads them.
Bytes input_of(const Bytes& stream) {
    Bytes input;
    detail::FrameReader reader{1 << 20};
    for (std::size_t at = 0; at != stream.size();) {
        const auto space = reader.prepare();
        const std::size_t count = std::min(space.size(), stream.size() - at);
        std::copy_n(stream.begin() + static_cast<std::ptrdiff_t>(at), count, space.begin());
        at += count;
        const auto error = reader.commit(count, [&](detail::Frame&& frame) {
            const FrameHeader& header = frame.header;
            const auto id = header.id >> 24 == 0 ? 0x80u | header.id : ((header.id >> 24) - 1) << 4 | (header.id & 15u);
            for (const std::uint32_t field :
                 {std::uint32_t(header.kind), std::uint32_t(header.flags), std::uint32_t(header.type),
                  std::uint32_t(id), std::uint32_t(std::min<std::size_t>(frame.body.size(), 199))})
                input.push_back(static_cast<std::byte>(field));
            const auto body = frame.body.first(std::min<std::size_t>(frame.body.size(), 199));
            input.insert(input.end(), body.begin(), body.end());
            return true;
        });
        if (error) std::abort();
    }
    return input;
}

/// What a master and a slave said to each other.
void record(const fuzz::Seeds& seeds) {
    Bytes of_slave;
    Bytes of_master;
    sim::Simulation simulation{1};
    sim::Host& master = simulation.add_host("master");
    sim::Host& middle = simulation.add_host("relay");
    sim::Host& slave = simulation.add_host("slave");
    Calls calls{master};
    asio::co_spawn(middle.get_executor(), relay(middle, master.address(), of_slave, of_master), &ignore);
    make_slave(slave, middle.address());
    simulation.run_until([&] { return calls.settled == Calls::count; }, 60s);
    simulation.run_for(10s);  // pings
    calls.master.async_stop(10ms, &ignore);
    simulation.run_for(10s);
    if (calls.settled != Calls::count) std::abort();

    const auto write = [&](const std::string& name, std::uint8_t manner, const Bytes& rest) {
        Bytes bytes{std::byte{manner}};
        bytes.insert(bytes.end(), rest.begin(), rest.end());
        seeds.write("session", name, bytes);
    };
    write("slave_raw", 8, of_slave);
    write("master_raw", 8 | 4, of_master);
    write("slave_frames", 0, input_of(of_slave));
    write("master_frames", 4, input_of(of_master));
    write("slave_frames_faulty_network", 16, input_of(of_slave));
    for (const auto& [name, stream] : {std::pair{"slave", &of_slave}, std::pair{"master", &of_master}}) {
        Bytes bytes{std::byte{7}, std::byte{1}, std::byte{200}};
        bytes.insert(bytes.end(), stream->begin(), stream->end());
        seeds.write("frames", name, bytes);
    }
}

}  // namespace fuzz_session

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    return fuzz::begin(fuzz_session::record);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input{data, size};
    const std::uint8_t manner = input.byte();
    if (manner & 4) fuzz_session::attack_slave(manner, input);
    else fuzz_session::attack_master(manner, input);
    return 0;
}
