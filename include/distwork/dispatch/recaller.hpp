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

/// Decides which works that wait at their slave are recalled, so that no work waits behind a busy slave while another
/// slave is free. Guarded by the container's lock. No I/O, no clock.
///
/// A slave becomes stuck by the passing of time, without any event. So `look` is called periodically while works wait
/// at slaves, and only then.
class Recaller {
public:
    using Duration = CreditWindow::Duration;
    using TimePoint = CreditWindow::TimePoint;

    /// Whether `look` will be called.
    bool is_looking() const noexcept { return is_looking_; }

    /// A work was sent that waits at its slave. True: the caller must have `look` called after `time_between_looks`.
    bool sent_ahead() noexcept { return !std::exchange(is_looking_, true); }

    /// The timer for `look` could not be set: the next work that is sent ahead asks for it again.
    void forget() noexcept { is_looking_ = false; }

    /// Recalls works that wait at stuck slaves and that another slave could take. While slots elsewhere are free, it
    /// also recalls works that would wait for longer than a round trip: no work of the backlog can use those slots,
    /// else it would have been sent there. True: works still wait at slaves, and `look` must be called again.
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
                // It may have answered already, and the answer was not read yet: wait for the next look.
                if (!is_stuck && socket->in_flight.is_stuck()) continue;
            }
            if ((is_stuck || idle.count() > 0) && !DISTWORK_PLANTED(never_recall))
                recall(table, *socket, is_stuck, now, idle, between);
        }
        return is_looking_;
    }

    /// It grows with the number of slaves, because `look` visits all of them.
    static Duration time_between_looks(std::size_t sockets) noexcept {
        return std::chrono::milliseconds{5} + std::chrono::microseconds{4} * static_cast<std::int64_t>(sockets);
    }

private:
    /// `idle`: the time that free slots have until the next look. Each recalled work takes its estimate from it.
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
