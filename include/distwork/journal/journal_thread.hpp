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
/// *Lifetime*: the destructor waits until all requests are done, unless one of them calls it: then the thread ends later,
/// by itself.
class JournalThread final : public ValueStore {
public:
    /// *Errors*: throws Error (journal_failed), std::system_error.
    JournalThread(const std::string& path, std::string_view version, const Log& log)
        : state_{std::make_shared<State>(path, version, log)}, thread_{[state = state_] { state->run(); }} {}
    JournalThread(const JournalThread&) = delete;
    ~JournalThread() override {
        {
            const std::lock_guard lock{state_->mutex};
            state_->is_over = true;
        }
        state_->changed.notify_one();
        if (thread_.get_id() == std::this_thread::get_id()) thread_.detach();
        else thread_.join();
    }

    void find(std::unique_ptr<Request> request) noexcept override { state_->add(std::move(request), false); }
    void keep(std::unique_ptr<Request> request) noexcept override { state_->add(std::move(request), true); }
    const SipHash::Key& hash_key() const noexcept override { return state_->file.hash_key(); }

private:
    using Requests = std::list<std::unique_ptr<Request>>;

    /// Shared with the thread, which may end after this object.
    struct State {
        State(const std::string& path, std::string_view version, const Log& log) : file{path, version, log} {}

        void add(std::unique_ptr<Request> request, bool is_to_keep) noexcept {
            Requests one = surely([] { return Requests(1); });
            one.front() = std::move(request);
            {
                const std::lock_guard lock{mutex};
                Requests& all = is_to_keep ? to_keep : to_find;
                all.splice(all.end(), one);
            }
            changed.notify_one();
        }

        void run() noexcept {
            for (;;) {
                Requests finds;
                Requests keeps;
                {
                    std::unique_lock lock{mutex};
                    changed.wait(lock, [this] { return is_over || !to_find.empty() || !to_keep.empty(); });
                    finds.swap(to_find);
                    keeps.swap(to_keep);
                }
                if (finds.empty() && keeps.empty()) return;
                // What is found is not kept waiting by the disk.
                handle(finds, [this](StoredValue& value) { file.find(value); });
                handle(keeps, [this](StoredValue& value) { file.keep(value); });
            }
        }

        template <class Action>
        void handle(Requests& requests, Action action) noexcept {
            if (requests.empty()) return;
            const auto error = exception_of([&] {
                Transaction transaction = file.begin();
                for (const auto& request : requests)
                    for (StoredValue& value : request->values) action(value);
                transaction.commit();
            });
            while (!requests.empty()) {
                requests.front()->done(error);
                requests.pop_front();
            }
        }

        JournalFile file;
        std::mutex mutex;
        std::condition_variable changed;
        // guarded by mutex
        Requests to_find;
        Requests to_keep;
        bool is_over = false;
    };

    const std::shared_ptr<State> state_;
    std::thread thread_;
};

}  // namespace distwork::detail
