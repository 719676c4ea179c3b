#include "distwork/base/machine_load.hpp"

#include <chrono>

#include "support/catch.hpp"

namespace machine_load_test {

using namespace std::chrono_literals;
using namespace distwork::detail;

TEST_CASE("the machine is looked at twice a second, however often it is asked for", "[unit]") {
    RecentMachineLoad load;
    int looked = 0;
    const auto measure = [&looked] { return MachineLoad{.load_average = double(++looked), .free_memory = 0}; };
    RecentMachineLoad::TimePoint now{1h};
    for (int i = 0; i < 10'000; ++i) load.at(now += 1ms, measure);
    CHECK(looked == 20);
    CHECK(load.at(now, measure).load_average == 20);
}

}  // namespace machine_load_test
