#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <asio/cancellation_signal.hpp>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <distwork.hpp>
#include <exception>
#include <iostream>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "failing_new.hpp"
#include "support/child.hpp"

// What the sweeps run: a hundred calls of all kinds, and who counts what becomes of them. All in a named namespace: an
// allocation's owner is told by names.

namespace oom_test {

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;

inline std::string twice(std::string text) {
    return text + text;
}

inline std::atomic<int> tries{0};  // of all of these; set to zero before each run

inline int fails_at_first(int number) {
    if (++tries % 2 == 1) throw std::runtime_error{"not yet"};
    return number;
}

/// A tree of calls, by the master and by the slave's peer.
class Tree : public CoroutineWork<std::uint64_t> {
public:
    Tree() = default;
    explicit Tree(std::uint32_t depth) : depth_{depth} {}
    asio::awaitable<std::uint64_t> execute_work(Context& peer) override {
        if (depth_ == 0) {
            const std::string four = co_await peer.async_call<&twice>(std::string{"ab"});
            co_return four.size();
        }
        const Tree child{depth_ - 1};
        co_return co_await peer.async_submit(child) + 1;
    }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(depth_);
    }

private:
    std::uint32_t depth_ = 0;
};

}  // namespace oom_test

DISTWORK_REGISTER_WORK(oom_test::Tree)
DISTWORK_REGISTER_FUNCTION(oom_test::twice)
DISTWORK_REGISTER_FUNCTION(oom_test::fails_at_first)

namespace oom_test {

/// Everything that was begun, and how often each completed.
class Ledger {
public:
    static constexpr int calls = 100;

    struct Entry {
        Ledger& ledger;
        int index;
        template <class... Value>
        void operator()(const std::exception_ptr&, const Value&...) const {
            ledger.complete(index);
        }
    };
    Entry entry() { return {*this, begun_++}; }
    void complete(int index) { ++completed_[static_cast<std::size_t>(index)]; }
    /// The initiating function threw: it will not complete.
    void refused() { complete(begun_ - 1); }

    bool is_done() const {
        for (int i = 0; i < begun_; ++i)
            if (completed_[static_cast<std::size_t>(i)] == 0) return false;
        return true;
    }
    /// Empty, if each completed once.
    std::string complaint() const {
        for (int i = 0; i < begun_; ++i) {
            const int times = completed_[static_cast<std::size_t>(i)];
            if (times != 1) return "call " + std::to_string(i) + " completed " + std::to_string(times) + " times";
        }
        return {};
    }

private:
    std::array<int, 2 * calls> completed_{};
    int begun_ = 0;
};

inline std::string complaint(const Statistics& all) {
    const auto ended = all.succeeded + all.failed + all.cancelled + all.timed_out + all.lost;
    if (all.admitted == ended) return {};
    return "admitted " + std::to_string(all.admitted) + ", ended " + std::to_string(ended);
}

struct Child {
    int status = 0;       ///< its exit code, or 128 and the signal
    std::size_t ran = 0;  ///< what it said so of
    std::string text;     ///< what it wrote
};

/// Runs a function in a fork of this process, which has one thread. `body(ran)` calls `ran()` before each of its parts.
template <class Body>
Child run_forked(Body body) {
    int parts[2];
    int errors[2];
    for (int* const ends : {parts, errors}) REQUIRE(pipe(ends) == 0);
    std::cout.flush();  // or the child would write it again
    const pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        dup2(errors[1], STDOUT_FILENO);
        dup2(errors[1], STDERR_FILENO);
        for (const int file : {parts[0], errors[0], errors[1]}) close(file);
        body([to = parts[1]] { REQUIRE(write(to, ".", 1) == 1); });
        std::exit(0);
    }
    for (const int file : {parts[1], errors[1]}) close(file);
    Child child;
    child.text = support::read_all(errors[0]);  // few parts: they wait in their pipe
    child.ran = support::read_all(parts[0]).size();
    int status = 0;
    waitpid(pid, &status, 0);
    child.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return child;
}

/// Ends the process if a program takes longer than a hang takes, and tells what failed there.
class Watchdog {
public:
    Watchdog() {
        std::thread{[this] {
            std::unique_lock lock{mutex_};
            if (ended_.wait_for(lock, 30s, [this] { return has_ended_; })) return;
            std::cerr << "it blocks, after\n" << failing_new::last_stack();
            std::_Exit(1);
        }}.swap(thread_);
    }
    ~Watchdog() {
        {
            const std::lock_guard lock{mutex_};
            has_ended_ = true;
        }
        ended_.notify_one();
        thread_.join();
    }

private:
    std::mutex mutex_;
    std::condition_variable ended_;
    bool has_ended_ = false;
    std::thread thread_;
};

