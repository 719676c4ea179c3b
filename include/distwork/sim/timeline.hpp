#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <ostream>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "random.hpp"

namespace distwork::sim {

/// Virtual time: runs events in the order of their time, then of their scheduling, and keeps the trace of what
/// happened.
///
/// Events refer to objects that live as long as the simulation, and cannot be cancelled. An object that no longer wants
/// an event recognizes it by its argument, and ignores it.
class Timeline {
public:
    /// One entry of the trace.
    struct Record {
        TimePoint at;
        std::string_view what;
        std::size_t host;
        std::uint64_t value;
    };

    /// Keeps the last `log_size` records. The hash covers all records.
    explicit Timeline(std::size_t log_size) : log_size_{log_size} { events_.reserve(64); }
    Timeline(const Timeline&) = delete;
    Timeline& operator=(const Timeline&) = delete;

    TimePoint now() const noexcept { return now_; }

    /// Calls `(object.*Member)(argument)` at that time, or at the current time if it has passed.
    template <auto Member, class Object>
    void schedule(TimePoint at, Object& object, std::uint64_t argument = 0) {
        const auto happen = [](void* it, std::uint64_t value) { (static_cast<Object*>(it)->*Member)(value); };
        events_.push_back({std::max(at, now_), ++scheduled_, happen, &object, argument});
        std::push_heap(events_.begin(), events_.end(), later);
    }

    void schedule(TimePoint at, std::function<void()> action) {
        actions_.push_back(std::move(action));
        schedule<&Timeline::act>(at, *this, actions_.size() - 1);
    }

    /// Sets the time to that of the next event and runs it. Returns false if there is none up to `limit`.
    bool advance(TimePoint limit) {
        if (events_.empty() || events_.front().at > limit) return false;
        std::pop_heap(events_.begin(), events_.end(), later);
        const Event event = events_.back();
        events_.pop_back();
        now_ = event.at;
        ++happened_;
        event.happen(event.object, event.argument);
        return true;
    }

    /// Sets the time forward. There must be no event before `time`.
    void skip_to(TimePoint time) noexcept { now_ = std::max(now_, time); }

    /// Adds an entry to the trace and its hash.
    void record(std::string_view what, std::size_t host, std::uint64_t value) {
        mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
        mix(what.size() << 32 ^ static_cast<std::uint64_t>(what.front()) << 16 ^ host);
        mix(value);
        if (log_size_ == 0) return;
        if (log_.size() == log_size_) log_.pop_front();
        log_.push_back({now_, what, host, value});
    }

    /// Adds bytes that cross the network to the hash.
    void mix(std::span<const std::byte> bytes) noexcept {
        std::uint64_t word = 0;
        while (bytes.size() >= sizeof word) {
            std::memcpy(&word, bytes.data(), sizeof word);
            mix(word);
            bytes = bytes.subspan(sizeof word);
        }
        word = bytes.size();
        for (const std::byte byte : bytes) word = word << 8 | static_cast<std::uint64_t>(byte);
        mix(word);
    }

    std::uint64_t hash() const noexcept { return hash_; }
    std::uint64_t event_count() const noexcept { return happened_; }
    const std::deque<Record>& log() const noexcept { return log_; }

    /// Prints one line for each record kept: microseconds since the beginning, host, what, value.
    void print(std::ostream& out) const {
        for (const Record& record : log_) {
            const auto since = std::chrono::duration_cast<std::chrono::microseconds>(record.at - beginning);
            out << since.count() << " us  host " << record.host << "  " << record.what << ' ' << record.value << '\n';
        }
    }

    /// Destroys the functions that were scheduled and not called. Returns false if there were none.
    bool drop_actions() {
        const auto dropped = std::exchange(actions_, {});
        return std::any_of(dropped.begin(), dropped.end(), [](const auto& action) { return action != nullptr; });
    }

private:
    // Not the epoch: code may use that time for "never".
    static constexpr TimePoint beginning{std::chrono::hours{1}};

    struct Event {
        TimePoint at;
        std::uint64_t order;
        void (*happen)(void*, std::uint64_t);
        void* object;
        std::uint64_t argument;
    };

    static bool later(const Event& a, const Event& b) noexcept {
        return a.at != b.at ? a.at > b.at : a.order > b.order;
    }

    void act(std::uint64_t action) {
        const auto act = std::exchange(actions_[action], nullptr);
        if (act) act();
    }

    void mix(std::uint64_t value) noexcept {
        hash_ = (hash_ ^ value) * 0x9fb21c651e98df25;
        hash_ ^= hash_ >> 29;
    }

    const std::size_t log_size_;
    TimePoint now_ = beginning;
    std::vector<Event> events_;  // a heap
    std::uint64_t scheduled_ = 0;
    std::uint64_t happened_ = 0;
    std::deque<std::function<void()>> actions_;  // indexed by the argument of their event
    std::uint64_t hash_ = 0xcbf29ce484222325;
    std::deque<Record> log_;
};

}  // namespace distwork::sim
