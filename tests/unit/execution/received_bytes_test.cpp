#include "distwork/execution/received_bytes.hpp"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace received_bytes_test {

using namespace distwork::detail;

TEST_CASE("bytes are counted while their owner lives, and beyond the bound they are not", "[unit]") {
    const auto all = std::make_shared<ReceivedBytes>(100);
    const auto one = std::make_shared<ReceivedBytes>(60, all);
    std::vector<CountedBytes> held;
    const auto add = [&](const std::shared_ptr<ReceivedBytes>& to, std::size_t bytes) {
        auto counted = CountedBytes::try_add(to, bytes);
        if (counted) held.push_back(std::move(*counted));
        return counted.has_value();
    };
    CHECK(add(one, 40));
    CHECK_FALSE(add(one, 21));
    CHECK(add(one, 20));
    held.clear();
    CHECK(add(one, 60));
    CHECK_FALSE(one->is_too_much());
}

TEST_CASE("one work of each peer has room, and a little, whatever others have", "[unit]") {
    const auto all = std::make_shared<ReceivedBytes>(10'000);
    const auto one = std::make_shared<ReceivedBytes>(6'400, all);
    const auto other = std::make_shared<ReceivedBytes>(6'400, all);
    const auto large = CountedBytes::try_add(one, 20'000);  // the first, however large
    CHECK(large);
    const auto first = CountedBytes::try_add(other, 50);
    const auto second = CountedBytes::try_add(other, 50);
    CHECK(first);
    CHECK(second);
    CHECK_FALSE(CountedBytes::try_add(other, 50));  // all have too much, and it has its share
    CHECK(CountedBytes::try_add(nullptr, 1000));    // nothing is counted
}

}  // namespace received_bytes_test
