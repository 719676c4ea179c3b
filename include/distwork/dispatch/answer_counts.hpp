#pragma once

#include "../error.hpp"
#include "../wire/reply.hpp"
#include "slave_table.hpp"
#include "submission.hpp"

namespace distwork::detail {

/// Measures the execution of a work, or of some works of a chunk.
inline void measure_answer(SlaveTable& table, Socket& socket, Submission& work, const Reply& reply,
                           CreditWindow::TimePoint now) {
    if (work.is_observed && !work.claimed()) work.note_execution(reply.execution_time);
    table.times.measure(socket, work, reply, now);
}

/// Counts the last answer of a work, and measures its execution if it was executed.
inline void count_answer(SlaveTable& table, Socket& socket, Submission& work, const Reply& reply,
                         CreditWindow::TimePoint now) {
    SocketInformation& information = socket.information;
    ++(reply.error == Errc{} ? information.completed : information.failed);
    information.last_finished = &work.type();
    const bool was_executed =
        reply.error == Errc{} || reply.error == Errc::work_failed || reply.error == Errc::failed_no_retry;
    if (was_executed) measure_answer(table, socket, work, reply, now);
}

}  // namespace distwork::detail
