#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "process_id.hpp"

namespace distwork::detail {

/// The last line of a terminal, such as a progress bar: what is written meanwhile goes above it. See show_status.
///
/// *Lifetime*: never destroyed, since lines are written until the process ends. A process that was forked has its own.
struct StatusLine {
    const int process = process_id();
    std::atomic<bool> is_wanted{false};
    std::mutex mutex;
    std::string text;   ///< guarded by mutex; empty: there is none
    int terminal = -1;  ///< likewise; a descriptor that does not block

    static StatusLine& instance() {
        static std::atomic<StatusLine*> current{new StatusLine};
        StatusLine* line = current.load(std::memory_order_acquire);
        while (line->process != process_id()) {
            auto* const mine = new StatusLine;
            if (current.compare_exchange_strong(line, mine, std::memory_order_acq_rel)) return *mine;
            delete mine;
        }
        return *line;
    }

    static constexpr const char* erase = "\r\x1b[K";
};

}  // namespace distwork::detail
