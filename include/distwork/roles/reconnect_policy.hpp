#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../base/backoff.hpp"
#include "../base/probe.hpp"
#include "../role_options.hpp"

namespace distwork::detail {

/// Decides which master of its list a slave tries next, and after which back-off. No I/O, no clock, no random numbers.
class ReconnectPolicy {
    using Milliseconds = std::chrono::milliseconds;

public:
    ReconnectPolicy(std::vector<MasterAddress> masters, Milliseconds after, Milliseconds at_most)
        : masters_{std::move(masters)}, after_{after}, at_most_{at_most} {}

    /// The master to try now. There is one until `strike` returns nullopt.
    const MasterAddress& master() const { return masters_[at_]; }
    bool is_first() const noexcept { return at_ == 0; }

    // The result of an attempt. Each function returns the pause before the next attempt; zero: try the next master of
    // the list at once. The pause doubles from `after` to `at_most`.

    /// A session was opened, and ended: begins again with the first master, and with the shortest pause.
    Milliseconds lost() {
        at_ = 0;
        rounds_ = 0;
        return grow();
    }

    /// No session was opened. A pause follows when the whole list was tried.
    std::optional<Milliseconds> failed() {
        at_ = DISTWORK_PLANTED(first_master_only) ? masters_.size() : at_ + 1;
        return next();
    }

    /// No session will ever be opened with this master: removes it from the list. nullopt: no master is left.
    std::optional<Milliseconds> strike() {
        masters_.erase(masters_.begin() + static_cast<std::ptrdiff_t>(at_));
        if (masters_.empty()) return std::nullopt;
        return next();
    }

private:
    Milliseconds next() {
        if (at_ < masters_.size()) return Milliseconds{0};
        at_ = 0;
        return grow();
    }

    Milliseconds grow() { return backoff(after_, rounds_++, at_most_); }

    std::vector<MasterAddress> masters_;
    const Milliseconds after_;
    const Milliseconds at_most_;
    std::size_t at_ = 0;
    unsigned rounds_ = 0;  // of the list that failed
};

}  // namespace distwork::detail
