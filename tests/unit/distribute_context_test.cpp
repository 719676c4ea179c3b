#include "distwork/distribute_context.hpp"

#include <any>
#include <cstddef>
#include <random>
#include <string>

#include "support/catch.hpp"
#include "support/choice.hpp"

namespace distribute_context_test {

using namespace support;

TEST_CASE("a selector sees the work, its options and the sockets, and may keep a value with a socket", "[unit]") {
    Choice choice{3};
    const DistributeContext context = choice.context();
    CHECK(context.sockets().size() == 3);
    CHECK(&context.work() == &choice.submission->work());
    CHECK(context.name() == "nightly");
    CHECK(context.type_name() == "type 0");
    CHECK(context.options().priority() == 2);
    context.update_socket_information(context.sockets()[1], std::string{"kept"});
    CHECK(std::any_cast<std::string>(context.sockets()[1]->value) == "kept");
}

TEST_CASE("a context knows the round with and without a ready set", "[unit]") {
    std::mt19937 random{9};
    Choice choice{200};
    for (int step = 0; step < 500; ++step) {
        const std::size_t place = random() % 200;
        if (random() % 3 == 0) choice.set.insert(place, &choice.sockets[place]);
        else choice.set.erase(place);
        if (choice.set.empty()) continue;
        const DistributeContext fast = choice.context();
        const DistributeContext slow{*choice.submission, choice.set.sockets(), nullptr};
        const std::size_t from = random() % 220;
        REQUIRE(fast.from(from) == slow.from(from));
    }
}

}  // namespace distribute_context_test
