#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

#include "../base/asio.hpp"
#include "../base/pause.hpp"
#include "../base/surely.hpp"
#include "../error.hpp"

namespace distwork::detail {

/// How a role stops: it waits until nothing is left to do, or its time is over. Whoever asks again may shorten the
/// time; all are told of the same end, and none of them carries the drain: who is cancelled only stops waiting.
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

    /// True for who asked first: that one has the drain begun, which calls `end`, or calls it. All await `ended`.
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

    /// Waits until `quiet()` holds or the time is over.
    template <class Quiet>
    asio::awaitable<void> until(Quiet quiet) {
        for (bool is_over = false; !is_over;) {
            try {
                is_over = quiet() || transport_.now() >= deadline_;
                if (!is_over) co_await pause(changed_, deadline_ - transport_.now());
            } catch (const std::bad_alloc&) {
                wait_for_memory();
            }
        }
    }

    /// What `quiet()` looks at may have changed.
    void look_again() { changed_.cancel(); }

    /// The same, to be called from any thread. Keeps `owner` alive, whom the drain is a part of.
    template <class Owner>
    std::function<void()> looking_again(std::shared_ptr<Owner> owner) {
        return [this, owner = std::move(owner)] { post_surely(strand_, [this, owner] { look_again(); }); };
    }

    void end() noexcept {
        over_ = true;
        ended_.cancel();
    }

    /// `who` waits. *Errors*: Error (cancelled): it is not over.
    asio::awaitable<void> ended(const char* who) {
        std::error_code cancelled;
        auto token = asio::redirect_error(asio::use_awaitable, cancelled);
        if (!over_) co_await ended_.async_wait(token);
        if (!over_) throw Error{Errc::cancelled, who};
    }

private:
    static constexpr std::chrono::milliseconds longest = std::chrono::hours{24 * 365};

    Transport transport_;
    const typename Transport::Strand strand_;
    typename Transport::Timer changed_;
    typename Transport::Timer ended_;  // cancelled by the end
    TimePoint deadline_{};
    bool begun_ = false;
    bool over_ = false;
};

}  // namespace distwork::detail
