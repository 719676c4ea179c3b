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
#include "../base/token_bucket.hpp"
#include "../error.hpp"
#include "../log.hpp"
#include "../tcp/address.hpp"

namespace distwork::detail {

/// The lines of a role's log that its peers cause. Each address may cause so many of them in a minute:
/// four tenths at once and one tenth in the course of it, and as many warnings. The next line tells how many were left
/// out. So no peer fills the log, or hides what others cause.
///
/// *Thread-safety*: all functions.
class PeerLog {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Clock = std::function<TimePoint()>;

    /// `log` and `clock` may be empty. Without a clock, or with a maximum of 0, nothing is left out.
    PeerLog(Log log, Clock clock, std::size_t max_lines)
        : log_{std::move(log)},
          clock_{max_lines == 0 ? Clock{} : std::move(clock)},
          burst_{std::max(1.0, 0.4 * static_cast<double>(max_lines))},
          a_second_{0.1 * static_cast<double>(max_lines) / 60} {}

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
        TokenBucket lines;
        std::size_t left_out;
    };
    /// Warnings have a bucket of their own: usual traffic does not use it up.
    using Key = std::pair<asio::ip::address, bool>;
    static constexpr std::size_t most_buckets = 4096;

    bool admits(const asio::ip::address& peer, LogLevel level, std::size_t& left_out) {
        const TimePoint now = clock_();
        const std::lock_guard lock{mutex_};
        Bucket& bucket = bucket_of({network_of(peer), level >= LogLevel::warning}, now);
        if (!bucket.lines.take(now)) return ++bucket.left_out, false;
        left_out = std::exchange(bucket.left_out, 0);
        return true;
    }

    Bucket& bucket_of(const Key& key, TimePoint now) {
        const auto found = buckets_.find(key);
        if (found != buckets_.end()) return found->second;
        if (buckets_.size() >= most_buckets && now - looked_ >= std::chrono::seconds{1}) {
            looked_ = now;
            std::erase_if(buckets_, [now](const auto& entry) { return entry.second.lines.is_full(now); });
        }
        if (buckets_.size() >= most_buckets) return others_;
        return buckets_.emplace(key, Bucket{{burst_, a_second_, now}, 0}).first->second;
    }

    const Log log_;
    const Clock clock_;
    const double burst_;
    const double a_second_;
    std::mutex mutex_;
    // guarded by mutex_
    std::map<Key, Bucket> buckets_;
    TimePoint looked_{};                         // for addresses that can be forgotten
    Bucket others_{{burst_, a_second_, {}}, 0};  // shared by all addresses beyond the first 4,096 at a time
};

}  // namespace distwork::detail
