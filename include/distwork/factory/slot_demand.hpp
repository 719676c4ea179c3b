#pragma once

#include "../base/requirements.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <limits>

#include "../factory_options.hpp"

namespace distwork::detail {

/// `a - b`, and 0 if `b` is more.
constexpr std::size_t minus_at_most(std::size_t a, std::size_t b) noexcept {
    return a > b ? a - b : 0;
}

/// What waits for slaves of a factory. Not in it are works that such a slave could not take, and works that the selector
/// does not send though a slave has room for them.
struct FactoryDemand {
    std::size_t works = 0;             ///< that wait for a slave, and are not sent
    std::size_t unknown = 0;           ///< of these, those whose execution time was never measured
    std::chrono::nanoseconds worth{};  ///< the execution time of all others together
    bool more_to_come = false;         ///< there will be more, nobody knows how many: a lazy range without a size
    std::size_t foreign_slots = 0;     ///< of connected slaves that could take them, but are not the factory's
};

/// What serves the works that wait.
struct SlotSupply {
    std::size_t connected = 0;  ///< slots of connected slaves that stay
    std::size_t coming = 0;     ///< slots of allocations whose slave is not connected yet
    bool has_idle = false;      ///< a connected slave has no work at all
};

/// How many slaves more are wanted for what waits. No I/O, no clock.
class SlotDemand {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    explicit SlotDemand(const FactoryOptions& options)
        : start_worth_{options.start_worth}, unknown_worth_{options.unknown_worth} {}

    /// Slaves that would have a work for at least one slot. `slots`: of each. Those that are connected take none of them:
    /// a work waits because they have no room for it, be it slots, labels or amounts.
    static std::size_t most_useful(const FactoryDemand& demand, std::size_t coming, std::size_t slots) {
        if (demand.works == 0) return 0;
        if (demand.more_to_come) return std::numeric_limits<std::size_t>::max();
        return ceil(minus_at_most(demand.works, coming), slots);
    }

    /// How many slaves to start beyond those that are there or coming. `slots`: of each.
    std::size_t missing(TimePoint now, const FactoryDemand& demand, const SlotSupply& supply, std::size_t slots) {
        const bool is_stalled = stalls(now, demand, supply);
        // Another slave would have nothing to do, either.
        if (supply.has_idle) return 0;
        const std::size_t served = supply.connected + demand.foreign_slots + supply.coming;
        std::size_t wanted = minus_at_most(worth_in_slots(demand), served) / slots;
        if (served == 0) wanted = std::max<std::size_t>(wanted, 1);
        // Short works behind long ones, wrong estimates, a source of unknown length: whatever it is worth, it does not
        // become less.
        if (is_stalled) wanted = std::max<std::size_t>(wanted, demand.more_to_come ? ceil(served, slots) : 1);
        return std::min(wanted, most_useful(demand, supply.coming, slots));
    }

private:
    static std::size_t ceil(std::size_t count, std::size_t by) noexcept { return count / by + (count % by != 0); }

    /// So many slots would be busy for start_worth.
    std::size_t worth_in_slots(const FactoryDemand& demand) const {
        using Seconds = std::chrono::duration<double>;
        const Seconds worth = Seconds{demand.worth} + Seconds{unknown_worth_} * static_cast<double>(demand.unknown);
        return static_cast<std::size_t>(std::clamp(worth / Seconds{start_worth_}, 0.0, 1e9));
    }

    /// Whether what waits has not become less than ever before for start_worth, with no slave idle or coming.
    bool stalls(TimePoint now, const FactoryDemand& demand, const SlotSupply& supply) {
        const bool is_served = demand.works == 0 || supply.has_idle || supply.coming != 0;
        if (is_served || demand.works < least_works_) {
            least_works_ = is_served ? std::numeric_limits<std::size_t>::max() : demand.works;
            stalled_since_ = now;
        }
        return now - stalled_since_ >= start_worth_;
    }

    const std::chrono::milliseconds start_worth_;
    const std::chrono::milliseconds unknown_worth_;
    std::size_t least_works_ = std::numeric_limits<std::size_t>::max();
    TimePoint stalled_since_{};  // when least_works_ was reached
};

}  // namespace distwork::detail
