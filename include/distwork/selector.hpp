#pragma once

#include <any>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ready_set.hpp"
#include "socket_information.hpp"
#include "submission.hpp"

namespace distwork {

/// One choice: the work, and the sockets that can take it now. Made by SocketContainer for each call of the selector.
class DistributeContext {
public:
    /// `all`: the sockets are exactly those of a ReadySet, which knows their order.
    DistributeContext(const Submission& submission, std::span<const SocketInformation* const> sockets,
                      const ReadySet* all)
        : submission_{submission}, sockets_{sockets}, all_{all} {}

    /// The connected slaves that have credit, the work's type and its labels; at least one, in no order.
    std::span<const SocketInformation* const> sockets() const noexcept { return sockets_; }

    const IWork& work() const noexcept { return submission_.work(); }
    std::string_view name() const noexcept { return submission_.name(); }
    const std::string& type_name() const noexcept { return submission_.type().name; }
    const SubmitOptions& options() const noexcept { return submission_.options; }

    /// The first of `sockets()` at this place in the round of all sockets, or behind it, going round.
    const SocketInformation* from(std::size_t place) const noexcept {
        if (all_) return all_->from(place);
        const SocketInformation* best = nullptr;
        // Those before `place` come after all others.
        const auto turn = [place](const SocketInformation* socket) {
            return std::pair{socket->place < place, socket->place};
        };
        for (const SocketInformation* socket : sockets_)
            if (!best || turn(socket) < turn(best)) best = socket;
        return best;
    }

    /// Sets the host's own value of one of `sockets()`, as SocketContainer::update_socket_information does from
    /// outside.
    void update_socket_information(const SocketInformation* socket, std::any value) const {
        // The container owns its sockets and calls the selector under its exclusive lock.
        const_cast<SocketInformation*>(socket)->value = std::move(value);
    }

private:
    const Submission& submission_;
    std::span<const SocketInformation* const> sockets_;
    const ReadySet* all_;
};

/// A selector names one of `context.sockets()`, or null: "not now", and the work is offered again when credit returns.
/// It is asked for every work, under the container's lock: it must not block and must not call the master.
template <class S>
concept SocketSelector =
    std::invocable<S&, DistributeContext&> && std::convertible_to < std::invoke_result_t<S&, DistributeContext&>,
const SocketInformation* > ;

/// Each slave in turn, in the order in which they connected. The default.
class RoundRobin {
public:
    const SocketInformation* operator()(const DistributeContext& context) noexcept {
        const SocketInformation* const socket = context.from(next_);
        next_ = socket->place + 1;
        return socket;
    }

private:
    std::size_t next_ = 0;
};

/// The slave with the fewest works in flight for each of its slots. Looks at all of them.
class LeastLoaded {
public:
    const SocketInformation* operator()(const DistributeContext& context) const noexcept {
        const SocketInformation* best = context.sockets().front();
        for (const SocketInformation* socket : context.sockets())
            if (socket->load() < best->load()) best = socket;
        return best;
    }
};

/// The less loaded of two slaves chosen at random: nearly as even as LeastLoaded, at a cost that does not grow.
/// *Source*: M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001.
class PowerOfTwoChoices {
public:
    explicit PowerOfTwoChoices(std::uint64_t seed = 0x9e3779b97f4a7c15) : state_{seed} {}

    const SocketInformation* operator()(const DistributeContext& context) noexcept {
        const auto sockets = context.sockets();
        const SocketInformation* const one = sockets[below(sockets.size())];
        const SocketInformation* const other = sockets[below(sockets.size())];
        return other->load() < one->load() ? other : one;
    }

private:
    /// splitmix64, scaled down without a division.
    std::size_t below(std::size_t bound) noexcept {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        z ^= z >> 31;
        return static_cast<std::size_t>(((z >> 32) * bound) >> 32);
    }

    std::uint64_t state_;
};

/// Any selector, to be exchanged while the master runs: `Master<AnySelector>`, then `socket_selector(f)`.
class AnySelector {
public:
    AnySelector() : select_{RoundRobin{}} {}

    template <SocketSelector S>
    requires(!std::same_as<std::remove_cvref_t<S>, AnySelector>) AnySelector(S&& selector)
        : select_{std::forward<S>(selector)} {}

    const SocketInformation* operator()(DistributeContext& context) { return select_(context); }

private:
    std::function<const SocketInformation*(DistributeContext&)> select_;
};

}  // namespace distwork
