#include "distwork/execution/received_works.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "distwork/execution/received_bytes.hpp"
#include "support/catch.hpp"
#include "support/fake_peer.hpp"

namespace received_works_test {

using namespace distwork::detail;
using support::FakePeer;

namespace {

/// So many works, from one peer or from two in turns.
struct Line {
    void add(std::uint64_t count, std::size_t bytes = 0) {
        const std::vector<std::byte> body(bytes);
        for (std::uint64_t id = 1; id <= count; ++id) {
            const auto batch =
                WorkBatch::copy(id % 2 ? one : other, std::vector<WorkBatch::Item>{{.id = id, .body = body}});
            batch->count_in(received);
            works.push(batch);
        }
    }

    std::shared_ptr<FakePeer> one = std::make_shared<FakePeer>();
    std::shared_ptr<FakePeer> other = std::make_shared<FakePeer>();
    std::shared_ptr<ReceivedBytes> received;
    ReceivedWorks works;
};

}  // namespace

TEST_CASE("works are found among many, however often they are looked for", "[unit]") {
    Line line;
    constexpr std::uint64_t count = 50'000;
    line.add(count);
    // From the last to the first: each search would pass all that are left. Every third stays.
    for (std::uint64_t id = count; id >= 1; --id) {
        FakePeer& its = id % 2 ? *line.one : *line.other;
        FakePeer& not_its = id % 2 ? *line.other : *line.one;
        REQUIRE_FALSE(line.works.drop(not_its, id));
        if (id % 3 != 0) {
            REQUIRE(line.works.drop(its, id));
            REQUIRE_FALSE(line.works.drop(its, id));
        }
        REQUIRE_FALSE(line.works.contains(its, count + id));
    }
    line.add(2);  // behind an index
    std::shared_ptr<WorkBatch> batch;
    WorkBatch::Item item;
    for (std::uint64_t id = 3; id <= count; id += 3) {
        REQUIRE(line.works.take(batch, item));
        REQUIRE(item.id == id);
        REQUIRE_FALSE(line.works.contains(id % 2 ? *line.one : *line.other, id));
    }
    CHECK(line.works.contains(*line.one, 1));
    line.works.drop_all(*line.one);
    CHECK_FALSE(line.works.contains(*line.one, 1));
    REQUIRE(line.works.take(batch, item));
    CHECK(item.id == 2);
    CHECK_FALSE(line.works.take(batch, item));
}

TEST_CASE("the bytes of works count until they begin, are dropped, or their peer is gone", "[unit]") {
    Line line;
    const auto all = std::make_shared<ReceivedBytes>(1000);
    line.received = std::make_shared<ReceivedBytes>(250, all);
    const ReceivedBytes idle{250, all};
    line.add(2, 100);
    CHECK_FALSE(line.received->is_too_much());
    line.add(1, 100);
    CHECK(line.received->is_too_much());
    std::shared_ptr<WorkBatch> batch;
    WorkBatch::Item item;
    REQUIRE(line.works.take(batch, item));
    CHECK_FALSE(line.received->is_too_much());
    all->add(900);
    CHECK(line.received->is_too_much());  // others have too much, and this one has some
    CHECK_FALSE(idle.is_too_much());      // one work of each always passes
    all->remove(900);
    line.add(2, 200);
    CHECK(line.received->is_too_much());
    line.works.clear();
    batch.reset();
    CHECK_FALSE(line.received->is_too_much());
    line.received->add(250);
    CHECK_FALSE(line.received->is_too_much());  // nothing was left over
    line.received->add(1);
    CHECK(line.received->is_too_much());
}

}  // namespace received_works_test
