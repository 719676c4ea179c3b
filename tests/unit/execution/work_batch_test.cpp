#include "distwork/execution/work_batch.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "support/catch.hpp"
#include "support/fake_peer.hpp"

namespace work_batch_test {

using namespace distwork;
using namespace distwork::detail;
using support::FakePeer;

TEST_CASE("bodies of a batch outlive the buffer that they were read into", "[unit]") {
    std::vector<std::byte> buffer(300, std::byte{1});
    const std::vector<WorkBatch::Item> items{{.id = 1, .body = std::span{buffer}.first(100)},
                                             {.id = 2, .body = {}},
                                             {.id = 3, .body = std::span{buffer}.last(200)}};
    const auto batch = WorkBatch::copy(std::make_shared<FakePeer>(), items);
    std::fill(buffer.begin(), buffer.end(), std::byte{9});
    REQUIRE(batch->items.size() == 3);
    CHECK(batch->items[0].body.size() == 100);
    CHECK(batch->items[1].body.empty());
    CHECK(batch->items[2].body.size() == 200);
    for (const auto& item : batch->items)
        CHECK(std::all_of(item.body.begin(), item.body.end(), [](std::byte byte) { return byte == std::byte{1}; }));
}

}  // namespace work_batch_test
