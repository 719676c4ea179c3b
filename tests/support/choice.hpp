#pragma once

#include <cstddef>
#include <vector>

#include "distwork/dispatch/ready_set.hpp"
#include "distwork/distribute_context.hpp"
#include "distwork/socket_information.hpp"
#include "support/catch.hpp"
#include "support/distributor.hpp"

namespace support {

/// Sockets that a selector chooses from, without a container.
struct Choice {
    explicit Choice(std::size_t count, std::size_t slots = 1) : sockets(count) {
        for (std::size_t i = 0; i < count; ++i) {
            sockets[i].id = i + 1;
            sockets[i].place = i;
            sockets[i].slots = slots;
            set.insert(i, &sockets[i]);
        }
    }

    DistributeContext context() { return {*submission, set.sockets(), &set}; }

    /// How often each was chosen; each choice makes it busier.
    template <class Selector>
    std::vector<std::size_t> choose(Selector& selector, std::size_t times) {
        std::vector<std::size_t> counts(sockets.size());
        for (std::size_t i = 0; i < times; ++i) {
            DistributeContext now = context();
            const SocketInformation* const chosen = selector(now);
            REQUIRE(chosen != nullptr);
            ++counts[chosen->place];
            ++sockets[chosen->place].in_flight;
        }
        return counts;
    }

    TaskPtr submission = task(SubmitOptions{}.priority(2).label("gpu").name("nightly"));
    std::vector<SocketInformation> sockets;
    ReadySet set;
};

}  // namespace support
