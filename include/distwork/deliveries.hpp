#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "call.hpp"
#include "detail/asio.hpp"
#include "session_peer.hpp"
#include "woken_writers.hpp"

namespace distwork {

/// Calls back for the answers of each read, and then has written what the handlers sent: one write a session, however
/// many handlers had something for it.
///
/// With many sessions, each read brings few answers, and what their handlers send goes to as many other sessions. Then
/// the writers wait until everything that can be read has been: works and answers travel by the dozen again.
///
/// *Thread-safety*: all functions. *Lifetime*: shared by its role and the tasks under way.
class Deliveries : public std::enable_shared_from_this<Deliveries> {
public:
    explicit Deliveries(asio::any_io_executor executor) : executor_{std::move(executor)} {}

    /// Has every settled call call back. Never calls back from inside.
    void deliver(std::vector<std::shared_ptr<Call>> calls) {
        post_own(calls);
        if (calls.empty()) return;
        ++queued_;
        // A continuation of what the strand does now: it runs when the strand was left, on this thread if that is free.
        asio::defer(executor_, Task{shared_from_this(), detail::DeliverEach{executor_, std::move(calls)}});
    }

private:
    using Sessions = std::vector<std::shared_ptr<SessionPeer>>;

    static constexpr std::size_t many = 32;  // sessions
    static constexpr std::size_t dense = 8;  // works for each: worth a write
    static constexpr int longest_wait = 16;  // turns of the event loop

    struct Task {
        std::shared_ptr<Deliveries> self;
        detail::DeliverEach each;

        void operator()() {
            --self->queued_;
            const std::size_t calls = each.size();
            struct Done {
                Deliveries& all;
                const std::size_t calls;
                WokenWriters woken{};
                ~Done() { all.delivered(calls, woken.take()); }
            } done{*self, calls};
            each();
        }
    };

    void delivered(std::size_t calls, Sessions woken) {
        Sessions ready;
        {
            const std::lock_guard lock{mutex_};
            calls_ += calls;
            if (woken_.empty()) woken_.swap(woken);
            else woken_.insert(woken_.end(), woken.begin(), woken.end());
            // Whoever is queued comes by here as well.
            if (queued_ != 0 || waits_) return;
            ready = take_ready();
        }
        write(ready);
    }

    /// Nothing while it is worth waiting for more; then this function is called again.
    Sessions take_ready() {
        const bool few = calls_ < woken_.size() * dense;
        if (woken_.size() >= many && few && calls_ != calls_seen_ && ++turns_ <= longest_wait) {
            calls_seen_ = calls_;
            waits_ = true;
            asio::post(executor_, [self = shared_from_this()] { self->look_again(); });
            return {};
        }
        calls_ = calls_seen_ = 0;
        turns_ = 0;
        return std::exchange(woken_, {});
    }

    void look_again() {
        Sessions ready;
        {
            const std::lock_guard lock{mutex_};
            waits_ = false;
            if (queued_ != 0) return;
            ready = take_ready();
        }
        write(ready);
    }

    static void write(const Sessions& sessions) {
        for (const auto& session : sessions) session->write();
    }

    const asio::any_io_executor executor_;
    std::atomic<std::size_t> queued_{0};  // tasks that did not begin

    std::mutex mutex_;
    // guarded by mutex_
    Sessions woken_;
    std::size_t calls_ = 0;       // called back since the last write
    std::size_t calls_seen_ = 0;  // when it was decided to wait
    int turns_ = 0;
    bool waits_ = false;
};

}  // namespace distwork
