#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "../base/surely.hpp"
#include "../error.hpp"
#include "../outcome.hpp"

namespace distwork::detail {

/// The outcomes of a group that were not read yet, and the readers that wait for some.
///
/// *Thread-safety*: all functions.
template <class R>
class OutcomeQueue {
public:
    using Outcomes = std::vector<Outcome<R>>;

    /// Takes up to `most` outcomes, at least one; none if there will never be one.
    class Reader {
    public:
        explicit Reader(std::size_t outcomes) : most{outcomes} {}
        virtual ~Reader() = default;
        virtual void complete(std::exception_ptr error, Outcomes outcomes) noexcept = 0;
        const std::size_t most;
    };
    using ReaderPtr = std::shared_ptr<Reader>;

    // The functions below return how many outcomes they gave to readers.

    std::size_t push(Outcome<R>&& outcome) noexcept {
        {
            const std::lock_guard lock{mutex_};
            if (is_abandoned_) return 0;
            while (!try_push(outcome)) wait_for_memory();
        }
        return serve();
    }

    /// Completes the reader when there is an outcome. *Errors*: std::bad_alloc.
    std::size_t read(ReaderPtr reader) {
        {
            const std::lock_guard lock{mutex_};
            if (is_abandoned_) throw Error{Errc::cancelled, "reading from a group"};
            readers_.push_back(std::move(reader));
        }
        return serve();
    }

    /// The next reader completes with this error.
    std::size_t fail(std::exception_ptr error) noexcept {
        {
            const std::lock_guard lock{mutex_};
            failure_ = std::move(error);
        }
        return serve();
    }

    /// No outcome will be pushed any more.
    std::size_t end() noexcept {
        {
            const std::lock_guard lock{mutex_};
            has_ended_ = true;
        }
        return serve();
    }

    /// Completes a reader that waits with Errc::cancelled.
    void cancel(const ReaderPtr& reader) noexcept {
        {
            const std::lock_guard lock{mutex_};
            const auto found = std::find(readers_.begin(), readers_.end(), reader);
            if (found == readers_.end()) return;
            readers_.erase(found);
        }
        reader->complete(cancelled(), {});
    }

    /// Nobody will read any more. Readers that wait complete with Errc::cancelled.
    void abandon() noexcept {
        std::deque<ReaderPtr> readers;
        std::deque<Outcome<R>> outcomes;  // a user's: destroyed without the lock
        {
            const std::lock_guard lock{mutex_};
            is_abandoned_ = true;
            readers.swap(readers_);
            outcomes.swap(outcomes_);
        }
        for (const auto& reader : readers) reader->complete(cancelled(), {});
    }

private:
    static std::exception_ptr cancelled() noexcept {
        return exception_of([] { throw Error{Errc::cancelled, "reading from a group"}; });
    }

    /// False: there is no memory. If moving the value throws, that is the outcome.
    bool try_push(Outcome<R>& outcome) noexcept {
        try {
            outcomes_.push_back(std::move(outcome));
        } catch (const std::bad_alloc&) {
            return false;
        } catch (...) {
            outcome = Outcome<R>{};
            outcome.error = std::current_exception();
            return false;
        }
        return true;
    }

    std::size_t serve() noexcept {
        std::size_t given = 0;
        for (;;) {
            ReaderPtr reader;
            Outcomes outcomes;
            std::exception_ptr error;
            {
                const std::lock_guard lock{mutex_};
                if (readers_.empty() || (outcomes_.empty() && !failure_ && !has_ended_)) return given;
                reader = std::move(readers_.front());
                readers_.pop_front();
                error = std::exchange(failure_, nullptr);
                if (!error) error = take(std::min(reader->most, outcomes_.size()), outcomes);
            }
            given += outcomes.size();
            reader->complete(std::move(error), std::move(outcomes));
        }
    }

    /// Returns what moving an outcome throws.
    std::exception_ptr take(std::size_t count, Outcomes& to) noexcept {
        surely([&] { to.reserve(count); });
        return exception_of([&] {
            for (; count != 0; --count) {
                to.push_back(std::move(outcomes_.front()));
                outcomes_.pop_front();
            }
        });
    }

    std::mutex mutex_;
    // guarded by mutex_
    std::deque<Outcome<R>> outcomes_;
    std::deque<ReaderPtr> readers_;
    std::exception_ptr failure_;
    bool has_ended_ = false;
    bool is_abandoned_ = false;
};

}  // namespace distwork::detail
