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

/// Which master of its list a slave tries next, and after which pause. No I/O, no clock, no chance.
class ReconnectPolicy {
    using Milliseconds = std::chrono::milliseconds;

public:
    ReconnectPolicy(std::vector<MasterAddress> masters, Milliseconds after, Milliseconds at_most)
        : masters_{std::move(masters)}, after_{after}, at_most_{at_most} {}

    /// The one whose turn it is; there is one until `strike` says otherwise.
    const MasterAddress& master() const { return masters_[at_]; }
    bool is_first() const noexcept { return at_ == 0; }

    // What became of it: how long to pause before the next attempt. Zero: the next one of the list has its turn.

    /// A session was opened, and ended: begins anew, with the first.
    Milliseconds lost() {
        at_ = 0;
        rounds_ = 0;
        return grow();
    }

    /// No session was opened this time.
    std::optional<Milliseconds> failed() {
        at_ = DISTWORK_PLANTED(first_master_only) ? masters_.size() : at_ + 1;
        return next();
    }

    /// None ever will be: it has no further turn. None: no master is left.
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
    unsigned rounds_ = 0;  // that failed
};

}  // namespace distwork::detail
