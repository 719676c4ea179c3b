#include "distwork/selector.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "support/catch.hpp"
#include "support/choice.hpp"

namespace selector_test {

using namespace support;

TEST_CASE("round robin takes each in turn", "[unit]") {
    Choice choice{5};
    RoundRobin selector;
    std::vector<std::size_t> places;
    for (int i = 0; i < 12; ++i) {
        if (i == 7) choice.set.erase(3);
        places.push_back(selector(choice.context())->place);
    }
    CHECK(places == std::vector<std::size_t>{0, 1, 2, 3, 4, 0, 1, 2, 4, 0, 1, 2});
}

TEST_CASE("the least loaded is who has the fewest works for each slot", "[unit]") {
    Choice choice{3};
    choice.sockets[0].slots = 1;
    choice.sockets[1].slots = 2;
    choice.sockets[2].slots = 5;
    LeastLoaded selector;
    CHECK(choice.choose(selector, 80) == std::vector<std::size_t>{10, 20, 50});
}

TEST_CASE("of two chosen at random the less loaded is nearly as good as of all", "[unit]") {
    Choice choice{50};
    PowerOfTwoChoices selector;
    const auto counts = choice.choose(selector, 5000);
    CHECK(*std::max_element(counts.begin(), counts.end()) <= 110);
    CHECK(*std::min_element(counts.begin(), counts.end()) >= 90);

    PowerOfTwoChoices one{1};
    PowerOfTwoChoices same{1};
    PowerOfTwoChoices other{2};
    Choice a{50}, b{50}, c{50};
    const auto first = a.choose(one, 100);
    CHECK(first == b.choose(same, 100));
    CHECK(first != c.choose(other, 100));
    Choice alone{1};
    CHECK(alone.choose(selector, 10) == std::vector<std::size_t>{10});
}

TEST_CASE("any selector is round robin, until it is another", "[unit]") {
    Choice choice{4};
    AnySelector selector;
    CHECK(choice.choose(selector, 8) == std::vector<std::size_t>{2, 2, 2, 2});
    selector = [](const DistributeContext& context) { return context.sockets().back(); };
    CHECK(choice.choose(selector, 4) == std::vector<std::size_t>{0, 0, 0, 4});
    selector = LeastLoaded{};
    CHECK(choice.choose(selector, 4)[3] == 0);
    static_assert(SocketSelector<RoundRobin> && SocketSelector<LeastLoaded> && SocketSelector<PowerOfTwoChoices> &&
                  SocketSelector<AnySelector>);
    static_assert(!SocketSelector<int>);
}

}  // namespace selector_test
