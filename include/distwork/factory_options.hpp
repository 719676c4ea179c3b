#pragma once

#include "base/requirements.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "error.hpp"
#include "log.hpp"

namespace distwork {

/// Options of a Factory: how many slaves it keeps, and what it asks of its engine. A time of more than 100 years counts
/// as 100 years. Values out of range throw Errc::bad_option.
struct FactoryOptions {
    using Milliseconds = std::chrono::milliseconds;

    std::size_t min = 0;   ///< slaves that are kept when nothing waits; 0 to `max`
    std::size_t max = 16;  ///< allocations at a time, queued or running; 1 to 100,000

    /// What each of its slaves offers: SlaveOptions::labels and amounts. Nothing is started for works that ask for more.
    std::vector<std::string> labels{};
    std::map<std::string, double> amounts{};

    /// A slave is started for so much execution time of waiting works for each slot. Works that are worth less wait for
    /// the slaves that are there; if there is none, one is started. Positive.
    Milliseconds start_worth{60'000};
    Milliseconds unknown_worth{10'000};  ///< what a work counts whose execution time was never measured; 0 or more

    std::size_t most_queued = 1;        ///< allocations that wait in the engine at a time; positive
    std::size_t most_starts = 5;        ///< allocations started in `start_window`; positive
    Milliseconds start_window{30'000};  ///< 0 or more

    /// A slave without a work for so long leaves; an allocation that nothing has waited for for so long is cancelled if it
    /// is still queued. Positive.
    Milliseconds idle_after{300'000};
    /// An allocation that has run for so long without a connected slave is cancelled. Positive.
    Milliseconds connect_within{300'000};

    /// The pause after the first, the second, … submission in a row that was refused; the last one is repeated. Each 0 or
    /// more; at least one.
    std::vector<Milliseconds> refusal_pauses{Milliseconds{0}, Milliseconds{60'000}, Milliseconds{900'000},
                                             Milliseconds{1'800'000}, Milliseconds{3'600'000}};
    std::size_t most_refusals = 10;  ///< submissions refused in a row before the factory pauses; positive
    /// Allocations in a row that ended without a connected slave, before the factory pauses. There are no more at a time
    /// before the first slave was connected. Positive.
    std::size_t most_early_ends = 3;

    /// How often the engine is asked about allocations without a connected slave, and tried again if it was unreachable;
    /// ten times as often when slaves were lost. Positive.
    Milliseconds ask_every{30'000};
    std::size_t forgotten_queued = 10;   ///< answers in a row that do not know a queued allocation, until it counts as
                                         ///< over; positive
    std::size_t forgotten_running = 20;  ///< the same for one that ran; positive

    Log log{};  ///< empty: warnings and errors to the standard error
};

namespace detail {

/// Checks the options, in the ranges that the texts give. *Errors*: throws Error (bad_option).
inline FactoryOptions checked(FactoryOptions options) {
    using Milliseconds = std::chrono::milliseconds;
    constexpr Milliseconds zero{0};
    // Replaces longer times, so that sums with the current time do not overflow.
    constexpr Milliseconds longest = std::chrono::hours{24 * 365 * 100};
    const auto require = [](bool holds, const char* text) {
        if (!holds) throw Error::with_text(Errc::bad_option, text);
    };
    require(options.max >= 1 && options.max <= 100'000, "FactoryOptions::max must be from 1 to 100,000");
    require(options.min <= options.max, "FactoryOptions::min must be at most max");
    require(options.start_worth > zero, "FactoryOptions::start_worth must be positive");
    require(options.unknown_worth >= zero, "FactoryOptions::unknown_worth must not be negative");
    require(options.most_queued != 0, "FactoryOptions::most_queued must be positive");
    require(options.most_starts != 0, "FactoryOptions::most_starts must be positive");
    require(options.start_window >= zero, "FactoryOptions::start_window must not be negative");
    require(options.idle_after > zero, "FactoryOptions::idle_after must be positive");
    require(options.connect_within > zero, "FactoryOptions::connect_within must be positive");
    require(!options.refusal_pauses.empty() && std::all_of(options.refusal_pauses.begin(), options.refusal_pauses.end(),
                                                           [](Milliseconds pause) { return pause.count() >= 0; }),
            "FactoryOptions::refusal_pauses must be at least one pause, and none negative");
    require(options.most_refusals != 0, "FactoryOptions::most_refusals must be positive");
    require(options.most_early_ends != 0, "FactoryOptions::most_early_ends must be positive");
    require(options.ask_every > zero, "FactoryOptions::ask_every must be positive");
    require(options.forgotten_queued != 0, "FactoryOptions::forgotten_queued must be positive");
    require(options.forgotten_running != 0, "FactoryOptions::forgotten_running must be positive");
    for (Milliseconds* const time : {&options.start_worth, &options.unknown_worth, &options.start_window,
                                     &options.idle_after, &options.connect_within, &options.ask_every})
        *time = std::min(*time, longest);
    for (Milliseconds& pause : options.refusal_pauses) pause = std::min(pause, longest);
    return options;
}

}  // namespace detail
}  // namespace distwork
