#pragma once

#include "../base/requirements.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>

#include "../base/asio.hpp"
#include "../error.hpp"
#include "../tcp/address.hpp"
#include "../transport.hpp"

namespace distwork::detail {

/// A handshake that waits for its turn.
class WaitingHandshake {
public:
    virtual ~WaitingHandshake() = default;
    /// False: its connection was closed meanwhile, so that it costs nothing.
    virtual bool is_open() const noexcept = 0;
    /// Lets it go on, on its own strand.
    virtual void begin() noexcept = 0;
};

/// Lets the handshakes of a master begin one after another, so that they take at most two fifths of a processor, whoever
/// asks for them. The addresses take turns: who opens many connections delays his own. Of each, the newest is first: when a
/// thousand slaves come back at once, the oldest are about to be displaced (Strangers), and their handshakes lost.
///
/// *Thread-safety*: all functions. *Lifetime*: shared by the sockets. It may outlive the execution context: what waits is
/// destroyed with that.
class HandshakeTurns : public std::enable_shared_from_this<HandshakeTurns> {
    using Clock = Tcp::Clock;

public:
    explicit HandshakeTurns(Tcp transport) : transport_{std::move(transport)} {}

    /// `cost`: how long a processor takes for it. *Errors*: std::bad_alloc.
    void wait(const asio::ip::address& of, std::chrono::nanoseconds cost, std::shared_ptr<WaitingHandshake> handshake) {
        std::deque<Entry> one;
        one.push_back({cost, std::move(handshake)});
        const std::lock_guard lock{mutex_};
        const auto [own, is_first] = waiting_.try_emplace(network_of(of), std::move(one));
        if (!is_first) own->second.push_back(std::move(one.front()));
        if (++count_ >= look_at_) end_closed();
        if (!is_pending_) begin_due();
    }

    /// A handshake that has begun took nothing of its cost.
    void give_back(std::chrono::nanoseconds cost) noexcept {
        const std::lock_guard lock{mutex_};
        free_at_ -= time_of(cost);
    }

private:
    /// Until the next one may begin.
    static constexpr std::chrono::nanoseconds time_of(std::chrono::nanoseconds cost) noexcept { return cost * 5 / 2; }

    static constexpr auto burst = std::chrono::milliseconds{20};  // is unused time that may be used later

    struct Entry {
        std::chrono::nanoseconds cost;
        std::shared_ptr<WaitingHandshake> handshake;
    };
    using Waiting = std::map<asio::ip::address, std::deque<Entry>>;  // by network_of; no entry is empty

    /// The time of the next turn. With the execution context it is destroyed without having come.
    struct Pending {
        Pending(const asio::any_io_executor& executor, Clock::time_point at) : timer{executor, at} {}
        Pending(const Pending&) = delete;
        ~Pending() {
            if (turns) turns->drop();
        }
        void came() { std::exchange(turns, nullptr)->turn_came(); }

        asio::steady_timer timer;
        std::shared_ptr<HandshakeTurns> turns;
    };

    void turn_came() noexcept {
        const std::lock_guard lock{mutex_};
        is_pending_ = false;
        begin_due();
    }

    void begin_due() noexcept {
        while (!waiting_.empty() && free_at_ <= transport_.now()) begin_next();
        if (waiting_.empty()) return;
        is_pending_ = !exception_of([this] { wait_for_next(); });
        while (!is_pending_ && !waiting_.empty()) begin_next();  // there is no memory for a timer
    }

    void wait_for_next() {
        const auto pending = std::make_shared<Pending>(transport_.get_executor(), free_at_);
        pending->turns = shared_from_this();
        try {
            pending->timer.async_wait([pending](std::error_code) { pending->came(); });
        } catch (...) {
            pending->turns = nullptr;
            throw;
        }
    }

    void begin_next() noexcept {
        auto next = waiting_.upper_bound(last_);
        if (next == waiting_.end()) next = waiting_.begin();
        last_ = next->first;
        auto& own = next->second;
        const Entry entry = std::move(own.back());
        own.pop_back();
        --count_;
        if (entry.handshake->is_open()) free_at_ = std::max(free_at_, transport_.now() - burst) + time_of(entry.cost);
        entry.handshake->begin();
        if (own.empty()) waiting_.erase(next);
    }

    /// Those whose connections were closed would wait until it is their turn.
    void end_closed() noexcept {
        count_ = 0;
        for (auto next = waiting_.begin(); next != waiting_.end();) {
            auto& line = next->second;
            std::erase_if(line, [](Entry& entry) {
                if (entry.handshake->is_open()) return false;
                entry.handshake->begin();  // to its end
                return true;
            });
            count_ += line.size();
            next = line.empty() ? waiting_.erase(next) : std::next(next);
        }
        look_at_ = 2 * count_ + 64;
    }

    void drop() noexcept {
        Waiting dropped;  // outlives the lock
        const std::lock_guard lock{mutex_};
        dropped.swap(waiting_);
        count_ = 0;
        is_pending_ = false;
    }

    const Tcp transport_;
    std::mutex mutex_;
    // guarded by mutex_
    Waiting waiting_;
    asio::ip::address last_;  // whose turn it was
    Clock::time_point free_at_{};
    bool is_pending_ = false;
    std::size_t count_ = 0;     // that wait
    std::size_t look_at_ = 64;  // so many, for those that were closed
};

}  // namespace distwork::detail
