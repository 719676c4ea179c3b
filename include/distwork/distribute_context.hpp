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

/// What a selector decides on: the work, and the sockets that can take it now. SocketContainer makes one for each call
/// of the selector. A *socket* is the session of a connected slave.
class DistributeContext {
public:
    /// `all`: the ReadySet if the sockets are exactly those in it, so that its order can be used; else null.
    DistributeContext(const detail::Submission& submission, std::span<const SocketInformation* const> sockets,
                      const detail::ReadySet* all)
        : submission_{submission}, sockets_{sockets}, all_{all} {}

    /// The connected slaves that have credit, the work's type and its labels. There is at least one; the order is
    /// unspecified.
    std::span<const SocketInformation* const> sockets() const noexcept { return sockets_; }

    /// The work to send.
    const IWork& work() const noexcept { return submission_.work(); }
    /// SubmitOptions::name; by default the name of the work's type.
    std::string_view name() const noexcept { return submission_.name(); }
    /// The name under which the work's type is registered.
    const std::string& type_name() const noexcept { return submission_.type().name; }
    /// The options of the submission.
    const SubmitOptions& options() const noexcept { return submission_.options; }

    /// The first of `sockets()` whose place in the round of all sockets is `place` or later; after the last comes the
    /// first.
    const SocketInformation* from(std::size_t place) const noexcept {
        if (all_) return all_->from(place);
        const SocketInformation* best = nullptr;
        // Sockets before `place` come after all others.
        const auto turn = [place](const SocketInformation* socket) {
            return std::pair{socket->place < place, socket->place};
        };
        for (const SocketInformation* socket : sockets_)
            if (!best || turn(socket) < turn(best)) best = socket;
        return best;
    }

    /// Sets the application's value of one of `sockets()`. Outside of selectors use Master::update_socket_information.
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
