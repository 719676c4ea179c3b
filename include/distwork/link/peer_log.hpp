#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "../base/asio.hpp"
#include "../error.hpp"
#include "../log.hpp"

namespace distwork::detail {

/// The lines of a role's log that its peers cause. Each address may cause a burst of them, and then a hundred a minute;
/// the next line tells how many were left out. So no peer fills the log, or hides what others cause.
///
/// *Thread-safety*: all functions.
class PeerLog {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Clock = std::function<TimePoint()>;

    static constexpr double burst = 100;
    static constexpr double a_second = 100.0 / 60;

    /// `log` and `clock` may be empty. Without a clock nothing is left out.
    PeerLog(Log log, Clock clock) : log_{std::move(log)}, clock_{std::move(clock)} {}

    explicit operator bool() const noexcept { return static_cast<bool>(log_); }

    void operator()(const asio::ip::address& peer, LogLevel level, std::string_view line) {
        if (!log_) return;
        std::size_t left_out = 0;
        if (clock_ && !admits(peer, level, left_out)) return;
        if (left_out != 0)
            log_(level,
                 std::to_string(left_out) + " lines about " + peer.to_string() + " were left out before this one");
        log_(level, line);
    }

    /// `text()` returns the line. On allocation failure only the line is lost.
    template <class Text>
    requires std::is_invocable_v<Text>
    void operator()(const asio::ip::address& peer, LogLevel level, Text text) noexcept {
        static_cast<void>(exception_of([&] { (*this)(peer, level, std::string_view{text()}); }));
    }

private:
    struct Bucket {
        double left = burst;
        TimePoint since{};
        std::size_t left_out = 0;
    };
    /// Warnings have a bucket of their own: usual traffic does not use it up.
    using Key = std::pair<asio::ip::address, bool>;
    static constexpr std::size_t most_buckets = 4096;

    bool admits(const asio::ip::address& peer, LogLevel level, std::size_t& left_out) {
        const TimePoint now = clock_();
        const std::lock_guard lock{mutex_};
        Bucket& bucket = bucket_of({peer, level >= LogLevel::warning}, now);
        fill(bucket, now);
        if (bucket.left < 1) return ++bucket.left_out, false;
        --bucket.left;
        left_out = std::exchange(bucket.left_out, 0);
        return true;
    }

    Bucket& bucket_of(const Key& key, TimePoint now) {
        const auto found = buckets_.find(key);
        if (found != buckets_.end()) return found->second;
        if (buckets_.size() >= most_buckets && now - looked_ >= std::chrono::seconds{1}) {
            looked_ = now;
            std::erase_if(buckets_, [&](const auto& entry) {
                Bucket bucket = entry.second;
                fill(bucket, now);
                return bucket.left >= burst && bucket.left_out == 0;
            });
        }
        if (buckets_.size() >= most_buckets) return others_;
        Bucket& added = buckets_[key];
        added.since = now;
        return added;
    }

    static void fill(Bucket& bucket, TimePoint now) noexcept {
        const std::chrono::duration<double> time = now - bucket.since;
        bucket.left = std::min(burst, bucket.left + std::max(time.count(), 0.0) * a_second);
        bucket.since = now;
    }

    const Log log_;
    const Clock clock_;
    std::mutex mutex_;
    // guarded by mutex_
    std::map<Key, Bucket> buckets_;
    TimePoint looked_{};  // for addresses that can be forgotten
    Bucket others_;       // shared by all addresses beyond the first 4,096 at a time
};

}  // namespace distwork::detail
