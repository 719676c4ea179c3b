#include "distwork/dispatch/amount_pool.hpp"

#include <map>
#include <string>

#include "distwork/base/amounts.hpp"
#include "support/catch.hpp"
#include "support/distributor.hpp"

namespace amount_pool_test {

using namespace support;
using detail::AmountPool;
using detail::Amounts;
using Stage = detail::Submission::Stage;

TaskPtr asking(int number, double gpus, int priority = 0) {
    const auto work = numbered(number, SubmitOptions{}.amount("gpu", gpus).priority(priority));
    work->sequence = static_cast<std::uint64_t>(number);
    work->stage = Stage::backlog;
    return work;
}

TEST_CASE("a pool has what was not taken", "[unit]") {
    AmountPool pool{Amounts{{"cpu", 40'000}, {"gpu", 20'000}, {"memory", 100}}};
    CHECK(pool.has({}));
    CHECK(pool.has({{"gpu", 20'000}, {"memory", 100}}));
    CHECK_FALSE(pool.has({{"gpu", 20'001}}));
    CHECK_FALSE(pool.has({{"disk", 1}}));
    CHECK_FALSE(pool.has({{"gpu", 1}, {"zoo", 1}}));

    const auto one = asking(1, 1.5);
    CHECK(pool.has_free(*one));
    pool.take(*one);
    CHECK_FALSE(pool.has_free(*one));
    CHECK(pool.has_free(*asking(2, 0.5)));
    CHECK_FALSE(pool.has_free(*asking(2, 0.5001)));
    CHECK(pool.has(one->options.amounts()));
    pool.give_back(*one);
    CHECK(pool.has_free(*asking(2, 2)));
}

TEST_CASE("a pool that is kept for a work is not given to later ones", "[unit]") {
    AmountPool pool{Amounts{{"gpu", 20'000}}};
    const auto large = asking(10, 2);
    CHECK_FALSE(pool.is_kept());
    pool.keep_for(*large);
    CHECK(pool.is_kept_for(*large));
    CHECK_FALSE(pool.is_kept_for(*asking(11, 2)));
    CHECK(pool.has_free(*large));
    CHECK_FALSE(pool.has_free(*asking(11, 1)));
    CHECK(pool.has_free(*asking(9, 1)));      // it came before
    CHECK(pool.has_free(*asking(11, 1, 1)));  // it has a higher priority
    CHECK_FALSE(pool.has_free(*asking(11, 1, -1)));
    pool.keep_for_nobody();
    CHECK(pool.has_free(*asking(11, 1)));
}

TEST_CASE("whole units go to one work, and parts come from the unit with the least that suffices", "[unit]") {
    AmountPool pool{Amounts{{"gpu", 40'000}}, {{"gpu", 4}}};
    const auto small = asking(1, 0.3);
    const auto half = asking(2, 0.5);
    const auto three = asking(3, 3);
    pool.take(*small);
    CHECK(small->given_units == 1);
    CHECK(small->given.part == 1);
    pool.take(*half);
    CHECK(half->given_units == 1);  // the same unit
    pool.take(*three);
    CHECK(three->given.whole == 0b1110);
    CHECK_FALSE(pool.has_free(*asking(4, 0.3)));
    CHECK(pool.has_free(*asking(4, 0.2)));
    pool.give_back(*small);
    CHECK(small->given_units == 0);
    CHECK(pool.has_free(*asking(4, 0.5)));
    CHECK_FALSE(pool.has_free(*asking(4, 1)));
    pool.give_back(*half);
    CHECK(pool.has_free(*asking(4, 1)));
    pool.give_back(*three);
    CHECK(pool.has_free(*asking(4, 4)));
    CHECK(pool.has_free(*asking(4, 3.5)));
    CHECK_FALSE(pool.has(Amounts{{"gpu", 40'001}}));
}

TEST_CASE("parts of several units make no whole one", "[unit]") {
    AmountPool pool{Amounts{{"gpu", 20'000}}, {{"gpu", 2}}};
    const auto one = asking(1, 0.6);
    const auto other = asking(2, 0.6);
    pool.take(*one);
    pool.take(*other);
    CHECK(one->given_units == 1);
    CHECK(other->given_units == 2);
    CHECK_FALSE(pool.has_free(*asking(3, 0.8)));  // 0.8 are free, in two parts
    CHECK(pool.has_free(*asking(3, 0.4)));
}

TEST_CASE("which amounts are indexed is checked", "[unit]") {
    const std::map<std::string, double> has{{"gpu", 2}, {"memory", 2.5}, {"cpu", 63}};
    CHECK(detail::indexed_amounts(has, {"gpu", "gpu"}, "x") == detail::IndexedAmounts{{"gpu", 2}});
    CHECK_THROWS_AS(detail::indexed_amounts(has, {"memory"}, "x"), Error);
    CHECK_THROWS_AS(detail::indexed_amounts(has, {"none"}, "x"), Error);
    CHECK_THROWS_AS(detail::indexed_amounts(has, {"cpu", "gpu"}, "x"), Error);
}

TEST_CASE("what a peer says it has is taken as far as options allow it", "[unit]") {
    CHECK(detail::amounts_of_peer(
              {{"gpu", 5000}, {"none", 0}, {"much", ~std::uint64_t{0}}, {std::string(257, 'x'), 1}}) ==
          std::map<std::string, double>{{"gpu", 0.5}});
    Amounts many;
    for (int i = 0; i != 1000; ++i) many.emplace_back(std::to_string(i), 1);
    CHECK(detail::amounts_of_peer(many).size() == 64);
    CHECK(detail::amount_units({{"gpu", 0.3}}, "SlaveOptions::amounts") == Amounts{{"gpu", 3000}});
}

}  // namespace amount_pool_test
