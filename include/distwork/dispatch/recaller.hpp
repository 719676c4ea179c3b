#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "../base/probe.hpp"
#include "credit_window.hpp"
#include "slave_table.hpp"
#include "submission.hpp"

namespace distwork::detail {

/// Decides which works that wait at their slave are taken back, so that none waits behind a busy slave while another is
/// free. Guarded by the container's lock. No I/O, no clock.
///
/// Time alone makes a slave stuck, so that somebody has to look: while works wait at slaves, and only then, `look` is
/// called again and again.
class Recaller {
public:
    using Duration = CreditWindow::Duration;
    using TimePoint = CreditWindow::TimePoint;

    /// Whether `look` will be called.
    bool is_looking() const noexcept { return is_looking_; }

    /// A work was sent that waits at its slave. True: somebody is to call `look` after `time_between_looks`.
    bool sent_ahead() noexcept { return !std::exchange(is_looking_, true); }

    /// Nobody could be found to call `look`: the next work that is sent ahead asks again.
    void forget() noexcept { is_looking_ = false; }

    /// Recalls what waits at slaves that are stuck, if another could take it; and, while slots elsewhere idle, what will
    /// wait for longer than a round trip (no work of the backlog wants those slots: it would have them). True: works still
    /// wait at slaves, and this is to be called again.
    bool look(SlaveTable& table, TimePoint now) noexcept {
        is_looking_ = false;
        const Duration between = time_between_looks(table.size());
        Duration idle = static_cast<std::int64_t>(table.free_slots()) * between;
        for (const auto& socket : table.by_place()) {
            if (!socket || !socket->in_flight.has_waiting()) continue;
            is_looking_ = true;
            const bool is_stuck = socket->in_flight.is_stuck();
            if (socket->in_flight.look(now)) {
                table.update(*socket);
                // It may have answered, and we did not read it yet: the next look is for that.
                if (!is_stuck && socket->in_flight.is_stuck()) continue;
            }
            if ((is_stuck || idle.count() > 0) && !DISTWORK_PLANTED(never_recall))
                recall(table, *socket, is_stuck, now, idle, between);
        }
        return is_looking_;
    }

    /// It grows with the slaves, which are all looked at.
    static Duration time_between_looks(std::size_t sockets) noexcept {
        return std::chrono::milliseconds{5} + std::chrono::microseconds{4} * static_cast<std::int64_t>(sockets);
    }

private:
    /// `idle`: the time of free slots until the next look, of which each work takes its estimate.
    static void recall(const SlaveTable& table, Socket& socket, bool is_stuck, TimePoint now, Duration& idle,
                       Duration between) {
        socket.in_flight.for_each_late(now, [&](Submission& work, Duration estimate) {
            if (work.pinned || work.claimed()) return true;
            if (is_stuck ? !table.anybody_can_take(work, &socket) : !table.has_free_slot_for(work)) return true;
            bool is_asked = false;
            if (exception_of([&] { is_asked = socket.peer->recall(work); }) || !is_asked) return true;
            socket.in_flight.note_recalled(work);
            idle -= std::clamp(estimate, Duration{1}, between);
            return is_stuck || idle.count() > 0;
        });
    }

    bool is_looking_ = false;
};

}  // namespace distwork::detail
