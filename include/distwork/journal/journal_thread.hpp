#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "../base/surely.hpp"
#include "../error.hpp"
#include "../groups/value_store.hpp"
#include "../log.hpp"
#include "journal_file.hpp"

namespace distwork::detail {

/// A Journal's thread: it takes all requests that came meanwhile, and keeps the values of all of them in one
/// transaction, at most a hundred times a second: waiting for the disk each time would cost the works their processor.
///
/// *Lifetime*: the destructor waits until all requests are done. None of them may call it.
class JournalThread final : public ValueStore {
public:
    /// *Errors*: throws Error (journal_failed), std::system_error.
    JournalThread(const std::string& path, std::string_view version, const Log& log)
        : file_{path, version, log}, thread_{[this] { run(); }} {}
    JournalThread(const JournalThread&) = delete;
    ~JournalThread() override {
        {
            const std::lock_guard lock{mutex_};
            is_over_ = true;
        }
        came_.notify_one();
        thread_.join();
    }

    void find(std::unique_ptr<Request> request) noexcept override { add(std::move(request), finds_); }
    void keep(std::unique_ptr<Request> request) noexcept override { add(std::move(request), keeps_); }
    void finish() noexcept override {
        std::unique_lock lock{mutex_};
        ++hurried_by_;
        came_.notify_one();
        done_.wait(lock, [this, finds = finds_.added, keeps = keeps_.added] {
            return finds_.done >= finds && keeps_.done >= keeps;
        });
        --hurried_by_;
    }
    const SipHash::Key& hash_key() const noexcept override { return file_.hash_key(); }

private:
    using Requests = std::list<std::unique_ptr<Request>>;

    /// Requests of one kind, which are done in their order.
    struct Line {
        Requests waiting;
        std::size_t added = 0;
        std::size_t done = 0;
    };

    void add(std::unique_ptr<Request> request, Line& line) noexcept {
        Requests one = surely([] { return Requests(1); });
        one.front() = std::move(request);
        {
            const std::lock_guard lock{mutex_};
            line.waiting.splice(line.waiting.end(), one);
            ++line.added;
        }
        came_.notify_one();
    }

    void run() noexcept {
        constexpr auto between_commits = std::chrono::milliseconds{10};
        std::chrono::steady_clock::time_point next_commit{};
        for (;;) {
            Requests finds;
            Requests keeps;
            {
                std::unique_lock lock{mutex_};
                const auto is_urgent = [this] { return is_over_ || hurried_by_ != 0 || !finds_.waiting.empty(); };
                came_.wait(lock, [&] { return is_urgent() || !keeps_.waiting.empty(); });
                came_.wait_until(lock, next_commit, is_urgent);
                finds.swap(finds_.waiting);
                const bool is_time = is_over_ || hurried_by_ != 0 || std::chrono::steady_clock::now() >= next_commit;
                if (is_time) keeps.swap(keeps_.waiting);
                // While others finish, there is nothing left to do for them.
                if (finds.empty() && keeps.empty()) {
                    if (is_over_) return;
                    if (hurried_by_ != 0) came_.wait_for(lock, between_commits);
                    continue;
                }
            }
            // What is found is not kept waiting by the disk.
            const std::size_t found = finds.size();
            handle(finds, [this](StoredValue& value) { file_.find(value); });
            const std::size_t kept = keeps.size();
            if (kept != 0) next_commit = std::chrono::steady_clock::now() + between_commits;
            handle(keeps, [this](StoredValue& value) { file_.keep(value); });
            {
                const std::lock_guard lock{mutex_};
                finds_.done += found;
                keeps_.done += kept;
            }
            done_.notify_all();
        }
    }

    template <class Action>
    void handle(Requests& requests, Action action) noexcept {
        if (requests.empty()) return;
        const auto error = exception_of([&] {
            Transaction transaction = file_.begin();
            for (const auto& request : requests)
                for (StoredValue& value : request->values) action(value);
            transaction.commit();
        });
        while (!requests.empty()) {
            requests.front()->done(error);
            requests.pop_front();
        }
    }

    JournalFile file_;  // the thread's, once that runs
    std::mutex mutex_;
    std::condition_variable came_;
    std::condition_variable done_;
    // guarded by mutex_
    Line finds_;
    Line keeps_;
    std::size_t hurried_by_ = 0;  // callers of `finish`
    bool is_over_ = false;

    std::thread thread_;  // the last member: it uses the others
};

}  // namespace distwork::detail
