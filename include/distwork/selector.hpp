#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>

#include "base/split_mix.hpp"
#include "distribute_context.hpp"
#include "socket_information.hpp"

namespace distwork {

/// A selector returns one of `context.sockets()`, or null for "not now"; then the work is offered again when credit
/// returns. It is called for every work, under the container's lock: it must not block and must not call the master.
template <class S>
concept SocketSelector =
    std::invocable<S&, DistributeContext&> && std::convertible_to < std::invoke_result_t<S&, DistributeContext&>,
const SocketInformation* > ;

/// Takes the slaves in turn, in the order in which they connected. The default.
class RoundRobin {
public:
    /// Selects a slave.
    const SocketInformation* operator()(const DistributeContext& context) noexcept {
        const SocketInformation* const socket = context.from(next_);
        next_ = socket->place + 1;
        return socket;
    }

private:
    std::size_t next_ = 0;
};

/// Takes the slave with the fewest works in flight for each of its slots. Its cost grows with the number of slaves.
class LeastLoaded {
public:
    /// Selects a slave.
    const SocketInformation* operator()(const DistributeContext& context) const noexcept {
        const SocketInformation* best = context.sockets().front();
        for (const SocketInformation* socket : context.sockets())
            if (socket->load() < best->load()) best = socket;
        return best;
    }
};

/// Takes the less loaded of two slaves chosen at random: almost as even as LeastLoaded, at a constant cost. *Source*:
/// M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001.
class PowerOfTwoChoices {
public:
    /// Equal seeds make equal choices.
    explicit PowerOfTwoChoices(std::uint64_t seed = 0x9e3779b97f4a7c15) : random_{seed} {}

    /// Selects a slave.
    const SocketInformation* operator()(const DistributeContext& context) noexcept {
        const auto sockets = context.sockets();
        const SocketInformation* const one = sockets[below(sockets.size())];
        const SocketInformation* const other = sockets[below(sockets.size())];
        return other->load() < one->load() ? other : one;
    }

private:
    /// Scales a random number to [0, bound) without a division.
    std::size_t below(std::size_t bound) noexcept {
        return static_cast<std::size_t>(((random_.next() >> 32) * bound) >> 32);
    }

    detail::SplitMix64 random_;
};

/// Holds any selector, which may be replaced while the master runs: `Master<AnySelector>`, then `socket_selector(f)`.
class AnySelector {
public:
    /// Uses RoundRobin until it is replaced.
    AnySelector() : select_{RoundRobin{}} {}

    /// Uses any function object that is a SocketSelector.
    template <SocketSelector S>
    requires(!std::same_as<std::remove_cvref_t<S>, AnySelector>) AnySelector(S&& selector)
        : select_{std::forward<S>(selector)} {}

    /// Selects a slave.
    const SocketInformation* operator()(DistributeContext& context) { return select_(context); }

private:
    std::function<const SocketInformation*(DistributeContext&)> select_;
};

}  // namespace distwork
