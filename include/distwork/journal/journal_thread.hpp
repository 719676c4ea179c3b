#pragma once

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
/// transaction.
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

    void find(std::unique_ptr<Request> request) noexcept override { add(std::move(request), to_find_); }
    void keep(std::unique_ptr<Request> request) noexcept override { add(std::move(request), to_keep_); }
    void finish() noexcept override {
        std::unique_lock lock{mutex_};
        done_.wait(lock, [this, all = added_] { return finished_ >= all; });
    }
    const SipHash::Key& hash_key() const noexcept override { return file_.hash_key(); }

private:
    using Requests = std::list<std::unique_ptr<Request>>;

    void add(std::unique_ptr<Request> request, Requests& all) noexcept {
        Requests one = surely([] { return Requests(1); });
        one.front() = std::move(request);
        {
            const std::lock_guard lock{mutex_};
            all.splice(all.end(), one);
            ++added_;
        }
        came_.notify_one();
    }

    void run() noexcept {
        for (;;) {
            Requests finds;
            Requests keeps;
            {
                std::unique_lock lock{mutex_};
                came_.wait(lock, [this] { return is_over_ || !to_find_.empty() || !to_keep_.empty(); });
                finds.swap(to_find_);
                keeps.swap(to_keep_);
            }
            const std::size_t count = finds.size() + keeps.size();
            if (count == 0) return;
            // What is found is not kept waiting by the disk.
            handle(finds, [this](StoredValue& value) { file_.find(value); });
            handle(keeps, [this](StoredValue& value) { file_.keep(value); });
            {
                const std::lock_guard lock{mutex_};
                finished_ += count;
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
    Requests to_find_;
    Requests to_keep_;
    std::size_t added_ = 0;  // requests
    std::size_t finished_ = 0;
    bool is_over_ = false;

    std::thread thread_;  // the last member: it uses the others
};

}  // namespace distwork::detail
