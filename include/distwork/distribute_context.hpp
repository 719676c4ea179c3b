#pragma once

#include <any>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "dispatch/ready_set.hpp"
#include "dispatch/submission.hpp"
#include "socket_information.hpp"

namespace distwork {

/// One choice: the work, and the sockets that can take it now. Made by SocketContainer for each call of the selector.
class DistributeContext {
public:
    /// `all`: the sockets are exactly those of a ReadySet, which knows their order.
    DistributeContext(const detail::Submission& submission, std::span<const SocketInformation* const> sockets,
                      const detail::ReadySet* all)
        : submission_{submission}, sockets_{sockets}, all_{all} {}

    /// The connected slaves that have credit, the work's type and its labels; at least one, in no order.
    std::span<const SocketInformation* const> sockets() const noexcept { return sockets_; }

    /// The work that is to be sent.
    const IWork& work() const noexcept { return submission_.work(); }
    /// SubmitOptions::name, by default the name of its type.
    std::string_view name() const noexcept { return submission_.name(); }
    /// The name that its type is registered under.
    const std::string& type_name() const noexcept { return submission_.type().name; }
    /// The options of its submission.
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
    const detail::Submission& submission_;
    std::span<const SocketInformation* const> sockets_;
    const detail::ReadySet* all_;
};

}  // namespace distwork
