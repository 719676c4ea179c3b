#pragma once

#include "../base/requirements.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "../base/probe.hpp"
#include "../factory_options.hpp"

namespace distwork::detail {

/// What an engine said, for a log line: in quotes, without white space around it, and of a long text only the end, which
/// tells most.
inline std::string in_quotes(std::string_view text) {
    constexpr std::size_t most = 1000;
    constexpr std::string_view space = " \t\r\n";
    const auto first = text.find_first_not_of(space);
    if (first == std::string_view::npos) return "(no text)";
    text = text.substr(first, text.find_last_not_of(space) - first + 1);
    if (text.size() <= most) return '"' + std::string{text} + '"';
    return "\"…" + std::string{text.substr(text.size() - most)} + '"';
}

/// "15 min", "30 s" or "250 ms".
inline std::string in_words(std::chrono::milliseconds time) {
    const auto count = time.count();
    if (count != 0 && count % 60'000 == 0) return std::to_string(count / 60'000) + " min";
    if (count % 1000 == 0) return std::to_string(count / 1000) + " s";
    return std::to_string(count) + " ms";
}

/// When an engine may be asked to start allocations: so many in a time, later after refusals, and not at all after too
/// much went wrong. No I/O, no clock.
class StartLimits {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    explicit StartLimits(FactoryOptions options) : options_{std::move(options)} {}

    /// How many allocations may be asked for now.
    std::size_t room(TimePoint now) {
        if (is_paused() || now < not_before_) return 0;
        while (!starts_.empty() && now - starts_.front() >= options_.start_window) starts_.pop_front();
        if (DISTWORK_PLANTED(start_all_at_once)) return options_.max;
        return options_.most_starts - std::min(options_.most_starts, starts_.size());
    }

    /// How many allocations there may be. Before the first slave was connected they are few: if they never bring one, for
    /// lack of a route to the master perhaps, that is noticed when the first of them have run for connect_within.
    std::size_t most_allocations() const noexcept {
        const bool is_proved = was_connected_ || DISTWORK_PLANTED(trust_before_the_first);
        return is_proved ? options_.max : std::min(options_.max, options_.most_early_ends);
    }

    /// So many were asked for. They count even if none of them is started.
    void asked(TimePoint now, std::size_t count) { starts_.insert(starts_.end(), count, now); }

    /// A submission was accepted.
    void accepted() noexcept { refusals_ = 0; }

    /// A submission was refused. Returns the sentence that says so, and what follows from it.
    std::string refused(TimePoint now, std::string_view text) {
        ++refusals_;
        const std::string said = "the engine refused to start a slave: " + in_quotes(text);
        if (refusals_ >= options_.most_refusals && !DISTWORK_PLANTED(submit_for_ever))
            return pause(said + ", " + std::to_string(refusals_) + " times in a row");
        const auto& pauses = options_.refusal_pauses;
        const auto wait = pauses[std::min(refusals_, pauses.size()) - 1];
        not_before_ = now + wait;
        return said + "; it is asked again " + (wait.count() == 0 ? "at once" : "in " + in_words(wait));
    }

    /// A slave was connected.
    void connected() noexcept {
        was_connected_ = true;
        early_ends_ = 0;
    }

    /// An allocation ended without a connected slave, of its own accord. `said` tells so; returns it with what follows.
    std::string ended_early(std::string said) {
        if (++early_ends_ < options_.most_early_ends || DISTWORK_PLANTED(start_what_fails)) return said;
        return pause(said + ", the last of " + std::to_string(early_ends_) + " in a row");
    }

    /// Nothing is started any more, until `resume`.
    bool is_paused() const noexcept { return !why_paused_.empty(); }
    /// Empty: it is not paused.
    const std::string& why_paused() const noexcept { return why_paused_; }

    /// All that went wrong is forgotten.
    void resume() noexcept {
        why_paused_.clear();
        refusals_ = 0;
        early_ends_ = 0;
        not_before_ = TimePoint::min();
    }

private:
    std::string pause(const std::string& why) {
        if (!is_paused()) why_paused_ = why;
        return why + "; nothing more is started until the factory is resumed";
    }

    const FactoryOptions options_;
    std::deque<TimePoint> starts_;  // in the last start_window; at most most_starts
    std::size_t refusals_ = 0;      // in a row
    std::size_t early_ends_ = 0;    // in a row
    bool was_connected_ = false;
    TimePoint not_before_ = TimePoint::min();
    std::string why_paused_;
};

}  // namespace distwork::detail
