#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "../base/asio.hpp"
#include "../base/pause.hpp"
#include "../base/surely.hpp"
#include "../error.hpp"

namespace distwork::detail {

/// The shutdown of a role: it waits until nothing is left to do, or until the timeout. A further call joins the same
/// shutdown; a shorter timeout takes effect. All callers wait for the same end. Cancelling a waiter does not cancel the
/// shutdown.
///
/// *Executor*: the role's strand.
template <class Transport>
class Shutdown {
    using TimePoint = std::chrono::steady_clock::time_point;

public:
    Shutdown(Transport transport, const typename Transport::Strand& strand)
        : transport_{std::move(transport)}, strand_{strand}, changed_{strand}, ended_{strand} {
        ended_.expires_after(longest);
    }

    /// True for the first caller, which must start the drain. `end` must be called when the drain is over, also if it
    /// could not be started. Every caller awaits `ended`. A timeout above one year counts as one year.
    bool begin(std::chrono::milliseconds timeout) noexcept {
        const TimePoint deadline = transport_.now() + std::min(timeout, longest);
        if (std::exchange(begun_, true)) {
            deadline_ = std::min(deadline_, deadline);
            look_again();
            return false;
        }
        deadline_ = deadline;
        return true;
    }

    /// Waits until `quiet()` returns true, or until the timeout. `quiet` throws at most std::bad_alloc,
    /// and is called again then.
    template <class Quiet>
    asio::awaitable<void> until(Quiet quiet) noexcept {
        return surely([&] { return watch(quiet); });
    }

    /// The result of `quiet()` may have changed: evaluates it again.
    void look_again() { changed_.cancel(); }

    /// Returns a function that does the same and may be called from any thread. It keeps `owner` alive, which must own
    /// this object.
    template <class Owner>
    std::function<void()> looking_again(std::shared_ptr<Owner> owner) {
        return [this, owner = std::move(owner)] { post_surely(strand_, [this, owner] { look_again(); }); };
    }

    /// The shutdown is over: completes all waiters.
    void end() noexcept {
        over_ = true;
        ended_.cancel();
    }

    /// Waits for the end; `who` names the waiter in the error. *Errors*: Error (cancelled): the shutdown is not over.
    asio::awaitable<void> ended(const char* who) noexcept {
        return surely([&] { return wait_for_end(who); });
    }

private:
    template <class Quiet>
    asio::awaitable<void> watch(Quiet quiet) {
        while (!surely(quiet) && transport_.now() < deadline_) co_await pause(changed_, deadline_ - transport_.now());
    }

    asio::awaitable<void> wait_for_end(const char* who) {
        if (!over_) co_await wait(ended_);
        if (!over_) throw Error{Errc::cancelled, who};
    }

    static constexpr std::chrono::milliseconds longest = std::chrono::hours{24 * 365};

    Transport transport_;
    const typename Transport::Strand strand_;
    typename Transport::Timer changed_;
    typename Transport::Timer ended_;  // cancelled by `end`
    TimePoint deadline_{};
    bool begun_ = false;
    bool over_ = false;
};

}  // namespace distwork::detail
