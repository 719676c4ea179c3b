#include "distwork/wire/large_blocks.hpp"

#include <cstddef>
#include <vector>

#include "support/catch.hpp"
#include "support/spare_blocks.hpp"

namespace large_blocks_test {

using support::drain_spare_blocks;

TEST_CASE("a large block is used again by one that is not much smaller", "[unit]") {
    using distwork::detail::make_large_bytes;
    for (const std::size_t bytes : {100'000u, 200'000u, 300'000u}) drain_spare_blocks(bytes);
    const auto address = [](std::size_t bytes) { return static_cast<const void*>(make_large_bytes(bytes).get()); };
    const void* const first = address(300'000);
    auto again = make_large_bytes(200'000);
    CHECK(again.get() == first);
    CHECK(again.get_deleter().bytes == 300'000);
    CHECK(address(300'000) != first);  // it is in use
    drain_spare_blocks(300'000);
    again.reset();
    CHECK(address(100'000) != first);  // too small for it
    CHECK(address(300'001) != first);  // too large
    CHECK(address(299'999) == first);
}

TEST_CASE("blocks that are not used are kept only up to a bound", "[unit]") {
    constexpr std::size_t bytes = 3 * 1024 * 1024;
    {
        std::vector<distwork::detail::LargeBytes> blocks;
        for (int i = 0; i < 40; ++i) blocks.push_back(distwork::detail::make_large_bytes(bytes));
    }
    const std::size_t kept = drain_spare_blocks(bytes);
    CHECK(kept > 0);
    CHECK(kept <= 16 * 1024 * 1024);
}

}  // namespace large_blocks_test
