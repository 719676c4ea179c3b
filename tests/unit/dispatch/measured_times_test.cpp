#include "distwork/dispatch/measured_times.hpp"

#include <chrono>
#include <memory>

#include "distwork/dispatch/slave_table.hpp"
#include "support/catch.hpp"
#include "support/distributor.hpp"
#include "support/fake_peer.hpp"

namespace measured_times_test {

using namespace std::chrono_literals;
using namespace distwork;
using namespace distwork::detail;
using support::numbered;

namespace {

struct Slaves {
    Socket& add() { return table.add({}, std::make_shared<support::FakePeer>(), {}, 4, 1 << 20, 0); }

    /// A work was sent `waited` ago; its slave says that its execution took `said`.
    void answer(Socket& socket, std::chrono::nanoseconds waited, std::chrono::nanoseconds said) {
        const auto work = numbered(1);
        table.times.reserve(socket, work->type());
        socket.in_flight.push(*work, {}, now);
        now += waited;
        socket.in_flight.remove(*work, now);
        Reply reply;
        reply.execution_time = said;
        table.times.measure(socket, *work, reply, now);
    }
    std::chrono::nanoseconds estimate(const Socket& socket) {
        return table.times.estimate(socket, numbered(1)->type());
    }

    SlaveTable table;
    CreditWindow::TimePoint now{1h};
};

}  // namespace

TEST_CASE("a slave is measured by its own works, and a new one by those of the others", "[unit]") {
    Slaves slaves;
    Socket& fast = slaves.add();
    Socket& slow = slaves.add();
    Socket& newcomer = slaves.add();
    CHECK(slaves.estimate(newcomer) == 0ns);
    for (int i = 0; i < 50; ++i) slaves.answer(fast, 1ms, 100us), slaves.answer(slow, 10ms, 300us);
    CHECK(slaves.estimate(fast) == 100us);
    CHECK(slaves.estimate(slow) == 300us);
    CHECK(slaves.estimate(newcomer) > 100us);
    CHECK(slaves.estimate(newcomer) < 300us);
    CHECK_FALSE(slaves.table.times.is_short_everywhere(numbered(1)->type()));
    slaves.table.times.forget(slow);
    CHECK(slaves.table.times.is_short_everywhere(numbered(1)->type()));
}

TEST_CASE("what a slave says of its works moves hardly anything elsewhere", "[unit]") {
    Slaves slaves;
    Socket& honest = slaves.add();
    Socket& liar = slaves.add();
    Socket& newcomer = slaves.add();
    for (int i = 0; i < 50; ++i) slaves.answer(honest, 1ms, 200us);
    // It cannot have executed for longer than the master has waited.
    slaves.answer(liar, 1ms, 24h * 365);
    CHECK(slaves.estimate(liar) == 1ms);
    CHECK(slaves.estimate(newcomer) < 300us);
    slaves.answer(liar, 1ms, 0ns);
    CHECK(slaves.estimate(newcomer) > 150us);
    for (int i = 0; i < 1000; ++i) slaves.answer(liar, 1us, 0ns);
    CHECK(slaves.estimate(honest) == 200us);
    CHECK(slaves.table.times.is_short_everywhere(numbered(1)->type()));
}

}  // namespace measured_times_test