/// Runs a program for each number, with that allocation and those that follow failing: in processes of their own, which
/// may crash, or hang. Returns what was wrong with which, and what failed there.
inline std::string runs_that_fail(std::vector<std::size_t> numbers, std::size_t in_a_row, std::string (*program)()) {
    constexpr std::ptrdiff_t most_a_process = 200;
    constexpr std::size_t most_told = 20;
    if (const char* const only = std::getenv("DISTWORK_OOM")) numbers = {std::strtoull(only, nullptr, 10)};
    std::string wrong;
    std::size_t count = 0;
    for (auto from = numbers.begin(); from != numbers.end();) {
        const auto to = from + std::min(most_a_process, numbers.end() - from);
        const Child child = run_forked([&](auto ran) {
            for (auto at = from; at != to; ++at) {
                ran();
                const Watchdog watchdog;
                tries = 0;
                failing_new::fail(*at, in_a_row);
                std::string what;
                if (const auto thrown = exception_of([&] { what = program(); })) what = "it threw " + what_of(thrown);
                failing_new::rest();
                if (what.empty()) continue;
                std::cerr << what << ", after\n" << failing_new::last_stack();
                std::_Exit(1);
            }
        });
        from += std::max<std::ptrdiff_t>(1, static_cast<std::ptrdiff_t>(child.ran));
        if (child.status == 0 || ++count > most_told) continue;
        wrong += "allocation " + std::to_string(*(from - 1)) + ", status " + std::to_string(child.status) + ": " +
                 child.text.substr(0, 6000) + '\n';
    }
    if (count > most_told) wrong += "and " + std::to_string(count - most_told) + " more\n";
    return wrong;
}

/// Awaits one call after the other.
template <class Master>
asio::awaitable<void> await_some(Master& master, Ledger& ledger, int count) {
    for (int i = 0; i < count; ++i) {
        const auto entry = ledger.entry();
        try {
            const Tree leaf{0};
            if (i % 4 == 1) co_await master.async_broadcast_work(leaf);
            if (i % 4 == 2) co_await master.async_distribute_work(leaf);
            if (i % 4 == 3) co_await master.async_wait_for_slaves(1);
            const std::string text(static_cast<std::size_t>(i) * 40, 'x');
            const std::string twofold = co_await master.template async_call<&twice>(text);
            if (twofold.size() != 2 * text.size()) continue;  // never completed: the sweep complains
        } catch (const std::exception&) {
        }
        entry(nullptr);
    }
}

/// Cancels calls of a program.
using Signals = std::array<asio::cancellation_signal, 4>;

/// Has a hundred calls of all kinds begin. `signals` outlive them.
template <class Master>
void begin_calls(Master& master, Ledger& ledger, Signals& signals, const asio::any_io_executor& on) {
    const auto begin = [&](auto&& start) {
        const auto entry = ledger.entry();
        try {
            start(entry);
        } catch (const std::exception&) {
            ledger.complete(entry.index);
        }
    };
    const std::string large(100'000, 'l');
    for (int i = 0; i < 10; ++i) {
        begin([&](auto done) { master.template async_call<&twice>(std::string{"text"}, done); });
        begin([&](auto done) { master.template async_call<&twice>(std::string(200, 't'), done); });
        begin([&](auto done) {
            master.template async_call<&fails_at_first>(
                i, SubmitOptions{}.name("again").retry_on_error(RetryPolicy{2, 10ms, 20ms}), done);
        });
        begin([&](auto done) { master.async_call(Tree{2}, SubmitOptions{}.priority(1), done); });
        begin([&](auto done) { master.async_call(std::unique_ptr<IWork>{std::make_unique<Tree>(0u)}, done); });
        begin([&](auto done) {
            master.template async_call<&twice>(
                std::string{"soon"}, SubmitOptions{}.queue_timeout(5s).deadline(20s).execution_timeout(2s), done);
        });
        begin([&](auto done) { master.async_distribute_work(Tree{1}, done); });
    }
    for (auto& signal : signals) {
        begin([&](auto done) {
            master.template async_call<&twice>(std::string{"cancelled"},
                                               asio::bind_cancellation_slot(signal.slot(), done));
        });
        begin([&](auto done) { master.template async_call<&twice>(large, done); });
        begin([&](auto done) { master.async_broadcast_work(Tree{0}, done); });
        begin([&](auto done) {
            master.distribute_work(Tree{0});
            done(nullptr);
        });
    }
    begin([&](auto done) { master.async_wait_for_slaves(1, done); });
    const auto entry = ledger.entry();
    asio::co_spawn(on, await_some(master, ledger, 12), entry);
}

}  // namespace oom_test
