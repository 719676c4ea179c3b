#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../types/registry.hpp"
#include "../wire/chunk.hpp"
#include "../wire/reply.hpp"
#include "credit_window.hpp"
#include "execution_times.hpp"
#include "socket.hpp"
#include "submission.hpp"

namespace distwork::detail {

/// How long works of each type take: on each slave, and on all of them. What a slave tells of its works decides how many
/// more it is sent, and hardly anything at other slaves.
class MeasuredTimes {
public:
    using Duration = std::chrono::nanoseconds;

    /// The mean time of a type on a slave; if it has executed none of that type, on all slaves. Zero: the type was never
    /// measured.
    Duration estimate(const Socket& socket, const WorkType& type) const noexcept {
        const Duration own = socket.times.estimate(type);
        return own.count() != 0 ? own : of_all_.estimate(type);
    }
    /// The same on all slaves.
    Duration estimate(const WorkType& type) const noexcept { return of_all_.estimate(type); }

    /// Whether no slave was measured on which works of that type are too long to be plain.
    bool is_short_everywhere(const WorkType& type) const noexcept {
        return type.number >= longer_at_.size() || longer_at_[type.number] == 0;
    }

    /// Makes room for the measurement of a work of that type, so that `measure` does not throw. *Errors*:
    /// std::bad_alloc.
    void reserve(Socket& socket, const WorkType& type) {
        of_all_.reserve(type);
        socket.times.reserve(type);
        if (type.number >= longer_at_.size()) [[unlikely]]
            longer_at_.resize(type.number + std::size_t{1});
    }

    /// Measures the execution of a work, or of some works of a chunk. It was not executed for longer than this end has
    /// waited, whatever the slave says.
    void measure(Socket& socket, const Submission& work, const Reply& reply, CreditWindow::TimePoint now) noexcept {
        const std::uint32_t answered = work.elements() == 1 ? 1 : std::max(answered_elements(reply.value), 1u);
        const Duration time = std::min(reply.execution_time, CreditWindow::longest_time(work, now)) / answered;
        ExecutionTimes::measure(socket.information.mean_execution_time, time);
        of_all_.measure_clipped(work.type(), time);
        Duration& own = socket.times.reserve(work.type());
        const bool was_short = CreditWindow::is_short(own);
        ExecutionTimes::measure(own, time);
        if (CreditWindow::is_short(own) == was_short) return;
        if (was_short) ++longer_at_[work.type().number];
        else --longer_at_[work.type().number];
    }

    /// The slave leaves.
    void forget(const Socket& socket) noexcept {
        const auto& means = socket.times.means();
        for (std::size_t type = 0; type < means.size(); ++type)
            if (!CreditWindow::is_short(means[type])) --longer_at_[type];
    }

private:
    ExecutionTimes of_all_;
    std::vector<std::size_t> longer_at_;  // slaves on which the type is not short; by this end's number of the type
};

}  // namespace distwork::detail
