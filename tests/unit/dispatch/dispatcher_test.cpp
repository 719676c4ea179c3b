#include "distwork/dispatch/dispatcher.hpp"

#include <any>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "distwork/selector.hpp"
#include "support/catch.hpp"
#include "support/distributor.hpp"
#include "support/fake_peer.hpp"

namespace dispatcher_test {

using namespace support;

namespace {

/// Asked for every work; the test says what it answers.
using Function = std::function<const SocketInformation*(DistributeContext&)>;

}  // namespace

TEST_CASE("works go to each slave in turn, and beyond its free slots to nobody before they were measured", "[unit]") {
    Distributor<> master;
    master.connect({.slots = 2});
    master.connect({.slots = 1});
    master.connect({.slots = 3});
    for (int i = 1; i <= 6; ++i) CHECK(master.submit(numbered(i)) == Admission::sent);
    CHECK(master.sent == Distributor<>::Sent{{0, 1}, {1, 2}, {2, 3}, {0, 4}, {2, 5}, {2, 6}});
    for (int i = 7; i <= 9; ++i) CHECK(master.submit(numbered(i)) == Admission::queued);
    CHECK(master.container.backlog_size() == 3);
    CHECK(master.container.size() == 3);
    CHECK_FALSE(master.container.quiet());
}

TEST_CASE("a chunk goes to slaves that take chunks, and is split when only others are left", "[unit]") {
    Distributor<> master;
    const auto old = master.connect({.takes_chunks = false});
    const auto young = master.connect();
    CHECK(master.container.max_chunk_bytes() == 0);
    const auto chunk = [](int number) {
        auto made = numbered(number);
        made->elements(10);
        return made;
    };
    CHECK(master.submit(chunk(1)) == Admission::sent);
    CHECK(master.sent == Distributor<>::Sent{{young, 1}});
    CHECK(master.submit(chunk(2)) == Admission::queued);
    CHECK(master.submit(numbered(3)) == Admission::sent);  // it does not wait behind chunks
    CHECK(master.sent.back() == std::pair{old, 3});
    CHECK_FALSE(master.container.has_news());
    master.disconnect(young);
    auto news = master.container.take_news();
    REQUIRE(news.to_split.size() == 1);
    CHECK(number_of(*news.to_split.front()) == 2);
    CHECK(news.to_split.front()->stage == Stage::done);
    CHECK(master.container.backlog_size() == 0);
}

TEST_CASE("a chunk waits while no slave is connected, and is split when one connects that takes none", "[unit]") {
    Distributor<> master;
    auto chunk = numbered(1);
    chunk->elements(10);
    CHECK(master.submit(chunk) == Admission::queued);
    static_cast<void>(master.container.take_news());
    master.connect({.takes_chunks = false});
    CHECK(master.container.take_news().to_split.size() == 1);
    CHECK(master.container.quiet());
}

TEST_CASE("the estimate of a chunk is that of all its works", "[unit]") {
    Distributor<> master;
    const auto slave = master.connect();
    auto chunk = numbered(1);
    chunk->elements(10);
    master.submit(chunk);
    CHECK(master.container.max_chunk_bytes() == detail::max_chunk_bytes);
    SlaveTable table;
    Socket& socket = table.add({}, std::make_shared<support::FakePeer>(), {}, 1, 1 << 20, 0);
    auto single = numbered(2);
    Reply reply;
    reply.execution_time = 5us;
    table.times.reserve(socket, single->type());
    table.times.measure(socket, *single, reply, CreditWindow::TimePoint::max());
    CHECK(table.estimate(socket, *chunk) == 50us);
    static_cast<void>(slave);
}

TEST_CASE("an answer gives credit back, to the work that has waited the longest", "[unit]") {
    Distributor<> master;
    for (int i = 0; i < 3; ++i) master.connect();
    master.submit_many(1, 8);
    master.take_sent();
    for (const std::size_t who : {1u, 0u, 1u, 2u}) master.answer(who);
    CHECK(master.sent == Distributor<>::Sent{{1, 4}, {0, 5}, {1, 6}, {2, 7}});
    CHECK(master.container.backlog_size() == 1);
    for (const std::size_t who : {1u, 0u, 1u, 2u}) master.answer(who);
    CHECK(master.container.backlog_size() == 0);
    CHECK(master.container.quiet());
    CHECK(master.sent.size() == 5);
}

TEST_CASE("a work that goes on beyond its time keeps its slot until it returns", "[unit]") {
    Distributor<> master;
    master.connect();
    master.answer_once();
    const auto works = master.submit_many(1, 1);
    master.take_sent();
    std::vector<Answer> early(1);
    early[0].call = works[0];
    early[0].reply.error = Errc::execution_timeout;
    early[0].reply.goes_on = true;
    CHECK(master.container.answered(master.ids[0], early, {}, master.now).retries.empty());
    CHECK(early[0].call == works[0]);  // to be settled
    CHECK(master.information(0).in_flight == 1);
    CHECK_FALSE(master.container.quiet());
    CHECK(master.submit(numbered(2)) == Admission::queued);
    CHECK(master.container.waiting().at(0).reason == WaitReason::no_credit);
    master.connect();
    CHECK(master.held(1) == Numbers{2});
    CHECK(master.submit(numbered(3)) == Admission::sent);  // it streams to the other
    CHECK(master.held(1) == Numbers{2, 3});
    master.answer(0, 1s, 1, Errc::execution_timeout);
    CHECK(master.information(0).in_flight == 0);
    CHECK(master.information(0).failed == 1);
    CHECK(master.submit(numbered(4)) == Admission::sent);
    CHECK(master.held(0) == Numbers{4});
}

TEST_CASE("a slave that connects gets what waits, in order, beyond its slots nothing", "[unit]") {
    Distributor<> master;
    master.submit_many(1, 3);
    master.submit_many(4, 5, SubmitOptions{}.priority(1));
    CHECK(master.container.backlog_size() == 5);
    master.connect({.slots = 3});
    CHECK(master.held(0) == Numbers{4, 5, 1});
    master.connect({.slots = 9});
    CHECK(master.held(1) == Numbers{2, 3});
}

TEST_CASE("short works stream to a slave ahead of its slots, long ones go one to a free slot", "[unit]") {
    Distributor<> master;
    master.connect();
    master.submit_many(1, 400, {}, 0);
    for (int i = 0; i < 8; ++i) master.answer(0, 2us);
    CHECK(master.peers[0]->sent.size() > 50);
    while (!master.peers[0]->sent.empty()) master.answer(0, 2us);
    CHECK(master.container.quiet());

    master.submit_many(1, 10, {}, 1);
    while (!master.peers[0]->sent.empty()) {
        CHECK(master.peers[0]->sent.size() == 1);
        master.answer(0, 1s);
    }
}

TEST_CASE("a type that was not measured waits for a free slot while others stream", "[unit]") {
    Distributor<> master;
    master.connect({.slots = 2});
    master.submit_many(1, 1, {}, 0);
    master.answer(0, 1us);
    master.submit_many(2, 4, {}, 0);
    CHECK(master.peers[0]->sent.size() == 3);
    CHECK(master.submit(numbered(5, {}, 1)) == Admission::queued);
    CHECK(master.submit(numbered(6, {}, 0)) == Admission::sent);
    master.answer(0, 1us);
    CHECK(master.container.backlog_size() == 1);
    master.answer(0, 1us, 2);
    CHECK(master.container.backlog_size() == 0);
    CHECK(master.held(0) == Numbers{6, 5});
}

TEST_CASE("a work with labels goes to a slave that has them all", "[unit]") {
    Distributor<> master;
    master.connect({.slots = 10});
    master.connect({.slots = 10, .labels = {"gpu"}});
    master.connect({.slots = 10, .labels = {"avx", "gpu", "zoo"}});
    master.submit_many(1, 4, SubmitOptions{}.label("gpu"));
    master.submit_many(5, 6, SubmitOptions{}.label("zoo").label("avx"));
    CHECK(master.submit(numbered(7, SubmitOptions{}.label("tpu"))) == Admission::queued);
    master.submit_many(8, 10);
    CHECK(master.held(0).size() == 1);
    CHECK(master.sent == Distributor<>::Sent{{1, 1}, {2, 2}, {1, 3}, {2, 4}, {2, 5}, {2, 6}, {0, 8}, {1, 9}, {2, 10}});
    master.connect({.slots = 1, .labels = {"tpu"}});
    CHECK(master.held(3) == Numbers{7});
}

TEST_CASE("a work goes only to a slave that has its type, also once it has it", "[unit]") {
    Distributor<> master;
    master.connect({.slots = 10, .knows = {true, false}});
    master.connect({.slots = 10, .knows = {true, true}});
    master.submit_many(1, 2, {}, 1);
    CHECK(master.held(1) == Numbers{1, 2});
    master.submit_many(3, 4, {}, 0);
    CHECK(master.held(0) == Numbers{3});
    CHECK(master.submit(numbered(5, {}, 3)) == Admission::queued);
    master.container.know_types(master.ids[0], {true, false, false, true});
    CHECK(master.held(0) == Numbers{3, 5});

    // Also when those who had it lose it, or leave.
    master.container.know_types(master.ids[1], {true, false});
    CHECK(master.submit(numbered(6, {}, 1)) == Admission::queued);
    master.disconnect(1);
    CHECK(master.submit(numbered(7, {}, 3)) == Admission::sent);
    CHECK(master.submit(numbered(8, {}, 1)) == Admission::queued);
}

TEST_CASE("a short work with labels streams to its slave also while others are idle", "[unit]") {
    // Its type is long enough, or its body large enough, that a free slot is preferred: but there is none for it.
    const bool large_body = GENERATE(false, true);
    Distributor<> master;
    master.connect({.slots = 4});
    master.connect({.slots = 1, .labels = {"gpu"}});
    const auto options = SubmitOptions{}.label("gpu");
    const std::size_t bytes = large_body ? 100 * 1024 : 10;
    CHECK(master.submit(task(options, 0, bytes)) == Admission::sent);
    master.answer(1, large_body ? 10us : 500us);
    CHECK(master.submit(task(options, 0, bytes)) == Admission::sent);
    CHECK(master.submit(task(options, 0, bytes)) == Admission::sent);
    CHECK(master.container.backlog_size() == 0);
}

TEST_CASE("a pinned work goes to its socket alone, and the selector is not asked", "[unit]") {
    int asked = 0;
    Distributor<Function> master{{}, [&](DistributeContext& context) { return ++asked, context.sockets().front(); }};
    master.connect();
    master.connect();
    CHECK(master.submit(pinned_to(master.ids[1], 1)) == Admission::sent);
    CHECK(master.submit(pinned_to(master.ids[1], 2)) == Admission::queued);
    CHECK(master.submit(pinned_to(master.ids[0], 3)) == Admission::sent);
    CHECK(master.sent == Distributor<>::Sent{{1, 1}, {0, 3}});
    CHECK(asked == 0);
    master.answer(0);
    CHECK(master.held(0).empty());
    master.answer(1);
    CHECK(master.held(1) == Numbers{2});
    CHECK(master.submit(pinned_to(99, 4)) == Admission::gone);
    CHECK(asked == 0);
}

TEST_CASE("a pinned work is refused where its socket has no such type, or left", "[unit]") {
    Distributor<> master;
    master.connect({.slots = 1, .knows = {false, true}});
    master.connect();
    CHECK(master.submit(pinned_to(master.ids[0], 1)) == Admission::unknown_type);
    CHECK(master.held(0).empty());  // its session may know better by now: but it was refused
    master.submit_many(2, 2, SubmitOptions{}.max_attempts(1));
    const auto waits = pinned_to(master.ids[1], 3);
    CHECK(master.submit(waits) == Admission::queued);
    const auto given_back = master.disconnect(1);
    REQUIRE(given_back.size() == 1);
    CHECK(given_back[0] == waits);
    CHECK(waits->stage == Stage::done);
    CHECK(master.submit(pinned_to(master.ids[1], 4)) == Admission::gone);
    CHECK(master.container.quiet());
}

TEST_CASE("pinned works pass through a backlog that is full of what the selector declines", "[unit]") {
    Distributor<Function> master{{.max_backlog = 3}, [](DistributeContext&) { return nullptr; }};
    master.connect({.slots = 2});
    master.submit_many(1, 3);
    CHECK(master.container.backlog_size() == 3);
    CHECK(master.submit(numbered(4)) == Admission::backlog_full);
    CHECK(master.submit(pinned_to(master.ids[0], 5)) == Admission::sent);
    CHECK(master.submit(pinned_to(master.ids[0], 6)) == Admission::sent);
    CHECK(master.submit(pinned_to(master.ids[0], 7)) == Admission::backlog_full);
    CHECK(master.held(0) == Numbers{5, 6});
}

TEST_CASE("a small work does not overtake an older large one of its type, labels and priority", "[unit]") {
    Distributor<> master;
    master.connect();
    master.submit_many(1, 1);
    master.answer(0, 10us);
    for (int i = 2; i <= 3; ++i) CHECK(master.submit(numbered(i)) == Admission::sent);
    master.answer(0, 10us);
    const auto large = task(SubmitOptions{}, 0, 17 * mebibyte);
    large->number = 4;
    CHECK(master.submit(large) == Admission::queued);
    CHECK(master.submit(numbered(5)) == Admission::queued);
    while (!master.peers[0]->sent.empty()) master.answer(0, 10us);
    std::vector<int> order;
    for (const auto& [who, number] : master.sent) order.push_back(number);
    CHECK(order == Numbers{1, 2, 3, 4, 5});
}

TEST_CASE("a selector that throws declines the work, and what it threw is told once", "[unit]") {
    bool throws = true;
    Distributor<Function> master{{}, [&](DistributeContext& context) -> const SocketInformation* {
                                     if (throws) throw std::runtime_error{"no idea"};
                                     return context.sockets().front();
                                 }};
    master.connect({.slots = 5});
    CHECK(master.container.take_news().selector_error == nullptr);
    CHECK(master.submit(numbered(1)) == Admission::queued);
    CHECK(master.submit(numbered(2)) == Admission::queued);
    const auto error = master.container.take_news().selector_error;
    REQUIRE(error != nullptr);
    CHECK_THROWS_AS(std::rethrow_exception(error), std::runtime_error);
    CHECK(master.container.take_news().selector_error == nullptr);

    throws = false;
    CHECK(master.submit(numbered(3)) == Admission::sent);
    CHECK(master.container.update_socket_information(master.ids[0], 1));
    CHECK(master.held(0) == Numbers{3, 1, 2});
    CHECK(master.container.take_news().selector_error == nullptr);
}

TEST_CASE("a selector that declines a work is asked again when anything changed", "[unit]") {
    // Works of odd numbers wait for a slave whose value says so.
    const auto select = [](DistributeContext& context) -> const SocketInformation* {
        const bool odd = std::stoi(std::string{context.name()}) % 2 != 0;
        for (const SocketInformation* socket : context.sockets())
            if (!odd || socket->value.has_value()) return socket;
        return nullptr;
    };
    Distributor<Function> master{{}, select};
    master.connect({.slots = 9});
    for (int i = 1; i <= 6; ++i) master.submit(numbered(i, SubmitOptions{}.name(std::to_string(i))));
    CHECK(master.held(0) == Numbers{2, 4, 6});
    CHECK(master.container.backlog_size() == 3);
    CHECK_FALSE(master.container.update_socket_information(77, 1));
    CHECK(master.container.backlog_size() == 3);
    CHECK(master.container.update_socket_information(master.ids[0], 1));
    CHECK(master.held(0) == Numbers{2, 4, 6, 1, 3, 5});
    CHECK(std::any_cast<int>(master.information(0).value) == 1);
}

TEST_CASE("the selector is exchanged while works wait", "[unit]") {
    Distributor<AnySelector> master;
    master.container.socket_selector([](const DistributeContext&) -> const SocketInformation* { return nullptr; });
    master.connect({.slots = 2});
    master.connect({.slots = 2});
    master.submit_many(1, 5);
    CHECK(master.container.backlog_size() == 5);
    master.container.socket_selector([](const DistributeContext& context) -> const SocketInformation* {
        return context.sockets().size() == 2 ? context.from(1) : nullptr;
    });
    CHECK(master.sent == Distributor<>::Sent{{1, 1}, {1, 2}});
    master.container.socket_selector(LeastLoaded{});
    CHECK(master.held(0) == Numbers{3, 4});
    CHECK(master.container.backlog_size() == 1);
}

TEST_CASE("a selector is offered those with credit, type and labels, and at least one", "[unit]") {
    std::vector<std::set<std::size_t>> offers;
    Distributor<Function> master{{}, [&](DistributeContext& context) {
                                     std::set<std::size_t> places;
                                     for (const auto* socket : context.sockets()) places.insert(socket->place);
                                     offers.push_back(places);
                                     return context.from(0);
                                 }};
    master.connect();
    master.connect({.slots = 1, .labels = {"gpu"}});
    master.connect({.slots = 2, .labels = {"gpu"}, .knows = {true}});
    master.submit_many(1, 2, SubmitOptions{}.label("gpu"), 0);
    master.submit_many(3, 4, {}, 1);
    master.submit_many(5, 6, {}, 0);
    CHECK(offers == std::vector<std::set<std::size_t>>{{1, 2}, {2}, {0}, {2}});
    CHECK(master.container.backlog_size() == 2);
}

TEST_CASE("a work that a session refuses goes to another slave, until the session is heard of again", "[unit]") {
    Distributor<> master;
    for (int i = 0; i < 3; ++i) master.connect({.slots = 4});
    master.peers[1]->refuses = Errc::lost;
    for (int i = 1; i <= 8; ++i) CHECK(master.submit(numbered(i)) == Admission::sent);
    CHECK(master.held(0).size() == 4);
    CHECK(master.held(2).size() == 4);
    CHECK(master.peers[1]->refused == 1);
    CHECK(master.submit(numbered(9)) == Admission::queued);
    CHECK(master.peers[1]->refused == 1);

    SECTION("by an answer or a pong") {
        master.peers[1]->refuses = {};
        master.container.round_trip(master.ids[1], 1ms, {}, {});
        CHECK(master.held(1) == Numbers{9});
    }
    SECTION("and refuses again: the work goes on waiting") {
        master.container.round_trip(master.ids[1], 1ms, {}, {});
        CHECK(master.peers[1]->refused == 2);
        CHECK(master.container.backlog_size() == 1);
    }
    SECTION("or ends") {
        master.disconnect(1);
        CHECK(master.container.backlog_size() == 1);
        master.answer(0);
        CHECK(master.held(0).back() == 9);
    }
}

TEST_CASE("a pinned work that its session refuses waits for it", "[unit]") {
    Distributor<> master;
    master.connect();
    master.connect();
    master.peers[0]->refuses = Errc::outbox_full;
    const auto work = pinned_to(master.ids[0], 1);
    CHECK(master.submit(work) == Admission::queued);
    CHECK(master.held(1).empty());
    master.peers[0]->refuses = {};
    master.container.round_trip(master.ids[0], 1ms, {}, {});
    CHECK(master.held(0) == Numbers{1});
}

TEST_CASE("a draining slave gets nothing new, and finishes what it has", "[unit]") {
    Distributor<> master;
    master.connect({.slots = 2});
    master.connect({.slots = 2});
    master.submit_many(1, 2);
    master.container.drain(master.ids[0]);
    CHECK(master.information(0).draining);
    master.submit_many(3, 5);
    CHECK(master.held(0) == Numbers{1});
    CHECK(master.held(1) == Numbers{2, 3});
    master.answer(0);
    master.container.round_trip(master.ids[0], 1ms, {}, {});
    CHECK(master.held(0).empty());
    CHECK(master.container.backlog_size() == 2);
    CHECK(master.submit(pinned_to(master.ids[0], 6)) == Admission::queued);
}

TEST_CASE("selectors are offered slaves with a free slot, while there are any", "[unit]") {
    Distributor<AnySelector> master;
    for (int i = 0; i < 3; ++i) master.connect();
    for (const std::size_t who : {0u, 1u, 2u}) master.submit(numbered(0)), master.answer(who, 1us);
    std::vector<std::size_t> offered;
    master.container.socket_selector(AnySelector{[&](DistributeContext& context) {
        offered.push_back(context.sockets().size());
        for (const auto* socket : context.sockets()) CHECK((socket->free_slots == 1 || context.sockets().size() == 3));
        return context.sockets().front();
    }});
    for (int i = 1; i <= 4; ++i) CHECK(master.submit(numbered(i)) == Admission::sent);
    CHECK(offered == std::vector<std::size_t>{3, 2, 1, 3});
}

}  // namespace dispatcher_test
