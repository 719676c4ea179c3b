#include "distwork/dispatch/affinities.hpp"

#include <cstdint>

#include "support/catch.hpp"

namespace affinities_test {

using distwork::detail::Affinities;

TEST_CASE("a key is of the slave that had it last", "[unit]") {
    Affinities keys;
    CHECK(keys.slave_of(1) == 0);
    keys.note(1, 7);
    keys.note(2, 8);
    CHECK(keys.slave_of(1) == 7);
    keys.note(1, 8);
    CHECK(keys.slave_of(1) == 8);
    CHECK(keys.slave_of(2) == 8);
}

TEST_CASE("of too many keys, the one that was not used for longest is forgotten", "[unit]") {
    Affinities keys;
    for (std::uint64_t key = 1; key <= Affinities::most_keys; ++key) keys.note(key, key);
    keys.note(1, 5);  // used again
    keys.note(Affinities::most_keys + 1, 9);
    CHECK(keys.slave_of(1) == 5);
    CHECK(keys.slave_of(2) == 0);
    CHECK(keys.slave_of(3) == 3);
    CHECK(keys.slave_of(Affinities::most_keys + 1) == 9);
}

}  // namespace affinities_test
