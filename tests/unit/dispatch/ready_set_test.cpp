#include "distwork/dispatch/ready_set.hpp"

#include <algorithm>
#include <cstddef>
#include <random>
#include <set>
#include <vector>

#include "distwork/socket_information.hpp"
#include "support/catch.hpp"

namespace ready_set_test {

using namespace distwork;
using namespace distwork::detail;

TEST_CASE("a ready set of nothing has nobody", "[unit]") {
    ReadySet set;
    CHECK(set.empty());
    CHECK(set.sockets().empty());
    CHECK(set.from(0) == nullptr);
    CHECK(set.from(100'000) == nullptr);
    CHECK_FALSE(set.contains(0));
    set.erase(7);
    SocketInformation one;
    set.insert(5000, &one);
    set.erase(5000);
    CHECK(set.empty());
    CHECK(set.from(0) == nullptr);
    CHECK(set.from(5000) == nullptr);
}

TEST_CASE("a ready set agrees with an ordered set, whatever is done to it", "[unit]") {
    // Few places, a word, several words, beyond one block of 4,096, beyond two.
    for (const std::size_t places :
         {std::size_t{3}, std::size_t{64}, std::size_t{65}, std::size_t{1000}, std::size_t{5200}, std::size_t{9000}}) {
        for (const unsigned dense : {1u, 8u, 15u}) {  // of 16 operations so many insert
            std::mt19937 random{static_cast<unsigned>(places) + dense};
            std::vector<SocketInformation> sockets(places);
            for (std::size_t i = 0; i < places; ++i) sockets[i].place = i;
            ReadySet set;
            std::set<std::size_t> model;
            bool same = true;
            for (int step = 0; step < 20'000 && same; ++step) {
                const std::size_t place = random() % places;
                if (random() % 16 < dense) set.insert(place, &sockets[place]), model.insert(place);
                else set.erase(place), model.erase(place);
                const std::size_t from = random() % (places + 70);
                auto next = model.lower_bound(from);
                if (next == model.end()) next = model.begin();
                const SocketInformation* const found = set.from(from);
                same = set.contains(place) == model.contains(place) && set.empty() == model.empty() &&
                       set.sockets().size() == model.size() &&
                       (model.empty() ? found == nullptr : found == &sockets[*next]);
            }
            CAPTURE(places, dense);
            REQUIRE(same);
            std::set<std::size_t> listed;
            for (const SocketInformation* socket : set.sockets()) listed.insert(socket->place);
            CHECK(listed == model);
        }
    }
}

TEST_CASE("a ready set goes round over gaps of any width", "[unit]") {
    std::vector<SocketInformation> sockets(20'000);
    for (std::size_t i = 0; i < sockets.size(); ++i) sockets[i].place = i;
    const std::vector<std::size_t> sets[] = {{0, 63, 64, 127, 4095, 4096, 4160, 8191, 8192, 19'999},
                                             {5, 4100},  // alone in the first word of a block
                                             {70, 8255, 12'350},
                                             {16'383}};
    for (const auto& there : sets) {
        ReadySet set;
        for (const std::size_t place : there) set.insert(place, &sockets[place]);
        bool same = true;
        for (std::size_t from = 0; from < 20'100; ++from) {
            const auto next = std::lower_bound(there.begin(), there.end(), from);
            same = same && set.from(from)->place == (next == there.end() ? there.front() : *next);
        }
        CAPTURE(there.size());
        CHECK(same);
    }
}

}  // namespace ready_set_test
