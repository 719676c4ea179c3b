#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "metrics.hpp"
#include "snapshot.hpp"
#include "status_json.hpp"

namespace distwork::detail {

/// A snapshot as readers get it.
struct Page {
    Snapshot figures;
    std::string status;   ///< JSON
    std::string metrics;  ///< Prometheus' text
};

/// One snapshot for all readers, so that many cost the master no more than one. Another is taken after 250 ms, or, where
/// that costs much, after fifty times of what the last one cost: at most 2 % of a processor.
///
/// *Thread-safety*: all functions.
class SnapshotCache {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds least_age{250};
    static constexpr int cost_factor = 50;

    /// `take` is called for one snapshot at a time, from any thread. *Errors*: `latest` throws what it throws.
    SnapshotCache(std::function<Snapshot()> take, std::function<Clock::time_point()> now)
        : take_{std::move(take)}, now_{std::move(now)}, begun_{now_()} {}

    std::shared_ptr<const Page> latest() {
        const std::lock_guard lock{mutex_};
        const auto before = now_();
        if (latest_ && before < next_) return latest_;
        auto page = std::make_shared<Page>();
        page->figures = take_();
        page->figures.number = ++number_;
        page->figures.elapsed_seconds = seconds(before - begun_);
        page->status = StatusJson::of(page->figures);
        page->metrics = Metrics::of(page->figures);
        latest_ = std::move(page);
        const auto after = now_();
        next_ = std::max(before + least_age, after + (after - before) * cost_factor);
        return latest_;
    }

private:
    const std::function<Snapshot()> take_;
    const std::function<Clock::time_point()> now_;
    const Clock::time_point begun_;
    std::mutex mutex_;
    // guarded by mutex_
    std::shared_ptr<const Page> latest_;
    std::uint64_t number_ = 0;
    Clock::time_point next_{};
};

}  // namespace distwork::detail
