#pragma once

#include <array>
#include <asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stop_token>
#include <system_error>
#include <utility>
#include <vector>

#include "distwork/base/asio.hpp"
#include "distwork/context.hpp"
#include "distwork/error.hpp"
#include "distwork/execution/work_batch.hpp"
#include "distwork/execution/work_queue.hpp"
#include "distwork/types/registry.hpp"
#include "support/fake_peer.hpp"

// A queue of works whose time and works are the test's.

namespace support {

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;

/// Time that goes by only when the test says so.
class Clock {
    using TimePoint = std::chrono::steady_clock::time_point;

    struct Waiting {
        TimePoint until;
        asio::any_io_executor executor;
        std::function<void(std::error_code)> then;
    };
    struct Shared {
        TimePoint now{1h};
        std::map<const void*, Waiting> waiting;  // by timer
        asio::any_io_executor executor;
    };

public:
    explicit Clock(const asio::any_io_executor& executor) { shared_->executor = executor; }

    struct Strand : asio::strand<asio::any_io_executor> {
        std::shared_ptr<Shared> shared;
    };
    class Timer {
    public:
        explicit Timer(const Strand& strand) : strand_{strand} {}
        ~Timer() { cancel(); }
        void expires_after(TimePoint::duration time) {
            cancel();
            until_ = strand_.shared->now + time;
        }
        void async_wait(std::function<void(std::error_code)> then) {
            strand_.shared->waiting[this] = {until_, strand_, std::move(then)};
        }
        void cancel() {
            if (auto node = strand_.shared->waiting.extract(this))
                asio::post(strand_, [then = node.mapped().then] { then(asio::error::operation_aborted); });
        }

    private:
        Strand strand_;
        TimePoint until_{};
    };

    TimePoint now() const { return shared_->now; }
    Strand make_strand() const { return {asio::make_strand(shared_->executor), shared_}; }

    void pass(TimePoint::duration time) {
        shared_->now += time;
        std::erase_if(shared_->waiting, [this](const auto& each) {
            const Waiting& waiting = each.second;
            if (waiting.until > shared_->now) return false;
            asio::post(waiting.executor, [then = waiting.then] { then({}); });
            return true;
        });
    }

    /// Timers that somebody waits for.
    std::size_t waiting() const { return shared_->waiting.size(); }

private:
    std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

/// What the works of these tests do: the id is in their body.
inline std::function<void(int, Context&)> on_execute;
inline std::function<asio::awaitable<void>(int, Context&)> on_await;

inline int id_in(std::span<const std::byte> body) {
    if (body.empty()) throw Error{Errc::malformed, "no id"};
    return std::to_integer<int>(body[0]) + (body.size() > 1 ? 256 * std::to_integer<int>(body[1]) : 0);
}

inline const WorkType& scripted() {
    static const WorkType type = [] {
        WorkType made;
        made.name = "scripted";
        made.execute = [](std::span<const std::byte> body, Context& context, ByteBuffer& answer,
                          const ArchiveLimits&) -> std::exception_ptr {
            const int id = id_in(body);
            try {
                on_execute(id, context);
            } catch (...) {
                return std::current_exception();
            }
            answer.append(body.data(), body.size());
            return nullptr;
        };
        return made;
    }();
    return type;
}

inline asio::awaitable<std::exception_ptr> await_scripted(std::span<const std::byte> body, Context& context,
                                                          ByteBuffer& answer, const ArchiveLimits&) {
    const int id = id_in(body);
    std::exception_ptr thrown;
    try {
        auto scripted_work = on_await(id, context);
        co_await std::move(scripted_work);
    } catch (...) {
        thrown = std::current_exception();
    }
    if (!thrown) answer.append(body.data(), body.size());
    co_return thrown;
}

inline const WorkType& coroutine() {
    static const WorkType type = [] {
        WorkType made;
        made.name = "coroutine";
        made.execute_async = &await_scripted;
        return made;
    }();
    return type;
}

/// Lets coroutines wait until the test opens it.
class Gate {
public:
    explicit Gate(const asio::any_io_executor& executor)
        : timer_{executor, std::chrono::steady_clock::time_point::max()} {}
    asio::awaitable<void> wait() {
        ++waiting;
        std::error_code ignored;
        auto token = asio::redirect_error(asio::use_awaitable, ignored);
        co_await timer_.async_wait(token);
        --waiting;
    }
    void open() { timer_.cancel(); }
    int waiting = 0;

private:
    asio::steady_timer timer_;
};

/// A queue, peers, and what happened in which order.
struct Queue {
    explicit Queue(std::size_t slots, bool immediate = false)
        : queue{std::make_shared<WorkQueue<Clock>>(clock, io.get_executor(), immediate, slots)} {
        on_execute = [this](int id, Context&) { begun.push_back(id); };
        on_await = [this](int id, Context&) -> asio::awaitable<void> {
            begun.push_back(id);
            co_await gate.wait();
        };
    }
    ~Queue() {
        on_execute = nullptr;
        on_await = nullptr;
    }

    void push(std::vector<int> ids, const WorkType& type = scripted(), std::shared_ptr<FakePeer> from = nullptr,
              std::chrono::milliseconds timeout = {}) {
        std::vector<WorkBatch::Item> items;
        std::deque<std::array<std::byte, 2>> bodies;
        for (const int id : ids) {
            bodies.push_back({static_cast<std::byte>(id & 255), static_cast<std::byte>(id >> 8)});
            items.push_back({.id = static_cast<std::uint64_t>(id),
                             .type = &type,
                             .body = bodies.back(),
                             .timeout_ms = static_cast<std::uint32_t>(timeout.count())});
        }
        queue->push(WorkBatch::copy(from ? from : peer, items));
    }

    std::vector<int> answered(const std::shared_ptr<FakePeer>& at) const {
        std::vector<int> ids;
        for (const auto& reply : at->replies) ids.push_back(static_cast<int>(reply.id));
        return ids;
    }
    std::vector<int> answered() const { return answered(peer); }

    bool idle() {
        bool now = false;
        auto told = std::make_shared<bool*>(&now);
        queue->when_idle([told] {
            if (*told) **told = true;
        });
        *told = nullptr;
        return now;
    }

    std::size_t run() {
        io.restart();
        return io.run();
    }
    std::size_t poll() {
        io.restart();
        return io.poll();
    }

    asio::io_context io;
    Clock clock{io.get_executor()};
    Gate gate{io.get_executor()};
    std::shared_ptr<FakePeer> peer = std::make_shared<FakePeer>(io.get_executor());
    std::shared_ptr<FakePeer> other = std::make_shared<FakePeer>(io.get_executor());
    std::shared_ptr<WorkQueue<Clock>> queue;
    std::vector<int> begun;
};

inline std::vector<int> count_to(int last) {
    std::vector<int> numbers;
    for (int i = 1; i <= last; ++i) numbers.push_back(i);
    return numbers;
}

/// What a coroutine of these tests does: it waits for the gate, whatever is asked of it.
inline void note_tokens(Queue& queue, std::vector<std::stop_token>& tokens) {
    on_await = [&queue, &tokens](int id, Context& context) -> asio::awaitable<void> {
        queue.begun.push_back(id);
        tokens.push_back(context.stop_token());
        co_await queue.gate.wait();
    };
}

}  // namespace support
