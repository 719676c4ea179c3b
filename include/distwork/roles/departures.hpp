#pragma once

#include <cstddef>
#include <list>
#include <mutex>
#include <utility>
#include <vector>

#include "../explanation.hpp"

namespace distwork::detail {

/// The last slaves that went.
///
/// *Thread-safety*: all functions.
class Departures {
public:
    static constexpr std::size_t most = 100;

    /// *Errors*: std::bad_alloc.
    void note(Departure departure) {
        const std::lock_guard lock{mutex_};
        last_.push_back(std::move(departure));
        if (last_.size() > most) last_.pop_front();
    }
    /// The oldest first.
    std::vector<Departure> all() const {
        const std::lock_guard lock{mutex_};
        return {last_.begin(), last_.end()};
    }

private:
    mutable std::mutex mutex_;
    std::list<Departure> last_;  // guarded by mutex_
};

}  // namespace distwork::detail
