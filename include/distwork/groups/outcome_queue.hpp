#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <utility>

#include "../error.hpp"
#include "../outcome.hpp"

namespace distwork::detail {

/// The outcomes of a group that were not read yet, and the readers that wait for some. Outcomes move in the nodes of
/// lists: nothing is allocated here, and no value is moved or destroyed under the lock.
///
/// *Thread-safety*: all functions.
template <class R>
class OutcomeQueue {
public:
    using Outcomes = std::list<Outcome<R>>;

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

    std::size_t push(Outcomes outcome) noexcept {
        {
            const std::lock_guard lock{mutex_};
            if (is_abandoned_) return 0;
            outcomes_.splice(outcomes_.end(), outcome);
        }
        return serve();
    }

    /// Takes up to `most` outcomes that are here, without a reader; none while readers wait, or if there is a failure.
    Outcomes take(std::size_t most) noexcept {
        Outcomes taken;
        const std::lock_guard lock{mutex_};
        if (!readers_.empty() || failure_) return taken;
        auto last = outcomes_.begin();
        for (std::size_t i = 0; i != most && last != outcomes_.end(); ++i) ++last;
        taken.splice(taken.end(), outcomes_, outcomes_.begin(), last);
        return taken;
    }

    /// Completes the reader when there is an outcome. *Errors*: std::bad_alloc; Error (cancelled: the group is gone).
    std::size_t read(ReaderPtr reader) {
        {
            const std::lock_guard lock{mutex_};
            if (is_abandoned_) throw Error{Errc::cancelled, "reading from a group"};
            readers_.push_back(std::move(reader));
        }
        return serve();
    }

    /// The next reader completes with this error, unless one is set already.
    std::size_t fail(std::exception_ptr error) noexcept {
        {
            const std::lock_guard lock{mutex_};
            if (!failure_) failure_ = std::move(error);
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
        std::list<ReaderPtr> readers;
        Outcomes outcomes;
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

    std::size_t serve() noexcept {
        std::size_t given = 0;
        for (;;) {
            std::list<ReaderPtr> reader;
            Outcomes outcomes;
            std::exception_ptr error;
            {
                const std::lock_guard lock{mutex_};
                if (readers_.empty() || (outcomes_.empty() && !failure_ && !has_ended_)) return given;
                reader.splice(reader.end(), readers_, readers_.begin());
                error = std::exchange(failure_, nullptr);
                if (!error) {
                    auto last = outcomes_.begin();
                    for (std::size_t i = 0; i != reader.front()->most && last != outcomes_.end(); ++i, ++given) ++last;
                    outcomes.splice(outcomes.end(), outcomes_, outcomes_.begin(), last);
                }
            }
            reader.front()->complete(std::move(error), std::move(outcomes));
        }
    }

    std::mutex mutex_;
    // guarded by mutex_
    Outcomes outcomes_;
    std::list<ReaderPtr> readers_;
    std::exception_ptr failure_;
    bool has_ended_ = false;
    bool is_abandoned_ = false;
};

}  // namespace distwork::detail
