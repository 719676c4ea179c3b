#include "distwork/groups/chunk_size.hpp"

#include <chrono>

#include "support/catch.hpp"

namespace chunk_size_test {

using distwork::detail::ChunkSize;
using namespace std::chrono_literals;

TEST_CASE("until a time was measured, elements travel alone", "[unit]") {
    ChunkSize size;
    CHECK(size.next() == 1);
    size.measured(0, 1ms);
    size.measured(1, 0ns);
    CHECK(size.next() == 1);
}

TEST_CASE("as many elements share a work as take two milliseconds, within bounds", "[unit]") {
    ChunkSize size;
    size.measured(10, 100us);
    CHECK(size.next() == 200);
    ChunkSize tiny;
    tiny.measured(1000, 1us);
    CHECK(tiny.next() == ChunkSize::most);
    ChunkSize large;
    large.measured(1, 1h);
    CHECK(large.next() == 1);
}

TEST_CASE("the number follows the latest times", "[unit]") {
    ChunkSize size;
    size.measured(1, 1us);
    for (int i = 0; i < 40; ++i) size.measured(100, 10ms);
    CHECK(size.next() >= 18);
    CHECK(size.next() <= 22);
    for (int i = 0; i < 60; ++i) size.measured(100, 100us);
    CHECK(size.next() > 1800);
}

}  // namespace chunk_size_test
